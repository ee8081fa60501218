"""Reading ahead in TLS: whatever sizes records have, and whenever the reader pauses, every byte comes, in
order, and none is left where no event tells of it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest

from lyncgate.engine.lane.stream import RECORD, Stream
from lyncgate.engine.lane.watch import Watch
from lyncgate.engine.tls.libssl import libssl
from support import certificates

SIZES = [1, 100, RECORD - 1, RECORD, RECORD + 1, 3 * RECORD, 300_000]


class Reader:
    """Takes what comes; pauses now and then, and goes on later. `ends` once the peer has ended."""

    def __init__(self, seed: int) -> None:
        """`seed`: of when it pauses."""
        self.random = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.stream: Stream | None = None
        self.up, self.ends, self.came = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.seen = hashlib.sha256()
        self.got = self.ahead = 0
        self.error: Exception | None = None

    def ready(self) -> None:
        assert self.stream is not None
        self.up.set()
        self.stream.read()

    def received(self, data: bytes) -> None:
        assert self.stream is not None
        self.seen.update(data)
        self.got += len(data)
        self.ahead += self.stream.ahead
        self.came.set()
        if self.random.random() < 0.2:
            self.stream.pause()
            self.loop.call_later(self.random.random() / 500, self.stream.read)

    async def has(self, size: int) -> None:
        while self.got < size:
            self.came.clear()
            await self.came.wait()

    def ended(self) -> None:
        self.ends.set()

    def lost(self, error: Exception | None) -> None:
        self.error = error
        self.ends.set()

    def drained(self) -> None: ...


async def exchanged(seed: int, talk: Callable[[asyncio.StreamWriter, Reader], Awaitable[None]]) -> Reader:
    """A server that does `talk` with the reader on the other side of a TLS connection."""
    files = certificates.issued(*certificates.EDGE_NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda _, writer: writers.put_nowait(writer), "127.0.0.1", 0, ssl=context
    )
    loop = asyncio.get_running_loop()
    sock = socket.create_connection(server.sockets[0].getsockname())
    sock.setblocking(False)
    reader = Reader(seed)
    reader.stream = Stream(Watch(loop), sock, reader)
    reader.stream.secure(certificates.client(), server_side=False, name=certificates.EDGE_NAMES[0])
    try:
        async with asyncio.timeout(30):
            await reader.up.wait()
            writer = await writers.get()
            await talk(writer, reader)
            writer.close()
            await reader.ends.wait()
    finally:
        reader.stream.close()
        server.close()
    return reader


@pytest.mark.parametrize("seed", range(6))
def test_all_of_it_comes_in_order(seed: int) -> None:
    chosen = random.Random(seed)
    sent = hashlib.sha256()
    total = 0

    async def talk(writer: asyncio.StreamWriter, reader: Reader) -> None:
        nonlocal total
        for _ in range(40):
            size = chosen.choice(SIZES)
            piece = chosen.randbytes(size)
            sent.update(piece)
            total += size
            writer.write(piece)
            if chosen.random() < 0.5:
                await writer.drain()
            if chosen.random() < 0.3:  # nothing follows until all has come: no byte may wait for an event
                await reader.has(total)

    reader = asyncio.run(exchanged(seed, talk))
    assert reader.error is None
    assert (reader.got, reader.seen.digest()) == (total, sent.digest())


def test_a_large_body_is_read_ahead_and_what_follows_is_not() -> None:
    library = libssl()
    assert library is not None
    assert library.connections, "this Python's connections are not as known: say so in libssl"
    seen = []

    async def talk(writer: asyncio.StreamWriter, reader: Reader) -> None:
        assert reader.stream is not None
        writer.write(bytes(2_000_000))
        await reader.has(2_000_000)
        seen.append(reader.ahead > 0)
        for count in (1, 2):
            writer.write(b"x")
            await reader.has(2_000_000 + count)
        seen.append(reader.stream.ahead)

    asyncio.run(exchanged(1, talk))
    assert seen == [True, False]
