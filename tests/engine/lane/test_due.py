"""What a connection's time limits are counted from, and whom they are not for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from lyncgate.engine.lane import client as lane_client
from support.edge import WEB, edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, get, post

pytestmark = pytest.mark.engines("lane")

NOBODYS = "www.contoso.example"


def test_a_client_that_has_said_all_takes_its_answer_as_slowly_as_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_client, "HALF_CLOSED", 0.3)
    size = 8 << 20

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            origins[0].answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            loop = asyncio.get_running_loop()
            got = 0
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                sock.connect(it.address("http"))
                sock.setblocking(False)
                await loop.sock_sendall(sock, get())
                sock.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(PATIENCE):
                    while data := await loop.sock_recv(sock, 65536):
                        got += len(data)
                        if got < 2 << 20:  # for about a second
                            await asyncio.sleep(0.03)
            assert got > size

    asyncio.run(check())


def test_who_has_said_all_late_may_wait_as_long_as_who_did_so_at_once() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            come = asyncio.Event()

            async def answer(_: Any, peer: Any) -> None:
                await come.wait()
                await peer.send(OK)

            origins[0].answers(answer)
            await client.send(get())
            await origins[0].received(1)
            connection = it.only_client
            connection._active -= 100  # it has waited for long
            client.writer.write_eof()
            await until(lambda: connection._ended)
            connection._too_late()
            come.set()
            assert (await client.reply()).body == b"ok"

    asyncio.run(check())


def test_a_body_is_due_once_it_was_invited() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=0.4, poll=60.0)) as it,
            it.http() as client,
        ):

            async def invite(_: Any, peer: Any) -> None:
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                await peer.gone()

            origins[0].answers(invite, streaming=True)
            await client.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
            assert (await client.reply()).status == 100
            assert (await client.reply()).status == 408

    asyncio.run(check())


def test_a_body_is_judged_by_its_own_time() -> None:
    """And not by that of the one before, which was answered as soon as it had come."""

    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=0.3, rate=10**6)) as it,
            it.http() as client,
        ):
            assert (await client.ask(get())).status == 200
            connection = it.only_client
            for host, status in ((NOBODYS, 404), (WEB, 200)):
                whole = post(b"hello", host=host)
                await client.send(whole[:-5])
                await until(lambda: connection.relay)
                connection._too_late()
                await client.send(whole[-5:])
                assert (await client.reply()).status == status
                await asyncio.sleep(0.4)  # longer than a body may take

    asyncio.run(check())


def test_a_member_has_its_time_from_when_it_was_asked() -> None:
    """What the queue has taken of it, or a slow connect, is not the member's."""

    async def check() -> None:
        rules: dict[str, Any] = {"max_connections": 1, "queue": 100.0, "response": 5.0}
        async with members(1) as origins, edge(policy(origins, **rules)) as it:
            come = asyncio.Event()

            async def answer(_: Any, peer: Any) -> None:
                await come.wait()
                await peer.send(OK)

            origins[0].answers(answer)
            async with it.http() as first:
                await until(lambda: it.clients)
                connecting = it.only_client
                connecting.received(get())
                connecting._active -= 10
                await origins[0].received(1)
                async with it.http() as second:
                    await second.send(get())
                    await until(lambda: it.metric("lyncgate_queue_length"))
                    [queued] = it.lane.clients - {connecting}
                    queued._active -= 10
                    come.set()
                    assert (await first.reply()).status == 200
                    assert (await second.reply()).status == 200

    asyncio.run(check())


def test_no_more_is_read_ahead_of_a_body_that_waits() -> None:
    """A client that asks on and on meanwhile would fill the memory."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=60.0)) as it:
            come = asyncio.Event()

            async def answer(_: Any, peer: Any) -> None:
                await come.wait()
                await peer.send(OK)

            origins[0].answers(answer)
            async with it.http() as first:
                await first.send(get())
                await origins[0].received(1)
                busy = it.only_client
                async with it.http() as client:
                    await client.send(post(b"x") + get() * 3)
                    await until(lambda: it.metric("lyncgate_queue_length"))
                    [waiting] = it.lane.clients - {busy}
                    assert not waiting.stream.reading
                    come.set()
                    for _ in range(4):
                        assert (await client.reply()).status == 200

    asyncio.run(check())


def test_a_request_that_has_half_come_when_the_edge_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet of it was lost on the way, and is sent again: the head's limit is what ends that."""
    monkeypatch.setattr(lane_client, "RECENT", 0.0)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            connection = it.only_client
            await client.send(get()[:20])
            await until(lambda: connection._reader.midway)
            connection.leave()
            await client.send(get()[20:])
            assert (await client.reply()).status == 200

    asyncio.run(check())
