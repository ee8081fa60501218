"""What every page has: GET and HEAD only, a strict policy, hosts that it may be asked by, a theme.

A page shows users, so it must not be read by other web sites. A site that points a name of its own at our
address (DNS rebinding) comes with that name as Host: only IP addresses, `localhost` and the names that
rules.yaml allows (`admin.hosts`) are answered. Frames, scripts and styles from elsewhere are forbidden.
"""

from __future__ import annotations

import asyncio
import http
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tornado.template
import tornado.web

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.pages import drawing, words
from lyncgate.observe.pages.filters import OUTCOMES, SINCES
from lyncgate.signin import codec, lines, rows, shown

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
THEMES = ("light", "dark")
HERE = Path(__file__).parent


type Hosts = Callable[[], Iterable[str]]

LOADER = tornado.template.Loader(str(HERE / "templates"), autoescape="xhtml_escape", whitespace="oneline")
NAMESPACE: dict[str, Any] = {
    name: getattr(module, name)
    for module, names in (
        (words, "CERTAINTIES GRADE_WORDS breakable origin_words phase_words sentence strip_words"),
        (rows, "JOINED_WORDS ROW_OF STATE_WORDS outcome_words row_states"),
        (shown, "ahead clock duration moment shown"),
        (lines, "PHASE_WORDS took"),
        (codec, "iso"),
        (drawing, "axis bar hops_svg"),
    )
    for name in names.split()
} | {"OUTCOMES": OUTCOMES, "SINCES": SINCES}


def is_allowed(host: str, names: Iterable[str]) -> bool:
    """Whether a page may be asked for by this Host header, port and all."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name = (name if port.isdigit() else host).lower().strip("[]").rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name in {allowed.lower().rstrip(".") for allowed in names}
    return True


class Page(tornado.web.RequestHandler):
    """A page. `self.reader` may be used from other threads."""

    here = ""

    def initialize(self, reader: Callable[[], Reader], hosts: Hosts) -> None:
        self._reader, self._hosts = reader, hosts

    @property
    def reader(self) -> Reader:
        return self._reader()

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", POLICY),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ):
            self.set_header(name, value)

    def compute_etag(self) -> None:
        """None: a page is news."""

    def prepare(self) -> None:
        if self.request.method not in ("GET", "HEAD"):
            self.set_header("Allow", "GET, HEAD")
            self.set_status(405)
            self.finish("Method Not Allowed\n")
        elif not is_allowed(self.request.host, self._hosts()):
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_status(421)
            self.finish(
                "This page is not shown under this name. Ask by IP address or localhost, or allow the name "
                "in rules.yaml, admin: {hosts: [name]}\n"
            )

    async def head(self, *arguments: str) -> None:
        await self.get(*arguments)  # tornado sends the length and leaves the body out

    async def get(self, *arguments: str) -> None:
        self.missing("No such page", "There is nothing at this address.")

    async def show(self, template: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Finish with a page. `make`: its values; made, as the page is, in a thread: a long sign-in takes
        tens of milliseconds, and phones are served on this loop."""
        self.finish(await asyncio.to_thread(lambda: self._rendered(template, make())))

    def _rendered(self, template: str, values: Mapping[str, Any]) -> bytes:
        theme = self.get_cookie("theme", "")
        named = {"here": self.here, "theme": theme if theme in THEMES else ""}
        return LOADER.load(template).generate(**NAMESPACE, **named, **values)

    def missing(self, title: str, said: str, status: int = 404) -> None:
        """Finish with a page that says what there isn't."""
        self.set_status(status)
        self.finish(self._rendered("missing.html", {"title": title, "said": said}))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        status = http.HTTPStatus(status_code)
        self.missing(f"{status.value} {status.phrase}", "The page could not be made.", status_code)


class Static(Page):
    """A file of ours, by its exact name."""

    TYPES: ClassVar = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    FILES: ClassVar = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}

    async def get(self, *arguments: str) -> None:
        (name,) = arguments
        body = self.FILES.get(name)
        if body is None:
            self.missing("No such file", "There is nothing at this address.")
            return
        self.set_header("Content-Type", f"{self.TYPES[Path(name).suffix]}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(body)
