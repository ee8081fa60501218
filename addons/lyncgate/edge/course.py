"""The course of a request through the edge: its concerns, one a file, in the order it meets them.

Whoever moves the bytes calls these: mitmproxy's layers through `edge.flows`, the engine's lane by itself. So
there is one order, and each concern is written once.

    opened ─▶ begin ─▶ (reached | unreached, next_member) ─▶ connected ─▶ sent ─▶ answered ─▶ end ─▶ closed
"""

from __future__ import annotations

from typing import Protocol

from lyncgate.edge.client import Client
from lyncgate.edge.framing import Fault
from lyncgate.edge.guard import Guard
from lyncgate.edge.handshakes import Handshakes, MemberAttempt
from lyncgate.edge.headers import HeaderFields
from lyncgate.edge.heads import OwnAnswer, RequestHead, ResponseHead, lowered
from lyncgate.edge.health import HealthObserver
from lyncgate.edge.identity import Identity
from lyncgate.edge.lyncdiscover import Lyncdiscover
from lyncgate.edge.publish import Publish, PublishObserver
from lyncgate.edge.records import Observer, Records, Sink
from lyncgate.edge.redirect import Redirects
from lyncgate.edge.route import Route
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.edge.story import Story
from lyncgate.edge.timeouts import TimeLimit
from lyncgate.signin.exchange import Outcome, Phase
from lyncgate.signin.keys import Hasher


class EdgeObserver(Observer, HealthObserver, PublishObserver, Protocol):
    """Everything that the edge reports, as it happens."""


class Course:
    def __init__(
        self, edge: EdgeState, identity: Identity, observer: EdgeObserver, hasher: Hasher, *sinks: Sink
    ) -> None:
        self.edge = edge
        self.route = Route(edge)
        self.story = Story(observer, hasher, *sinks)
        self.guard = Guard()
        self.redirects = Redirects()
        self.lyncdiscover = Lyncdiscover()
        self.publish = Publish(edge, observer)
        self.fields = HeaderFields(edge)
        self.handshakes = Handshakes(edge, identity, *sinks)
        self.records = Records(edge, observer, *sinks)

    # A client's connection.

    def opened(self, client: Client) -> None:
        self.records.opened(client)

    def closed(self, client: Client) -> None:
        self.handshakes.closed(client)
        self.records.closed(client)

    def rejected(self, client: Client, fault: Fault) -> None:
        """Its bytes were refused before there was a request."""
        self.handshakes.rejected(client, fault)
        self.records.rejected(client, fault)

    # A request.

    def begin(self, client: Client, head: RequestHead) -> Transit:
        """The head is there. What comes back has an answer of the edge's own, or a member that it goes to."""
        transit = self.route.begin(client, head)
        self.story.begin(transit)
        self.guard.begin(transit)
        self.redirects.begin(transit)
        self.lyncdiscover.begin(transit)
        self.publish.begin(transit)
        self.fields.begin(transit)
        self.records.begin(transit)
        return transit

    def reached(self, transit: Transit, phase: Phase, seconds: float) -> None:
        self.publish.reached(transit, phase, seconds)

    def unreached(self, transit: Transit, phase: Phase, failure: Outcome, attempt: MemberAttempt) -> None:
        """A connection to the member did not come to be."""
        self.publish.unreached(transit, phase, failure)
        self.handshakes.member(transit.client, attempt)
        if failure is Outcome.CONNECT_TIMEOUT:
            self.timed_out(TimeLimit.CONNECT)

    def next_member(self, transit: Transit) -> bool:
        """Whether there is another member to try; nothing was sent."""
        return self.publish.next_member(transit)

    def queues(self, transit: Transit, length: int) -> None:
        """The member has all the connections that it may have: the request waits, one of `length`."""
        self._queue(transit, length)
        transit.exchange.phases.setdefault(Phase.QUEUE, None)

    def queued(self, transit: Transit, length: int, seconds: float | None) -> None:
        """It waits no longer, but `length` still do. None: in vain."""
        self._queue(transit, length)
        if seconds is None:
            transit.phase(Phase.QUEUE, None)
        else:  # for another member it may have waited before
            transit.phase(Phase.QUEUE, seconds + (transit.exchange.phases.get(Phase.QUEUE) or 0.0))

    def _queue(self, transit: Transit, length: int) -> None:
        if transit.pool is not None and transit.member is not None:
            self.records.observer.queued(transit.pool.pool.name, transit.member.name, length)

    def timed_out(self, limit: TimeLimit) -> None:
        """It ran out."""
        self.records.observer.timed_out(limit)

    def connected(self, transit: Transit, upstream: str) -> None:
        transit.connected(self.edge.clock(), upstream)

    def sent(self, transit: Transit) -> None:
        """The last byte of the request has gone, or been thrown away."""
        if transit.answer is None and transit.exchange.request_bytes:
            transit.request_end(self.edge.clock())
        self.story.sent(transit)

    def answered(self, transit: Transit, head: ResponseHead) -> None:
        """The head of the final answer is there. `head` is changed to what goes to the client."""
        transit.response = head
        self.story.answered(transit)
        self.publish.answered(transit)
        self.fields.answered(transit)

    def switched(self, transit: Transit) -> None:
        """From here on it is a websocket: it may hang for hours, as a poll may."""
        self.records.hangs(transit)

    def own(self, transit: Transit, answer: OwnAnswer) -> ResponseHead:
        """The head of an answer of the edge's own, as it goes to the client."""
        head = ResponseHead(answer.status, answer.fields, lowered(answer.fields))
        self.answered(transit, head)
        return head

    def end(self, transit: Transit, failed: Outcome | None = None) -> None:
        """The answer has reached the client's socket, or `failed` says why not. Called once."""
        transit.failed = failed
        if failed is Outcome.QUEUE_TIMEOUT:
            self.timed_out(TimeLimit.QUEUE)
        self.story.end(transit)
        self.publish.end(transit)
        self.records.end(transit)
