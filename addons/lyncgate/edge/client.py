"""A client's connection as the edge's concerns see it, whichever engine carries it.

What is known by connection is kept here and nowhere else, so that it goes when the connection goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lyncgate.edge.heads import Field
from lyncgate.policy.policy import Listener, Policy, Scheme

if TYPE_CHECKING:
    from lyncgate.edge.publish import Bond


class Client:
    """`listener`: the name of the one it came by; None: by a mode of mitmproxy's that is none of ours.
    `peer`: textual address, "" if unknown; `address`: `host:port` that it connected to. `started`, `secured`:
    Unix times of the accept and of the end of the TLS handshake. `hello`: tells which
    TLS versions its ClientHello offered, oldest first; None: there was none yet, or what it led to is known.
    `head_begun`: monotonic time of the first byte of a head."""

    # By hand, as in heads.py.
    __slots__ = (
        "address", "bonds", "counted", "greeted", "head_begun", "hello", "id", "listener", "peer", "said",
        "scheme", "secured", "server_name", "started", "tls_version",
    )  # fmt: skip

    def __init__(
        self, *, id: str, listener: str | None, scheme: Scheme, peer: str, address: str | None, started: float
    ) -> None:
        self.id = id
        self.listener = listener
        self.scheme = scheme
        self.peer = peer
        self.address = address
        self.started = started
        self.secured: float | None = None
        self.server_name: str | None = None
        self.tls_version: str | None = None
        self.hello: Callable[[], tuple[str, ...]] | None = None
        self.head_begun: float | None = None
        self.greeted = False  # had a request: the handshake was the first one's
        self.counted = "_other"  # the listener that metrics count it under
        self.said: tuple[str, tuple[Field, ...]] | None = None  # the X-Forwarded-* for a host, as they go up
        self.bonds: dict[str, Bond] = {}  # by pool: the member that it talks to


def listener_of(client: Client, policy: Policy) -> Listener | None:
    """The listener that a client came by, as `policy` has it. In a stock reverse mode there is none of ours:
    the first one that speaks the same stands for it."""
    if client.listener is not None:
        return policy.listeners.get(client.listener)
    return next((one for one in policy.listeners.values() if one.scheme is client.scheme), None)


def shown_address(address: tuple[Any, ...] | None) -> str | None:
    """`host:port`, an IPv6 address in brackets."""
    if not address:
        return None
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"{host}:{address[1]}"
