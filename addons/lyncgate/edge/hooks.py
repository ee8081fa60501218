"""Hooks of our own, beside mitmproxy's: what the engine's layers tell and ask the edge's addons.

mitmproxy derives an addon's method name from the class name: `EdgeRejectedHook` calls
`edge_rejected(rejection)`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.commands import StartHook

from lyncgate.edge.framing import Fault, Rejection
from lyncgate.policy.policy import Listener


@dataclass
class EdgeRejectedHook(StartHook):
    """Bytes were refused before there was a request. Nothing waits for the addons."""

    rejection: Rejection
    blocking = False

    @classmethod
    def of(cls, listener: Listener, client: Connection, fault: Fault) -> EdgeRejectedHook:
        """For bytes of `client`, which came by `listener`."""
        peer = client.peername
        return cls(
            Rejection(
                listener=listener.name,
                scheme=listener.scheme,
                source_ip=peer[0] if peer else "",
                connection=client.id,
                fault=fault,
                began=client.timestamp_start or time.time(),
                server_name=client.sni,
                address=shown_address(client.sockname),
            )
        )


def shown_address(address: tuple[Any, ...] | None) -> str | None:
    """`host:port`, an IPv6 address in brackets."""
    if not address:
        return None
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{host}:{address[1]}"


@dataclass
class EdgeConnectFailedHook(StartHook):
    """No connection to the member of this flow could be made, and nothing was sent. An addon that
    points `flow.request` at another member makes the layer try that one; else the flow fails."""

    flow: HTTPFlow
