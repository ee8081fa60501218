"""Active health checks of pool members.

Microsoft has load balancers watch the SIP port 5061, so that the web services of a front end go out
of service with its registrar (protocol reference §9.11). That says nothing of the web site itself,
hence a second check: HTTPS to the bridged port with the pool's public Host. Both are reported apart.

A check that times out speaks against the member only while we listen. An edge that is short of processor time
would else find all its members dead at once, and answer 503 for servers that are fine.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from typing import Any, Protocol

from cryptography import x509

from lyncgate.edge.identity import proves
from lyncgate.edge.pool import CheckName, MemberState, PoolState, checks_of
from lyncgate.edge.state import EdgeState
from lyncgate.policy.policy import Policy, Pool, UpstreamTls

ALIVE_BELOW = 500  # a 401 or 404 is a living web site
GOODBYE = 2.0  # seconds that a member has to take leave
LOOKS = 50  # at a check while it takes its time: several times the turns of the loop that one needs


class HealthObserver(Protocol):
    def member_check(self, pool: str, member: str, check: CheckName, up: bool) -> None: ...
    def member_state(self, pool: str, member: str, up: bool) -> None: ...


class HealthChecks:
    """An addon: one task per member and check, for as long as the policy has it."""

    def __init__(self, edge: EdgeState, observer: HealthObserver) -> None:
        self.edge = edge
        self.observer = observer
        self._tasks: list[asyncio.Task[None]] = []
        edge.adopted.append(self._restart)

    def running(self) -> None:
        self._restart(self.edge.policy)

    def done(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def _restart(self, policy: Policy) -> None:
        self.done()
        for pool in self.edge.pools.values():
            for member in pool.members:
                for check in checks_of(pool.pool):
                    self._tasks.append(
                        asyncio.get_running_loop().create_task(
                            self._watch(pool, member, check), name=f"health {member.name} {check}"
                        )
                    )

    async def _watch(self, pool: PoolState, member: MemberState, check: CheckName) -> None:
        health = pool.pool.health
        context: ssl.SSLContext | None = None
        while True:
            try:
                if check == "tcp":
                    probe = _tcp(pool.pool, member)
                else:
                    # Once: a file that is spoiled since these rules were adopted is none of the traffic's
                    # business either.
                    context = context or _context(pool.pool.tls)
                    probe = _https(pool.pool, member, context)
                good = await _attended(probe, health.timeout)
            except (OSError, ssl.SSLError, TimeoutError, ValueError, EOFError):
                good = False
            self._report(pool, member, check, good)
            await asyncio.sleep(health.every)

    def _report(self, pool: PoolState, member: MemberState, check: CheckName, good: bool) -> None:
        member.record(check, good, pool.pool)
        self.observer.member_check(pool.pool.name, member.name, check, member.checks[check].up)
        self.observer.member_state(pool.pool.name, member.name, member.usable)


async def _attended(check: Coroutine[Any, Any, bool], patience: float) -> bool:
    """What a check finds, or TimeoutError. Of a time in which the loop did not turn, no part counts: an
    answer may have been there all the while."""
    task = asyncio.get_running_loop().create_task(check)
    try:
        for _ in range(LOOKS):
            await asyncio.wait({task}, timeout=patience / LOOKS)
            if task.done():
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tcp(pool: Pool, member: MemberState) -> bool:
    _, writer = await asyncio.open_connection(member.member.host, pool.health.tcp)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _https(pool: Pool, member: MemberState, context: ssl.SSLContext) -> bool:
    """GET with the public Host; any answer under 500 from a member that proves who it is."""
    name = pool.tls.name or member.member.host
    reader, writer = await asyncio.open_connection(
        member.member.host,
        pool.bridge.https,
        ssl=context,
        server_hostname=name,
        ssl_shutdown_timeout=GOODBYE,
    )
    try:
        leaf = x509.load_der_x509_certificate(
            writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        )
        if not proves(leaf, pool.tls, member.member.host):
            return False
        host = pool.health_host or name
        writer.write(
            f"GET {pool.health.https} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: health-check\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        await writer.drain()
        version, status, *_ = (await reader.readline()).split(None, 2)
        return version.startswith(b"HTTP/1.") and int(status) < ALIVE_BELOW
    finally:
        # Not waited for: that would take the member's own goodbye, and one that hangs never says it.
        writer.close()


def _context(tls: UpstreamTls) -> ssl.SSLContext:
    """As strict as the traffic's own (lyncgate.edge.identity) and no stricter: what is reported here is
    whether that works. Python's own name check is off for `proves`, the one that the traffic uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    if tls.ca:
        context.load_verify_locations(tls.ca)
    else:
        context.set_default_verify_paths()
    return context
