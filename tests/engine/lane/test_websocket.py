"""Websockets: a request that goes on as a tunnel, or does not."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from typing import Any

import pytest

from lyncgate.signin.exchange import Kind, Outcome
from support import certificates
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, get, read_head

pytestmark = pytest.mark.engines("lane")

ASK = get(
    "/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def echo(_: Any, peer: Any) -> bool:
    await peer.send(SWITCH)
    while data := await peer.reader.read(65536):
        await peer.send(data)
    return False


@pytest.mark.parametrize("secure", [False, True])
def test_both_ways(secure: bool) -> None:
    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            origins[0].answers(echo)
            async with it.https() if secure else it.http() as client:
                await client.send(ASK)
                head = await read_head(client.reader)
                assert head.status == 101
                assert (head.value("upgrade"), head.value("connection")) == (b"websocket", b"Upgrade")
                for word in (b"one", b"two"):
                    await client.send(word)
                    assert await client.reader.readexactly(3) == word
                assert it.metric("lyncgate_polls_held") == 1
            record = await it.record()
            assert (record.status, record.kind) == (101, Kind.POLL)
            assert (record.request_bytes, record.response_bytes) == (6, 6)
            await origins[0].until(lambda origin: not origin.peers)

    asyncio.run(check())


def test_what_came_with_the_request_and_with_the_answer() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def at_once(_: Any, peer: Any) -> bool:
                await peer.send(SWITCH + b"\x81\x02hi")
                assert await peer.reader.readexactly(5) == b"early"
                return False

            origins[0].answers(at_once)
            await client.send(ASK + b"early")
            assert (await client.rest()).endswith(b"\r\n\r\n\x81\x02hi")
            record = await it.record()
            assert (record.outcome, record.status) == (Outcome.OK, 101), "the member ended it"

    asyncio.run(check())


@pytest.mark.parametrize("secure", [False, True])
def test_much_data_with_slow_sides(secure: bool) -> None:
    """Both sides send before they read: all arrives, and what waits in the edge has a bound."""
    size = 24 << 20  # more than the kernel keeps of both connections

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            data = random.Random(1).randbytes(size)
            digests: list[str] = []
            read_now = asyncio.Event()

            async def both(_: Any, peer: Any) -> bool:
                await peer.send(SWITCH)
                sending = asyncio.create_task(peer.send(data))
                await read_now.wait()
                digests.append(hashlib.sha256(await peer.reader.readexactly(size)).hexdigest())
                await sending
                return False

            origins[0].answers(both)
            async with it.https() if secure else it.http() as client:
                await client.send(ASK)
                assert (await read_head(client.reader)).status == 101
                sending = asyncio.create_task(client.send(data))
                connection = it.only_client
                upstream = connection.relay.upstream  # type: ignore[union-attr]
                await until(lambda: not connection.stream.reading and not upstream.stream.reading)
                assert connection.stream.waiting < 512 * 1024
                assert upstream.stream.waiting < 512 * 1024
                read_now.set()
                async with asyncio.timeout(PATIENCE):
                    digests.append(hashlib.sha256(await client.reader.readexactly(size)).hexdigest())
                    await sending
                assert await client.rest() == b""
            record = await it.record()
            assert set(digests) == {hashlib.sha256(data).hexdigest()}
            assert (record.request_bytes, record.response_bytes, record.outcome) == (size, size, Outcome.OK)

    asyncio.run(check())


def test_the_client_ends_it() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def listen(_: Any, peer: Any) -> None:
                await peer.send(SWITCH)
                gone.set_result(await peer.gone())

            origins[0].answers(listen)
            async with it.http() as client:
                await client.send(ASK)
                assert (await read_head(client.reader)).status == 101
                await client.send(b"last words")
            assert await asyncio.wait_for(gone, PATIENCE) == b"last words"
            record = await it.record()
            assert (record.kind, record.outcome, record.status) == (Kind.POLL, Outcome.CLIENT_GONE, 101)

    asyncio.run(check())


@pytest.mark.parametrize("reads", [True, False])
def test_last_words_to_a_slow_member(monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    """What a client said before it left arrives, or the member has had its time."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            read_now, said = asyncio.Event(), bytearray()
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def slow(_: Any, peer: Any) -> None:
                await peer.send(SWITCH)
                await read_now.wait()
                got = bytearray()
                with contextlib.suppress(ConnectionError):
                    while data := await peer.reader.read(65536):
                        got += data
                        await peer.send(b"I see")  # which nobody is there to hear
                gone.set_result(bytes(got))

            origins[0].answers(slow)
            async with it.http() as client:
                await client.send(ASK)
                assert (await read_head(client.reader)).status == 101
                connection = it.only_client
                upstream = connection.relay.upstream  # type: ignore[union-attr]
                stream, before = connection.stream, connection.stream.got
                while not upstream.stream.waiting:
                    said += (piece := random.Random(1).randbytes(50_000))
                    due = before + len(said)
                    await client.send(piece)
                    await until(lambda due=due: stream.got == due)
            record = await it.record()
            assert record.outcome is Outcome.CLIENT_GONE
            if reads:
                assert not upstream.closed
                read_now.set()
                assert await asyncio.wait_for(gone, PATIENCE) == said
                await until(lambda: upstream.closed)
            else:
                await until(lambda: upstream.closed)
                read_now.set()
                await asyncio.wait_for(gone, PATIENCE)

    if not reads:
        monkeypatch.setattr("lyncgate.engine.lane.upstream.LAST_WORDS", 0.2)
    asyncio.run(check())


@pytest.mark.parametrize("how", ["one by one", "together", "together, and no more"])
def test_a_refusal_is_followed_by_the_next_request(how: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            if how != "one by one":
                await client.send(ASK + get("/next"))
                if how == "together, and no more":
                    client.writer.write_eof()
                assert (await client.reply()).status == 403
                assert (await client.reply()).status == 403
            else:
                assert (await client.ask(ASK)).status == 403
                origins[0].answers(OK)
                assert (await client.ask(get("/next"))).status == 200
            assert [request.target for request in origins[0].requests] == [b"/ws", b"/next"]
            assert origins[0].connections == 1
            assert [record.kind for record in it.records] == [Kind.REQUEST, Kind.REQUEST]

    asyncio.run(check())


def test_a_refusal_by_the_edge_is_followed_by_the_next_request() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.send(ASK.replace(b"lyncweb.", b"www.") + get("/next"))
            assert (await client.reply()).status == 404
            assert (await client.reply()).status == 200
            assert len(origins[0].requests) == 1

    asyncio.run(check())
