"""Polls: requests that hang until something happens, by the half hour and by the thousand.

Lync's mobile and web clients keep one to three of them up all day; a proxy that ends them early signs its
users out, and one that pays for them in memory does not live through the morning (protocol reference §6.3).
"""

import asyncio
import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import phones
from e2e.phones import Application
from lyncgate.client.http import HttpConnection, Reply
from lyncgate.lab.authority import client_context
from support.faketime import faketime
from support.processes import Edge, Lab, Process, edge_process, lab_process
from support.requirements import require

ALICE = "alice@contoso.example"
EMEA = "lyncweb-emea.contoso.example"
POLLS = 1000


@pytest.mark.timeout(300)
def test_a_poll_of_200_seconds(lab: Lab, edge: Edge) -> None:
    """Real ones: longer than the defaults of any proxy, and not a byte moves meanwhile."""

    async def polls() -> tuple[bool, float, bool]:
        names, tls = lab.names(edge), client_context(lab.directory)
        async with phones.opened(names, tls) as connection, phones.opened(names, tls) as lane:
            application = await Application.create(connection, await phones.get_ticket(connection, ALICE))
            started = time.monotonic()
            event = await application.poll(lane, 200)
            took = time.monotonic() - started
            await application.happen(connection)
            return event, took, await application.poll(lane, 200)

    before = edge.so_far()
    event, took, event_after = asyncio.run(polls())
    assert not event
    assert 200 <= took < 215
    assert event_after, "what it hung on is as good as before, the pool's state of it too"
    record, _ = [r for r in edge.settled(6, since=before) if r["kind"] == "poll"]
    assert (record["outcome"], record["status"], record["ended_by"]) == ("ok", 200, "upstream")
    assert 200 <= record["phases"]["wait"] < 215


@pytest.mark.timeout(240)
def test_polls_of_half_an_hour(tmp_path: Path) -> None:
    """With a clock that runs 60 times as fast. UCWA's longest poll is 1,800 s, and a member may by default be
    silent for 1,860 s; here for 1,880 s, so that even those 1,860 s end well."""
    fast = faketime(speed=60)
    lenient = {"every": "60s", "timeout": "60s"}  # a second of ours is a minute to them
    with lab_process(tmp_path, prefix=fast) as lab, odd_member(lab, fast) as odd:
        rules = lab.rules(
            timeouts={"poll": "1880s", "connect": "300s", "handshake": "600s", "head": "600s"},
            pools={"pool01": {"health": lenient}, "pool02": odd | {"health": {**odd["health"], **lenient}}},
        )
        with edge_process(rules, prefix=fast) as edge:
            event, answered, unanswered = asyncio.run(half_an_hour(lab, edge))
        # Written when the edge stops: the thread that writes has its limits with this clock, see faketime.
        records = {r["path"].split("/")[-2]: r for r in edge.exchanges() if r["kind"] == "poll"}
    assert not event
    assert answered.status == 200
    assert answered.header("x-member") == "127.0.0.1"
    assert (unanswered.status, unanswered.body) == (504, b"")

    held, silent = records.pop("held"), records.pop("silent")
    (ucwa,) = records.values()
    assert (ucwa["outcome"], ucwa["status"]) == ("ok", 200)
    assert 1800 <= ucwa["phases"]["wait"] < 1880
    assert (held["outcome"], held["status"]) == ("ok", 200)
    assert 1860 <= held["phases"]["wait"] < 1880
    assert (silent["outcome"], silent["status"], silent["ended_by"]) == ("upstream_timeout", 504, "proxy")
    assert 1880 <= silent["phases"]["total"] < 1940
    assert silent["phases"]["wait"] is None  # it began and never ended


async def half_an_hour(lab: Lab, edge: Edge) -> tuple[bool, Reply, Reply]:
    names, tls = lab.names(edge), client_context(lab.directory)

    async def poll_of_alice() -> bool:
        async with phones.opened(names, tls) as connection, phones.opened(names, tls) as lane:
            application = await Application.create(connection, await phones.get_ticket(connection, ALICE))
            return await application.poll(lane, 1800)

    async def poll_of_odd_member(application: str, wait: str) -> Reply:
        async with phones.opened(names, tls, EMEA) as connection:
            return await connection.request("GET", f"{phones.UCWA}/{application}/events?wait={wait}")

    return await asyncio.gather(
        poll_of_alice(), poll_of_odd_member("held", "1860"), poll_of_odd_member("silent", "forever")
    )


@contextlib.contextmanager
def odd_member(lab: Lab, prefix: list[str]) -> Iterator[dict[str, Any]]:
    """A pool of one member that does as it is told: its section of rules.yaml."""
    command = [sys.executable, "-m", "support.member", "--address=127.0.0.1"]
    command.append(f"--directory={lab.directory}")
    with contextlib.closing(Process(*prefix, *command, log=lab.directory / "member.log")) as process:
        port = process.said["port"]
        yield {
            "members": ["127.0.0.1"],
            "bridge": {"https": port},
            "tls": {"ca": str(lab.ca), "name": "pool01.contoso.local"},
            "health": {"tcp": port},
        }


def test_a_thousand_polls_at_once(tmp_path: Path) -> None:
    """Each with a connection of its own, to the edge and on to a member; then each gets its event."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    require(hard >= 4 * POLLS, "systemd (a limit of 4096 open files)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * POLLS), hard))
    with lab_process(tmp_path) as lab, edge_process(lab.rules()) as edge:
        events, growth = asyncio.run(a_thousand(lab, edge))
        edge.wait_for("lyncgate_polls_held", 0)
        records = [r for r in edge.settled(2 * POLLS) if r["kind"] == "poll"]
    print(f"{growth / POLLS / 1000:.0f} kB of the edge's memory for a held poll")
    assert events == [True] * POLLS
    assert {(r["outcome"], r["status"]) for r in records} == {("ok", 200)}
    assert len({r["connection"] for r in records}) == len(records) == POLLS
    assert {r["member"] for r in records} == {"fe01", "fe02"}
    assert growth / POLLS < 400_000


async def a_thousand(lab: Lab, edge: Edge) -> tuple[list[bool], int]:
    """What each poll brought, and the bytes by which the edge grew for all of them together."""
    names, tls = lab.names(edge), client_context(lab.directory)
    async with phones.opened(names, tls) as connection:
        ticket = await phones.get_ticket(connection, ALICE)
        applications = [await Application.create(connection, ticket) for _ in range(POLLS)]
        empty = edge.process.rss
        async with contextlib.AsyncExitStack() as stack:
            lanes: list[HttpConnection] = []
            for _ in range(POLLS):
                lanes.append(await stack.enter_async_context(phones.opened(names, tls)))
            polls = [
                asyncio.create_task(application.poll(lane, 1800))
                for application, lane in zip(applications, lanes, strict=True)
            ]
            await asyncio.to_thread(edge.wait_for, "lyncgate_polls_held", POLLS)
            growth = edge.process.rss - empty
            assert not any(poll.done() for poll in polls)
            for application in applications:
                await application.happen(connection)
            return await asyncio.gather(*polls), growth
