"""An upstream server that answers whatever a test wants, byte for byte, or not at all.

    async with members(2, tls=context) as (first, second):
        first.answers(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
        ...
        [request] = first.requests

`answers` takes the bytes for each request, or a coroutine function that gets the request and the connection
and does as it likes; when it returns False the connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from lyncgate.lab.ports import bound
from support.rawhttp import PATIENCE, Message, read_body, read_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclasses.dataclass(eq=False)
class Peer:
    """A connection as the origin sees it. `number`: counted from 1 in the order they came."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the other side has closed; what came before."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except (ConnectionError, ssl.SSLError):
                return b""


@dataclasses.dataclass(frozen=True)
class Received(Message):
    """A request that came, on which connection."""

    connection: int = 0


type Answer = Callable[[Received, Peer], Awaitable[bool | None]]


class Origin:
    """`requests`: in the order they came. `connections`: ever accepted. `streaming`: call the answer at the
    end of the head, the body is for it to read."""

    def __init__(self, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.address, self.port, self.tls = address, port, tls
        self.requests: list[Received] = []
        self.connections = 0
        self.peers: set[Peer] = set()
        self.streaming = False
        self._answer: bytes | Answer = OK
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def answers(self, answer: bytes | Answer, *, streaming: bool = False) -> None:
        self._answer, self.streaming = answer, streaming

    async def start(self) -> None:
        sock = bound(self.address, self.port)
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=sock, ssl=self.tls)

    async def stop(self) -> None:
        """No more connections; those that are open are cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        """Drop the connections that are open."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, condition: Callable[[Origin], bool]) -> None:
        """Wait until something that happens here has made `condition` true."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def received(self, count: int) -> Received:
        """Wait for the `count`th request."""
        await self.until(lambda origin: len(origin.requests) >= count)
        return self.requests[count - 1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        peer = Peer(self.connections, reader, writer)
        self.peers.add(peer)
        await self._tell()
        try:
            while await self._exchange(peer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            self.peers.discard(peer)
            writer.close()
            await self._tell()

    async def _exchange(self, peer: Peer) -> bool:
        head = await read_head(peer.reader)
        body = b"" if self.streaming else await read_body(peer.reader, head)
        received = Received(head.line, head.fields, body, peer.number)
        self.requests.append(received)
        await self._tell()
        if isinstance(self._answer, bytes):
            await peer.send(self._answer)
            return True
        return await self._answer(received, peer) is not False

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def members(count: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[list[Origin]]:
    """`count` origins on 127.0.0.2 and up, all on one free port, as the members of a pool are."""
    origins = await _on_one_port(count, tls)
    try:
        yield origins
    finally:
        for origin in origins:
            await origin.stop()


async def _on_one_port(count: int, tls: ssl.SSLContext | None) -> list[Origin]:
    while True:
        first = Origin("127.0.0.2", 0, tls)
        await first.start()
        origins = [first]
        try:
            for number in range(1, count):
                origins.append(Origin(f"127.0.0.{2 + number}", first.port, tls))
                await origins[-1].start()
        except OSError:  # somebody has the port at another address
            for origin in origins:
                await origin.stop()
        else:
            return origins
