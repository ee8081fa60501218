"""Carries out forwards: picks a member of the pool, bridges to its port, keeps affinity.

A client connection stays with the member it got, as long as that one is usable. Once NTLM or Negotiate was
seen, client and upstream connection belong together for as long as both live, whatever becomes of the member
meanwhile: that authentication belongs to the connection (protocol reference §3.3). A connect that fails moves
the request to the next member; a request that may have reached a member is never sent again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from lyncgate.edge.client import Client
from lyncgate.edge.heads import Fields, OwnAnswer, cookie, known
from lyncgate.edge.outcomes import STATUS
from lyncgate.edge.pool import MemberState
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import ntlm
from lyncgate.policy.decision import Decision, Forward
from lyncgate.policy.policy import Affinity, Policy, Pool
from lyncgate.signin.exchange import Outcome, Phase

AFFINITY_COOKIE = "MS-WSMAN"  # the one name that Lync 2010 pools and clients know (§9.7)
FQDN_SHOWN = 128


class PublishObserver(Protocol):
    def failover(self, pool: str, member: str) -> None: ...
    def member_load(self, pool: str, member: str, ask: Callable[[], int]) -> None: ...


@dataclasses.dataclass(slots=True)
class Bond:
    """The member of a pool that a client connection talks to. `pinned`: by a log-on of the connection, until
    the upstream connection ends."""

    member: MemberState
    pinned: bool = False


class Publish:
    def __init__(self, edge: EdgeState, observer: PublishObserver) -> None:
        self.edge = edge
        self.observer = observer
        edge.adopted.append(self._tell_loads)
        self._tell_loads(edge.policy)

    def _tell_loads(self, _: Policy) -> None:
        for pool in self.edge.pools.values():
            for member in pool.members:
                self.observer.member_load(pool.pool.name, member.name, member.load)

    def begin(self, transit: Transit) -> None:
        decision = transit.decision
        if transit.answer is not None or not isinstance(decision, Forward):
            return
        transit.pool = self.edge.pools.get(decision.pool)
        if not self._assign(transit, self._preferred(transit)):
            transit.exchange.outcome = Outcome.NO_MEMBER
            transit.answer = OwnAnswer(STATUS[Outcome.NO_MEMBER])

    def _preferred(self, transit: Transit) -> MemberState | None:
        pool = transit.pool
        if pool is None:
            return None
        bond = transit.client.bonds.get(pool.pool.name)
        if bond and bond.member not in pool.members:
            bond = None
        if bond and bond.pinned:
            return bond.member
        if pool.pool.affinity is Affinity.COOKIE and (
            member := pool.by_token(_token(transit.request.fields))
        ):
            return member
        return bond.member if bond else None

    def _assign(self, transit: Transit, prefer: MemberState | None) -> bool:
        """Choose a member for the request. False: none is left."""
        pool, client = transit.pool, transit.client
        if pool is None:
            return False
        bond = client.bonds.get(pool.pool.name)
        if prefer is not None and bond is not None and bond.pinned and bond.member is prefer:
            member: MemberState | None = prefer  # while it drains or fails checks too: the log-on lives there
        else:
            member = pool.choose(transit.exchange.source_ip, prefer=prefer, without=transit.tried)
        if member is None:
            return False
        self._leave(transit)
        self._enter(transit, member)
        transit.tried.add(member.name)
        transit.exchange.member = member.name
        transit.exchange.attempts += 1
        if bond is None or bond.member is not member:
            client.bonds[pool.pool.name] = Bond(member)
        return True

    # How connecting goes. A phase that fails stays None, unless another member does better.

    def reached(self, transit: Transit, phase: Phase, seconds: float) -> None:
        """TCP or TLS to the member is there."""
        transit.exchange.reused = False
        transit.phase(phase, seconds)
        if phase is Phase.CONNECT:
            transit.exchange.phases.pop(Phase.UPSTREAM_TLS, None)  # that was another member's

    def unreached(self, transit: Transit, phase: Phase, failure: Outcome) -> None:
        """It is not: what came of it, in the words of an exchange."""
        transit.phase(phase, None)
        transit.failure = failure

    def next_member(self, transit: Transit) -> bool:
        """No connection to the member could be made, and nothing was sent: try the next, if there is one."""
        if transit.pool is None or transit.member is None:
            return False
        failed, pool = transit.member, transit.pool
        if _is_checked(pool.pool, transit.decision):
            failed.connect_failed(pool.pool)
        transit.client.bonds.pop(pool.pool.name, None)
        if not self._assign(transit, None):
            return False
        self.observer.failover(pool.pool.name, failed.name)
        return True

    def parted(self, client: Client, pool: str, host: str) -> None:
        """The last upstream connection to that member that the client had logged on to has ended."""
        bond = client.bonds.get(pool)
        if bond is not None and bond.member.member.host == host:
            bond.pinned = False

    def answered(self, transit: Transit) -> None:
        response, member = transit.response, transit.member
        if response is None or member is None:
            return
        now = self.edge.clock()
        transit.answered = now
        transit.phase(Phase.WAIT, now - (transit.sent or transit.connected_at or transit.head))
        fqdn = known(response, b"x-ms-server-fqdn").decode("latin-1")
        transit.exchange.server_fqdn = fqdn[:FQDN_SHOWN] if fqdn else None
        bond = transit.client.bonds.get(transit.pool.pool.name) if transit.pool is not None else None
        challenged = b"www-authenticate" in response.names and ntlm.challenged(response.fields)
        if bond and (challenged or transit.request.login):
            bond.pinned = True
        cookie_wanted = transit.pool is not None and transit.pool.pool.affinity is Affinity.COOKIE
        if cookie_wanted and _token(transit.request.fields) != member.token:
            # Plain on purpose: not HttpOnly, no expiry, on every answer whose request lacked it (§9.7).
            value = f"{AFFINITY_COOKIE}={member.token}; path=/"
            response.fields = [*response.fields, (b"Set-Cookie", value.encode("ascii"))]
            response.names = [*response.names, b"set-cookie"]

    def end(self, transit: Transit) -> None:
        self._leave(transit)

    def _enter(self, transit: Transit, member: MemberState) -> None:
        transit.member = member
        member.requests += 1

    def _leave(self, transit: Transit) -> None:
        if transit.member:
            transit.member.requests -= 1
            transit.member = None


def _is_checked(pool: Pool, decision: Decision) -> bool:
    """Whether it goes to the port that checks ask. Another one, be it closed or none of the firewall's, says
    nothing of the web site: whoever asked for it would take the member out for all."""
    return isinstance(decision, Forward) and decision.port == (pool.bridge.https or pool.bridge.http)


def _token(fields: Fields) -> str:
    """What the request's affinity cookie says."""
    return cookie(fields, AFFINITY_COOKIE.encode("ascii")).decode("latin-1")
