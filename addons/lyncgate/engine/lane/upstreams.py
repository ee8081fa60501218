"""Connections to members that wait for the next exchange, whoever's it is: the upstream pool.

NTLM and Negotiate authenticate a connection (protocol reference §3.3). One that ever carried either, or was
asked for it, belongs to that client: it comes back to the client, never here, and is closed with it.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from lyncgate.engine.lane.deadline import Deadlines
from lyncgate.engine.lane.queues import Queues, Who
from lyncgate.engine.lane.tls import Contexts
from lyncgate.engine.lane.upstream import Address, Destination, Upstream
from lyncgate.engine.lane.watch import Watch
from lyncgate.engine.tls.resumption import KeptSession
from lyncgate.engine.tls.secured import Secured
from lyncgate.policy.policy import UpstreamTls

if TYPE_CHECKING:
    from lyncgate.engine.lane.exchange import Relay

IDLE = 60.0  # seconds that a connection waits for the next exchange: less than IIS' own 120
SESSION = 60.0  # seconds that a TLS session is used until a newer one is taken: front ends keep it for hours
RESOLVED = 30.0  # seconds that a name's addresses are taken for good: the resolver does not tell theirs


class Session(NamedTuple):
    """A TLS session, and until when no newer one is wanted, in monotonic seconds."""

    kept: KeptSession
    until: float


class Upstreams:
    """`contexts`: of the policy in force. `sessions`: TLS sessions to resume."""

    def __init__(self, watch: Watch, deadlines: Deadlines, contexts: Contexts) -> None:
        self.watch = watch
        self.deadlines = deadlines
        self.loop = loop = watch.loop
        self.contexts = contexts
        self.lost = 0.0  # seconds that a member may acknowledge nothing
        self.generation = 0  # of the rules by which connections are made
        self.sessions: dict[Destination, Session] = {}
        self.all: set[Upstream] = set()
        self._idle: dict[Destination, list[Upstream]] = {}
        self.queues = Queues(loop, self._idle_to)
        self._resolved: dict[str, tuple[float, list[Address]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, contexts: Contexts) -> None:
        """Connections made by older rules carry on with what they carry, and serve nobody else."""
        self.contexts = contexts
        self.generation += 1
        self.sessions.clear()
        for upstream in [upstream for idle in self._idle.values() for upstream in idle]:
            upstream.close()

    def idle(self, to: Destination) -> Upstream | None:
        """The one used last, which the member is least likely to have closed. A look whether it has, or has
        said what nobody asked for: not all can be sent again, and a 408 would be taken for the answer."""
        waiting = self._idle.get(to)
        while waiting:
            upstream = waiting.pop()
            if upstream.stream is not None and not upstream.stream.stale():
                return upstream
            upstream.close()
        return None

    def connect(self, to: Destination, tls: UpstreamTls, relay: Relay, *, timeout: float) -> Upstream:
        """Make one; `relay` hears of it. `timeout`: seconds for TCP, and for TLS again."""
        if self.queues.crowded(to):
            self._give_way(to)
        upstream = Upstream(self, to, tls, relay, timeout)
        self.all.add(upstream)
        self.queues.opened(to)
        family = _family(to.host)
        if family is not None:
            upstream.connect_to([(family, to.host)])
            return upstream
        known = self._resolved.get(to.host)
        if known is not None and time.monotonic() < known[0]:
            upstream.connect_to(known[1])
            return upstream
        task = self.loop.create_task(self._resolve(upstream), name=f"resolve {to.host}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return upstream

    async def _resolve(self, upstream: Upstream) -> None:
        host = upstream.to.host
        try:
            found = await self.loop.getaddrinfo(host, upstream.to.port, type=socket.SOCK_STREAM)
        except OSError as error:
            if not upstream.closed:
                upstream.lost(error)
            return
        addresses = [(int(family), str(where[0])) for family, _, _, _, where in found]
        addresses.sort(key=lambda one: one[0] != socket.AF_INET)  # what a front end listens on for sure
        self._resolved[host] = (time.monotonic() + RESOLVED, addresses)
        if not upstream.closed:
            upstream.connect_to(addresses)

    def release(self, upstream: Upstream) -> None:
        """An exchange is over, and left the connection good for another one."""
        if upstream.uses == 1 and upstream.stream is not None:
            self._remember(upstream.to, upstream.stream.secured)
        if upstream.generation != self.generation:  # made by rules that are in force no more
            upstream.close()
            return
        upstream.rest(time.monotonic() + IDLE)
        self._idle.setdefault(upstream.to, []).append(upstream)
        self.queues.freed(upstream.to)

    def _remember(self, to: Destination, secured: Secured | None) -> None:
        """Its session, unless it has resumed one that is good for a while: to look at it takes long."""
        if secured is None:
            return
        known, now = self.sessions.get(to), time.monotonic()
        if known is not None and secured.resumed and now < known.until:
            return
        if (session := secured.session) is not None:
            self.sessions[to] = Session(KeptSession(session, secured.context), now + SESSION)

    def gone(self, upstream: Upstream) -> None:
        """It is closed."""
        self.all.discard(upstream)
        idle = self._idle.get(upstream.to)
        if idle is not None:
            if upstream in idle:
                idle.remove(upstream)
            if not idle:
                del self._idle[upstream.to]
        self.queues.closed(upstream.to)

    def _idle_to(self, who: Who) -> int:
        """How many connections to a member, on whatever port, wait for the next exchange."""
        return sum(len(idle) for to, idle in self._idle.items() if (to.pool, to.host) == who)

    def _give_way(self, to: Destination) -> None:
        """Close one of them that could not be used."""
        for other, idle in self._idle.items():
            if (other.pool, other.host) == (to.pool, to.host) and idle:
                idle[0].close()
                return

    def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        for upstream in tuple(self.all):
            upstream.close()


@functools.lru_cache(maxsize=256)
def _family(host: str) -> int | None:
    """Of a textual address; None for a name."""
    try:
        return socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return None
