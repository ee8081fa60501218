"""Nobody ever gets what was meant for somebody else: tickets of many users at once through the edge.

NTLM proves who a *connection* is. A proxy that puts two clients on one connection to a member hands out
tickets in the wrong name, and nothing fails: that is why each ticket is read here (protocol reference §3.3).
"""

import asyncio
import collections
import contextlib
import random
from collections.abc import Callable

import pytest

from e2e import phones
from lyncgate.client.http import HttpConnection
from lyncgate.engine.master import Engine
from lyncgate.lab.authority import client_context
from support.processes import Edge, Lab

USERS = [f"user{number:02}@contoso.example" for number in range(1, 51)]

Granted = list[tuple[str, str]]  # who asked, and whose ticket came


@pytest.mark.parametrize(("engine", "turns"), [(Engine.LANE, 100), (Engine.STOCK, 40)])
def test_fifty_users_with_a_connection_each(
    engine: Engine, turns: int, lab: Lab, edge_of: Callable[[Engine], Edge]
) -> None:
    """Many tickets each: every fifth by a new handshake, four by what the connection has proven already."""
    edge = edge_of(engine)
    names, tls = lab.names(edge), client_context(lab.directory)
    before = edge.so_far()

    async def user(sip: str) -> Granted:
        granted: Granted = []
        async with phones.opened(names, tls) as connection:
            for turn in range(turns):
                ask = phones.ask_again(connection) if turn % 5 else phones.get_ticket(connection, sip)
                granted.append((sip, phones.holder(await ask)))
        return granted

    async def all_users() -> Granted:
        return [pair for granted in await asyncio.gather(*map(user, USERS)) for pair in granted]

    granted = asyncio.run(all_users())
    assert len(granted) == 50 * turns
    assert [pair for pair in granted if pair[0] != pair[1]] == []
    assert collections.Counter(sip for _, sip in granted) == dict.fromkeys(USERS, turns)

    # So that the above was worth something: connections were kept on both sides, to both members.
    records = edge.settled(60 * turns, since=before)
    assert collections.Counter(r["status"] for r in records) == {200: 50 * turns, 401: 10 * turns}
    by_connection = collections.defaultdict(list)
    for record in records:
        by_connection[record["connection"]].append(record)
    assert len(by_connection) == len(USERS)
    for mine in by_connection.values():
        assert len(mine) == turns * 6 // 5
        assert [r["reused"] for r in mine[1:]] == [True] * (len(mine) - 1)
        assert len({r["member"] for r in mine}) == 1
        assert len({r["ntlm_user"] for r in mine if "ntlm_user" in r}) == 1
    assert {mine[0]["member"] for mine in by_connection.values()} == {"fe01", "fe02"}


class Shared:
    """A connection that many users take turns on, and that is dropped and made anew now and then."""

    def __init__(self, lab: Lab, edge: Edge) -> None:
        self._names, self._tls = lab.names(edge), client_context(lab.directory)
        self._connection: HttpConnection | None = None
        self.lock = asyncio.Lock()

    async def open(self) -> HttpConnection:
        if self._connection is None:
            self._connection = await HttpConnection.open(phones.WEB, 443, self._names, self._tls)
        return self._connection

    async def drop(self) -> None:
        if self._connection:
            await self._connection.close()
        self._connection = None


@pytest.mark.parametrize(("engine", "turns"), [(Engine.LANE, 20), (Engine.STOCK, 10)])
def test_users_who_share_connections_that_break(
    engine: Engine, turns: int, lab: Lab, edge_of: Callable[[Engine], Edge]
) -> None:
    """50 users on 12 connections: each has to prove who it is where another was before. Connections are
    dropped in between: between requests, between the legs of a handshake, and while an answer is awaited."""
    edge = edge_of(engine)
    before = edge.so_far()
    dice = random.Random(2013)

    async def turn(sip: str, shared: Shared) -> Granted:
        connection = await shared.open()
        match dice.randrange(8):
            case 0:
                await shared.drop()
                connection = await shared.open()
            case 1:
                await phones.Handshake(connection, sip).begin()
                await shared.drop()
                connection = await shared.open()
            case 2:
                unanswered = asyncio.create_task(phones.get_ticket(connection, sip))
                await asyncio.sleep(dice.uniform(0, 0.02))  # not to wait for anything: to be at any point
                unanswered.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await unanswered
                await shared.drop()
                connection = await shared.open()
        granted = [(sip, phones.holder(await phones.get_ticket(connection, sip)))]
        for _ in range(dice.randrange(3)):
            granted.append((sip, phones.holder(await phones.ask_again(connection))))
        return granted

    async def user(sip: str, all_shared: list[Shared]) -> Granted:
        granted: Granted = []
        for _ in range(turns):
            shared = dice.choice(all_shared)
            async with shared.lock:
                granted += await turn(sip, shared)
        return granted

    async def all_users() -> Granted:
        all_shared = [Shared(lab, edge) for _ in range(12)]
        granted = await asyncio.gather(*(user(sip, all_shared) for sip in USERS))
        for shared in all_shared:
            await shared.drop()
        return [pair for one in granted for pair in one]

    granted = asyncio.run(all_users())
    assert len(granted) >= 50 * turns
    assert [pair for pair in granted if pair[0] != pair[1]] == []

    # Users did follow each other on a connection to a member, and connections did go.
    records = edge.settled(2 * 50 * turns, since=before)
    users = collections.defaultdict(set)
    for record in records:
        users[record["connection"]].add(record.get("ntlm_user"))
    assert len(users) > 5 * turns
    assert max(map(len, users.values())) > 5
    assert {r["member"] for r in records if "member" in r} == {"fe01", "fe02"}
