"""The lab's HTTP server: exact bytes out, streams both ways, one answer after the other."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

from lyncgate.lab.ports import bound
from lyncgate.lab.web import HIGH_WATER, KIB, Request, Response, Site


def asynchronous(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run the test on a loop of its own."""

    @functools.wraps(test)
    def run(*arguments: object, **keywords: object) -> None:
        asyncio.run(test(*arguments, **keywords))

    return run


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[Request, list[str]], Awaitable[Response]],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A site with this handler, and a connection to it. The state of a connection is a list."""
    site = Site(handler, list)
    sock = bound("127.0.0.1", 0)
    port = sock.getsockname()[1]
    await site.listen(sock, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * KIB)
    try:
        async with asyncio.timeout(30):
            yield reader, writer
    finally:
        writer.close()
        await site.close(reset=False)


async def echo(request: Request, seen: list[str]) -> Response:
    seen.append(request.target)
    body = await request.read()
    return Response(200, [("X-Seen", " ".join(seen))], body)


async def head_of(reader: asyncio.StreamReader) -> list[str]:
    return (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[:-1]


@asynchronous
async def test_header_lines_go_out_as_given():
    async def handler(request, state):
        lines = [
            ("WWW-Authenticate", "Negotiate"),
            ("WWW-Authenticate", "NTLM"),
            ("X-MS-server-Fqdn", "fe01"),
        ]
        return Response(401, lines, b"no")

    async with serving(handler) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await head_of(reader) == [
            "HTTP/1.1 401 Unauthorized",
            "WWW-Authenticate: Negotiate",
            "WWW-Authenticate: NTLM",
            "X-MS-server-Fqdn: fe01",
            "Content-Length: 2",
        ]


@asynchronous
async def test_state_is_the_connections_and_pipelined_requests_are_answered_in_order():
    async with serving(echo) as (reader, writer):
        writer.write(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        )
        assert "X-Seen: /1" in await head_of(reader)
        assert await reader.readexactly(3) == b"one"
        assert "X-Seen: /1 /2" in await head_of(reader)
        assert await reader.readexactly(3) == b"two"


@asynchronous
async def test_head_has_the_length_and_no_body():
    async with serving(echo) as (reader, writer):
        writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert "Content-Length: 0" in await head_of(reader)
        assert (await head_of(reader))[0] == "HTTP/1.1 200 OK"


@asynchronous
async def test_expect_continue_is_granted_even_before_a_401():
    async def refuse(request, state):
        return Response(401)

    async with serving(refuse) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert (await head_of(reader))[0].startswith("HTTP/1.1 100")
        assert (await head_of(reader))[0] == "HTTP/1.1 401 Unauthorized"
        writer.write(b"bodyGET / HTTP/1.1\r\nHost: a\r\n\r\n")  # the body is dropped, the connection lives
        assert (await head_of(reader))[0] == "HTTP/1.1 401 Unauthorized"


@asynchronous
async def test_connection_close_is_honoured():
    async with serving(echo) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head = await head_of(reader)
        assert "Connection: close" in head
        assert await reader.read() == b""


@asynchronous
async def test_what_is_not_http_is_answered_400_and_closed():
    async with serving(echo) as (reader, writer):
        writer.write(b"REGISTER sip:contoso.example SIP/2.0\r\n\r\n")
        assert (await head_of(reader))[0].startswith("HTTP/1.1 400")
        assert await reader.read() == b""


@asynchronous
async def test_failing_handler_is_a_500_and_the_connection_lives(caplog):
    async def fail_once(request, state):
        if not state:
            state.append("failed")
            raise RuntimeError("on purpose")
        return Response(204)

    async with serving(fail_once) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await head_of(reader))[0] == "HTTP/1.1 500 Internal Server Error"
        assert (await head_of(reader))[0] == "HTTP/1.1 204 No Content"
    assert "on purpose" in caplog.text


@asynchronous
async def test_upload_stops_flowing_while_nobody_reads_it():
    may_read, size = asyncio.Event(), 64 * 1024 * KIB

    async def slow(request, state):
        await may_read.wait()
        total = 0
        async for data in request.chunks():
            total += len(data)
        return Response(200, [], str(total).encode())

    async with serving(slow) as (reader, writer):
        writer.transport.set_write_buffer_limits(HIGH_WATER)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent, block = 0, bytes(HIGH_WATER)

        async def send() -> None:
            nonlocal sent
            while sent < size:
                writer.write(block)
                sent += len(block)
                await writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.wait([sending], timeout=0.5)  # long enough for all of it, were it read
        assert sent < size
        may_read.set()
        await sending
        await head_of(reader)
        assert int(await reader.readexactly(len(str(size)))) == size


@asynchronous
async def test_download_waits_for_a_slow_reader():
    made = 0

    async def blocks():
        nonlocal made
        for _ in range(1000):
            made += 1
            yield bytes(64 * KIB)

    async def handler(request, state):
        return Response(200, [], blocks(), 1000 * 64 * KIB)

    async with serving(handler) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await head_of(reader)
        assert made < 1000
        for _ in range(1000):
            await reader.readexactly(64 * KIB)
        assert made == 1000


@asynchronous
async def test_handler_is_cancelled_when_its_client_leaves():
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def hold(request, state):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Response(200)

    async with serving(hold) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await entered.wait()
        writer.close()
        await cancelled.wait()
