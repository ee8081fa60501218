"""The master: listeners come and go with the policy, a bad one changes nothing, a stop cuts nobody short."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lyncgate.engine.master import StartError, require_versions
from lyncgate.lab.ports import bound
from lyncgate.policy.policy import Admin, Listener, Policy, Scheme
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import connected, get

MB = 1_000_000


def listening_on(rules: Policy, **binds: tuple[str, int]) -> Policy:
    """`rules` with more plain listeners."""
    added = {name: Listener(name, Scheme.HTTP, (bind,)) for name, bind in binds.items()}
    return dataclasses.replace(rules, version="+".join(binds), listeners={**rules.listeners, **added})


def test_a_new_listener_is_opened_and_the_others_stay() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as kept:
            assert (await kept.ask(get("/1"))).status == 200
            await it.running.master.adopt(listening_on(policy(origins), more=("127.0.0.1", 0)))
            addresses = it.running.master.addresses()
            assert addresses["http"] == [it.address("http")], "not even opened anew"
            async with connected(addresses["more"][0]) as client:
                assert (await client.ask(get("/2"))).status == 200
            assert (await kept.ask(get("/3"))).status == 200
            await it.running.master.adopt(dataclasses.replace(policy(origins), version="less"))
            with pytest.raises(ConnectionRefusedError):
                async with connected(addresses["more"][0]):
                    pass
            assert [record.listener for record in it.records] == ["http", "more", "http"]

    asyncio.run(check())


def test_connections_of_a_listener_that_goes_are_served_to_their_end() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = policy(origins)
            async with edge(listening_on(rules, more=("127.0.0.1", 0))) as it, it.http("more") as client:
                assert (await client.ask(get("/1"))).status == 200
                await it.running.master.adopt(dataclasses.replace(rules, version="less"))
                assert (await client.ask(get("/2"))).status == 200

    asyncio.run(check())


def test_an_address_that_is_taken_leaves_the_old_policy_in_force() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = policy(origins, version="old")
            with bound("127.0.0.1", 0) as taken:
                taken.listen()
                address = taken.getsockname()
                async with edge(rules) as it, it.http() as kept:
                    with pytest.raises(StartError, match="could not be opened"):
                        await it.running.master.adopt(listening_on(rules, more=address))
                    assert it.state.policy.version == "old"
                    assert it.running.master.listening
                    assert it.running.master.addresses()["http"] == [it.address("http")]
                    assert (await kept.ask(get())).status == 200
                    async with it.http() as client:
                        assert (await client.ask(get())).status == 200
                with pytest.raises(StartError, match=str(address[1])):
                    async with edge(listening_on(rules, more=address)):
                        pass

    asyncio.run(check())


def test_an_admin_address_that_is_taken() -> None:
    async def check() -> None:
        async with members(1) as origins:
            with bound("127.0.0.1", 0) as taken:
                taken.listen()
                rules = dataclasses.replace(policy(origins), admin=Admin(bind=taken.getsockname()))
                with pytest.raises(StartError, match="admin listener"):
                    async with edge(rules):
                        pass

    asyncio.run(check())


def test_a_stop_lets_exchanges_end_and_closes_who_is_idle() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            let_go = asyncio.Event()

            async def slow(_: Any, peer: Any) -> None:
                await let_go.wait()
                await peer.send(OK)

            origins[0].answers(slow)
            async with it.http() as busy, it.http() as idle, it.https() as secure:
                await busy.send(get())
                await origins[0].received(1)
                draining = asyncio.create_task(it.running.master.drain(10))
                assert await idle.rest() == b""
                assert await secure.rest() == b""
                with pytest.raises(ConnectionRefusedError):
                    async with it.http():
                        pass
                assert not draining.done()
                let_go.set()
                raw = await busy.rest()
                assert raw.startswith(b"HTTP/1.1 200 ")
                assert b"\r\nConnection: close\r\n" in raw
                assert raw.endswith(b"ok")
                assert await draining == 0

    asyncio.run(check())


def test_a_stop_does_not_wait_for_ever() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:

            async def never(_: Any, peer: Any) -> None:
                await peer.gone()

            origins[0].answers(never)
            async with it.http() as one, it.http() as two:
                for number, client in enumerate((one, two), 1):
                    await client.send(get())
                    await origins[0].received(number)
                assert await it.running.master.drain(0.2) == 2

    asyncio.run(check())


def test_a_stop_lets_a_slow_reader_have_the_last_bytes() -> None:
    """The exchange is over once they are ours to send, the client's when they have left."""

    async def check() -> None:
        body = b"x" * (8 * MB)
        async with members(1) as origins, edge(policy(origins)) as it:
            origins[0].answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            async with it.http() as client:
                client.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await client.send(get())
                await origins[0].received(1)
                draining = asyncio.create_task(it.running.master.drain(10))
                await until(lambda: it.state.draining)
                client.writer.transport.resume_reading()  # type: ignore[attr-defined]
                assert len((await client.reply()).body) == len(body)
                assert await draining == 0

    asyncio.run(check())


def test_nothing_runs_on_after_a_stop() -> None:
    async def check() -> None:
        async with members(1) as origins:
            health = dataclasses.replace(
                policy(origins).pools["pool01"].health, tcp=origins[0].port, every=0.05
            )
            async with edge(policy(origins, health=health)) as it:
                await until(lambda: it.member().checks)
                async with it.http() as client:
                    assert (await client.ask(get())).status == 200
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    asyncio.run(check())


@pytest.mark.parametrize("version", ["12.2.1", "12.1.9", "11.0.0", "10", "12"])
def test_an_old_mitmproxy_is_refused(version: str) -> None:
    with pytest.raises(StartError, match=f"12.2.2 or newer, this is {version}"):
        require_versions(mitmproxy_version=version)


@pytest.mark.parametrize("version", [(3, 11, 9), (3, 8, 0), (2, 7, 18)])
def test_an_old_python_is_refused(version: tuple[int, ...]) -> None:
    with pytest.raises(StartError, match=r"needs Python 3\.12"):
        require_versions(python=version)


@pytest.mark.parametrize("version", ["12.2.2", "12.2.3", "12.3.0.dev", "13.0.0"])
def test_newer_ones_are_not(version: str) -> None:
    require_versions(mitmproxy_version=version, python=(3, 12, 0))
    require_versions()


OPTIMISED = """
import asyncio, sys
sys.path[:0] = sys.argv[1:]
from support import certificates
from support.edge import edge, policy
from support.origin import members
from support.rawhttp import get, post

async def main():
    tls = certificates.server(certificates.issued(certificates.POOL_NAME))
    async with members(2, tls=tls) as origins, edge(policy(origins)) as it:
        await origins[0].stop()
        async with it.https() as client:
            print((await client.ask(post(b"hello"))).status, origins[1].requests[0].body)
            await client.send(b"GET / HTTP/1.1\\nHost: a\\n\\n")
            print((await client.rest())[:12])
        async with it.https("lyncdiscover.contoso.example") as client:
            print((await client.ask(get("/", host="lyncdiscover.contoso.example"))).status)
        print([str(record.outcome) for record in it.records])
    print(__debug__)

asyncio.run(main())
"""


def test_it_runs_without_assertions() -> None:
    """`python -O` takes a fifth of mitmproxy's time away; nothing of ours may rest on an assert."""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-O", "-W", "ignore", "-c", OPTIMISED, str(root / "tests"), str(root / "addons")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.splitlines() == [
        "200 b'hello'",
        "b'HTTP/1.1 400'",
        "200",
        "['ok', 'denied', 'ok']",
        "False",
    ], ran.stderr
