"""Slow clients are cut, silent polls are not; each limit may be a listener's or a publication's own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lyncgate.edge.timeouts import TimeLimit
from lyncgate.policy.policy import Instead, Policy
from lyncgate.signin.exchange import Outcome
from support.edge import EdgeUnderTest, edge, policy, until, with_listener
from support.origin import OK, Origin, members
from support.rawhttp import PATIENCE, Client, get

EMPTY_408 = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EMPTY_504 = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
POLL = get("/ucwa/oauth/v1/applications/1/events?ack=1")
SHORT = 0.6  # seconds: on a busy machine a loop may stand still for a third of one
LARGE = 24 * 1024 * 1024  # bytes: more than the kernel keeps for both sides
LONG = 60.0
POLLS = 200

pytestmark = pytest.mark.engines("lane")


def timeouts(it: EdgeUnderTest) -> dict[str, float]:
    """Those that ran out, by name."""
    counted = {kind: it.metric("lyncgate_timeouts_total", kind=kind) for kind in TimeLimit}
    return {str(kind): count for kind, count in counted.items() if count}


async def drip(client: Client, data: bytes, every: float) -> None:
    """Send byte by byte until the edge has had enough."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            await client.send(bytes([byte]))
            await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def slow_reader(it: EdgeUnderTest) -> AsyncIterator[socket.socket]:
    """A client that reads when it likes to."""
    sock = socket.socket()
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, it.address("http"))
    try:
        yield sock
    finally:
        sock.close()


async def read_by(sock: socket.socket, size: int, every: float) -> int:
    """Read at most `size` bytes at a time, up to the end. How many there were."""
    loop, total = asyncio.get_running_loop(), 0
    async with asyncio.timeout(PATIENCE):
        while data := await loop.sock_recv(sock, size):
            total += len(data)
            await asyncio.sleep(every)
    return total


def polls_hang(origin: Origin, let_go: asyncio.Event) -> None:
    """Polls wait for `let_go`; other requests get a large answer, after their body if there is one."""

    async def answer(received: Any, peer: Any) -> None:
        if b"/events" in received.target:
            await let_go.wait()
            await peer.send(OK)
        else:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + bytes(LARGE))

    origin.answers(answer)


def published(rules: Policy, **limits: float) -> Policy:
    """`rules` whose publication has limits of its own."""
    (web,) = rules.publications
    return dataclasses.replace(
        rules,
        publications=(dataclasses.replace(web, timeouts=Instead(**limits)),),  # type: ignore[arg-type]  # all numbers
    )


def test_slow_clients_are_cut_beside_two_hundred_polls_that_hang() -> None:
    """By head, by body, by reading a byte at a time and by not reading at all."""

    async def check() -> None:
        limits = {"head": SHORT, "body": SHORT, "write": SHORT, "idle": 1.0, "response": 5.0, "rate": 1000}
        async with (
            members(1) as origins,
            edge(policy(origins, poll=LONG, **limits)) as it,
            contextlib.AsyncExitStack() as stack,
        ):
            let_go = asyncio.Event()
            polls_hang(origins[0], let_go)
            polls = []
            for _ in range(POLLS):
                polls.append(await stack.enter_async_context(it.http()))
                await polls[-1].send(POLL)  # at once: a connection that says nothing is cut
            await origins[0].received(POLLS)
            async with slow_reader(it) as one, slow_reader(it) as none, it.http() as head, it.http() as body:
                loop = asyncio.get_running_loop()
                await body.send(get("/", "Content-Length: 1000", method="POST"))
                for sock in (one, none):
                    await loop.sock_sendall(sock, get("/large"))
                drips = [
                    asyncio.create_task(drip(head, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 999, 0.01)),
                    asyncio.create_task(drip(body, bytes(1000), 0.01)),
                ]
                assert await head.rest() == EMPTY_408
                assert await body.rest() == EMPTY_408
                drips.append(asyncio.create_task(read_by(one, 1, 0.01)))
                await until(lambda: it.metric("lyncgate_timeouts_total", kind="write") == 2)
                for task in drips:
                    task.cancel()
            assert timeouts(it) == {"head": 1, "body": 1, "write": 2}
            assert it.metric("lyncgate_polls_held") == POLLS, "all of them live on"
            let_go.set()
            assert [(await poll.reply()).status for poll in polls] == [200] * POLLS

    asyncio.run(check())


def test_a_slow_body_that_keeps_to_the_rate_is_left_alone() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=SHORT, rate=20, poll=LONG)) as it,
            it.http() as client,
        ):
            await client.send(get("/", "Content-Length: 60", method="POST"))
            await drip(client, bytes(60), 0.02)
            assert (await client.reply()).status == 200
            assert timeouts(it) == {}

    asyncio.run(check())


@pytest.mark.parametrize("rate", [0, 100])
def test_a_body_byte_by_byte_under_the_rate(rate: int) -> None:
    """With no rate any byte will do, and none will not."""

    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, body=SHORT, rate=rate, poll=LONG)) as it,
            it.http() as client,
        ):
            await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
            for _ in range(20):
                with contextlib.suppress(ConnectionError):
                    await client.send(b"1\r\nx\r\n")
                await asyncio.sleep(0.1)
            if rate:
                assert await client.rest() == EMPTY_408
                record = await it.record()
                assert (record.outcome, record.ended_by) == (Outcome.CLIENT_GONE, "client")
                assert record.request_bytes < 20
            else:
                assert not it.records
                assert await client.rest() == EMPTY_408
                assert it.records[0].request_bytes == 20
            assert timeouts(it) == {"body": 1}

    asyncio.run(check())


def test_who_takes_enough_of_an_answer_is_left_alone() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, write=SHORT, rate=200_000, poll=LONG)) as it,
            slow_reader(it) as sock,
        ):
            polls_hang(origins[0], asyncio.Event())
            await asyncio.get_running_loop().sock_sendall(sock, get("/large", "Connection: close"))
            assert await read_by(sock, 512 * 1024, 0.02) > LARGE
            assert timeouts(it) == {}
            assert (await it.record()).outcome is Outcome.OK

    asyncio.run(check())


def test_what_the_kernel_has_of_an_answer_is_not_taken_yet() -> None:
    """It keeps megabytes, and says that there is room only when a good part of them has gone. A client that
    reads steadily needs longer for that than it may be silent."""

    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, write=SHORT, rate=100_000, poll=LONG)) as it,
            slow_reader(it) as sock,
        ):
            polls_hang(origins[0], asyncio.Event())
            await asyncio.get_running_loop().sock_sendall(sock, get("/large"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(4):
                    await read_by(sock, 20_000, 0.02)
            assert timeouts(it) == {}
            assert not it.records, "it is still under way"

    asyncio.run(check())


def test_a_body_that_waits_for_its_invitation_is_not_due() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body=0.4, poll=LONG)) as it:

            async def invite(_: Any, peer: Any) -> None:
                await asyncio.sleep(0.7)
                await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                assert await peer.reader.readexactly(5) == b"hello"
                await peer.send(OK)

            origins[0].answers(invite, streaming=True)
            async with it.http() as client:
                await client.send(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
                assert (await client.reply()).status == 100
                await client.send(b"hello")
                assert (await client.reply()).status == 200
            assert timeouts(it) == {}

    asyncio.run(check())


def test_a_member_that_does_not_take_the_body_is_not_the_clients_fault() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body=SHORT, rate=10**6, poll=LONG)) as it:

            async def late(_: Any, peer: Any) -> None:
                await asyncio.sleep(1.0)
                await peer.reader.readexactly(LARGE)
                await peer.send(OK)

            origins[0].answers(late, streaming=True)
            async with it.http() as client:
                await client.send(get("/", f"Content-Length: {LARGE}", method="POST") + bytes(LARGE))
                assert (await client.reply()).status == 200
            assert timeouts(it) == {}

    asyncio.run(check())


def test_the_first_byte_of_an_answer() -> None:
    """Polls don't fall under it, nor what comes after that byte."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, response=SHORT, poll=LONG)) as it:
            let_go = asyncio.Event()

            async def answer(received: Any, peer: Any) -> None:
                if received.target == b"/begins":
                    await peer.send(OK[:-1])
                await let_go.wait()
                await peer.send(OK[-1:] if received.target == b"/begins" else OK)

            origins[0].answers(answer)
            async with it.http() as poll, it.http() as begins, it.http() as silent:
                await poll.send(POLL)
                await begins.send(get("/begins"))
                await silent.send(get())
                assert await silent.rest() == EMPTY_504
                await asyncio.sleep(SHORT)
                let_go.set()
                assert (await poll.reply()).status == 200
                assert (await begins.reply()).status == 200
            assert timeouts(it) == {"response": 1}
            assert it.records[0].outcome is Outcome.UPSTREAM_TIMEOUT

    asyncio.run(check())


# What a listener and a publication say instead. The other one's connections show that nobody else is meant.


@pytest.mark.engines("lane", "stock")
@pytest.mark.parametrize("limit", ["head", "body", "idle"])
def test_a_listeners_own(limit: str) -> None:
    async def check() -> None:
        begun = {"head": get()[:10], "body": get("/", "Content-Length: 5", method="POST"), "idle": b""}[limit]
        async with members(1) as origins:
            rules = with_listener(policy(origins), "http", timeouts=Instead(**{limit: SHORT}))  # type: ignore[arg-type]  # a number
            async with edge(rules) as it, it.http() as client, it.http("redirecting") as other:
                await client.send(begun)
                await other.send(begun)
                assert await client.rest() == (b"" if limit == "idle" else EMPTY_408)
                assert timeouts(it) == {limit: 1}
                rest = {"head": get()[10:], "body": b"hello", "idle": get()}[limit]
                assert (await other.ask(rest)).status in (307, 308)

    asyncio.run(check())


@pytest.mark.engines("lane", "stock")
def test_a_listeners_own_handshake() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = with_listener(policy(origins), "https", timeouts=Instead(handshake=SHORT))
            async with edge(rules) as it, it.http("https") as client:
                await client.send(b"\x16\x03")
                assert await client.rest() == b""
                assert timeouts(it) == {"handshake": 1}

    asyncio.run(check())


def test_a_listeners_own_write() -> None:
    async def check() -> None:
        async with members(1) as origins:
            polls_hang(origins[0], asyncio.Event())
            rules = with_listener(policy(origins), "http", timeouts=Instead(write=SHORT, rate=10**4))
            async with edge(rules) as it, slow_reader(it) as sock:
                await asyncio.get_running_loop().sock_sendall(sock, get("/large"))
                await until(lambda: timeouts(it) == {"write": 1})
                record = await it.record()
                assert (record.outcome, record.ended_by, record.status) == ("client_gone", "client", 200)

    asyncio.run(check())


@pytest.mark.parametrize("limit", ["response", "poll"])
def test_a_publications_own(limit: str) -> None:
    async def check() -> None:
        async with members(1) as origins:

            async def silent(_: Any, peer: Any) -> None:
                await peer.gone()

            origins[0].answers(silent)
            async with edge(published(policy(origins), **{limit: SHORT})) as it, it.http() as client:
                await client.send(POLL if limit == "poll" else get())
                assert await client.rest() == EMPTY_504
                assert timeouts(it) == {limit: 1}

    asyncio.run(check())


def test_a_publications_own_body_goes_before_the_listeners() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = published(policy(origins), body=SHORT)
            rules = with_listener(rules, "http", timeouts=Instead(body=LONG))
            async with edge(rules) as it, it.http() as client:
                await client.send(get("/", "Content-Length: 5", method="POST"))
                assert await client.rest() == EMPTY_408
                assert timeouts(it) == {"body": 1}

    asyncio.run(check())


def test_a_publications_own_connect() -> None:
    """A listener whose queue is full takes no more: its SYNs are dropped."""

    async def check() -> None:
        async with members(1) as origins:
            with socket.socket() as full, contextlib.ExitStack() as stack:
                full.bind(("127.0.0.9", 0))
                full.listen(0)
                for _ in range(2):
                    one = stack.enter_context(socket.socket())
                    one.setblocking(False)
                    one.connect_ex(full.getsockname())
                rules = published(policy(origins), connect=SHORT)
                pool = rules.pools["pool01"]
                port = full.getsockname()[1]
                pool = dataclasses.replace(
                    pool,
                    members=(dataclasses.replace(pool.members[0], host="127.0.0.9"),),
                    bridge=dataclasses.replace(pool.bridge, http=port, https=port),
                )
                async with (
                    edge(dataclasses.replace(rules, pools={"pool01": pool})) as it,
                    it.http() as client,
                ):
                    assert (await client.ask(get())).status == 504
                    assert timeouts(it) == {"connect": 1}
                    assert (await it.record()).outcome is Outcome.CONNECT_TIMEOUT

    asyncio.run(check())


@pytest.mark.engines("lane", "stock")
def test_every_limit_is_counted_from_the_start() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            families = {family.name: family for family in it.running.metrics.registry.collect()}
            told = {sample.labels["kind"]: sample.value for sample in families["lyncgate_timeouts"].samples}
            assert told == {str(limit): 0.0 for limit in TimeLimit}

    asyncio.run(check())
