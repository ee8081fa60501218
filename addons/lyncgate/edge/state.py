"""What the edge's addons share: the policy in force, its pools at run time, requests in transit.

One EdgeState a process, used from the event loop only. A reload calls `adopt()`, which swaps the
policy reference: requests already in transit keep the policy that decided them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lyncgate.edge.pool import PoolState
from lyncgate.policy.decision import Decision
from lyncgate.policy.policy import Policy
from lyncgate.signin.exchange import Exchange, Outcome, Phase
from lyncgate.signin.seen import HEAD_LIMIT, Headers

if TYPE_CHECKING:
    from lyncgate.edge.pool import MemberState

Clock = Callable[[], float]


@dataclasses.dataclass(slots=True)
class Transit:
    """One request on its way. `marks` are readings of a monotonic clock in seconds."""

    exchange: Exchange
    decision: Decision
    begun: float  # monotonic: first byte of the head
    marks: dict[str, float] = dataclasses.field(default_factory=dict)
    pool: PoolState | None = None
    member: MemberState | None = None
    tried: set[str] = dataclasses.field(default_factory=set)
    trusted: bool = False  # the peer is a trusted proxy: its X-Forwarded-* are kept
    failure: Outcome = Outcome.CONNECT_FAILED  # how the last connect failed, when one did
    passing: Passing | None = None  # what is kept of it until it is read, see lyncgate.edge.story

    def connected(self, now: float) -> None:
        """There is an upstream connection, `now`; an open one took neither connect nor TLS."""
        self.marks["connected"] = now
        if self.exchange.reused is None:
            self.exchange.reused = True

    def phase(self, phase: Phase, seconds: float | None) -> None:
        self.exchange.phases[phase] = None if seconds is None else max(0.0, seconds)


class Head:
    """The first bytes of a body that passes by. `complete`: they are all of it, so far."""

    __slots__ = ("complete", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self.complete = True

    def take(self, chunk: bytes) -> None:
        """Called with each chunk as it is passed on."""
        if self.complete:
            room = HEAD_LIMIT - len(self.data)
            self.data += chunk[:room]
            self.complete = len(chunk) <= room


@dataclasses.dataclass(slots=True)
class Passing:
    """A request and its answer on their way through, as they came. None: not wanted, or not there yet."""

    request_headers: Headers
    target: bytes
    request_body: Head | None
    response_headers: Headers | None = None
    response_body: Head | None = None


class EdgeState:
    """`policy`: in force for new requests. `draining`: responses say `Connection: close`."""

    def __init__(self, policy: Policy, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.policy = policy
        self.pools: dict[str, PoolState] = {}
        self.transits: dict[str, Transit] = {}  # by flow id
        self.heads: dict[str, float] = {}  # client connection id -> monotonic time of a head's first byte
        self.draining = False
        self.adopted: list[Callable[[Policy], None]] = []  # called after each adopt()
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Make `policy` the one in force. Members that stay keep their health and connection counts."""
        self.pools = {
            name: PoolState(pool, clock=self.clock, old=self.pools.get(name))
            for name, pool in policy.pools.items()
        }
        self.policy = policy
        for listener in self.adopted:
            listener(policy)
