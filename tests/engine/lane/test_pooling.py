"""Which exchanges share a connection to a member, and which never do."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from lyncgate.engine.lane import upstreams
from lyncgate.policy.policy import Bridge
from lyncgate.signin.exchange import Outcome
from support import certificates, ntlm_origin
from support.edge import edge, policy, until
from support.origin import OK, Origin, members
from support.rawhttp import get, post

pytestmark = pytest.mark.engines("lane")

NTLM = f"Authorization: {ntlm_origin.negotiate()}"
POLL = get("/ucwa/oauth/v1/applications/1/events?ack=1")
CHALLENGE = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"


def connections(origin: Origin) -> list[int]:
    """Which one each request came by."""
    return [request.connection for request in origin.requests]


def test_clients_share_what_proves_nothing() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http() as one, it.http() as two:
                for client in (one, one, two, one):
                    assert (await client.ask(get())).status == 200
            async with it.http() as three:
                assert (await three.ask(post(b"x"))).status == 200
            assert connections(origins[0]) == [1] * 5
            assert [record.reused for record in it.records] == [False, True, True, True, True]

    asyncio.run(check())


def test_those_who_ask_at_once_do_not() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as one, it.http() as two:
            together = asyncio.Event()

            async def wait(_: Any, peer: Any) -> None:
                await together.wait()
                await peer.send(OK)

            origins[0].answers(wait)
            await one.send(get())
            await two.send(get())
            await origins[0].received(2)
            together.set()
            assert (await one.reply()).status == (await two.reply()).status == 200
            assert sorted(connections(origins[0])) == [1, 2]
            assert it.upstreams == 2

    asyncio.run(check())


@pytest.mark.parametrize("by", ["request", "challenge"])
def test_a_log_on_makes_it_the_clients_own(by: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as other:
            async with it.http() as mine:
                assert (await other.ask(get())).status == 200  # so there is one to share
                if by == "challenge":
                    origins[0].answers(CHALLENGE)
                assert (await mine.ask(get("/", *([NTLM] if by == "request" else [])))).status in (200, 401)
                origins[0].answers(OK)
                for client in (other, mine, other, mine):
                    assert (await client.ask(get())).status == 200
                assert connections(origins[0]) == [1, 1, 2, 1, 2, 1]
            await origins[0].until(lambda origin: {peer.number for peer in origin.peers} == {2})
            assert (await other.ask(get())).status == 200
            assert connections(origins[0])[-1] == 2
            assert it.upstreams == 1

    asyncio.run(check())


def test_a_log_on_that_the_member_ends() -> None:
    """The client is bound to that member no more; its next log-on may be anywhere."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get("/", NTLM))).status == 200
            [known] = it.clients
            assert known.bonds["pool01"].pinned
            [peer] = origins[0].peers
            peer.writer.close()
            await until(lambda: not it.upstreams)
            assert not known.bonds["pool01"].pinned
            assert (await client.ask(get("/", NTLM))).status == 200
            assert connections(origins[0]) == [1, 2]

    asyncio.run(check())


def test_one_that_waits_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "IDLE", 0.1)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            assert it.upstreams == 1
            await origins[0].until(lambda origin: not origin.peers)
            assert it.upstreams == 0
            assert (await client.ask(post(b"x"))).status == 200

    asyncio.run(check())


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_one_that_the_member_has_done_with_is_not_used(last_words: bytes) -> None:
    """Seen by the look that is taken before it is used, should the loop not have come to it yet."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            lane = it.lane
            [upstream] = lane.upstreams.all
            assert upstream.stream is not None
            upstream.stream.pause()
            [peer] = origins[0].peers
            peer.writer.write(last_words)
            if not last_words:
                peer.writer.close()
            await until(upstream.stream.stale)
            assert (await client.ask(post(b"once"))).status == 200
            assert connections(origins[0]) == [1, 2]

    asyncio.run(check())


@pytest.mark.parametrize("request_", [get(), POLL, get("/", "Content-Length: 1") + b"x"])
@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_whatever_is_asked_for(last_words: bytes, request_: bytes) -> None:
    """In the loop's very turn: a GET would have a 408 for its answer, and not all can be asked for again."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            lane = it.lane
            [upstream], [connection] = lane.upstreams.all, lane.clients
            assert upstream.stream is not None
            upstream.stream.pause()
            [peer] = origins[0].peers
            peer.writer.write(last_words)
            if not last_words:
                peer.writer.close()
            await until(upstream.stream.heard)
            upstream.stream.read()
            connection.received(request_)
            assert (await client.reply()).status == 200
            assert connections(origins[0]) == [1, 2]

    asyncio.run(check())


def test_a_word_that_nobody_asked_for_ends_it() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            [peer] = origins[0].peers
            await peer.send(OK)
            await until(lambda: not it.upstreams)
            assert (await client.ask(get())).status == 200
            assert connections(origins[0]) == [1, 2]

    asyncio.run(check())


def test_rules_read_anew_end_those_of_the_old() -> None:
    """An idle one at once, a busy one with what it carries: its certificates may be outdated."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1, tls=tls) as origins:
            rules = policy(origins)
            async with edge(rules) as it, it.https() as one, it.https() as two:
                go_on = asyncio.Event()

                async def wait(received: Any, peer: Any) -> None:
                    if received.target == b"/busy":
                        await go_on.wait()
                    await peer.send(OK)

                origins[0].answers(wait)
                await one.send(get("/busy"))
                await origins[0].received(1)
                assert (await two.ask(get())).status == 200
                await it.running.master.adopt(dataclasses.replace(rules, version="1"))
                await origins[0].until(lambda origin: {peer.number for peer in origin.peers} == {1})
                go_on.set()
                assert (await one.reply()).status == 200
                await origins[0].until(lambda origin: not origin.peers)
                assert (await one.ask(get())).status == 200
                assert (await two.ask(get())).status == 200
                assert connections(origins[0]) == [1, 2, 3, 3]
                assert {record.outcome for record in it.records} == {Outcome.OK}

    asyncio.run(check())


def test_tls_sessions_of_members_are_resumed() -> None:
    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it, it.https() as client:
            resumed = []

            async def answer(_: Any, peer: Any) -> bool:
                resumed.append(peer.writer.get_extra_info("ssl_object").session_reused)
                await peer.send(OK)
                return True

            origins[0].answers(answer)
            for _ in range(3):
                assert (await client.ask(get())).status == 200
                await origins[0].cut()
                await until(lambda: not it.upstreams)
            assert resumed == [False, True, True]

    asyncio.run(check())


def test_a_log_on_outlives_one_at_another_port_of_its_member() -> None:
    """A client logged on at two ports of a member. One connection ends; it stays bound by the other one."""

    async def check() -> None:
        async with members(2) as site, members(2) as office:
            rules = policy(site)
            port = office[0].port
            other = dataclasses.replace(
                rules.publications[0], name="other", paths=("/m",), bridge=Bridge(http=port, https=port)
            )
            rules = dataclasses.replace(rules, publications=(other, *rules.publications))
            async with edge(rules) as it, it.http() as client:
                assert (await client.ask(get("/m", NTLM))).status == 200
                assert (await client.ask(get("/", NTLM))).status == 200
                at = next(number for number, origin in enumerate(site) if origin.requests)
                await office[at].cut()
                await until(lambda: it.upstreams == 1)
                made = rules.pools["pool01"]
                changed = [dataclasses.replace(m, drain=n == at) for n, m in enumerate(made.members)]
                drained = dataclasses.replace(made, members=tuple(changed))
                await it.running.master.adopt(
                    dataclasses.replace(rules, version="1", pools={"pool01": drained})
                )
                assert (await client.ask(get("/", NTLM))).status == 200
                assert connections(site[at]) == [1, 1]

    asyncio.run(check())
