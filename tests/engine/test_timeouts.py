"""How long an edge waits: for a head, the next request, a body, a member. Each has its own limit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lyncgate.signin.exchange import Kind, Outcome, Phase
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, Client, get

EMPTY_408 = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EMPTY_504 = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LONG = 60.0


async def took(ended: Coroutine[Any, Any, bytes]) -> tuple[bytes, float]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    return await ended, loop.time() - started


async def last(client: Client, data: bytes) -> bytes:
    """What comes up to the end when `data` is the last that is sent."""
    await client.send(data)
    return await client.rest()


async def arrived() -> None:
    """What was sent has been read: the edge runs on this loop, and on a busy machine may come to it late."""
    for _ in range(10):
        await asyncio.sleep(0)


async def drip(client: Client, data: bytes, every: float) -> None:
    """Send byte by byte, as a slow loris does, until the edge has had enough."""
    for byte in data:
        await client.send(bytes([byte]))
        await asyncio.sleep(every)


@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_head(secure: bool) -> None:
    """Bytes that trickle in do not extend it."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, head=0.3, idle=LONG, poll=LONG)) as it:
            async with it.https() if secure else it.http() as client:
                dripping = asyncio.create_task(drip(client, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 99, 0.01))
                raw, seconds = await took(client.rest())
                dripping.cancel()
                assert raw == EMPTY_408
                assert 0.25 < seconds < 3
            assert it.rejections("head_timeout") == 1
            assert (await it.record()).reason == "head_timeout"

    asyncio.run(check())


def test_a_slow_head_after_a_request() -> None:
    """The second head has the whole time too, whether it began alone or behind the first request."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, head=0.3, idle=LONG, poll=LONG)) as it:
            async with it.http() as client:
                assert (await client.ask(get())).status == 200
                raw, seconds = await took(last(client, get()[:20]))
                assert raw == EMPTY_408
                assert seconds > 0.25
            async with it.http() as client:
                raw, seconds = await took(last(client, get() + get()[:20]))
                assert raw.startswith(b"HTTP/1.1 200 ")
                assert raw.endswith(EMPTY_408)
                assert seconds > 0.25

    asyncio.run(check())


def test_a_head_that_took_a_while_is_measured_from_its_first_byte() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.send(get()[:10])
            await arrived()
            await asyncio.sleep(0.1)
            await client.send(get()[10:] + get()[:10])
            assert (await client.reply()).status == 200
            await arrived()
            await asyncio.sleep(0.1)
            assert (await client.ask(get()[10:])).status == 200, "its head began behind the other request"
            for record in it.records:
                head, total = record.phases[Phase.REQUEST_HEADERS], record.phases[Phase.TOTAL]
                assert head is not None
                assert total is not None
                assert 0.09 < head <= total

    asyncio.run(check())


def test_the_next_request() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, idle=0.6, head=LONG, poll=LONG)) as it:
            async with it.http() as client:
                raw, seconds = await took(client.rest())
                assert raw == b"", "nobody asked, nobody is answered"
                assert 0.4 < seconds < 3
            async with it.http() as client:
                for _ in range(4):
                    assert (await client.ask(get())).status == 200
                    await asyncio.sleep(0.2)
                raw, seconds = await took(client.rest())
                assert raw == b""
                assert seconds > 0.1
            async with it.http() as client:
                dripping = asyncio.create_task(drip(client, b"\r\n" * 1000, 0.02))
                raw, seconds = await took(client.rest())
                dripping.cancel()
                assert raw == b"", "empty lines are no sign of life"
                assert seconds < 3
            assert len(it.records) == 4, "no exchange, no record"

    asyncio.run(check())


def test_a_body_that_stalls() -> None:
    """The client is to blame, and the member is let go."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body=0.3, poll=LONG)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def read(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(read, streaming=True)
            async with it.http() as client:
                request = get("/", "Content-Length: 100", method="POST") + b"half"
                raw, seconds = await took(last(client, request))
                assert raw == EMPTY_408
                assert seconds > 0.25
            assert await asyncio.wait_for(gone, PATIENCE) in (b"half", b"")
            record = await it.record()
            assert (record.outcome, record.ended_by, record.request_bytes) == ("client_gone", "client", 4)

    asyncio.run(check())


def test_a_body_that_moves_is_left_alone() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=0.8, rate=5, idle=0.8, head=0.8)) as it,
            it.http() as client,
        ):
            await client.send(get("/", "Content-Length: 10", method="POST"))
            await drip(client, b"0123456789", 0.1)
            assert (await client.reply()).status == 200
            assert origins[0].requests[0].body == b"0123456789"

    asyncio.run(check())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_silent_member(method: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, poll=0.8, idle=0.4, head=0.4)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def silent(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(silent)
            async with it.http() as client:
                raw, seconds = await took(last(client, get("/", "Content-Length: 0", method=method)))
                assert raw == EMPTY_504
                assert 0.7 < seconds < 4
            assert await asyncio.wait_for(gone, PATIENCE) == b""
            record = await it.record()
            assert (record.outcome, record.status) == (Outcome.UPSTREAM_TIMEOUT, 504)
            assert record.phases[Phase.WAIT] is None

    asyncio.run(check())


def test_a_member_that_falls_silent_in_mid_answer() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, poll=0.3)) as it, it.http() as client:

            async def half(_: Any, peer: Any) -> None:
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                await peer.gone()

            origins[0].answers(half)
            await client.send(get())
            raw = await client.rest()
            assert raw.count(b"HTTP/1.1") == 1
            assert raw.endswith(b"\r\n\r\nhalf")
            record = await it.record()
            assert (record.outcome, record.status) == (Outcome.UPSTREAM_TIMEOUT, 200)
            assert record.phases[Phase.RESPONSE_BODY] is None

    asyncio.run(check())


def test_an_answer_that_moves_is_left_alone() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, poll=0.8, idle=0.4, head=0.4)) as it:

            async def slowly(_: Any, peer: Any) -> None:
                await peer.send(OK[:-2].replace(b"Length: 2", b"Length: 10"))
                for byte in b"0123456789":
                    await asyncio.sleep(0.1)
                    await peer.send(bytes([byte]))

            origins[0].answers(slowly)
            async with it.http() as client:
                assert (await client.ask(get())).body == b"0123456789"

    asyncio.run(check())


def test_polls_are_counted_up_and_down() -> None:
    """They hang on, whatever the limits for all else, and end however they end."""
    poll = get("/ucwa/oauth/v1/applications/1/events?ack=1")

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, idle=0.4, head=0.4)) as it:
            let_go = asyncio.Event()

            async def wait(_: Any, peer: Any) -> None:
                await let_go.wait()
                await peer.send(OK)

            origins[0].answers(wait)
            async with it.http() as one, it.http() as two:
                await one.send(poll)
                await two.send(poll)
                await origins[0].received(2)
                assert it.metric("lyncgate_polls_held") == 2
                await asyncio.sleep(0.6)
                await one.abort()
                await until(lambda: it.metric("lyncgate_polls_held") == 1)
                let_go.set()
                assert (await two.reply()).status == 200
                assert it.metric("lyncgate_polls_held") == 0
            assert [record.kind for record in it.records] == [Kind.POLL, Kind.POLL]
            assert [record.outcome for record in it.records] == ["client_gone", "ok"]

    asyncio.run(check())


def test_an_unanswered_poll_of_nobody_is_counted_down() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            await origins[0].stop()
            async with it.http() as client:
                await client.send(get("/ucwa/oauth/v1/applications/1/events?ack=1"))
                assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            assert it.metric("lyncgate_polls_held") == 0

    asyncio.run(check())
