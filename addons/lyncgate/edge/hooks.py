"""Hooks of our own, beside mitmproxy's: what the engine's layers tell and ask the edge's addons.

mitmproxy derives an addon's method name from the class name: `EdgeRejectedHook` calls
`edge_rejected(refused)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.commands import StartHook

from lyncgate.edge.framing import Fault


class Refused(NamedTuple):
    """Bytes of `client` that never became a request, and what is wrong with them."""

    client: Connection
    fault: Fault


@dataclass
class EdgeRejectedHook(StartHook):
    """Bytes were refused before there was a request. Nothing waits for the addons."""

    refused: Refused
    blocking = False


@dataclass
class EdgeConnectFailedHook(StartHook):
    """No connection to the member of this flow could be made, and nothing was sent. An addon that
    points `flow.request` at another member makes the layer try that one; else the flow fails."""

    flow: HTTPFlow
