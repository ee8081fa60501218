"""Ends each exchange's record and hands it to whoever observes: metrics, and the sinks of events, such as
access log and journal. The observer gets finished records only, once each; sinks also hear of polls that have
begun (`edge.story`) and of handshakes (`edge.handshakes`). All from the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from lyncgate.edge.client import Client, listener_of
from lyncgate.edge.framing import STATUS as FAULT_STATUS
from lyncgate.edge.framing import Fault
from lyncgate.edge.ids import new_id
from lyncgate.edge.outcomes import ENDED_BY, STATUS
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.edge.timeouts import OF_FAULT, TimeLimit
from lyncgate.policy.decision import Deny, Forward
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.keys import NONE, Keys


class Observer(Protocol):
    """What the edge tells. Every call is quick and never raises."""

    def observe(self, exchange: Exchange) -> None: ...
    def rejected(self, listener: str, reason: str) -> None: ...
    def poll_started(self) -> None: ...
    def poll_ended(self) -> None: ...
    def connection_opened(self, listener: str) -> None: ...
    def connection_closed(self, listener: str) -> None: ...
    def timed_out(self, limit: TimeLimit) -> None: ...
    def queued(self, pool: str, member: str, length: int) -> None: ...


type Sink = Callable[[Event], None]


class Records:
    """The last of the concerns: by then the others have written what they know."""

    def __init__(self, edge: EdgeState, observer: Observer, *sinks: Sink) -> None:
        self.edge = edge
        self.observer = observer
        self.sinks = sinks

    def opened(self, client: Client) -> None:
        listener = listener_of(client, self.edge.policy)
        client.counted = listener.name if listener else "_other"
        self.observer.connection_opened(client.counted)

    def closed(self, client: Client) -> None:
        self.observer.connection_closed(client.counted)

    def begin(self, transit: Transit) -> None:
        if _is_poll(transit):
            self.observer.poll_started()

    def hangs(self, transit: Transit) -> None:
        """It has turned out to be one that is meant to hang."""
        if transit.exchange.kind is not Kind.POLL:
            transit.exchange.kind = Kind.POLL
            self.observer.poll_started()

    def end(self, transit: Transit) -> None:
        """A whole response went to the client, or else `transit.failed` says what went wrong."""
        self.edge.transits.discard(transit)
        exchange = transit.exchange
        if transit.failed:
            self._failed(transit)
        else:
            forwarded = transit.answered is not None
            if exchange.outcome is None:
                exchange.outcome = Outcome.OK
            exchange.ended_by = Source.UPSTREAM if forwarded else Source.PROXY
            exchange.status = transit.response.status if transit.response else None
            if not forwarded and transit.answer is not None:
                exchange.response_bytes = len(transit.answer.body)
        now = self.edge.clock()
        if not transit.failed and transit.answered is not None:
            transit.phase(Phase.RESPONSE_BODY, now - transit.answered)
        transit.phase(Phase.TOTAL, now - transit.begun)
        if _is_poll(transit):
            self.observer.poll_ended()
        self._hand_over(exchange)

    def _failed(self, transit: Transit) -> None:
        exchange = transit.exchange
        if exchange.outcome is None:
            exchange.outcome = transit.failed
        exchange.ended_by = ENDED_BY.get(exchange.outcome or Outcome.CLIENT_GONE, Source.PROXY)
        if transit.response is not None and transit.answered is not None:
            exchange.status = transit.response.status
            transit.phase(Phase.RESPONSE_BODY, None)
            return
        if isinstance(transit.decision, Deny):
            exchange.status = transit.decision.status
        elif exchange.outcome is not None:
            exchange.status = STATUS.get(exchange.outcome)
        if transit.connected_at is not None:
            transit.phase(Phase.WAIT, None)

    def _hand_over(self, exchange: Exchange) -> None:
        if exchange.keys is NONE and not exchange.went_well:
            exchange.keys = Keys(
                connection=exchange.connection,
                client=exchange.source_ip,
                agent=exchange.user_agent,
                user=exchange.sip_user,
            )
        self.observer.observe(exchange)
        for sink in self.sinks:
            sink(exchange)

    def rejected(self, client: Client, fault: Fault) -> None:
        """Bytes that never became a request: counted, and logged as far as they are known."""
        name = client.listener or client.counted
        exchange = Exchange(
            id=new_id(),
            listener=name,
            scheme=client.scheme,
            source_ip=client.peer,
            connection=client.id,
            started=time.time(),
            method="_other",
            host="_other",
            path="",
            status=FAULT_STATUS.get(fault),
            outcome=Outcome.DENIED,
            reason=fault,
            keys=Keys(connection=client.id, client=client.peer or None),
        )
        self.observer.rejected(name, fault)
        if limit := OF_FAULT.get(fault):
            self.observer.timed_out(limit)
        self._hand_over(exchange)


def _is_poll(transit: Transit) -> bool:
    return transit.exchange.kind is Kind.POLL and isinstance(transit.decision, Forward)
