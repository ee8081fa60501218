"""Hooks of our own, beside mitmproxy's: what the engine's layers tell and ask the edge's addons.

mitmproxy derives an addon's method name from the class name: `EdgeRejectedHook` calls
`edge_rejected(rejection)`.
"""

from __future__ import annotations

from dataclasses import dataclass

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
            )
        )


@dataclass
class EdgeConnectFailedHook(StartHook):
    """No connection to the member of this flow could be made, and nothing was sent. An addon that
    points `flow.request` at another member makes the layer try that one; else the flow fails."""

    flow: HTTPFlow
