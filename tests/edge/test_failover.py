"""Which member a request goes to, and what becomes of it when that one can't be had.

A request that no member has seen moves on to the next; one that a member may have seen is never sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lyncgate.lab.ports import bound
from lyncgate.policy.policy import Balance, Bridge, Member, Policy, Pool, Publication, UpstreamTls
from lyncgate.signin.exchange import Outcome, Phase
from support import certificates
from support.certificates import POOL_NAME, ca_file, fingerprint, issued, self_signed
from support.edge import UNCHECKED, WEB, EdgeUnderTest, edge, policy, pool, until
from support.origin import OK, members
from support.rawhttp import get, post

EMPTY_502 = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EMPTY_504 = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
EMPTY_503 = b"HTTP/1.1 503 Service Unavailable\r\n"


@contextlib.contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """A port whose connects are never answered: its queue is full."""
    with bound(address, port) as listening:
        listening.listen(0)
        with socket.socket() as first, socket.socket() as second:
            for filler in (first, second):
                filler.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filler.connect((address, port))
            yield


async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and says nothing, whatever it hears."""
    try:
        with contextlib.suppress(OSError):
            await reader.read()
    finally:
        writer.close()


def test_a_member_that_refuses_is_passed_over() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins)) as it:
            await origins[0].stop()
            await origins[1].stop()
            async with it.http() as client:
                assert (await client.ask(post(b"hello", "/x"))).status == 200
            assert [(r.line, r.body) for r in origins[2].requests] == [(b"POST /x HTTP/1.1", b"hello")]
            record = await it.record()
            assert (record.member, record.attempts, record.outcome) == ("fe03", 3, Outcome.OK)
            assert record.reused is False
            assert record.phases[Phase.CONNECT] is not None
            assert it.metric("lyncgate_failovers_total", member="fe01") == 1
            assert it.metric("lyncgate_failovers_total", member="fe03") == 0

    asyncio.run(check())


def test_nobody_left_who_answers() -> None:
    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it:
            for origin in origins:
                await origin.stop()
            async with it.http() as client:
                await client.send(get())
                assert await client.rest() == EMPTY_502
            record = await it.record()
            assert (record.outcome, record.status, record.attempts) == (Outcome.CONNECT_FAILED, 502, 2)
            assert record.ended_by == "proxy"
            assert record.phases[Phase.CONNECT] is None, "began, never ended"
            assert Phase.WAIT not in record.phases

    asyncio.run(check())


def test_a_member_that_is_back_is_reached_on_the_same_client_connection() -> None:
    """mitmproxy would remember the failed connect for as long as the client stays."""

    async def check() -> None:
        async with (
            members(2) as origins,
            edge(policy(origins, balance=Balance.ROUND_ROBIN)) as it,
            it.http() as client,
        ):
            first, second = origins
            await first.stop()
            assert (await client.ask(get("/1"))).status == 200
            assert len(second.requests) == 1
            await second.stop()
            await first.start()
            assert (await client.ask(get("/2"))).status == 200
            assert [r.target for r in first.requests] == [b"/2"]
            await first.stop()
            await second.start()
            assert (await client.ask(get("/3"))).status == 200
            assert [r.target for r in second.requests] == [b"/1", b"/3"]

    asyncio.run(check())


def test_members_that_are_down_are_not_tried() -> None:
    async def check() -> None:
        rules = dataclasses.replace(UNCHECKED, fall=1)
        async with members(2) as origins, edge(policy(origins, health=rules)) as it:
            for origin, member in zip(origins, it.state.pools["pool01"].members, strict=True):
                member.record("https", False, it.state.pools["pool01"].pool)
                assert origin.connections == 0
            async with it.http() as client:
                reply = await client.ask(get())
                assert (reply.status, reply.body) == (503, b"")
                assert (await client.ask(get())).status == 503, "the connection is kept"
            record = await it.record()
            assert (record.outcome, record.member, record.attempts) == (Outcome.NO_MEMBER, None, 0)
            assert all(origin.connections == 0 for origin in origins)

    asyncio.run(check())


@pytest.mark.parametrize("alternatives", [0, 1])
def test_a_connect_into_a_black_hole(alternatives: int) -> None:
    async def check() -> None:
        async with members(1 + alternatives) as origins:
            hole = origins[0]
            await hole.stop()
            with black_hole(hole.address, hole.port):
                async with edge(policy(origins, connect=0.2)) as it, it.http() as client:
                    await client.send(get("/", "Connection: close"))
                    raw = await client.rest()
                    record = await it.record()
                    if alternatives:
                        assert raw.startswith(b"HTTP/1.1 200 ")
                        assert (record.outcome, record.attempts) == (Outcome.OK, 2)
                    else:
                        assert raw == EMPTY_504
                        assert (record.outcome, record.status) == (Outcome.CONNECT_TIMEOUT, 504)
                        assert record.phases[Phase.CONNECT] is None

    asyncio.run(check())


def test_tls_with_somebody_who_speaks_something_else() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.contoso.example ESMTP\r\n")
        await writer.drain()
        await stalls(_, writer)

    async def check() -> None:
        async with members(1) as origins:
            mail = origins[0]
            await mail.stop()
            server = await asyncio.start_server(greet, sock=bound(mail.address, mail.port))
            async with edge(policy(origins)) as it, it.https() as client:
                await client.send(get())
                assert await client.rest() == EMPTY_502
                assert (await it.record()).outcome is Outcome.TLS_FAILED
            server.close()

    asyncio.run(check())


def test_tls_into_a_black_hole() -> None:
    """Somebody takes the connection and never says a word of TLS."""

    async def check() -> None:
        async with members(1) as origins:
            mute = origins[0]
            await mute.stop()
            server = await asyncio.start_server(stalls, sock=bound(mute.address, mute.port))
            async with edge(policy(origins, connect=0.2)) as it, it.https() as client:
                await client.send(get())
                assert await client.rest() == EMPTY_504
                record = await it.record()
                assert (record.outcome, record.status) == (Outcome.CONNECT_TIMEOUT, 504)
                assert record.phases[Phase.CONNECT] is not None
                assert record.phases[Phase.UPSTREAM_TLS] is None
            server.close()

    asyncio.run(check())


GOOD = issued(POOL_NAME)
UNPROVEN = {
    "another name": (issued("fe01.contoso.local"), {}),
    "another authority": (issued(POOL_NAME, by="other"), {}),
    "self-signed": (self_signed(POOL_NAME), {}),
    "expired": (self_signed(POOL_NAME, days=(-30, -1)), {"ca": "self"}),
    "not pinned": (GOOD, {"pins": frozenset({"00" * 32})}),
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_a_member_that_does_not_prove_itself(name: str) -> None:
    """It gets no byte of the request; another that does gets it, and if there is none the client gets 502."""
    shown, changes = UNPROVEN[name]
    expected = UpstreamTls(ca=ca_file(), name=POOL_NAME, pins=changes.get("pins", frozenset()))
    if changes.get("ca") == "self":
        expected = dataclasses.replace(expected, ca=shown.cert)

    async def check() -> None:
        async with members(2, tls=certificates.server(shown)) as origins:
            impostor, other = origins
            await other.stop()
            async with edge(policy(origins, tls=expected)) as it:
                async with it.https() as client:
                    await client.send(post(b"secret"))
                    assert await client.rest() == EMPTY_502
                record = await it.record()
                assert (record.outcome, record.status, record.attempts) == ("connect_failed", 502, 2)
                if "pins" not in changes and "ca" not in changes:
                    other.tls = certificates.server(GOOD)
                    await other.start()
                    async with it.https() as client:
                        assert (await client.ask(post(b"secret"))).status == 200
                    assert other.requests[0].body == b"secret"
                await other.stop()
            async with edge(policy(origins[:1], tls=expected)) as it:
                async with it.https() as client:
                    await client.send(post(b"secret"))
                    assert await client.rest() == EMPTY_502
                record = await it.record()
                assert (record.outcome, record.status) == (Outcome.TLS_FAILED, 502)
                assert record.phases[Phase.CONNECT] is not None
                assert record.phases[Phase.UPSTREAM_TLS] is None
            assert not impostor.requests

    asyncio.run(check())


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (GOOD, UpstreamTls(ca=ca_file(), name=POOL_NAME, pins=frozenset({fingerprint(GOOD), "00" * 32}))),
        (issued("*.contoso.local"), UpstreamTls(ca=ca_file(), name="fe01.contoso.local")),
        (self_signed("127.0.0.2"), UpstreamTls(ca=self_signed("127.0.0.2").cert)),
    ],
    ids=["pinned", "wildcard", "by address"],
)
def test_a_member_that_proves_itself(shown: Any, expected: UpstreamTls) -> None:
    async def check() -> None:
        context = certificates.server(shown)
        async with (
            members(1, tls=context) as origins,
            edge(policy(origins, tls=expected)) as it,
            it.https() as client,
        ):
            assert (await client.ask(get())).status == 200

    asyncio.run(check())


def test_each_pool_has_its_own_proof() -> None:
    """The same front end in two pools: what satisfies one pool's rules says nothing to the other's, not even
    on a connection that is already open."""

    async def check() -> None:
        async with members(1, tls=certificates.server(GOOD)) as origins:
            lax = pool(origins)
            strict = pool(origins, "strict", tls=dataclasses.replace(lax.tls, pins=frozenset({"00" * 32})))
            rules = dataclasses.replace(
                policy(origins),
                pools={"pool01": lax, "strict": strict},
                publications=(
                    Publication("strict", (WEB,), "strict", paths=("/strict",)),
                    Publication("lax", (WEB,), "pool01"),
                ),
            )
            async with edge(rules) as it, it.https() as client:
                assert (await client.ask(get("/lax"))).status == 200
                await client.send(get("/strict"))
                assert await client.rest() == EMPTY_502
                assert [r.target for r in origins[0].requests] == [b"/lax"]
                assert (await it.record(2)).outcome is Outcome.TLS_FAILED

    asyncio.run(check())


def test_a_request_that_reached_a_member_is_never_sent_again() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins)) as it:

            async def hang_up(_: Any, peer: Any) -> bool:
                return False

            for origin in origins:
                origin.answers(hang_up)
            for request in (post(b"once"), get()):
                async with it.http() as client:
                    await client.send(request)
                    assert await client.rest() == EMPTY_502
            assert sum(len(origin.requests) for origin in origins) == 2
            assert [(r.outcome, r.attempts) for r in it.records] == [("upstream_reset", 1)] * 2

    asyncio.run(check())


def test_nor_on_a_kept_connection() -> None:
    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            used = next(origin for origin in origins if origin.requests)

            async def hang_up(_: Any, peer: Any) -> bool:
                return False

            used.answers(hang_up)
            await client.send(post(b"once"))
            assert await client.rest() == EMPTY_502
            assert sum(len(origin.requests) for origin in origins) == 2
            assert (await it.record(2)).reused is True

    asyncio.run(check())


def test_a_client_that_leaves_while_we_connect() -> None:
    """The member is not to blame, the next one is not bothered, and nothing is kept of it."""

    async def check() -> None:
        async with members(2) as origins:
            hole, other = origins
            await hole.stop()
            with black_hole(hole.address, hole.port):
                async with edge(
                    policy(origins, connect=5.0, health=dataclasses.replace(UNCHECKED, fall=1))
                ) as it:
                    it.member().record("https", True, it.state.pools["pool01"].pool)
                    async with it.http() as client:
                        await client.send(post(b"hello"))
                        await until(lambda: it.member().requests)
                        await client.abort()
                        record = await it.record()
                    assert (record.outcome, record.attempts, record.member) == ("client_gone", 1, "fe01")
                    assert it.member().usable, "it did nothing"
                    await it.forgotten()
            assert other.connections == 0

    asyncio.run(check())


def test_a_client_that_leaves_during_tls_to_the_member() -> None:
    async def check() -> None:
        async with members(2) as origins:
            mute, other = origins
            await mute.stop()
            await other.stop()
            server = await asyncio.start_server(stalls, sock=bound(mute.address, mute.port))
            rules = policy(origins, connect=5.0, health=dataclasses.replace(UNCHECKED, fall=1))
            async with edge(rules) as it:
                it.member().record("https", True, it.state.pools["pool01"].pool)
                async with it.https() as client:
                    await client.send(get())
                    await until(lambda: it.metric("lyncgate_upstream_connections", member="fe01"))
                    await client.abort()
                    record = await it.record()
                assert (record.outcome, record.attempts) == ("client_gone", 1)
                assert it.member().usable
            server.close()

    asyncio.run(check())


def test_draining_members_get_no_new_clients() -> None:
    async def check() -> None:
        async with members(2) as origins:
            rules = policy(origins)
            drained = rules.pools["pool01"]
            first, second = drained.members
            drained = dataclasses.replace(drained, members=(dataclasses.replace(first, drain=True), second))
            rules = dataclasses.replace(rules, pools={"pool01": drained})
            async with edge(rules) as it:
                for _ in range(4):
                    async with it.http() as client:
                        assert (await client.ask(get())).status == 200
            assert (len(origins[0].requests), len(origins[1].requests)) == (0, 4)

    asyncio.run(check())


def test_an_idle_pool_is_used_evenly() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins)) as it:
            for _ in range(9):
                async with it.http() as client:
                    assert (await client.ask(get())).status == 200
            assert [len(origin.requests) for origin in origins] == [3, 3, 3]

    asyncio.run(check())


def test_requests_that_hang_count_as_load() -> None:
    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it, contextlib.AsyncExitStack() as stack:
            let_go = asyncio.Event()

            async def poll(_: Any, peer: Any) -> None:
                await let_go.wait()
                await peer.send(OK)

            for origin in origins:
                origin.answers(poll)
            clients = []
            for number in range(1, 7):
                client = await stack.enter_async_context(it.http())
                await client.send(get("/poll"))
                clients.append(client)
                await until(lambda: sum(len(o.requests) for o in origins) == number)  # noqa: B023
            assert [len(origin.requests) for origin in origins] == [3, 3]
            assert it.metric("lyncgate_upstream_connections", member="fe01") == 3
            let_go.set()
            for client in clients:
                assert (await client.reply()).status == 200
            assert it.metric("lyncgate_upstream_connections") == 0

    asyncio.run(check())


def test_bridging() -> None:
    """Public 80 and 443 lead to a pool's own ports, a publication's override to others."""

    async def check() -> None:
        tls = certificates.server(GOOD)
        async with members(1) as plain, members(1, tls=tls) as secure, members(1, tls=tls) as office:
            rules = policy(plain, bridge=Bridge(http=plain[0].port, https=secure[0].port))
            rules = dataclasses.replace(
                rules,
                publications=(
                    Publication(
                        "office", (WEB,), "pool01", paths=("/wopi",), bridge=Bridge(None, office[0].port)
                    ),
                    *rules.publications,
                ),
            )
            async with edge(rules) as it:
                async with it.http() as client:
                    assert (await client.ask(get("/a"))).status == 200
                    assert (await client.ask(get("/wopi/b"))).status == 404, "not published in the clear"
                async with it.https() as client:
                    assert (await client.ask(get("/c"))).status == 200
                    assert (await client.ask(get("/wopi/d"))).status == 200
            assert [r.target for o in (*plain, *secure, *office) for r in o.requests] == [
                b"/a",
                b"/c",
                b"/wopi/d",
            ]

    asyncio.run(check())


def test_a_reload_in_the_middle_of_a_request() -> None:
    """The request ends where it began; the counts of members that stay are right, before and after."""

    async def check() -> None:
        async with members(2) as origins:
            rules = policy(origins, balance=Balance.ROUND_ROBIN)
            let_go = asyncio.Event()

            async def slow(_: Any, peer: Any) -> None:
                await let_go.wait()
                await peer.send(OK)

            origins[0].answers(slow)
            async with edge(rules) as it, it.http() as client:
                await client.send(get("/slow"))
                await origins[0].received(1)
                kept = it.member()
                assert kept.requests == 1
                await it.running.master.adopt(replaced_members(rules, rules.pools["pool01"].members))
                assert it.member() is kept
                assert kept.requests == 1
                gone = replaced_members(rules, rules.pools["pool01"].members[1:])
                await it.running.master.adopt(gone)
                assert it.state.pools["pool01"].member("fe01") is None
                let_go.set()
                assert (await client.reply()).status == 200
                assert kept.requests == 0
                assert (await client.ask(get("/next"))).status == 200
                assert [r.target for r in origins[1].requests] == [b"/next"]
                assert [r.member for r in it.records] == ["fe01", "fe02"]

    asyncio.run(check())


def replaced_members(rules: Policy, chosen: tuple[Member, ...]) -> Policy:
    changed = dataclasses.replace(rules.pools["pool01"], members=chosen)
    return dataclasses.replace(rules, version="1", pools={"pool01": changed})


def test_a_reload_keeps_counting_what_members_carry() -> None:
    """Those that stay with what they carry; new ones from nothing; of those that are gone nothing is told."""
    name = "lyncgate_upstream_connections"

    async def check() -> None:
        async with members(2) as origins:
            first, both = policy(origins[:1]), policy(origins)
            second = dataclasses.replace(both, pools={"pool01": drained(both.pools["pool01"], "fe01")})
            let_go = asyncio.Event()

            async def poll(_: Any, peer: Any) -> None:
                await let_go.wait()
                await peer.send(OK)

            for origin in origins:
                origin.answers(poll)
            async with edge(first) as it, it.http() as before, it.http() as after:
                await before.send(get("/poll"))
                await origins[0].received(1)
                await reloaded(it, dataclasses.replace(second, version="1"))
                assert it.metric(name, member="fe01") == 1
                await after.send(get("/poll"))
                await origins[1].received(1)
                assert (it.metric(name, member="fe01"), it.metric(name, member="fe02")) == (1, 1)
                await reloaded(it, dataclasses.replace(first, version="2"))
                assert it.metric(name) == it.metric(name, member="fe01") == 1
                let_go.set()
                for client in (before, after):
                    assert (await client.reply()).status == 200
                assert it.metric(name) == 0

    asyncio.run(check())


async def reloaded(it: EdgeUnderTest, rules: Policy) -> None:
    """As `EdgeBody.adopt` does it."""
    await it.running.master.adopt(rules)
    it.running.metrics.configure(rules)


def drained(pool: Pool, name: str) -> Pool:
    """The pool with one member that gets no new clients."""
    changed = [dataclasses.replace(one, drain=one.name == name) for one in pool.members]
    return dataclasses.replace(pool, members=tuple(changed))


def test_a_reload_that_removes_the_pool_while_we_connect() -> None:
    async def check() -> None:
        async with members(1) as origins:
            await origins[0].stop()
            rules = policy(origins, connect=0.3)
            with black_hole(origins[0].address, origins[0].port):
                async with edge(rules) as it, it.https() as client:
                    await client.send(get())
                    await until(lambda: it.member().requests)
                    member = it.member()
                    await it.running.master.adopt(
                        dataclasses.replace(rules, version="1", pools={}, publications=(), domains={})
                    )
                    assert await client.rest() == EMPTY_504
                    assert member.requests == 0
                    async with it.https() as other:
                        assert (await other.ask(get())).status == 404

    asyncio.run(check())
