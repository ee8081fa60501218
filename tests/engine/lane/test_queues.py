"""A member gets as many connections as it may have; who comes then waits, in order, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from typing import Any

import pytest

from lyncgate.edge.timeouts import TimeLimit
from lyncgate.policy.policy import Instead, Policy
from lyncgate.signin.exchange import Outcome, Phase
from support import certificates
from support.edge import EdgeUnderTest, edge, policy, until
from support.ntlm_origin import negotiate
from support.origin import OK, Origin, members
from support.rawhttp import Client, get

EMPTY_503 = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LONG = 60.0

pytestmark = pytest.mark.engines("lane")


class Held:
    """Makes an origin answer only when it is told to, one request after the other."""

    def __init__(self, origin: Origin) -> None:
        self._leave = asyncio.Semaphore(0)
        origin.answers(self._answer)

    async def _answer(self, _: Any, peer: Any) -> None:
        await self._leave.acquire()
        await peer.send(OK)

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self._leave.release()


def waiting(it: EdgeUnderTest) -> float:
    return it.metric("lyncgate_queue_length", pool="pool01", member="fe01")


async def ask_in_order(it: EdgeUnderTest, clients: list[Client], *, first: int = 0) -> None:
    """Each asks for its own number, and is in the queue before the next one asks."""
    before = waiting(it)
    for number, client in enumerate(clients, first):
        await client.send(get(f"/{number}"))
        await until(lambda n=number: waiting(it) == before + n - first + 1)


async def clients_of(it: EdgeUnderTest, stack: contextlib.AsyncExitStack, count: int) -> list[Client]:
    return [await stack.enter_async_context(it.http()) for _ in range(count)]


def nothing_left(it: EdgeUnderTest) -> None:
    """No queue remembers anybody, and what it counts is what is open."""
    lane = it.lane
    queues = lane.upstreams.queues
    assert not queues._waiting
    assert not queues._called
    assert sum(queues._open.values()) == it.upstreams
    assert waiting(it) == 0


def test_first_come_first_served() -> None:
    """Also before who comes when a connection has just become free, and who has waited says for how long."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1)) as it:
            held = Held(origins[0])
            async with contextlib.AsyncExitStack() as stack:
                holder, *others = await clients_of(it, stack, 6)
                await holder.send(get("/holder") + get("/again"))  # that one begins as the first one ends
                await origins[0].received(1)
                await ask_in_order(it, others)
                held.let_go()
                assert (await holder.reply()).status == 200
                await until(lambda: waiting(it) == 5)
                held.let_go(6)
                for client in (*others, holder):
                    assert (await client.reply()).status == 200
            targets = [request.target for request in origins[0].requests]
            assert targets == [b"/holder", *(b"/%d" % number for number in range(5)), b"/again"]
            assert origins[0].connections == 1
            phases = [record.phases for record in it.records]
            assert Phase.QUEUE not in phases[0]
            assert all((one[Phase.QUEUE] or 0.0) > 0 for one in phases[1:])
            assert all((one[Phase.QUEUE] or 0.0) <= (one[Phase.TOTAL] or 0.0) for one in phases[1:])
            nothing_left(it)

    asyncio.run(check())


@pytest.mark.parametrize("own", [False, True])
def test_who_waits_too_long(own: bool) -> None:
    """At most as long as the publication says, or else everybody; those before and behind aren't touched."""

    async def check() -> None:
        async with members(1) as origins:
            rules = policy(origins, max_connections=1, queue=LONG if own else 0.3)
            if own:
                (web,) = rules.publications
                web = dataclasses.replace(web, timeouts=Instead(queue=0.3))
                rules = dataclasses.replace(rules, publications=(web,))
            async with edge(rules) as it, it.http() as holder, it.http() as late:
                held = Held(origins[0])
                await holder.send(get("/holder"))
                await origins[0].received(1)
                await late.send(get("/late"))
                assert await late.rest() == EMPTY_503
                record = await it.record()
                assert (record.outcome, record.status, record.ended_by) == ("queue_timeout", 503, "proxy")
                assert record.phases[Phase.QUEUE] is None, "began, never ended"
                assert Phase.CONNECT not in record.phases
                assert it.metric("lyncgate_timeouts_total", kind=TimeLimit.QUEUE) == 1
                assert it.metric("lyncgate_errors_total", outcome="queue_timeout") == 1
                nothing_left(it)
                held.let_go()
                assert (await holder.reply()).status == 200
            assert [request.target for request in origins[0].requests] == [b"/holder"]

    asyncio.run(check())


def test_no_waiting_at_all() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=0.0)) as it:
            held = Held(origins[0])
            async with it.http() as holder, it.http() as other:
                await holder.send(get())
                await origins[0].received(1)
                await other.send(get())
                assert await other.rest() == EMPTY_503
                held.let_go()
                assert (await holder.reply()).status == 200
            nothing_left(it)

    asyncio.run(check())


def test_who_leaves_is_forgotten() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=LONG)) as it:
            held = Held(origins[0])
            async with contextlib.AsyncExitStack() as stack:
                holder, one, two, three = await clients_of(it, stack, 4)
                await holder.send(get("/holder"))
                await origins[0].received(1)
                await ask_in_order(it, [one, two, three])
                await two.abort()
                await until(lambda: waiting(it) == 2)
                record = await it.record()
                assert (record.outcome, record.phases[Phase.QUEUE]) == (Outcome.CLIENT_GONE, None)
                held.let_go(3)
                for client in (holder, one, three):
                    assert (await client.reply()).status == 200
            assert [request.target for request in origins[0].requests] == [b"/holder", b"/0", b"/2"]
            nothing_left(it)

    asyncio.run(check())


def test_a_holder_that_leaves_makes_room() -> None:
    """Its connection is closed, and the next one waiting gets another."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=LONG)) as it:
            held = Held(origins[0])
            async with it.http() as holder, it.http() as other:
                await holder.send(get("/holder"))
                await origins[0].received(1)
                await ask_in_order(it, [other])
                await holder.abort()
                await origins[0].received(2)
                held.let_go(2)
                assert (await other.reply()).status == 200
            assert origins[0].connections == 2
            nothing_left(it)

    asyncio.run(check())


def test_a_connection_that_fails_makes_room() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=LONG)) as it:
            held = Held(origins[0])
            async with contextlib.AsyncExitStack() as stack:
                holder, *others = await clients_of(it, stack, 4)
                await holder.send(get("/holder"))
                await origins[0].received(1)
                await ask_in_order(it, others)
                await origins[0].stop()
                for client in (holder, *others):
                    assert (await client.reply()).status == 502
            held.let_go()
            assert {record.outcome for record in it.records} == {"upstream_reset", "connect_failed"}
            assert it.upstreams == 0
            nothing_left(it)

    asyncio.run(check())


def test_a_log_on_keeps_its_connection() -> None:
    """It counts as long as its client stays: whoever else comes has to wait."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=1, queue=0.3)) as it:
            async with it.http() as alice, it.http() as bob:
                assert (await alice.ask(get("/", f"Authorization: {negotiate()}"))).status == 200
                await bob.send(get("/bob"))
                assert await bob.rest() == EMPTY_503
                assert (await alice.ask(get("/alice"))).status == 200, "her own is hers at once"
                assert origins[0].connections == 1
                async with it.http() as carol:
                    await carol.send(get("/carol"))
                    await until(lambda: waiting(it) == 1)
                    await alice.close()
                    assert (await carol.reply()).status == 200
            assert origins[0].connections == 2
            nothing_left(it)

    asyncio.run(check())


def test_a_kept_connection_gives_way_to_another_port() -> None:
    """What waits for the next exchange must not keep those out who can't use it."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1) as plain, members(1, tls=tls) as secure:
            rules = policy(plain, max_connections=1, queue=LONG)
            pool = rules.pools["pool01"]
            bridge = dataclasses.replace(pool.bridge, https=secure[0].port)
            rules = dataclasses.replace(rules, pools={"pool01": dataclasses.replace(pool, bridge=bridge)})
            async with edge(rules) as it:
                for _ in range(3):
                    async with it.http() as client:
                        assert (await client.ask(get())).status == 200
                    async with it.https() as client:
                        assert (await client.ask(get())).status == 200
                    assert it.upstreams == 1
                assert (plain[0].connections, secure[0].connections) == (3, 3)
                nothing_left(it)

    asyncio.run(check())


def test_members_have_limits_of_their_own() -> None:
    async def check() -> None:
        async with members(2) as origins, edge(policy(origins, max_connections=1, queue=LONG)) as it:
            held = [Held(origin) for origin in origins]
            async with it.http() as one, it.http() as two:
                await one.send(get("/1"))
                await two.send(get("/2"))
                for origin in origins:
                    await origin.received(1)
                for one_held in held:
                    one_held.let_go()
                assert (await one.reply()).status == (await two.reply()).status == 200
            assert all(Phase.QUEUE not in record.phases for record in it.records)

    asyncio.run(check())


def test_new_rules_let_those_go_on_who_wait() -> None:
    async def check() -> None:
        async with members(1) as origins:

            def rules(limit: int | None, version: str) -> Policy:
                return policy(origins, version=version, max_connections=limit, queue=LONG)

            async with edge(rules(1, "1")) as it, contextlib.AsyncExitStack() as stack:
                held = Held(origins[0])
                holder, *others = await clients_of(it, stack, 5)
                await holder.send(get("/holder"))
                await origins[0].received(1)
                await ask_in_order(it, others)
                await it.running.master.adopt(rules(3, "2"))
                await origins[0].received(3)
                assert waiting(it) == 2
                await it.running.master.adopt(rules(None, "3"))
                await origins[0].received(5)
                held.let_go(5)
                for client in (holder, *others):
                    assert (await client.reply()).status == 200
                nothing_left(it)

    asyncio.run(check())


def test_a_crowd_that_comes_and_goes() -> None:
    """Never more connections than allowed, everyone who stays is answered, and nothing is left behind."""
    dice = random.Random(5)
    limit = 3

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, max_connections=limit, queue=LONG)) as it:
            most = 0

            async def answer(received: Any, peer: Any) -> bool:
                nonlocal most
                most = max(most, it.upstreams)
                await asyncio.sleep(dice.random() * 0.004)
                if dice.random() < 0.1:
                    return False
                await peer.send(OK)
                return dice.random() < 0.9

            origins[0].answers(answer)

            async def come() -> int:
                answered = 0
                for _ in range(12):
                    async with it.http() as client:
                        login = [f"Authorization: {negotiate()}"] if dice.random() < 0.2 else []
                        await client.send(get("/", *login))
                        if dice.random() < 0.2:
                            await asyncio.sleep(dice.random() * 0.02)
                            await client.abort()
                        else:
                            answered += (await client.reply()).status in (200, 502)
                return answered

            answered = sum(await asyncio.gather(*(come() for _ in range(40))))
            await until(lambda: len(it.records) == 40 * 12)
            assert most == limit
            outcomes = {record.outcome for record in it.records}
            assert outcomes <= {Outcome.OK, Outcome.CLIENT_GONE, Outcome.UPSTREAM_RESET}
            assert answered >= 40 * 12 * 0.7
            nothing_left(it)

    asyncio.run(check())
