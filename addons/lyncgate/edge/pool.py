"""A pool at run time: which members are usable, how busy they are, and which one is next.

No I/O: health checks and the publish addon report what they saw, `choose()` answers. A member
is usable when it is not drained by rule and none of its checks says it is down. Checks are kept
apart (TCP 5061 and HTTPS, protocol reference §9.11) so that an operator sees which one failed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection
from typing import Literal

from lyncgate.policy.policy import Affinity, Balance, Member, Pool

type CheckName = Literal["tcp", "https"]

SLOW_START_FLOOR = 0.1  # share of the load that a member gets the moment it comes back


def checks_of(pool: Pool) -> list[CheckName]:
    """The checks that the rules want for each member of `pool`."""
    checks: list[CheckName] = []
    if pool.health.tcp is not None:
        checks.append("tcp")
    if pool.health.https is not None and pool.bridge.https is not None:
        checks.append("https")
    return checks


class Check:
    """One kind of check of one member: rise/fall counting. Up until proven otherwise, so that a
    fresh start serves at once."""

    def __init__(self) -> None:
        self.up = True
        self.known = False  # a first result has come in
        self._streak = 0  # consecutive results that disagree with `up`

    def record(self, good: bool, *, rise: int, fall: int) -> bool:
        """Take a result; True if the verdict changed. The first result counts at once."""
        if not self.known:
            self.known = True
            changed, self.up = self.up != good, good
            return changed
        if good == self.up:
            self._streak = 0
            return False
        self._streak += 1
        if self._streak < (rise if good else fall):
            return False
        self.up, self._streak = good, 0
        return True


class MemberState:
    """A member's health and load. `requests` counts exchanges in flight."""

    def __init__(self, member: Member, clock: Callable[[], float]) -> None:
        self.member = member
        self.checks: dict[CheckName, Check] = {}
        self.requests = 0
        self.credit = 0.0  # smooth weighted round robin
        self._clock = clock
        self._up_since: float | None = None  # None: up since the start, no slow start

    @property
    def name(self) -> str:
        return self.member.name

    def load(self) -> int:
        """`requests`, for whoever asks at their own time."""
        return self.requests

    @property
    def up(self) -> bool:
        for check in self.checks.values():  # noqa: SIM110 (asked for each request; a generator takes longer)
            if not check.up:
                return False
        return True

    @property
    def usable(self) -> bool:
        return self.up and not self.member.drain

    def record(self, check: CheckName, good: bool, pool: Pool) -> bool:
        """Take a check's result; True if the member went up or down."""
        before = self.up
        state = self.checks.setdefault(check, Check())
        state.record(good, rise=pool.health.rise, fall=pool.health.fall)
        if self.up and not before:
            self._up_since = self._clock()
        return self.up != before

    def connect_failed(self, pool: Pool) -> bool:
        """Traffic could not connect: counts as a failed check of the web site where one is made,
        so that a dead member is out before its next check. True if the member went down."""
        check = "https" if "https" in self.checks else next(iter(self.checks), None)
        return self.record(check, False, pool) if check else False

    def weight(self, slow_start: float) -> float:
        """1.0, or less for `slow_start` seconds after the member came back."""
        if not slow_start or self._up_since is None:
            return 1.0
        return max(SLOW_START_FLOOR, min(1.0, (self._clock() - self._up_since) / slow_start))

    @property
    def token(self) -> str:
        """What the affinity cookie holds: says nothing of the inside to the outside."""
        return _token(self.member.host)


class PoolState:
    """The members of one pool in the policy's order."""

    def __init__(self, pool: Pool, *, clock: Callable[[], float], old: PoolState | None = None) -> None:
        self.pool = pool
        kept = {state.member.host: state for state in old.members} if old else {}
        self.members: list[MemberState] = []
        for member in pool.members:
            state = kept.get(member.host) or MemberState(member, clock)
            state.member = member
            # What is checked no longer must not keep a member down for ever.
            state.checks = {name: state.checks[name] for name in checks_of(pool) if name in state.checks}
            self.members.append(state)

    def member(self, name: str) -> MemberState | None:
        return next((state for state in self.members if state.name == name), None)

    def by_token(self, token: str) -> MemberState | None:
        """The usable member that an affinity cookie names."""
        return next((state for state in self.members if state.usable and state.token == token), None)

    def choose(
        self, source: str, *, prefer: MemberState | None = None, without: Collection[str] = ()
    ) -> MemberState | None:
        """The member for a request from `source`, or None if none is usable.

        `prefer` is taken when it is usable (a cookie's member, or the one that this client
        connection already talks to). `without`: names already tried for this request.
        """
        if prefer is not None and prefer.usable and prefer.name not in without and prefer in self.members:
            return prefer
        usable = [state for state in self.members if state.usable and state.name not in without]
        if not usable:
            return None
        if self.pool.affinity is Affinity.SOURCE:
            return max(usable, key=lambda state: _rendezvous(source, state))
        if self.pool.balance is Balance.LEAST_CONNECTIONS:
            slow = self.pool.health.slow_start
            loads = [(state.requests + 1) / state.weight(slow) for state in usable]
            least = min(loads)
            usable = [state for state, load in zip(usable, loads, strict=True) if load == least]
        return self._next_in_turn(usable)

    def _next_in_turn(self, usable: list[MemberState]) -> MemberState:
        """Smooth weighted round robin: weights matter during a slow start only."""
        weights = [state.weight(self.pool.health.slow_start) for state in usable]
        for state, weight in zip(usable, weights, strict=True):
            state.credit += weight
        chosen = max(usable, key=lambda state: state.credit)
        chosen.credit -= sum(weights)
        return chosen


@functools.lru_cache(maxsize=256)
def _token(host: str) -> str:
    return hashlib.sha256(f"lyncgate affinity {host}".encode()).hexdigest()[:16]


def _rendezvous(source: str, state: MemberState) -> bytes:
    """Highest random weight: when a member goes, only its own clients move."""
    return hashlib.sha256(f"{source} {state.member.host}".encode()).digest()
