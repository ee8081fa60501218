"""What takes turns: a client that waits for 100 before its body, and one that changes the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from differential.answers import ResponseReader
from differential.drive import PATIENCE, Client, fresh_address
from differential.engines import ENGINES, Engine
from differential.origin import OF_OURS, Script, StrictOrigin, strict_origin
from differential.streams import HOST, Need
from support.edge import EdgeUnderTest, policy

REFUSED = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SCRIPTS = (Script((REFUSED,), "fin", early=True), Script((HINTS, OK)))

type Talk = Callable[[Client, StrictOrigin, Engine], Awaitable[None]]


def run(engine: str, talk: Talk, *, switch: bool = False) -> None:
    async def check() -> None:
        async with strict_origin(SCRIPTS) as origin, ENGINES[engine].run(policy([origin])) as it:
            client = await connected(it, switch=switch)
            await talk(client, origin, ENGINES[engine])
            client.transport.abort()
            assert origin.desyncs == []

    asyncio.run(check())


async def connected(it: EdgeUnderTest, *, switch: bool) -> Client:
    loop = asyncio.get_running_loop()
    reader = ResponseReader([], switch=switch)
    _, client = await loop.create_connection(
        lambda: Client(reader), *it.address("http"), local_addr=(fresh_address(), 0)
    )
    return client


async def arrives(client: Client, condition: Callable[[], object]) -> None:
    assert await client.until(condition, PATIENCE), bytes(client.talk.raw)


def expecting(target: bytes) -> bytes:
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_body_that_waits_for_100(engine: str) -> None:
    async def talk(client: Client, origin: StrictOrigin, _: Engine) -> None:
        reader = client.talk.reader
        for number in range(1, 4):
            await client.send([expecting(b"/%d" % number)])
            await arrives(client, lambda number=number: len(reader.interim) == number)
            assert reader.interim[-1].status == 100
            await client.send([b"hello"])
            await arrives(client, lambda number=number: len(reader.responses) == number)
        assert [response.value(OF_OURS) is not None for response in reader.responses] == [True] * 3
        assert [request.body for seen in origin.seen.values() for request in seen] == [b"hello"] * 3

    run(engine, talk)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_member_that_refuses_instead_of_100(engine: str) -> None:
    """The client hears the refusal. From an engine that passes 100 on, and does not invent it, only that."""

    async def talk(client: Client, origin: StrictOrigin, engine: Engine) -> None:
        reader = client.talk.reader
        await client.send([expecting(b"/scripted/0")])
        await arrives(client, lambda: reader.responses or reader.interim)
        if Need.CONTINUE in engine.can:
            assert reader.interim == []
        if reader.interim:
            await client.send([b"hello"])
        await arrives(client, lambda: reader.responses)
        assert [response.status for response in reader.responses] == [413]
        await arrives(client, lambda: client.talk.closed)

    run(engine, talk)


@pytest.mark.parametrize("engine", ENGINES)
def test_hints_arrive_before_the_answer(engine: str) -> None:
    async def talk(client: Client, origin: StrictOrigin, engine: Engine) -> None:
        reader = client.talk.reader
        await client.send([b"GET /scripted/1 HTTP/1.1\r\n" + HOST + b"\r\n"])
        await arrives(client, lambda: reader.responses)
        assert [response.body for response in reader.responses] == [b"ok"]
        hints = [(hints.status, hints.value(b"link")) for hints in reader.interim]
        assert hints == ([(103, b"</a>; rel=preload")] if Need.EARLY_HINTS in engine.can else [])

    run(engine, talk)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
SWITCH = b"GET /switch HTTP/1.1\r\n" + HOST + UPGRADE


@pytest.mark.parametrize("engine", ENGINES)
def test_a_protocol_that_is_changed(engine: str) -> None:
    """Bytes go both ways as they are. An engine that cannot do that has the member answer as if unasked."""

    async def talk(client: Client, origin: StrictOrigin, engine: Engine) -> None:
        reader = client.talk.reader
        await client.send([SWITCH])
        await arrives(client, lambda: reader.responses or reader.interim)
        if Need.UPGRADE not in engine.can:
            assert [response.status for response in reader.responses] == [200]
            return
        assert [response.status for response in reader.interim] == [101]
        sent = b""
        for data in (b"\x81\x05hello", b"GET /evil HTTP/1.1\r\n\r\n", bytes(range(256)) * 1000, b"\r\n"):
            sent += data
            await client.send([data])
            await arrives(client, lambda sent=sent: reader.switched == sent)
        client.shut()
        await arrives(client, lambda: client.talk.closed)
        assert reader.switched == sent
        assert sum(map(len, origin.seen.values())) == 1

    run(engine, talk, switch=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_upgrade_that_is_not_taken(engine: str) -> None:
    """The answer is a plain one, and the connection goes on in HTTP/1.1."""

    async def talk(client: Client, origin: StrictOrigin, _: Engine) -> None:
        reader = client.talk.reader
        await client.send([SWITCH.replace(b"/switch", b"/plain")])
        await arrives(client, lambda: len(reader.responses) == 1)
        await client.send([b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"])
        await arrives(client, lambda: len(reader.responses) == 2)
        assert [response.status for response in reader.responses] == [200, 200]
        assert [request.target for seen in origin.seen.values() for request in seen] == [b"/plain", b"/next"]

    run(engine, talk)
