"""Ends each exchange's record and hands it to whoever observes: metrics, and the sinks of events, such as
access log and journal. The observer gets finished records only, once each; sinks also hear of polls that have
begun (`edge.story`) and of handshakes (`edge.handshakes`). All from the event loop."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Protocol

from mitmproxy import connection
from mitmproxy.http import HTTPFlow

from lyncgate.edge.framing import STATUS as FAULT_STATUS
from lyncgate.edge.framing import Rejection
from lyncgate.edge.outcomes import ENDED_BY, STATUS
from lyncgate.edge.route import listener_of
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.policy.decision import Deny, Forward
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.keys import Keys


class Observer(Protocol):
    """What the edge tells. Every call is quick and never raises."""

    def observe(self, exchange: Exchange) -> None: ...
    def rejected(self, listener: str, reason: str) -> None: ...
    def poll_started(self) -> None: ...
    def poll_ended(self) -> None: ...
    def connection_opened(self, listener: str) -> None: ...
    def connection_closed(self, listener: str) -> None: ...


type Sink = Callable[[Event], None]


class Records:
    """The last of the addons: by then the others have written what they know."""

    def __init__(self, edge: EdgeState, observer: Observer, *sinks: Sink) -> None:
        self.edge = edge
        self.observer = observer
        self.sinks = sinks
        self._connections: dict[str, str] = {}  # client connection -> listener, as it was opened

    def client_connected(self, client: connection.Client) -> None:
        listener = listener_of(client, self.edge)
        self._connections[client.id] = name = listener.name if listener else "_other"
        self.observer.connection_opened(name)

    def client_disconnected(self, client: connection.Client) -> None:
        name = self._connections.pop(client.id, None)
        if name is not None:
            self.observer.connection_closed(name)

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit and self._is_poll(transit):
            self.observer.poll_started()

    def response(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.pop(flow.id, None)
        if transit is None or flow.response is None:
            return
        exchange = transit.exchange
        forwarded = "answered" in transit.marks
        if exchange.outcome is None:
            exchange.outcome = Outcome.OK
        exchange.ended_by = Source.UPSTREAM if forwarded else Source.PROXY
        exchange.status = flow.response.status_code
        if not forwarded:
            exchange.response_bytes = len(flow.response.raw_content or b"")
        self._finish(transit)

    def error(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.pop(flow.id, None)
        if transit is None:
            return
        exchange = transit.exchange
        if exchange.outcome is None:
            exchange.outcome = _outcome_of(flow, transit)
        exchange.ended_by = ENDED_BY.get(exchange.outcome, Source.PROXY)
        if flow.response is not None and "answered" in transit.marks:
            exchange.status = flow.response.status_code
            transit.phase(Phase.RESPONSE_BODY, None)
        else:
            if isinstance(transit.decision, Deny):
                exchange.status = transit.decision.status
            else:
                exchange.status = STATUS.get(exchange.outcome)
            if "connected" in transit.marks:
                transit.phase(Phase.WAIT, None)
        self._finish(transit, ended=False)

    def _finish(self, transit: Transit, *, ended: bool = True) -> None:
        now = self.edge.clock()
        if ended and "answered" in transit.marks:
            transit.phase(Phase.RESPONSE_BODY, now - transit.marks["answered"])
        transit.phase(Phase.TOTAL, now - transit.begun)
        if self._is_poll(transit):
            self.observer.poll_ended()
        self._hand_over(transit.exchange)

    def _hand_over(self, exchange: Exchange) -> None:
        self.observer.observe(exchange)
        for sink in self.sinks:
            sink(exchange)

    def edge_rejected(self, rejection: Rejection) -> None:
        """Bytes that never became a request: counted, and logged as far as they are known."""
        exchange = Exchange(
            id=secrets.token_hex(8),
            listener=rejection.listener,
            scheme=rejection.scheme,
            source_ip=rejection.source_ip,
            connection=rejection.connection,
            started=time.time(),
            method="_other",
            host="_other",
            path="",
            status=FAULT_STATUS.get(rejection.fault),
            outcome=Outcome.DENIED,
            reason=rejection.fault,
            keys=Keys(connection=rejection.connection, client=rejection.source_ip or None),
        )
        self.observer.rejected(rejection.listener, rejection.fault)
        self._hand_over(exchange)

    @staticmethod
    def _is_poll(transit: Transit) -> bool:
        return transit.exchange.kind is Kind.POLL and isinstance(transit.decision, Forward)


def _outcome_of(flow: HTTPFlow, transit: Transit) -> Outcome:
    """The layers fail a flow with an outcome's word. Otherwise mitmproxy did: it holds an answer of the
    member that is invalid, or the client went away."""
    if flow.error and flow.error.msg in Outcome:
        return Outcome(flow.error.msg)
    invalid = flow.response is not None and isinstance(transit.decision, Forward)
    return Outcome.UPSTREAM_INVALID if invalid and "answered" not in transit.marks else Outcome.CLIENT_GONE
