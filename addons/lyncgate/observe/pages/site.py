"""All pages by their addresses, for the admin listener.

Pages(reader, hosts).routes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.pages.base import Hosts, Page, Static
from lyncgate.observe.pages.findings import FindingPage, FindingsPage
from lyncgate.observe.pages.signin import ExportPage, SignInPage, as_har, as_json
from lyncgate.observe.pages.signins import ListPage, LivePage

ID = r"([0-9A-Za-z_-]{1,64})"

type Route = tuple[str, type[Page], dict[str, Any]]


class Pages:
    """`hosts`: names that pages may be asked by, beside IP addresses and `localhost`. Both are called at each
    request."""

    def __init__(self, reader: Callable[[], Reader], hosts: Hosts = tuple) -> None:
        common: dict[str, Any] = {"reader": reader, "hosts": hosts}
        self.routes: list[Route] = [
            (r"/", ListPage, common),
            (r"/signins", ListPage, common),
            (r"/signins/live", LivePage, common | {"listeners": set()}),
            (rf"/signins/{ID}", SignInPage, common),
            (rf"/signins/{ID}\.json", ExportPage, common | {"suffix": "json", "write": as_json}),
            (rf"/signins/{ID}\.har", ExportPage, common | {"suffix": "har", "write": as_har}),
            (r"/findings", FindingsPage, common),
            (r"/findings/(F\d\d)", FindingPage, common),
            (r"/static/([a-z.]{1,32})", Static, common),
            (r"/(?:signins|findings|static)/.*", Page, common),
        ]
