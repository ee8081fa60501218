"""Requests of one client connection, as llhttp frames them and the edge's limits allow."""

from __future__ import annotations

from collections import deque

from lyncgate.edge.framing import Fault, Framing
from lyncgate.edge.heads import Field, connection, first, tokens, values
from lyncgate.policy.policy import Limits


class Incoming:
    """A request as far as it has come. `begun`: monotonic time of its first byte. `chunks`: of its body, not
    taken yet; `rest`: what came behind a request to go on as a websocket."""

    __slots__ = (
        "begun", "chunked", "chunks", "closes", "complete", "expects", "fields", "method", "names", "rest",
        "target", "trailers", "websocket",
    )  # fmt: skip

    def __init__(
        self, method: bytes, target: bytes, fields: list[Field], names: list[bytes], begun: float
    ) -> None:
        self.begun = begun
        self.method = method
        self.target = target
        self.fields = fields
        self.names = names
        self.chunks: list[bytes] = []
        self.complete = False
        self.trailers: list[Field] = []
        self.chunked = self.closes = self.expects = self.websocket = False
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
        self._length: int | None = None  # of the body of `current`, where its head says it
        self._got = 0  # bytes of it that have come
        self._left = 0  # bytes of it that llhttp need not look at
        self._switching: Incoming | None = None  # what may go on as a websocket, and is not answered yet
        self.now = self.began = 0.0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.began = self.now

    @property
    def midway(self) -> bool:
        """Whether the last that came is a head that has not ended."""
        return self._in_head

    @property
    def more(self) -> bool:
        """Whether something of requests that are not begun yet has come."""
        return bool(self.queue) or (self._switching is not None and bool(self._switching.rest))

    def head(self, method: bytes) -> None:
        names, fields = self.names, self.fields
        message = Incoming(method, self.url, fields, names, begun=self.began)
        message.chunked = b"transfer-encoding" in names
        self._got = 0
        self._length = int(first(fields, b"content-length")) if b"content-length" in names else None
        if b"expect" in names:
            message.expects = b"100-continue" in tokens(values(fields, b"expect"))
        if b"connection" in names:
            words = connection(tuple(values(fields, b"connection")))
            message.closes = b"close" in words
            message.websocket = (
                b"upgrade" in words
                and method == b"GET"
                and not message.chunked
                and first(fields, b"content-length") in (b"", b"0")
                and tokens(values(fields, b"upgrade")) == [b"websocket"]
            )
        if method == b"CONNECT":
            message.closes = True
        self.current = message
        self.queue.append(message)

    def chunk(self, data: bytes) -> None:
        if self.current is not None:
            self._got += len(data)
            self.current.chunks.append(data)

    def end(self) -> None:
        if self.current is not None:
            self.current.trailers = self.fields
            self.current.complete = True
            self._last, self.current = self.current, None

    def feed(self, data: bytes) -> Fault | None:
        if self._left:
            data = self._pass(data)
            if not data:
                return None
        if self._switching is None:
            fault = super().feed(data)
            if self.current is not None and self._length is not None and fault is None:
                self._left = self._length - self._got
            return fault
        self._switching.rest += data
        return Fault.PIPELINE if len(self._switching.rest) > self._limits.head else None

    def _pass(self, data: bytes) -> bytes:
        """Take what belongs to a body whose length is known, without llhttp, which would copy it. What is
        behind it comes back."""
        left, current = self._left, self.current
        if current is None:
            return data
        current.chunks.append(data if len(data) <= left else data[:left])
        self._left = max(0, left - len(data))
        if self._left:
            return b""
        self._start()  # llhttp still waits for it
        self._shut = current.closes
        self.end()
        return data[left:]

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
        self._shut = self._closes
        return self.feed(rest)
