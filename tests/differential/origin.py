"""A strict origin: what an engine must not confuse.

It reads with `reading`, and keeps for each client address (as X-Forwarded-For says it) the requests that came
for it. Anything that is not HTTP/1.1 is a desync: it is kept with the connection's bytes, and the connection
closed. Its answers say for whom and for what request they are, so that a client can tell its own.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import re
import socket
import struct
from collections.abc import AsyncIterator, Sequence

from differential.messages import Request, tokens
from differential.reading import RequestReader
from lyncgate.lab.ports import bound

SCRIPTED = re.compile(rb"/scripted/(\d+)")
SWITCH = b"/switch"  # an Upgrade to this target is accepted; what comes then is sent back
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OF_OURS = b"X-Meaning"  # names the client and the digest of its request


def answer(request: Request, client: str) -> bytes:
    """The answer to a request that is for this client."""
    head = b"HTTP/1.1 200 OK\r\n" + OF_OURS + b": %s %s\r\n" % (client.encode(), request.digest)
    if request.closes:
        head += b"Connection: close\r\n"
    if request.method == b"HEAD":
        return head + b"Content-Length: 1234\r\n\r\n"
    body = b"for %s" % client.encode()
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@dataclasses.dataclass(frozen=True)
class Script:
    """An answer to be given byte for byte. `ending`: what becomes of the connection then: `keep`, `fin`,
    `rst`. `early`: at the head of the request, without its body. `pieces`: sent one by one. `excess`: more
    than was asked for."""

    pieces: tuple[bytes, ...]
    ending: str = "keep"
    early: bool = False
    excess: bool = False


class StrictOrigin:
    """`seen`: whole requests by client, in the order they came. `strays`: requests that name no client.
    `desyncs`: what was wrong, and all the bytes of that connection. `scripts`: answers to /scripted/<n>.
    `spoilt`: clients whose request met the excess of an answer before it: no engine can tell until it comes,
    and the network may be late with it."""

    def __init__(self, scripts: Sequence[Script] = ()) -> None:
        self.address, self.port = "127.0.0.2", 0
        self.seen: dict[str, list[Request]] = collections.defaultdict(list)
        self.strays: list[Request] = []
        self.desyncs: list[tuple[str, bytes]] = []
        self.unfinished: dict[str, int] = collections.Counter()  # requests that a close cut off
        self.spoilt: set[str] = set()
        self.connections = 0
        self.scripts = scripts
        self._open: set[_Connection] = set()

    def register(self, connection: _Connection) -> None:
        self.connections += 1
        self._open.add(connection)

    def leave(self, connection: _Connection) -> None:
        self._open.discard(connection)

    def cut(self) -> None:
        for connection in tuple(self._open):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, origin: StrictOrigin) -> None:
        self._origin = origin
        self._reader = RequestReader()
        self._done = 0
        self._raw = bytearray()
        self._continued: Request | None = None
        self._scripted: Request | None = None  # answered early
        self._echo = False
        self._mute = False
        self._excess = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._origin.register(self)

    def data_received(self, data: bytes) -> None:
        if self._echo:
            self.transport.write(data)
            return
        self._raw += data
        was_ended = self._reader.ended
        self._reader.feed(data)
        while self._done < len(self._reader.requests) and not self._echo:
            request = self._reader.requests[self._done]
            self._done += 1
            self._take(request)
        if self._reader.fault or (was_ended and not self._mute):
            self._origin.desyncs.append((self._reader.fault or "after the end", bytes(self._raw)))
            self.transport.abort()
        elif (head := self._reader.head) is not None:
            self._greet(head)

    def _greet(self, head: Request) -> None:
        """What a request gets before its body is here."""
        if SCRIPTED.match(head.target):
            script = self._script(head)
            if script.early and self._scripted is not head:
                self._scripted = head
                self._play(script)
        elif b"100-continue" in tokens(head.fields, b"expect") and self._continued is not head:
            self._continued = head
            self.transport.write(CONTINUE)

    def _take(self, request: Request) -> None:
        client = request.forwarded_for
        if client is None:
            self._origin.strays.append(request)
            self.transport.abort()
            return
        self._origin.seen[client].append(request)
        if self._excess:
            self._origin.spoilt.add(client)
        if self._mute:
            return
        if SCRIPTED.match(request.target):
            script = self._script(request)
            if not (script.early and self._scripted is not None):
                self._play(script)
            self._scripted = None
        elif request.target.startswith(SWITCH) and b"websocket" in tokens(request.fields, b"upgrade"):
            self._echo = True
            protocol = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + protocol)
            if rest := self._reader.rest:
                self.transport.write(rest)
        else:
            self.transport.write(answer(request, client))
            if request.closes:
                self._end()

    def _script(self, request: Request) -> Script:
        match = SCRIPTED.match(request.target)
        assert match
        return self._origin.scripts[int(match[1])]

    def _play(self, script: Script) -> None:
        self._excess |= script.excess
        for piece in script.pieces:
            self.transport.write(piece)
        if script.ending == "fin":
            self._end()
        elif script.ending == "rst":
            self._mute = True
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def _end(self) -> None:
        """No more from here; what still comes is read, so that nothing is reset."""
        self._mute = True
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def eof_received(self) -> None:
        if self._reader.begun and (head := self._reader.head) is not None and head.forwarded_for:
            self._origin.unfinished[head.forwarded_for] += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._origin.leave(self)


@contextlib.asynccontextmanager
async def strict_origin(scripts: Sequence[Script] = ()) -> AsyncIterator[StrictOrigin]:
    origin = StrictOrigin(scripts)
    sock = bound(origin.address, 0)
    origin.port = sock.getsockname()[1]
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(origin), sock=sock, backlog=4096
    )
    try:
        yield origin
    finally:
        server.close()
        origin.cut()
