"""Whoever waits is woken, whoever makes others wait is let go, nothing is begun for somebody who has left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lyncgate.engine.lane import client as client_connection
from lyncgate.signin.exchange import Outcome
from support import certificates
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, Client, get, post

pytestmark = pytest.mark.engines("lane")

MUCH = 24 << 20  # bytes: more than the kernel keeps of two connections


def shorten(sock: Any) -> None:
    """Let the kernel keep little of what it carries."""
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, buffer, 4096)


def test_a_member_that_answers_early_and_leaves_while_the_client_waits_for_it() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            leave = asyncio.Event()

            async def answer(_: Any, peer: Any) -> bool:
                await until(lambda: not it.only_client.stream.reading)
                await peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                await leave.wait()
                return False

            origins[0].answers(answer, streaming=True)
            sending = asyncio.create_task(client.send(post(b"x" * MUCH)))
            assert (await client.reply()).status == 401
            assert not sending.done()
            leave.set()
            await asyncio.wait_for(sending, PATIENCE)
            origins[0].answers(OK)
            assert (await client.ask(get("/next"))).status == 200
            assert [record.status for record in it.records] == [401, 200]

    asyncio.run(check())


def test_a_member_that_has_answered_without_taking_the_request_serves_nobody_else() -> None:
    """What it has not taken would stand before whatever is asked next."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            ready = asyncio.Event()

            async def answer(_: Any, peer: Any) -> None:
                peer.writer.transport.pause_reading()
                shorten(peer.writer.get_extra_info("socket"))
                ready.set()
                await until(lambda: it.only_upstream.stream.waiting)  # type: ignore[union-attr]
                await peer.send(OK)
                await peer.gone()

            origins[0].answers(answer, streaming=True)
            body = b"x" * 200_000
            await client.send(get("/", f"Content-Length: {len(body)}", method="POST"))
            await ready.wait()
            stream = it.only_upstream.stream
            assert stream is not None
            shorten(stream.socket)
            await client.send(body)
            assert (await client.reply()).status == 200
            origins[0].answers(OK)
            assert (await client.ask(get("/next"))).status == 200
            assert [request.connection for request in origins[0].requests] == [1, 2]

    asyncio.run(check())


@pytest.mark.parametrize("size", [200_000, MUCH])
def test_a_client_that_does_not_take_its_answer_is_let_go(size: int) -> None:
    """Whether all of it waits in the edge or the member has more."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, write=0.4)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            shorten(it.only_client.stream.socket)
            shorten(client.writer.get_extra_info("socket"))
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            origins[0].answers(head + b"x" * size)
            await client.send(get())
            record = await it.record(2)
            assert record.outcome is Outcome.CLIENT_GONE
            await until(lambda: not it.clients)

    asyncio.run(check())


def test_it_is_the_member_that_is_late_while_it_takes_no_body() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=0.1, poll=0.8)) as it,
            it.http() as client,
        ):

            async def nothing(_: Any, peer: Any) -> bool:
                await it.record()
                return False

            origins[0].answers(nothing, streaming=True)
            sending = asyncio.create_task(client.send(post(b"x" * MUCH)))
            record = await it.record()
            assert (record.outcome, record.status) == (Outcome.UPSTREAM_TIMEOUT, 504)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending

    asyncio.run(check())


def test_nothing_is_begun_behind_an_answer_that_was_cut() -> None:
    """The body is too long when its answer has begun; the request behind it came in the same bytes."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body_limit=10)) as it, it.http() as client:

            async def early(_: Any, peer: Any) -> None:
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                await peer.gone()

            origins[0].answers(early, streaming=True)
            await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
            assert await client.reader.readuntil(b"half")
            await client.send(b"b\r\n01234567890\r\n0\r\n\r\n" + get("/next"))
            assert await client.rest() == b""
            record = await it.record()
            assert record.outcome is Outcome.BODY_TOO_LARGE
            await until(lambda: not it.clients)
            assert not it.state.transits
            assert len(origins[0].requests) == len(it.records) == 1

    asyncio.run(check())


def test_a_farewell_that_waits_is_noticed_before_a_connection_is_used() -> None:
    """A member's close_notify, not read yet: a POST on it would be lost, and could not be repeated."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it, it.https() as client:
            assert (await client.ask(get())).status == 200
            upstream = it.only_upstream
            assert upstream.stream is not None
            upstream.stream.pause()  # so that the loop does not see it first
            [peer] = origins[0].peers
            peer.writer.close()
            raw = socket.socket(fileno=os.dup(upstream.stream.fd))
            with raw:
                await until(lambda: raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) or True)
            assert (await client.ask(post(b"once"))).status == 200
            assert [request.connection for request in origins[0].requests] == [1, 2]
            assert upstream.closed

    asyncio.run(check())


def test_who_has_said_nothing_yet_leaves_no_reader_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor's number is somebody else's next."""
    monkeypatch.setattr(client_connection, "NEWCOMER", 0.0)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            reader, writer = await asyncio.open_connection(*it.address("https"))
            await until(lambda: it.clients)
            client, lane = it.only_client, it.lane
            assert lane is not None
            lane.leave_idle()
            assert client.stream.closed
            assert not lane.loop.remove_reader(client.stream.fd)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(check())


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """As if the limit of this process were reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_file_is_left_for_a_connection_to_a_member() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http() as client:
                await until(lambda: it.clients)
                with no_more_files():
                    await client.send(get())
                    raw = await client.rest()
                assert raw.startswith(b"HTTP/1.1 502 "), raw
                assert (await it.record()).outcome is Outcome.CONNECT_FAILED
                assert not it.upstreams
            async with it.http() as client:
                assert (await client.ask(get())).status == 200

    asyncio.run(check())


def test_no_file_is_left_for_a_client() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            loop = asyncio.get_running_loop()
            for _ in range(5):  # a thread of ours may close a file just then, which leaves one
                sock = socket.socket()
                sock.setblocking(False)
                with no_more_files():
                    await loop.sock_connect(sock, it.address("http"))
                    await asyncio.sleep(0.25)  # the listener tries twice meanwhile, and is not to spin
                    refused = not it.clients
                if refused:
                    break
                sock.close()
                await until(lambda: not it.clients)
            assert refused
            reader, writer = await asyncio.open_connection(sock=sock)
            assert (await Client(reader, writer).ask(get())).status == 200
            writer.close()

    asyncio.run(check())
