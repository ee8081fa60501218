"""How a client finds the same member again: its connection, its address, its cookie, its NTLM sign-in."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from lyncgate.policy.policy import Affinity, Balance, Policy
from support.edge import EdgeUnderTest, edge, policy, pool, until
from support.origin import OK, Origin, members
from support.rawhttp import Client, Message, get

NEGOTIATE = "Authorization: NTLM TlRMTVNTUAABAAAA"
NTLM = "Authorization: NTLM TlRMTVNTUAADAAAA"
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\nContent-Length: 0\r\n\r\n"
)


def who(origins: list[Origin]) -> None:
    """Each says its address."""
    for origin in origins:
        body = origin.address.encode()
        origin.answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def drained(rules: Policy, *names: str) -> Policy:
    pool = rules.pools["pool01"]
    changed = tuple(dataclasses.replace(m, drain=m.name in names) for m in pool.members)
    return dataclasses.replace(
        rules, version="drained", pools={"pool01": dataclasses.replace(pool, members=changed)}
    )


def put_down(it: EdgeUnderTest, name: str) -> None:
    member = it.member(name)
    for _ in range(it.state.pools["pool01"].pool.health.fall):
        member.record("https", False, it.state.pools["pool01"].pool)
    assert not member.usable


def cookie_of(reply: Message) -> str:
    """The affinity cookie that an answer sets, as MS-WSMAN must be: plain (protocol reference §9.7)."""
    value = reply.value("set-cookie")
    assert value is not None
    name, _, rest = value.decode().partition("=")
    assert name == "MS-WSMAN"
    token, *attributes = rest.split("; ")
    assert attributes == ["path=/"], "no expiry, and not HttpOnly"
    return token


async def asked(client: Client, *fields: str) -> bytes:
    return (await client.ask(get("/", *fields))).body


def test_a_connection_stays_with_its_member() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins, balance=Balance.ROUND_ROBIN)) as it:
            who(origins)
            async with it.http() as one, it.http() as other:
                seen = [(await asked(one), await asked(other)) for _ in range(4)]
            assert len(set(seen)) == 1
            assert seen[0][0] != seen[0][1]

    asyncio.run(check())


def test_a_connection_leaves_a_member_that_goes_down() -> None:
    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it, it.http() as client:
            who(origins)
            first = await asked(client)
            name = "fe01" if first == b"127.0.0.2" else "fe02"
            put_down(it, name)
            second = await asked(client)
            assert second != first
            it.member(name).record("https", True, it.state.pools["pool01"].pool)
            it.member(name).record("https", True, it.state.pools["pool01"].pool)
            assert await asked(client) == second, "it does not jump back"

    asyncio.run(check())


def test_by_source_address() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins, affinity=Affinity.SOURCE)) as it:
            who(origins)
            seen: dict[str, set[bytes]] = {}
            for number in range(12):
                source = f"127.0.1.{1 + number % 6}"
                async with it.http(source=source) as client:
                    seen.setdefault(source, set()).add(await asked(client))
            assert all(len(addresses) == 1 for addresses in seen.values())
            assert len(set.union(*seen.values())) > 1

    asyncio.run(check())


def test_by_cookie() -> None:
    async def check() -> None:
        async with members(3) as origins, edge(policy(origins, affinity=Affinity.COOKIE)) as it:
            who(origins)
            async with it.http() as client:
                reply = await client.ask(get())
                token, member = cookie_of(reply), reply.body
                again = await client.ask(get())
                assert cookie_of(again) == token, "on every answer whose request lacked it"
                known = await client.ask(get("/", f"Cookie: a=b; MS-WSMAN={token}; c=d"))
                assert known.value("set-cookie") is None
                assert known.body == member
            for _ in range(5):
                async with it.http() as client:
                    assert await asked(client, f"Cookie: MS-WSMAN={token}") == member
            cookies = {request.value("cookie") for origin in origins for request in origin.requests}
            assert f"a=b; MS-WSMAN={token}; c=d".encode() in cookies, "passed on as it came"

    asyncio.run(check())


@pytest.mark.parametrize("value", ["", "x", "0123456789abcdef", "../../etc", "a" * 5000])
def test_a_cookie_that_names_nobody_is_replaced(value: str) -> None:
    async def check() -> None:
        async with (
            members(2) as origins,
            edge(policy(origins, affinity=Affinity.COOKIE)) as it,
            it.http() as client,
        ):
            reply = await client.ask(get("/", f"Cookie: MS-WSMAN={value}"))
            assert cookie_of(reply) in {m.token for m in it.state.pools["pool01"].members}

    asyncio.run(check())


@pytest.mark.parametrize("how", ["down", "drained", "refusing"])
def test_a_cookie_of_a_member_that_is_gone_is_replaced(how: str) -> None:
    async def check() -> None:
        async with members(2) as origins:
            rules = policy(origins, affinity=Affinity.COOKIE)
            async with edge(rules) as it:
                who(origins)
                async with it.http() as client:
                    reply = await client.ask(get())
                old = cookie_of(reply)
                number = [origin.address.encode() for origin in origins].index(reply.body)
                if how == "down":
                    put_down(it, f"fe0{number + 1}")
                elif how == "drained":
                    await it.running.master.adopt(drained(rules, f"fe0{number + 1}"))
                else:
                    await origins[number].stop()
                async with it.http() as client:
                    moved = await client.ask(get("/", f"Cookie: MS-WSMAN={old}"))
                    assert moved.body != reply.body
                    new = cookie_of(moved)
                    assert new != old
                    assert (await client.ask(get("/", f"Cookie: MS-WSMAN={new}"))).value("set-cookie") is None

    asyncio.run(check())


def test_cookies_of_the_pool_itself_stay_as_they_are() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, affinity=Affinity.COOKIE)) as it:
            origins[0].answers(
                b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; HttpOnly\r\nContent-Length: 0\r\n"
                b"Set-Cookie: b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\n\r\n"
            )
            async with it.http() as client:
                values = (await client.ask(get())).values("set-cookie")
                assert values[:2] == [b"a=1; HttpOnly", b"b=2; Expires=Wed, 09 Jun 2027 10:18:14 GMT"]
                assert len(values) == 3

    asyncio.run(check())


async def signed_in(client: Client, origins: list[Origin]) -> Origin:
    """An NTLM sign-in on this connection; where it went."""
    for origin in origins:
        origin.answers(CHALLENGE)
    assert (await client.ask(get())).status == 401
    for origin in origins:
        origin.answers(OK)
    assert (await client.ask(get("/", NTLM))).status == 200
    [at] = [origin for origin in origins if origin.requests]
    assert at.connections == 1
    return at


def test_ntlm_stays_with_its_member_while_that_drains() -> None:
    async def check() -> None:
        async with members(2) as origins:
            rules = policy(origins)
            async with edge(rules) as it, it.http() as client:
                at = await signed_in(client, origins)
                await it.running.master.adopt(drained(rules, f"fe0{origins.index(at) + 1}"))
                for number in range(3):
                    assert (await client.ask(get(f"/{number}"))).status == 200
                assert (len(at.requests), at.connections) == (5, 1), "the same connection"
                async with it.http() as new:
                    assert (await new.ask(get())).status == 200
                assert len(at.requests) == 5, "no new clients"

    asyncio.run(check())


def test_without_ntlm_a_draining_member_is_left() -> None:
    async def check() -> None:
        async with members(2) as origins:
            rules = policy(origins)
            async with edge(rules) as it, it.http() as client:
                who(origins)
                first = await asked(client)
                name = "fe01" if first == origins[0].address.encode() else "fe02"
                await it.running.master.adopt(drained(rules, name))
                assert await asked(client) != first

    asyncio.run(check())


@pytest.mark.parametrize("checks", ["its", "all"])
def test_a_handshake_is_finished_where_it_began(checks: str) -> None:
    """Health checks that fail between the messages of NTLM, of one member or (a machine that is short of
    breath) of all, move nothing: elsewhere the proof would be refused for certain."""

    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it, it.http() as client:
            for origin in origins:
                origin.answers(CHALLENGE)
            assert (await client.ask(get("/", NEGOTIATE))).status == 401
            [at] = [origin for origin in origins if origin.requests]
            for name in [f"fe0{origins.index(at) + 1}"] if checks == "its" else ["fe01", "fe02"]:
                put_down(it, name)
            at.answers(OK)
            for fields in ([NTLM], [], []):
                assert (await client.ask(get("/", *fields))).status == 200
            assert (len(at.requests), at.connections) == (4, 1), "the same connection"
            async with it.http() as new:
                assert (await new.ask(get())).status == (401 if checks == "its" else 503)
            assert len(at.requests) == 4, "no new clients"

    asyncio.run(check())


def test_ntlm_ends_with_its_connection() -> None:
    """What the connection was signed in as is gone with it: nothing holds the client to a member that is
    down."""

    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it, it.http() as client:
            at = await signed_in(client, origins)
            await at.cut()
            put_down(it, f"fe0{origins.index(at) + 1}")
            [record] = it.records[-1:]
            assert record.member == f"fe0{origins.index(at) + 1}"
            [known] = it.clients
            await until(lambda: not known.bonds["pool01"].pinned)
            assert (await client.ask(get())).status == 200
            assert len(at.requests) == 2

    asyncio.run(check())


def test_ntlm_beats_the_cookie() -> None:
    """The sign-in lives on the connection, whatever a cookie from elsewhere says; and since the request lacks
    the right one, the answer sets it."""

    async def check() -> None:
        async with (
            members(2) as origins,
            edge(policy(origins, affinity=Affinity.COOKIE)) as it,
            it.http() as client,
        ):
            at = await signed_in(client, origins)
            states = it.state.pools["pool01"].members
            here = states[origins.index(at)]
            [elsewhere] = [state for state in states if state is not here]
            reply = await client.ask(get("/", f"Cookie: MS-WSMAN={elsewhere.token}"))
            assert cookie_of(reply) == here.token
            bare = await client.ask(get("/"))
            assert cookie_of(bare) == here.token
            right = await client.ask(get("/", f"Cookie: MS-WSMAN={here.token}"))
            assert right.value("set-cookie") is None
            assert (len(at.requests), at.connections) == (5, 1)

    asyncio.run(check())


def test_upstream_connections_are_never_shared() -> None:
    """What one client's connection is signed in as, another's must never be."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            identities: dict[int, bytes] = {}

            async def iis(request: Any, peer: Any) -> None:
                credentials = request.value("authorization")
                if credentials:
                    identities[peer.number] = credentials
                body = identities.get(peer.number, b"nobody")
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

            origins[0].answers(iis)
            for _ in range(3):
                async with it.http() as alice, it.http() as bob, it.http() as nobody:
                    assert await asked(alice, "Authorization: NTLM alice") == b"NTLM alice"
                    assert await asked(bob, "Authorization: NTLM bob") == b"NTLM bob"
                    assert await asked(nobody) == b"nobody"
                    assert await asked(alice) == b"NTLM alice"
                    assert await asked(bob) == b"NTLM bob"
                    await until(lambda: it.upstreams == 3)
                await until(lambda: it.upstreams <= 1)  # nobody's may be left, for anybody
            assert origins[0].connections <= 9

    asyncio.run(check())


@pytest.mark.parametrize("fields", [(), (NTLM,)])
def test_a_connection_that_asks_two_pools_stays_with_its_member_of_each(fields: tuple[str, ...]) -> None:
    async def check() -> None:
        async with members(2) as first, members(2) as second:
            rules = policy(first, balance=Balance.ROUND_ROBIN)
            other = dataclasses.replace(rules.publications[0], name="other", paths=("/other",), pool="pool02")
            rules = dataclasses.replace(
                rules,
                publications=(other, *rules.publications),
                pools={**rules.pools, "pool02": pool(second, "pool02")},
            )
            async with edge(rules) as it, it.http() as client:
                for _ in range(3):
                    assert (await client.ask(get("/", *fields))).status == 200
                    assert (await client.ask(get("/other"))).status == 200
                assert sorted(len(origin.requests) for origin in first) == [0, 3]
                assert sorted(len(origin.requests) for origin in second) == [0, 3]

    asyncio.run(check())
