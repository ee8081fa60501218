"""Bodies stream: 300 MB go up and down, as meeting content does (protocol reference §9.12). The edge keeps
none of it, not even while the other side is slow to take it."""

import asyncio
import hashlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from e2e import phones
from lyncgate.client.names import NameMap
from lyncgate.lab.authority import client_context
from support.processes import Edge, Lab, Process, edge_process, lab_process

MB = 1_000_000
SIZE = 300 * MB
ALLOWED = 32 * MB  # by which the edge may grow
UPLOAD = "/DataCollabWeb/Ext/Handler"
PIECE = bytes(range(256)) * 1000  # what the lab's downloads are made of, and our uploads

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Growth:
    """How much more memory the edge took, at any time, than before."""

    def __init__(self, process: Process) -> None:
        self._process = process
        process.forget_peak()
        self._before = process.rss

    @property
    def bytes(self) -> int:
        return self._process.peak_rss - self._before


async def connect(lab: Lab, names: NameMap) -> Stream:
    """To the edge as the web services' name: a bare connection, for one request."""
    address, port = names.resolve(phones.WEB, 443)
    return await asyncio.open_connection(
        address, port, ssl=client_context(lab.directory), server_hostname=phones.WEB, limit=256 * 1024
    )


def content(size: int) -> bytes:
    """The SHA-256 of `size` bytes of content."""
    digest = hashlib.sha256()
    for _ in range(size // len(PIECE)):
        digest.update(PIECE)
    digest.update(PIECE[: size % len(PIECE)])
    return digest.digest()


async def upload(
    stream: Stream, size: int, *, chunked: bool = False, on_sent: Callable[[int], None] = lambda _: None
) -> tuple[int, bytes]:
    """POST `size` bytes of content: how many came, and their SHA-256, by the lab's word."""
    reader, writer = stream
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    writer.write(f"POST {UPLOAD} HTTP/1.1\r\nHost: {phones.WEB}\r\n{framing}\r\n\r\n".encode())
    left = size
    while left:
        piece = PIECE[:left]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        on_sent(len(piece))
        left -= len(piece)
    if chunked:
        writer.write(b"0\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200 "), head
    length = int(head.partition(b"content-length:")[2].split()[0])
    said = json.loads(await reader.readexactly(length))
    writer.close()
    return said["bytes"], bytes.fromhex(said["sha256"])


async def download(stream: Stream, size: int, *, chunked: bool = False) -> tuple[int, bytes]:
    """GET `size` bytes of content: how many came, and their SHA-256."""
    await ask_for(stream, size, chunked=chunked)
    received, digest = 0, hashlib.sha256()
    async for data in received_body(stream, size, chunked=chunked):
        received += len(data)
        digest.update(data)
    stream[1].close()
    return received, digest.digest()


async def ask_for(stream: Stream, size: int, *, chunked: bool = False) -> None:
    reader, writer = stream
    target = f"/CollabContent/{size}{'?chunked' if chunked else ''}"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {phones.WEB}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200 "), head
    assert (b"transfer-encoding: chunked" if chunked else b"content-length: %d\r\n" % size) in head


async def received_body(stream: Stream, size: int, *, chunked: bool) -> AsyncIterator[bytes]:
    reader, _ = stream
    if not chunked:
        while size:
            data = await reader.read(min(size, 256 * 1024))
            assert data, "cut"
            size -= len(data)
            yield data
        return
    while length := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(length + 2))[:-2]
    assert await reader.readexactly(2) == b"\r\n"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("transfer", [upload, download])
def test_300_megabytes(
    transfer: Callable[..., Awaitable[tuple[int, bytes]]], chunked: bool, lab: Lab, edge: Edge
) -> None:
    names = lab.names(edge)

    async def once(size: int) -> tuple[int, bytes]:
        return await transfer(await connect(lab, names), size, chunked=chunked)

    before = edge.so_far()
    assert asyncio.run(once(MB)) == (MB, content(MB))
    growth = Growth(edge.process)
    assert asyncio.run(once(SIZE)) == (SIZE, content(SIZE))
    print(f"{growth.bytes / MB:.1f} MB of the edge's memory for {SIZE // MB} MB")
    assert growth.bytes < ALLOWED

    counted = "request_bytes" if transfer is upload else "response_bytes"
    assert [record[counted] for record in edge.settled(2, since=before)] == [MB, SIZE]


def test_a_client_that_is_slow_to_read(lab: Lab, edge: Edge) -> None:
    """The member is held back, not the content kept: when the client goes on, so does the member."""

    async def slowly() -> tuple[int, bytes, int]:
        names = lab.names(edge)
        assert await download(await connect(lab, names), MB) == (MB, content(MB))
        growth = Growth(edge.process)
        stream = await connect(lab, names)
        await ask_for(stream, SIZE)
        received, digest, grown = 0, hashlib.sha256(), 0
        async for data in received_body(stream, SIZE, chunked=False):
            received += len(data)
            digest.update(data)
            if received < 2 * MB:
                await asyncio.sleep(0.1)
                grown = growth.bytes
        stream[1].close()
        return received, digest.digest(), grown

    received, digest, grown = asyncio.run(slowly())
    assert (received, digest) == (SIZE, content(SIZE))
    assert grown < ALLOWED


@pytest.mark.parametrize("stops_at", [0, 50 * MB], ids=["when connected to", "in the middle"])
def test_a_member_that_stands_still(stops_at: int, tmp_path: Path) -> None:
    """The client is held back, not the content kept, until the member goes on."""
    patient = {"connect": "60s"}
    with lab_process(tmp_path) as lab, edge_process(lab.rules(timeouts=patient)) as edge:
        names, member = lab.names(edge), lab.processes["lab"]
        sent = 0

        def count(size: int) -> None:
            nonlocal sent
            if sent < stops_at <= sent + size:
                member.tell(signal.SIGSTOP)
            sent += size

        async def stalled() -> tuple[tuple[int, bytes], int, int]:
            assert await upload(await connect(lab, names), MB) == (MB, content(MB))
            growth, stream = Growth(edge.process), await connect(lab, names)
            if not stops_at:
                member.tell(signal.SIGSTOP)
            sending = asyncio.create_task(upload(stream, SIZE, on_sent=count))
            try:
                before = -1
                while before < sent or not sent:
                    before = sent
                    await asyncio.sleep(1)  # nothing moved in a second: nothing will
                grown = growth.bytes
            finally:
                member.tell(signal.SIGCONT)
            return await sending, before, grown

        uploaded, stuck_at, grown = asyncio.run(stalled())
    assert stops_at <= stuck_at < stops_at + ALLOWED
    assert grown < ALLOWED
    assert uploaded == (SIZE, content(SIZE))
