"""What the edge's concerns share: the policy in force, its pools at run time, a request in transit.

One EdgeState a process, used from the event loop only. A reload calls `adopt()`, which swaps the
policy reference: requests already in transit keep the policy that decided them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lyncgate.edge.client import Client
from lyncgate.edge.heads import Fields, OwnAnswer, RequestHead, ResponseHead
from lyncgate.edge.pool import PoolState
from lyncgate.policy.decision import Decision
from lyncgate.policy.policy import Listener, Policy
from lyncgate.signin.exchange import Exchange, Outcome, Phase
from lyncgate.signin.seen import HEAD_LIMIT

if TYPE_CHECKING:
    from lyncgate.edge.pool import MemberState

Clock = Callable[[], float]


class Transit:
    """One request on its way. Times are of a monotonic clock, in seconds; None: that has not happened.

    `begun`, `head`: first and last byte of the head; `sent`: last byte of the request; `answered`: first byte
    of the member's answer. `answer`: the edge's own. `trusted`: the peer is a trusted proxy, whose
    X-Forwarded-* are kept. `failure`: how the last connect failed, when one did; `failed`: why no whole
    response reached the client. `upstream`: id of the connection that carries it. `passing`: what is kept of
    it until it is read, see lyncgate.edge.story."""

    __slots__ = (
        "answer", "answered", "begun", "client", "connected_at", "decision", "exchange", "failed", "failure",
        "head", "listener", "member", "passing", "pool", "request", "response", "sent", "tried", "trusted",
        "upstream",
    )  # fmt: skip

    def __init__(
        self,
        *,
        exchange: Exchange,
        decision: Decision,
        client: Client,
        listener: Listener | None,
        request: RequestHead,
        begun: float,
        head: float,
        trusted: bool,
    ) -> None:
        self.exchange = exchange
        self.decision = decision
        self.client = client
        self.listener = listener
        self.request = request
        self.begun = begun
        self.head = head
        self.trusted = trusted
        self.connected_at: float | None = None
        self.sent: float | None = None
        self.answered: float | None = None
        self.answer: OwnAnswer | None = None
        self.response: ResponseHead | None = None
        self.pool: PoolState | None = None
        self.member: MemberState | None = None
        self.tried: set[str] = set()
        self.failure = Outcome.CONNECT_FAILED
        self.failed: Outcome | None = None
        self.upstream: str | None = None
        self.passing: Passing | None = None

    def connected(self, now: float, upstream: str) -> None:
        """There is an upstream connection; one that was open already took neither connect nor TLS."""
        self.connected_at = now
        self.upstream = upstream
        if self.exchange.reused is None:
            self.exchange.reused = True

    def phase(self, phase: Phase, seconds: float | None) -> None:
        self.exchange.phases[phase] = None if seconds is None else max(0.0, seconds)

    # Bodies are never kept: they are counted as they pass. Of some the first bytes are looked at.

    def request_chunk(self, chunk: bytes) -> None:
        self.exchange.request_bytes += len(chunk)
        if self.passing is not None and self.passing.request_body is not None:
            self.passing.request_body.take(chunk)

    def request_end(self, now: float) -> None:
        self.sent = now
        self.phase(Phase.REQUEST_BODY, now - (self.connected_at or self.head))

    def response_chunk(self, chunk: bytes) -> None:
        self.exchange.response_bytes += len(chunk)
        if self.passing is not None and self.passing.response_body is not None:
            self.passing.response_body.take(chunk)


class BodyStart:
    """The first bytes of a body that passes by. `complete`: they are all of it, so far."""

    __slots__ = ("complete", "data")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""  # most bodies come in one piece, which is not copied
        self.complete = True

    def take(self, chunk: bytes) -> None:
        """Called with each chunk as it is passed on."""
        if self.complete:
            room = HEAD_LIMIT - len(self.data)
            if not self.data:
                self.data = chunk[:room]
            else:
                if isinstance(self.data, bytes):
                    self.data = bytearray(self.data)
                self.data += chunk[:room]
            self.complete = len(chunk) <= room


class Passing:
    """A request and its answer on their way through, as they came; `names`: of the fields, in lower case.
    None: not wanted, or not there yet."""

    __slots__ = (
        "request_body", "request_fields", "request_names", "response_body", "response_fields",
        "response_names",
    )  # fmt: skip

    def __init__(self, fields: Fields, names: Sequence[bytes], body: BodyStart | None) -> None:
        self.request_fields = fields
        self.request_names = names
        self.request_body = body
        self.response_fields: Fields | None = None
        self.response_names: Sequence[bytes] | None = None
        self.response_body: BodyStart | None = None


class EdgeState:
    """`policy`: in force for new requests. `draining`: responses say `Connection: close`."""

    def __init__(self, policy: Policy, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.policy = policy
        self.pools: dict[str, PoolState] = {}
        self.transits: set[Transit] = set()
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
