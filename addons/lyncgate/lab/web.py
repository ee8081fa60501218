"""A small HTTP/1.1 server on h11 that gives a handler full control of what goes over the wire.

Why not a framework: the lab has to keep NTLM state per *connection*, send header lines exactly as
given (case, order, repeats), and later misbehave on purpose. Rules:

- one task a connection; requests on it are answered one after the other (RFC 9112 §9.3);
- the handler gets the request and the connection's state, an object of the owner's making that lives
  and dies with the connection;
- bodies stream both ways with back-pressure: reading stops when HIGH_WATER bytes wait, writing waits
  for the socket; a body that the handler did not read is read and dropped after the answer, up to
  DISCARD_LIMIT, else the connection is closed;
- `Expect: 100-continue` is granted at once, as http.sys does, so that a 401 never ends a connection;
- when the client goes away, the handler is cancelled: a held poll ends with its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http
import logging
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import h11

from lyncgate.client import tlsstreams

KIB = 1024
HIGH_WATER = 256 * KIB
DISCARD_LIMIT = 1024 * KIB

log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Response:
    """What to send. Header names and values go out as given. `body` bytes get a Content-Length; an
    iterator is sent with `length` if that is known, else chunked. `until_close`: no framing at all, the body
    ends with the connection."""

    status: int
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None
    until_close: bool = False


class Request:
    """A request head, and its body as a stream."""

    def __init__(self, head: h11.Request, body: Callable[[], AsyncIterator[bytes]]) -> None:
        self.method = head.method.decode("ascii")
        self.target = head.target.decode("latin-1")
        self.path, _, self.query = self.target.partition("?")
        self._headers = head.headers
        self._body = body

    def header(self, name: str) -> str | None:
        """The first field of this name (any case), or None."""
        wanted = name.lower().encode("ascii")
        return next((value.decode("latin-1") for key, value in self._headers if key == wanted), None)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All fields in order, names in lower case."""
        return [(key.decode("ascii"), value.decode("latin-1")) for key, value in self._headers]

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        return self._body()

    async def read(self, limit: int = DISCARD_LIMIT) -> bytes:
        """The whole body; raises BodyTooLargeError when it has more than `limit` bytes."""
        body = bytearray()
        async for data in self.chunks():
            body += data
            if len(body) > limit:
                raise BodyTooLargeError
        return bytes(body)


class BodyTooLargeError(Exception):
    """A request body is larger than its reader allows: answered with 413."""


type Handler[S] = Callable[[Request, S], Awaitable[Response]]


class Connection[S](asyncio.Protocol):
    """One client connection: bytes in and out, and the task that answers its requests."""

    def __init__(self, server: Site[S]) -> None:
        self._server = server
        self._state = server.new_state()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * KIB)
        self._incoming: deque[bytes] = deque()
        self._waiting = 0  # bytes in _incoming
        self._pending: list[bytes] = []  # framed, not yet written
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = self._eof = False
        self.gone = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"not a stream: {transport!r}")
        self._transport = transport
        self._server.connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve(transport))

    def data_received(self, data: bytes) -> None:
        self._incoming.append(data)
        self._waiting += len(data)
        self._arrived.set()
        if self._waiting > HIGH_WATER and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._server.drop_state(self._state)
        self.gone.set()
        self._eof = True
        self._arrived.set()
        self._writable.set()
        if self._task:
            self._task.cancel()

    def end(self, *, reset: bool) -> None:
        """Cut the connection; `reset`: with a TCP RST, as a killed server does."""
        if self._transport:
            end(self._transport, reset=reset)

    # HTTP's side

    async def _serve(self, transport: asyncio.Transport) -> None:
        try:
            while isinstance(head := await self._next_event(), h11.Request):
                if self._http.they_are_waiting_for_100_continue:
                    self._write(transport, h11.InformationalResponse(status_code=100, headers=[]))
                request = Request(head, self._body)
                await self._send(transport, request, await self._answer(request))
                if not await self._discard_body() or self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                bad = h11.Response(
                    status_code=error.error_status_hint,
                    headers=[("Connection", "close"), ("Content-Length", "0")],
                )
                self._write(transport, bad)
        except OSError:
            log.debug("connection failed", exc_info=True)
        finally:
            transport.close()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._server.handler(request, self._state)
        except BodyTooLargeError:
            return Response(413)
        except h11.RemoteProtocolError:
            raise
        except Exception:  # one request's failure must not end the lab; the log has its traceback
            log.exception("%s %s failed", request.method, request.path)
            return Response(500)

    async def _send(self, transport: asyncio.Transport, request: Request, response: Response) -> None:
        headers = list(response.headers)
        if response.until_close:
            self._http.their_http_version = b"1.0"  # for such a client h11 ends a body by closing
        elif isinstance(response.body, bytes):
            if response.status not in (204, 304):
                headers.append(("Content-Length", str(len(response.body))))
        elif response.length is not None:
            headers.append(("Content-Length", str(response.length)))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
        reason = http.HTTPStatus(response.status).phrase
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        self._write(transport, head, flush=False)
        if request.method != "HEAD":
            if isinstance(response.body, bytes):
                self._write(transport, h11.Data(data=response.body), flush=False)
            else:
                async for data in response.body:
                    self._write(transport, h11.Data(data=data))
                    await self._writable.wait()
        self._write(transport, h11.EndOfMessage())
        await self._writable.wait()

    def _write(self, transport: asyncio.Transport, event: h11.Event, *, flush: bool = True) -> None:
        """Frame an event; `flush` False keeps it for the next one, so that a small answer is one segment."""
        self._pending.append(self._http.send(event) or b"")
        if flush:
            transport.write(b"".join(self._pending))  # Python 3.13.0's writelines() knows no back-pressure
            self._pending.clear()

    async def _body(self) -> AsyncIterator[bytes]:
        """The current request's body."""
        while self._http.their_state is h11.SEND_BODY:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.ConnectionClosed):
                return

    async def _discard_body(self) -> bool:
        dropped = 0
        async for data in self._body():
            dropped += len(data)
            if dropped > DISCARD_LIMIT:
                return False
        return True

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._receive())
        return event

    async def _receive(self) -> bytes:
        while not self._incoming:
            if self._eof:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = self._incoming.popleft()
        self._waiting -= len(data)
        if self._paused and self._waiting <= HIGH_WATER // 2 and self._transport:
            self._paused = False
            self._transport.resume_reading()
        return data


class Site[S]:
    """A listening address with its handler: `new_state` makes the state of each new connection,
    `drop_state` hears when it is gone."""

    def __init__(
        self,
        handler: Handler[S],
        new_state: Callable[[], S],
        drop_state: Callable[[S], None] = lambda _state: None,
    ) -> None:
        self.handler = handler
        self.new_state = new_state
        self.drop_state = drop_state
        self.connections: set[Connection[S]] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections on a bound socket."""
        self._listener = await tlsstreams.listen(lambda: Connection(self), sock, tls)

    async def close(self, *, reset: bool) -> None:
        """Stop listening and cut all connections; `reset`: as if the process had been killed."""
        if self._listener:
            self._listener.close()
            self._listener = None
        connections = tuple(self.connections)
        for connection in connections:
            connection.end(reset=reset)
        for connection in connections:
            await connection.gone.wait()


def end(transport: asyncio.WriteTransport, *, reset: bool) -> None:
    """Cut a connection at once, with a FIN or an RST."""
    if reset:
        tcp = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
