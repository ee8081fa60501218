"""Whoever vanishes without closing TCP is found out in time, and who only keeps silent is let be.

    phones 10.72.1.2 ── edge ──┬── fe01 10.72.2.2
           10.72.4.2 ──────────┴── fe02 10.72.3.2

A machine that vanishes is a namespace that drops whatever comes and goes, or whose cable is out.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.namespaces import Namespace, link, namespaces
from support.origin import OK, Origin, Peer, Received
from support.processes import LYNCGATE, Process
from support.rawhttp import Client, connected, get
from support.requirements import require

WEB = "lyncweb.contoso.example"
POLL = "/ucwa/oauth/v1/applications/1/events?ack=1"
NEGOTIATE = "Authorization: NTLM TlRMTVNTUAABAAAA"
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\nContent-Length: 0\r\n\r\n"
)
FRONT_ENDS = {"fe01": "10.72.2.2", "fe02": "10.72.3.2"}
LOST_MEMBER, LOST_CLIENT = 3.0, 3.0  # seconds, in these rules
SLACK = 4.0  # seconds: probes come at whole seconds, and the machine is busy


def dropped(machine: Namespace) -> None:
    """Whatever comes or goes."""
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n"
        for hook in ("input", "output")
    )
    machine.run("nft", "-f", "-", text=f"table inet gone {{\n{chains}}}\n")


def unplugged(machine: Namespace) -> None:
    machine.run("ip", "link", "set", "edge", "down")


@dataclasses.dataclass
class Site:
    machines: dict[str, Namespace]
    origins: dict[str, Origin]
    edge: Process
    let_go: asyncio.Event

    def client(self, phone: str = "phone") -> contextlib.AbstractAsyncContextManager[Client]:
        """A connection of its own to the edge."""
        address = "10.72.1.1" if phone == "phone" else "10.72.4.1"
        return self._connected(phone, (address, self.edge.said["listeners"]["http"][0][1]))

    @contextlib.asynccontextmanager
    async def _connected(self, phone: str, address: tuple[str, int]) -> AsyncIterator[Client]:
        with contextlib.ExitStack() as there:
            there.enter_context(self.machines[phone].entered())
            async with connected(address) as client:
                there.close()
                yield client

    def log(self) -> list[dict[str, Any]]:
        lines = (self.edge.log.parent / "access.log").read_text().splitlines()
        return [json.loads(line) for line in lines]


def rules(directory: Path) -> Path:
    members = [{"name": name, "host": host} for name, host in FRONT_ENDS.items()]
    settings = {"bridge": {"http": 8080, "https": "off"}, "health": {"tcp": "off", "https": "off"}}
    document = {
        "version": 1,
        "listeners": {"http": {"bind": ["0.0.0.0:0"], "protocol": "http"}},
        "pools": {
            "pool01": {"members": members, **settings},
            **{one["name"]: {"members": [one], **settings} for one in members},
        },
        "publications": [
            {"name": "web", "hosts": [WEB], "pool": "pool01"},
            *({"name": name, "hosts": [f"{name}.contoso.example"], "pool": name} for name in FRONT_ENDS),
        ],
        "timeouts": {"lost_member": f"{LOST_MEMBER:g}s", "lost_client": f"{LOST_CLIENT:g}s", "connect": "1s"},
        "access_log": {"path": "access.log"},
        "admin": {"bind": "off"},
    }
    path = directory / "rules.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture
def machines() -> Iterator[dict[str, Namespace]]:
    require("nft", "nftables")
    with namespaces("phone", "other", "edge", *FRONT_ENDS) as made:
        named = {machine.role: machine for machine in made}
        edge = named["edge"]
        for name, net in {
            "phone": "10.72.1",
            "other": "10.72.4",
            "fe01": "10.72.2",
            "fe02": "10.72.3",
        }.items():
            link(named[name], f"{net}.2/24", edge, f"{net}.1/24")
        yield named


@contextlib.asynccontextmanager
async def site(directory: Path, machines: dict[str, Namespace]) -> AsyncIterator[Site]:
    """All of it. Polls are answered when `let_go` is set."""
    let_go = asyncio.Event()

    async def answer(request: Received, peer: Peer) -> None:
        if b"/events" in request.line:
            await let_go.wait()
        await peer.send(CHALLENGE if request.value("authorization") else OK)

    origins = {name: Origin(host, 8080, None) for name, host in FRONT_ENDS.items()}
    async with contextlib.AsyncExitStack() as stack:
        for name, origin in origins.items():
            origin.answers(answer)
            with machines[name].entered():
                await origin.start()
            stack.push_async_callback(origin.stop)
        prefix = machines["edge"].prefix
        command = (*prefix, *LYNCGATE, "serve", "--json", "--rules", str(rules(directory)))
        with contextlib.closing(Process(*command, log=directory / "edge.log")) as edge:
            await asyncio.to_thread(lambda: edge.said)
            yield Site(machines, origins, edge, let_go)


@pytest.mark.parametrize("vanish", [dropped, unplugged])
def test_a_member_that_vanishes(tmp_path: Path, machines: dict[str, Namespace], vanish: Any) -> None:
    """Its polls get their 504, who had logged on there is served by another one, and a silent poll at that
    one hangs on."""

    async def check() -> None:
        async with (
            site(tmp_path, machines) as it,
            it.client() as pinned,
            it.client() as polls,
            it.client() as healthy,
        ):
            assert (await pinned.ask(get("/", NEGOTIATE))).status == 401
            [(gone, there)] = [(name, one) for name, one in it.origins.items() if one.requests]
            [other] = FRONT_ENDS.keys() - {gone}
            await polls.send(get(POLL, host=f"{gone}.contoso.example"))
            await healthy.send(get(POLL, host=f"{other}.contoso.example"))
            await there.received(2)
            await it.origins[other].received(1)

            began = time.monotonic()
            vanish(machines[gone])
            assert (await polls.reply()).status == 504
            took = time.monotonic() - began
            assert took <= LOST_MEMBER + SLACK, took
            assert (await pinned.ask(get("/"))).body == b"ok"
            assert len(it.origins[other].requests) == 2
            assert took >= 1, "it was not the silence"
            it.let_go.set()
            assert (await healthy.reply()).body == b"ok"
        [poll] = [line for line in it.log() if line.get("status") == 504]
        assert (poll["outcome"], poll["member"], poll["attempts"]) == ("upstream_timeout", gone, 1)

    asyncio.run(check())


def test_a_member_that_vanishes_with_a_request_on_its_way(
    tmp_path: Path, machines: dict[str, Namespace]
) -> None:
    """Nothing is probed while bytes are not acknowledged."""

    async def check() -> None:
        async with site(tmp_path, machines) as it, it.client() as client:
            host = "fe01.contoso.example"
            assert (await client.ask(get("/", host=host))).status == 200
            dropped(machines["fe01"])
            began = time.monotonic()
            reply = await client.ask(get("/", "Content-Length: 0", method="POST", host=host))
            assert reply.status == 504
            assert time.monotonic() - began <= LOST_MEMBER + SLACK

    asyncio.run(check())


def test_a_client_that_vanishes(tmp_path: Path, machines: dict[str, Namespace]) -> None:
    """Its poll is given up; one of a client that is silent is not."""

    async def check() -> None:
        async with site(tmp_path, machines) as it, it.client() as lost, it.client("other") as silent:
            await lost.send(get(POLL, host="fe01.contoso.example"))
            await silent.send(get(POLL, host="fe02.contoso.example"))
            for origin in it.origins.values():
                await origin.received(1)
            [peer] = it.origins["fe01"].peers
            began = time.monotonic()
            dropped(machines["phone"])
            assert await peer.gone() == b""
            assert 1 <= time.monotonic() - began <= 2 * LOST_CLIENT + SLACK
            it.let_go.set()
            assert (await silent.reply()).body == b"ok"
        [given_up] = [line for line in it.log() if line["outcome"] != "ok"]
        assert given_up["outcome"] == "client_gone"

    asyncio.run(check())
