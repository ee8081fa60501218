"""A member is killed under load. What was sent to it is lost and said so; nothing is sent twice; all that
comes later is served by the other one, and by both when it is back."""

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lyncgate.client.http import HttpConnection, Reply
from lyncgate.client.names import NameMap, NameRule
from lyncgate.lab import authority, rules
from lyncgate.lab.authority import client_context
from lyncgate.lab.ports import Ports
from support.member import requests_file
from support.processes import Edge, Process, edge_process

REQUESTS, CONNECTIONS, KILLED_AFTER = 1_000, 40, 300
ADDRESSES = {"fe01": "127.0.0.11", "fe02": "127.0.0.12"}


class Members:
    """Two members that write down what reaches them, and an edge's rules for them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, Process] = {}
        authority.write_certificates(directory)
        self._port = 0
        for name in ADDRESSES:
            self._port = self.start(name).said["port"]

    def start(self, name: str) -> Process:
        command = [sys.executable, "-m", "support.member", f"--directory={self.directory}"]
        command += [f"--address={ADDRESSES[name]}", f"--port={self._port}"]
        self.processes[name] = Process(*command, log=self.directory / f"{name}.log")
        return self.processes[name]

    def rules(self) -> Path:
        ports = Ports(*[self._port] * len(dataclasses.fields(Ports)))
        document = yaml.safe_load(rules.rules_yaml(self.directory, ports))
        document["access_log"] = {"path": "access.log"}
        document["pools"]["pool01"]["health"] |= {"every": "3s", "timeout": "3s"}  # busy is not down
        path = self.directory / "rules.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def received(self, name: str) -> list[tuple[str, str]]:
        """Method and target of every request that came to a member, those of health checks left out."""
        lines = requests_file(self.directory, ADDRESSES[name]).read_text().splitlines()
        asked = (line.split() for line in lines)
        return [(method, target) for method, target, request_id in asked if request_id != "None"]

    def close(self) -> None:
        for process in self.processes.values():
            process.close()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    with contextlib.closing(Members(tmp_path)) as members:
        yield members


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request of ours: `late` if it was begun when the member was dead already."""

    method: str
    target: str
    late: bool
    reply: Reply


async def load(members: Members, edge: Edge, at: dict[int, Callable[[], None]]) -> list[Asked]:
    """1,000 requests on 40 kept connections, every other one a POST. `at`: what happens after so many
    answers."""
    names = NameMap((NameRule("*", 443, edge.https),))
    tls = client_context(members.directory)
    numbers = iter(range(REQUESTS))
    answered: list[Asked] = []
    late = False

    async def client() -> None:
        nonlocal late
        connection: HttpConnection | None = None
        for number in numbers:
            method = "POST" if number % 2 else "GET"
            target = f"/alice/{number}?wait=0.05"
            if connection is None or not connection.reusable:  # an error of the edge's own ends it
                connection = await HttpConnection.open("meet.contoso.example", 443, names, tls)
            begun_late = late
            body = b"x" * 5_000 if method == "POST" else b""
            reply = await connection.request(method, target, (), body)
            answered.append(Asked(method, target, begun_late, reply))
            if event := at.get(len(answered)):
                event()
                late = True
        if connection:
            await connection.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return answered


def test_a_member_killed_during_a_thousand_requests(members: Members) -> None:
    with edge_process(members.rules()) as edge:
        asked = asyncio.run(load(members, edge, {KILLED_AFTER: members.processes["fe01"].kill}))
        records = {r["path"]: r for r in edge.settled(REQUESTS)}
    assert len(asked) == REQUESTS
    lost = [one for one in asked if one.reply.status != 200]

    # Lost is only what the dead member had, and the client is told in the edge's own words.
    assert 0 < len(lost) <= CONNECTIONS
    assert {(one.reply.status, one.reply.body) for one in lost} == {(502, b"")}
    assert [one for one in lost if one.late] == []
    received = {name: members.received(name) for name in ADDRESSES}
    for one in lost:
        record = records[one.target.partition("?")[0]]
        assert (record["outcome"], record["member"], record["attempts"]) == ("upstream_reset", "fe01", 1)
        assert (one.method, one.target) not in received["fe02"]

    # What came later went to the other one.
    for one in asked:
        if one.late:
            assert one.reply.header("x-member") == ADDRESSES["fe02"]

    # Nothing came twice, by the members' own count; tried twice is what no member had seen.
    seen = collections.Counter(itertools.chain(*received.values()))
    # But for what may be asked twice, if the connection was kept and ended without a byte of an answer.
    twice = [method for (method, _), times in seen.items() if times > 1]
    assert set(twice) <= {"GET"}
    assert max(seen.values()) <= 2
    assert len(twice) <= CONNECTIONS
    assert len(seen) >= REQUESTS - len(lost)
    moved = [record for record in records.values() if record["attempts"] > 1]
    assert moved
    for record in moved:
        assert (record["attempts"], record["member"], record["outcome"]) == (2, "fe02", "ok")
        came = [target for method, target in received["fe01"] if target.startswith(f"{record['path']}?")]
        assert not came or record["method"] == "GET"


def test_a_member_that_comes_back(members: Members) -> None:
    with edge_process(members.rules()) as edge:
        members.processes["fe01"].kill()
        edge.wait_for("lyncgate_upstream_up", 0, pool="pool01", member="fe01")
        asked = asyncio.run(load(members, edge, {}))
        assert {one.reply.status for one in asked} == {200}
        assert {record["attempts"] for record in edge.settled(REQUESTS)} == {1}, "it was known to be dead"
        assert members.received("fe01") == []

        members.start("fe01")
        edge.wait_for("lyncgate_upstream_up", 1, pool="pool01", member="fe01")
        asked = asyncio.run(load(members, edge, {}))
        shares = collections.Counter(one.reply.header("x-member") for one in asked)
    assert {one.reply.status for one in asked} == {200}
    assert min(shares[address] for address in ADDRESSES.values()) > REQUESTS / 4, shares
