"""What decide() is asked: the parts of a request that routing depends on, as they came."""

from __future__ import annotations

from lyncgate.policy.policy import Scheme


class Request:
    """A request as the listener saw it. Bytes are the client's own: nothing is decoded yet.

    `listener`: name of the listener. `scheme`: what it speaks. `method`: e.g. b"GET".
    `host`: value of the single Host field; b"" if there was none. `target`: the request target as
    sent, path and query (origin form). `source`: textual IP address of the client, b"" forbidden.
    `user`: SIP address when it is known from elsewhere (`explain --user`); else it is read from
    the query where that matters.
    """

    # By hand: each request makes one.
    __slots__ = ("host", "listener", "method", "scheme", "source", "target", "user")

    def __init__(
        self,
        listener: str,
        scheme: Scheme,
        method: bytes,
        host: bytes,
        target: bytes,
        source: str = "127.0.0.1",
        user: str | None = None,
    ) -> None:
        self.listener = listener
        self.scheme = scheme
        self.method = method
        self.host = host
        self.target = target
        self.source = source
        self.user = user
