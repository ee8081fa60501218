"""Carries out forwards: picks a member of the pool, bridges to its port, keeps affinity.

A client connection stays with the member it got, as long as that one is usable. Once NTLM or Negotiate was
seen on the connection to that member, it stays as long as that connection lives, whatever the health checks
say: the authentication belongs to the connection (protocol reference §3.3), and a handshake that is moved
between its messages is refused for certain. Upstream connections are never shared between clients. A
connect that fails moves the request to the next member; a request that may have reached a member is never
sent again.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from mitmproxy import connection
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData

from lyncgate.edge.guard import refuse
from lyncgate.edge.identity import MemberConnection
from lyncgate.edge.outcomes import STATUS
from lyncgate.edge.pool import MemberState
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import ntlm
from lyncgate.policy.decision import Forward
from lyncgate.policy.policy import Affinity
from lyncgate.signin.exchange import Outcome, Phase

AFFINITY_COOKIE = "MS-WSMAN"  # the one name that Lync 2010 pools and clients know (§9.7)


class PublishObserver(Protocol):
    def failover(self, pool: str, member: str) -> None: ...
    def member_connections(self, pool: str, member: str, count: int) -> None: ...


@dataclasses.dataclass(slots=True)
class _Bond:
    """The member that a client connection talks to. `transit`: its latest request there.
    `login`: the connection to it on which NTLM was seen."""

    pool: str
    member: MemberState
    transit: Transit
    login: connection.Connection | None = None

    @property
    def pinned(self) -> bool:
        return self.login is not None and self.login.connected


class Publish:
    def __init__(self, edge: EdgeState, observer: PublishObserver) -> None:
        self.edge = edge
        self.observer = observer
        self._bonds: dict[str, _Bond] = {}  # by client connection

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or flow.response or flow.error or not isinstance(transit.decision, Forward):
            return
        decision = transit.decision
        transit.pool = self.edge.pools.get(decision.pool)
        if transit.pool is None or not self._assign(flow, transit, self._preferred(flow, transit)):
            transit.exchange.outcome = Outcome.NO_MEMBER
            refuse(flow, STATUS[Outcome.NO_MEMBER])
            return
        # Only the upstream side of the request changes: `flow.request.host = …` would rewrite Host.
        flow.request.data.scheme = decision.scheme.encode()
        flow.request.data.port = decision.port
        flow.request.data.path = decision.target
        flow.request.stream = _Counter(flow, transit, self.edge)

    def _preferred(self, flow: HTTPFlow, transit: Transit) -> MemberState | None:
        pool = transit.pool
        if pool is None:
            return None
        bond = self._bonds.get(flow.client_conn.id)
        if bond and (bond.pool != pool.pool.name or bond.member not in pool.members):
            bond = None
        if bond and bond.pinned:
            return bond.member
        if pool.pool.affinity is Affinity.COOKIE and (member := pool.by_token(_token(flow))):
            return member
        return bond.member if bond else None

    def _assign(self, flow: HTTPFlow, transit: Transit, prefer: MemberState | None) -> bool:
        """Point the flow at a member. False: none is left."""
        pool = transit.pool
        if pool is None:
            return False
        bond = self._bonds.get(flow.client_conn.id)
        if prefer is not None and bond is not None and bond.pinned and bond.member is prefer:
            member: MemberState | None = prefer  # even if it drains or is down: the login lives there
        else:
            member = pool.choose(transit.exchange.source_ip, prefer=prefer, without=transit.tried)
        if member is None:
            return False
        self._leave(transit)
        self._enter(transit, member)
        transit.tried.add(member.name)
        transit.exchange.member = member.name
        transit.exchange.attempts += 1
        flow.request.data.host = member.member.host
        if bond is None or bond.member is not member or bond.pool != pool.pool.name:
            self._bonds[flow.client_conn.id] = _Bond(pool.pool.name, member, transit)
        else:
            bond.transit = transit
        return True

    def edge_connect_failed(self, flow: HTTPFlow) -> None:
        """Nothing was sent: try the next member, if there is one."""
        transit = self.edge.transits.get(flow.id)
        if transit is None or transit.pool is None or transit.member is None:
            return
        failed, pool = transit.member, transit.pool
        failed.connect_failed(pool.pool)
        self._bonds.pop(flow.client_conn.id, None)
        if self._assign(flow, transit, None):
            self.observer.failover(pool.pool.name, failed.name)

    # How connecting goes. A phase that fails stays None, unless another member does better.

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self._failed(data.client, data.server, Phase.CONNECT, Outcome.CONNECT_FAILED)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        bond, server = self._bonds.get(data.client.id), data.server
        if bond and server.timestamp_start and server.timestamp_tcp_setup:
            bond.transit.exchange.reused = False
            bond.transit.phase(Phase.CONNECT, server.timestamp_tcp_setup - server.timestamp_start)
            bond.transit.exchange.phases.pop(Phase.UPSTREAM_TLS, None)  # that was another member's

    def tls_failed_server(self, data: TlsData) -> None:
        self._failed(data.context.client, data.conn, Phase.UPSTREAM_TLS, Outcome.TLS_FAILED)

    def tls_established_server(self, data: TlsData) -> None:
        bond, server = self._bonds.get(data.context.client.id), data.conn
        if bond and isinstance(server, MemberConnection) and server.timestamp_tcp_setup:
            taken = (server.timestamp_tls_setup or 0.0) - server.timestamp_tcp_setup
            bond.transit.phase(Phase.UPSTREAM_TLS, taken)

    def _failed(
        self, client: connection.Client, server: connection.Connection, phase: Phase, failure: Outcome
    ) -> None:
        if bond := self._bonds.get(client.id):
            timed_out = isinstance(server, MemberConnection) and server.timed_out
            bond.transit.phase(phase, None)
            bond.transit.failure = Outcome.CONNECT_TIMEOUT if timed_out else failure

    def responseheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or transit.member is None or flow.response is None:
            return
        _time_upstream(flow, transit, self.edge.clock())
        bond = self._bonds.get(flow.client_conn.id)
        if bond and (ntlm.challenged(flow.response.headers.fields) or ntlm.used(flow.request.headers.fields)):
            bond.login = flow.server_conn
        cookie_wanted = transit.pool is not None and transit.pool.pool.affinity is Affinity.COOKIE
        if cookie_wanted and _token(flow) != transit.member.token:
            # Plain on purpose: not HttpOnly, no expiry, on every answer whose request lacked it (§9.7).
            flow.response.headers.add("Set-Cookie", f"{AFFINITY_COOKIE}={transit.member.token}; path=/")

    def response(self, flow: HTTPFlow) -> None:
        self._release(flow)

    def error(self, flow: HTTPFlow) -> None:
        self._release(flow)

    def _release(self, flow: HTTPFlow) -> None:
        if transit := self.edge.transits.get(flow.id):
            self._leave(transit)

    def _enter(self, transit: Transit, member: MemberState) -> None:
        transit.member = member
        member.requests += 1
        self._count(transit)

    def _leave(self, transit: Transit) -> None:
        if transit.member:
            transit.member.requests -= 1
            self._count(transit)
            transit.member = None

    def _count(self, transit: Transit) -> None:
        if transit.pool and transit.member:
            self.observer.member_connections(
                transit.pool.pool.name, transit.member.name, transit.member.requests
            )

    def client_disconnected(self, client: connection.Client) -> None:
        self._bonds.pop(client.id, None)


def _token(flow: HTTPFlow) -> str:
    """What the request's affinity cookie says."""
    return str(flow.request.cookies.get(AFFINITY_COOKIE, ""))


class _Counter:
    """Passes a streamed request body through, counting. mitmproxy calls it with b"" at the end."""

    def __init__(self, flow: HTTPFlow, transit: Transit, edge: EdgeState) -> None:
        self.flow, self.transit, self.edge = flow, transit, edge
        self.head = transit.passing.request_body if transit.passing else None

    def __call__(self, chunk: bytes) -> bytes:
        if self.flow.id not in self.edge.transits:
            return chunk  # answered before its body was through: the record is closed
        if chunk:
            self.transit.exchange.request_bytes += len(chunk)
            if self.head is not None:
                self.head.take(chunk)
        else:
            now = self.edge.clock()
            self.transit.marks["sent"] = now
            begun = self.transit.marks.get("connected", self.transit.marks["head"])
            self.transit.phase(Phase.REQUEST_BODY, now - begun)
        return chunk


def _time_upstream(flow: HTTPFlow, transit: Transit, now: float) -> None:
    """The phases up to the first byte of the answer."""
    sent = transit.marks.get("sent", transit.marks.get("connected", transit.marks["head"]))
    transit.phase(Phase.WAIT, now - sent)
    transit.marks["answered"] = now
    fqdn = flow.response.headers.get("x-ms-server-fqdn") if flow.response else None
    transit.exchange.server_fqdn = fqdn[:128] if fqdn else None
