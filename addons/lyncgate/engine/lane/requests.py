"""Requests of one client connection, as llhttp frames them and the edge's limits allow."""

from __future__ import annotations

from collections import deque

from lyncgate.edge.framing import Fault, Framing
from lyncgate.edge.heads import Field, first, tokens, values
from lyncgate.policy.policy import Limits


class Incoming:
    """A request as far as it has come. `begun`: monotonic time of its first byte. `chunks`: of its body, not
    taken yet; `rest`: what came behind a request to go on as a websocket."""

    __slots__ = (
        "begun", "chunked", "chunks", "closes", "complete", "expects", "fields", "method", "rest", "target",
        "trailers", "websocket",
    )  # fmt: skip

    def __init__(
        self, method: bytes, target: bytes, fields: list[Field], *, chunked: bool, begun: float
    ) -> None:
        self.begun = begun
        self.method = method
        self.target = target
        self.fields = fields
        self.chunked = chunked
        self.chunks: list[bytes] = []
        self.complete = False
        self.trailers: list[Field] = []
        self.closes = self.expects = self.websocket = False
        self.rest = b""


class RequestReader(Framing):
    """`queue`: requests whose heads have come, in order, until the connection takes them. `current`: the one
    whose body is still coming. `now`: monotonic time at which what is fed came; `began`: of the first byte of
    the latest request."""

    trailers_pass = True

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.queue: deque[Incoming] = deque()
        self.current: Incoming | None = None
        self._switching: Incoming | None = None  # what may go on as a websocket, and is not answered yet
        self.now = self.began = 0.0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.began = self.now

    @property
    def midway(self) -> bool:
        """Whether the last that came is a head that has not ended."""
        return self._in_head

    def head(self, method: bytes) -> None:
        chunked = closes = expects = upgrades = False
        for name, value in self.fields:
            size = len(name)
            if size == 17 and name.lower() == b"transfer-encoding":
                chunked = True
            elif size == 10 and name.lower() == b"connection":
                words = tokens((value,))
                closes = closes or b"close" in words
                upgrades = upgrades or b"upgrade" in words
            elif size == 6 and name.lower() == b"expect":
                expects = expects or value.lower() == b"100-continue"
        message = Incoming(method, self.url, self.fields, chunked=chunked, begun=self.began)
        message.closes = closes or method == b"CONNECT"
        message.expects = expects
        message.websocket = (
            upgrades
            and method == b"GET"
            and not chunked
            and first(self.fields, b"content-length") in (b"", b"0")
            and tokens(values(self.fields, b"upgrade")) == [b"websocket"]
        )
        self.current = message
        self.queue.append(message)

    def chunk(self, data: bytes) -> None:
        if self.current is not None:
            self.current.chunks.append(data)

    def end(self) -> None:
        if self.current is not None:
            self.current.trailers = self.fields
            self.current.complete = True
            self._last, self.current = self.current, None

    def feed(self, data: bytes) -> Fault | None:
        if self._switching is None:
            return super().feed(data)
        self._switching.rest += data
        return Fault.PIPELINE if len(self._switching.rest) > self._limits.head else None

    def upgraded(self, rest: bytes) -> bool:
        """Kept where the request may go on as a websocket: what follows is not HTTP if it does."""
        if not self._last.websocket:
            return False
        self._switching, self._last.rest = self._last, rest
        return True

    def resume(self) -> Fault | None:
        """The request to go on as a websocket was answered otherwise: what follows is a request again."""
        if self._switching is None:
            return None
        rest, self._switching = self._switching.rest, None
        self._start()
        return self.feed(rest)
