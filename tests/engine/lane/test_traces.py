"""What is left of connections that are over: nothing. And names, and the other internet protocol."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import gc
import socket
from pathlib import Path
from typing import Any

import pytest

from lyncgate.policy.policy import Member
from support import certificates
from support.edge import EdgeUnderTest, edge, policy, until, with_listener
from support.origin import members
from support.rawhttp import get, post

pytestmark = pytest.mark.engines("lane")

COUNT = 2_000
ROUNDS = 40


def census() -> collections.Counter[str]:
    """How many objects of the edge's there are, and timers that run: asyncio keeps a few dozen others."""
    gc.collect()
    return collections.Counter(
        type(one).__qualname__
        for one in gc.get_objects()
        if str(type(one).__module__).startswith(("lyncgate.edge", "lyncgate.engine"))
        or type(one).__name__ in ("Secured", "socket")
        or (type(one).__name__ == "TimerHandle" and not one.cancelled())
    )


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("secure", [False, True])
def test_nothing_is_kept_of_connections_that_are_over(secure: bool) -> None:
    """Of all kinds: answered, refused, malformed, left in the middle."""
    count = COUNT // 4 if secure else COUNT

    async def visit(it: EdgeUnderTest, number: int) -> None:
        async with it.https() if secure else it.http() as client:
            match number % 5:
                case 0:
                    await client.send(b"GET\r\n\r\n")
                    await client.rest()
                case 1:
                    await client.send(post(b"x" * 100)[:-10])
                    await client.abort()
                case 2:
                    assert (await client.ask(get(host="www.contoso.example"))).status == 404
                case _:
                    assert (await client.ask(get())).status == 200

    async def visits(it: EdgeUnderTest, total: int) -> None:
        for begin in range(0, total, ROUNDS):
            await asyncio.gather(*(visit(it, number) for number in range(begin, begin + ROUNDS)))
        await until(lambda: not it.clients)
        lane = it.lane
        for upstream in tuple(lane.upstreams.all):
            upstream.close()
        it.records.clear()
        it.events.clear()

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            await visits(it, ROUNDS)
            await origins[0].until(lambda origin: not origin.peers)
            before, files = census(), descriptors()
            await visits(it, count)
            await origins[0].until(lambda origin: not origin.peers)
            await until(lambda: descriptors() <= files)
            more = census() - before
            assert not {kind: number for kind, number in more.items() if number > ROUNDS}, more

    asyncio.run(check())


def test_ipv6() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = with_listener(policy(origins), "http", bind=(("::1", 0),))
            async with edge(rules) as it, it.http() as client:
                assert it.address("http")[0] == "::1"
                assert (await client.ask(get())).status == 200
                [record] = it.records
                assert record.source_ip == "::1"
                [request] = origins[0].requests
                assert request.value("x-forwarded-for") == b"::1"

    asyncio.run(check())


def test_a_member_by_name() -> None:
    """Its addresses are asked for once in a while, and each is tried: the first one refuses."""

    async def check() -> None:
        loop = asyncio.get_running_loop()
        asked = []

        async def resolved(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            of_kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [
                (socket.AF_INET6, *of_kind, ("::1", port, 0, 0)),
                (socket.AF_INET, *of_kind, ("127.0.0.99", port)),
                (socket.AF_INET, *of_kind, ("127.0.0.2", port)),
            ]

        async with members(1) as origins:
            named = (Member("fe01", "fe01.contoso.local"),)
            rules = policy(origins)
            pools = {"pool01": dataclasses.replace(rules.pools["pool01"], members=named)}
            async with edge(dataclasses.replace(rules, pools=pools)) as it:
                loop.getaddrinfo = resolved  # type: ignore[method-assign]
                for _ in range(3):
                    async with it.http() as client:
                        assert (await client.ask(get())).status == 200
                    await origins[0].cut()
                    await until(lambda: not it.upstreams)
                assert asked == ["fe01.contoso.local"]
                assert origins[0].connections == 3
                assert [record.attempts for record in it.records] == [1, 1, 1]

    asyncio.run(check())


def test_a_name_that_nobody_knows() -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()

        async def unknown(*_: Any, **__: Any) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async with members(1) as origins:
            named = (Member("fe01", "fe01.contoso.local"), Member("fe02", "127.0.0.2"))
            rules = policy(origins)
            pools = {"pool01": dataclasses.replace(rules.pools["pool01"], members=named)}
            async with edge(dataclasses.replace(rules, pools=pools)) as it:
                loop.getaddrinfo = unknown  # type: ignore[method-assign]
                for _ in range(2):
                    async with it.http() as client:
                        assert (await client.ask(get())).status == 200, "by the other member"
                assert {record.member for record in it.records} == {"fe02"}
                assert max(record.attempts for record in it.records) == 2

    asyncio.run(check())
