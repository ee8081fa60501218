"""Health checks against real ports: TCP and HTTPS apart, as strict as the traffic, by the rules in force."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncgate.edge.health import HealthChecks
from lyncgate.lab.ports import bound
from lyncgate.policy.policy import Bridge, CertificateFiles, Health, Policy, UpstreamTls
from support import certificates
from support.certificates import POOL_NAME, ca_file, fingerprint, issued, self_signed
from support.edge import WEB, EdgeUnderTest, edge, policy, until
from support.origin import Origin, members
from support.rawhttp import get

FAST = Health(every=0.03, timeout=1.0, fall=2, rise=2)
GOOD = issued(POOL_NAME)
ODD = self_signed(POOL_NAME, beside=bytes.fromhex("a506a1040c026869"))  # an ediPartyName


def checked(sip: Origin, web: Origin, **changes: Any) -> Policy:
    """One member, whose SIP port and web site are two origins of their own."""
    health = dataclasses.replace(FAST, tcp=sip.port, **changes.pop("health", {}))
    return policy([web], bridge=Bridge(http=None, https=web.port), health=health, **changes)


@contextlib.asynccontextmanager
async def front_end(shown: CertificateFiles = GOOD) -> AsyncIterator[tuple[Origin, Origin]]:
    """A SIP port, and a web site that shows this certificate."""
    async with members(1) as [sip], members(1, tls=certificates.server(shown)) as [web]:
        yield sip, web


def verdict(it: EdgeUnderTest, check: str) -> float:
    return it.metric("lyncgate_upstream_check_up", check=check)


async def settled(it: EdgeUnderTest) -> None:
    await until(lambda: len(it.member().checks) == 2)


def test_both_checks_apart() -> None:
    async def check() -> None:
        async with front_end() as (sip, web), edge(checked(sip, web)) as it:
            await settled(it)
            assert (verdict(it, "tcp"), verdict(it, "https"), it.metric("lyncgate_upstream_up")) == (
                1,
                1,
                1,
            )
            await sip.stop()
            await until(lambda: not it.member().usable)
            await until(lambda: it.metric("lyncgate_upstream_up") == 0)
            assert (verdict(it, "tcp"), verdict(it, "https")) == (0, 1)
            async with it.https() as client:
                assert (await client.ask(get())).status == 503, "the web site goes with its registrar"
            await sip.start()
            await until(lambda: it.metric("lyncgate_upstream_up") == 1)
            async with it.https() as client:
                assert (await client.ask(get())).status == 200

    asyncio.run(check())


def test_what_the_web_site_is_asked() -> None:
    async def check() -> None:
        async with front_end() as (sip, web), edge(checked(sip, web, health={"https": "/Autodiscover/x"})):
            request = await web.received(1)
            assert request.line == b"GET /Autodiscover/x HTTP/1.1"
            assert request.value("host") == WEB.encode()
            assert request.value("connection") == b"close"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("answer", "alive"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", True),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", False),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 OK\r\n\r\n", False),
        (b"220 mail.contoso.example ESMTP\r\n", False),
        (b"HTTP/1.1 200", True),
        (b"\r\n", False),
        (b"", False),
        (b"x" * 100_000, False),
    ],
)
def test_what_counts_as_alive(answer: bytes, alive: bool) -> None:
    async def check() -> None:
        async with front_end() as (sip, web):

            async def say(_: Any, peer: Any) -> bool:
                await peer.send(answer)
                return False

            web.answers(say)
            async with edge(checked(sip, web)) as it:
                await settled(it)
                assert it.member().checks["https"].up is alive
                assert it.member().checks["tcp"].up

    asyncio.run(check())


@pytest.mark.parametrize(
    ("shown", "expected", "up"),
    [
        (GOOD, UpstreamTls(ca_file(), POOL_NAME), True),
        (issued("*.contoso.local"), UpstreamTls(ca_file(), "fe01.contoso.local"), True),
        (self_signed("127.0.0.2"), UpstreamTls(self_signed("127.0.0.2").cert), True),
        (GOOD, UpstreamTls(ca_file(), POOL_NAME, frozenset({fingerprint(GOOD)})), True),
        (GOOD, UpstreamTls(ca_file(), POOL_NAME, frozenset({"00" * 32})), False),
        (GOOD, UpstreamTls(ca_file(), "other.contoso.local"), False),
        (GOOD, UpstreamTls(ca_file("other"), POOL_NAME), False),
        (GOOD, UpstreamTls(None, POOL_NAME), False),
        (ODD, UpstreamTls(ODD.cert, POOL_NAME), False),
        (self_signed(POOL_NAME), UpstreamTls(ca_file(), POOL_NAME), False),
        (
            self_signed(POOL_NAME, days=(-30, -1)),
            UpstreamTls(self_signed(POOL_NAME, days=(-30, -1)).cert),
            False,
        ),
    ],
)
def test_checks_and_traffic_agree_on_certificates(shown: Any, expected: UpstreamTls, up: bool) -> None:
    """A member whose certificate the traffic would refuse is down, and no other is."""
    if not expected.name and not up:
        expected = dataclasses.replace(expected, name=POOL_NAME)

    async def check() -> None:
        async with front_end(shown) as (sip, web):
            async with edge(checked(sip, web, tls=expected)) as it:
                await settled(it)
                assert it.member().checks["https"].up is up
                assert it.member().checks["tcp"].up
            unchecked = Health(tcp=None, https=None)
            async with edge(policy([web], tls=expected, health=unchecked)) as it, it.https() as client:
                await client.send(get("/", "Connection: close"))
                assert (await client.rest()).startswith(b"HTTP/1.1 200 " if up else b"HTTP/1.1 502 ")

    asyncio.run(check())


def test_rise_and_fall_by_the_rules() -> None:
    """The count of checks between the change and the verdict."""

    async def check() -> None:
        async with front_end() as (sip, web):
            status = [200]

            async def say(_: Any, peer: Any) -> bool:
                await peer.send(b"HTTP/1.1 %d X\r\n\r\n" % status[0])
                return False

            web.answers(say)
            async with edge(checked(sip, web, health={"fall": 4, "rise": 3})) as it:
                await settled(it)
                for verdict_after, new in ((False, 503), (True, 200)):
                    status[0], before = new, len(web.requests)
                    await until(lambda: it.member().checks["https"].up is verdict_after)  # noqa: B023
                    needed = 3 if verdict_after else 4
                    assert needed <= len(web.requests) - before <= needed + 1

    asyncio.run(check())


def test_a_member_that_never_answers() -> None:
    async def check() -> None:
        async with front_end() as (sip, web):

            async def never(_: Any, peer: Any) -> None:
                await peer.gone()

            web.answers(never)
            async with edge(checked(sip, web, health={"timeout": 0.1})) as it:
                await settled(it)
                assert not it.member().checks["https"].up

    asyncio.run(check())


def test_an_edge_short_of_breath_blames_no_member() -> None:
    """Each turn of the loop takes a third of what a check may take: the answers wait, not the members."""

    async def check() -> None:
        async with (
            front_end() as (sip, web),
            edge(checked(sip, web, health={"timeout": 0.09, "fall": 1})) as it,
        ):
            await settled(it)
            verdicts: list[bool] = []
            loop = asyncio.get_running_loop()
            last = web.connections + 3

            def labour() -> None:
                time.sleep(0.03)
                verdicts.append(it.member().usable)
                if web.connections < last and len(verdicts) < 500:
                    loop.call_soon(labour)

            labour()
            await web.until(lambda origin: origin.connections >= last)
            assert all(verdicts)

    asyncio.run(check())


def test_a_check_that_is_off() -> None:
    async def check() -> None:
        async with front_end() as (sip, web), edge(checked(sip, web, health={"https": None})) as it:
            await until(lambda: it.member().checks)
            await sip.until(lambda origin: origin.connections > 2)
            assert list(it.member().checks) == ["tcp"]
            assert web.connections == 0

    asyncio.run(check())


def test_a_reload_restarts_the_checks_by_the_new_rules() -> None:
    async def check() -> None:
        async with front_end() as (sip, web):
            rules = checked(sip, web)
            async with edge(rules) as it:
                await settled(it)
                checks = it.addon(HealthChecks)
                before = list(checks._tasks)
                await sip.stop()
                await until(lambda: not it.member().usable)
                pool = rules.pools["pool01"]
                without = dataclasses.replace(pool, health=dataclasses.replace(pool.health, tcp=None))
                await it.running.master.adopt(
                    dataclasses.replace(rules, version="1", pools={"pool01": without})
                )
                assert it.member().usable, "what is checked no longer holds nobody down"
                await until(lambda: all(task.done() for task in before))
                assert len(checks._tasks) == 1
                asked = len(web.requests)
                await web.received(asked + 2)
                assert it.member().usable

    asyncio.run(check())


class Mute(socketserver.BaseRequestHandler):
    """A web site that takes the request, says `answer`, and hangs: it neither closes nor hears a goodbye."""

    answer = b""
    ended: threading.Event

    def handle(self) -> None:
        context = certificates.server(GOOD)
        with context.wrap_socket(self.request, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(self.answer)
            self.ended.wait()


@contextlib.contextmanager
def mute(answer: bytes) -> Iterator[int]:
    """Its port on 127.0.0.2."""
    ended = threading.Event()
    handler = type("Saying", (Mute,), {"answer": answer, "ended": ended})
    with socketserver.ThreadingTCPServer(("127.0.0.2", 0), handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = bound("127.0.0.2", 0)
        server.server_activate()
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            ended.set()
            server.shutdown()


@pytest.mark.parametrize(("answer", "alive"), [(b"HTTP/1.1 200 OK\r\n", True), (b"", False)])
def test_a_member_that_never_says_goodbye(answer: bytes, alive: bool) -> None:
    """The verdict does not wait for it: a good answer is one, and a member that hangs is out in time."""

    async def check() -> None:
        async with members(1) as [sip]:
            with mute(answer) as port:
                health = dataclasses.replace(FAST, tcp=sip.port, timeout=0.5)
                rules = policy([sip], bridge=Bridge(http=None, https=port), health=health)
                async with edge(rules) as it:
                    await settled(it)
                    assert it.member().checks["https"].up is alive

    asyncio.run(check())


def test_a_port_that_is_not_checked_takes_no_member_out() -> None:
    """Nobody listens where plain HTTP is bridged to. Whoever asks there does not end HTTPS for all."""

    async def check() -> None:
        async with front_end() as (sip, web):
            with bound("127.0.0.2", 0) as dead:
                rules = checked(sip, web, health={"every": 600.0})
                pool = rules.pools["pool01"]
                bridge = Bridge(http=dead.getsockname()[1], https=web.port)
                async with edge(
                    dataclasses.replace(rules, pools={"pool01": dataclasses.replace(pool, bridge=bridge)})
                ) as it:
                    await settled(it)
                    for _ in range(pool.health.fall + 1):
                        async with it.http() as client:
                            await client.send(get("/", "Connection: close"))
                            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
                    async with it.https() as client:
                        assert (await client.ask(get())).status == 200
                    await web.stop()  # and where it is checked, it counts
                    for status in (b"502", b"502", b"503"):
                        async with it.https() as client:
                            await client.send(get("/", "Connection: close"))
                            assert (await client.rest()).startswith(b"HTTP/1.1 %s " % status)

    asyncio.run(check())


def test_an_authority_that_is_spoiled_after_the_rules_were_adopted(tmp_path: Path) -> None:
    """Such rules are refused and those before stay in force, for the checks as for the traffic."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(Path(ca_file()).read_bytes())

    async def check() -> None:
        async with (
            front_end() as (sip, web),
            edge(checked(sip, web, health={"fall": 1}, tls=UpstreamTls(str(ca), POOL_NAME))) as it,
        ):
            await settled(it)
            ca.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
            before = sip.connections
            await sip.until(lambda origin: origin.connections > before + 3)
            assert it.member().usable
            async with it.https() as client:
                assert (await client.ask(get())).status == 200

    asyncio.run(check())
