"""Tells what an exchange said: its keys, its facts, the step of a sign-in that it is.

The first bytes of bodies are copied while they stream by, of requests that a sign-in can have, and read
when the exchange is over (`signin.reading`). All others cost next to nothing. Stands right behind Route, so
that it sees header fields as they came: before the edge adds or takes any.

A poll hangs for minutes, so it is told twice: when it has been forwarded, with no outcome, and when it is
over.
"""

from __future__ import annotations

import dataclasses

from mitmproxy.http import HTTPFlow

from lyncgate.edge.records import Observer, Sink
from lyncgate.edge.route import first
from lyncgate.edge.state import EdgeState, Head, Passing, Transit
from lyncgate.policy.decision import Forward
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.reading import Reading, RequestSeen, ResponseSeen, read

NO_BODY = ("/abs/",)  # downloads: nothing is in them for us
NO_ANSWER = (*NO_BODY, "/groupexpansion/")  # its requests carry a ticket
OUTSIDE_STAGES = ("/ucwa/", "/mcx/")  # what belongs to no stage has the key of its application all the same
READABLE = (b"text/", b"json", b"xml", b"html")


class Story:
    """`sinks` hear of polls that have begun."""

    def __init__(self, edge: EdgeState, observer: Observer, hasher: Hasher, *sinks: Sink) -> None:
        self.edge = edge
        self.observer = observer
        self.hasher = hasher
        self.sinks = sinks

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None:
            return
        exchange = transit.exchange
        exchange.keys = Keys(
            connection=exchange.connection,
            client=exchange.source_ip,
            agent=exchange.user_agent,
            user=exchange.sip_user,
        )
        if exchange.stage is not None or exchange.path.startswith(OUTSIDE_STAGES):
            wanted = not exchange.path.startswith(NO_BODY)
            transit.passing = Passing(
                flow.request.headers.fields, flow.request.data.path, Head() if wanted else None
            )

    def request(self, flow: HTTPFlow) -> None:
        """The request is through. The service of 2010 tells a poll by its body only."""
        transit = self.edge.transits.get(flow.id)
        if transit is None or transit.passing is None or not isinstance(transit.decision, Forward):
            return
        exchange = transit.exchange
        if flow.response is not None or not (exchange.kind is Kind.POLL or exchange.path.startswith("/mcx/")):
            return
        reading = self._read(transit, transit.passing, None)
        if reading.kind is not Kind.POLL:
            return
        if exchange.kind is not Kind.POLL:
            exchange.kind = Kind.POLL
            self.observer.poll_started()
        begun = dataclasses.replace(exchange, phases=dict(exchange.phases))
        _tell(begun, reading)
        for sink in self.sinks:
            sink(begun)

    def responseheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or transit.passing is None or flow.response is None:
            return
        headers = flow.response.headers.fields
        transit.passing.response_headers = headers
        kind = first(flow.response.headers, b"content-type").lower()
        wanted = any(word in kind for word in READABLE)
        if wanted and not transit.exchange.path.startswith(NO_ANSWER):
            transit.passing.response_body = Head()

    def response(self, flow: HTTPFlow) -> None:
        self._finish(flow)

    def error(self, flow: HTTPFlow) -> None:
        self._finish(flow)

    def _finish(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is not None and transit.passing is not None:
            _tell(transit.exchange, self._read(transit, transit.passing, _answer(flow, transit.passing)))

    def _read(self, transit: Transit, passing: Passing, response: ResponseSeen | None) -> Reading:
        exchange, body = transit.exchange, passing.request_body
        request = RequestSeen(
            method=exchange.method,
            scheme=exchange.scheme,
            host=exchange.host,
            path=exchange.path,
            target=passing.target,
            headers=passing.request_headers,
            body=bytes(body.data) if body else b"",
            complete=body is not None and body.complete,
        )
        return read(
            self.hasher,
            request,
            response,
            connection=exchange.connection,
            client=exchange.source_ip,
            decision=exchange.decision,
        )


def _tell(exchange: Exchange, reading: Reading) -> None:
    exchange.keys, exchange.facts, exchange.stage = reading.keys, reading.facts, reading.stage


def _answer(flow: HTTPFlow, passing: Passing) -> ResponseSeen | None:
    """The answer as far as it came: a member's, or the edge's own, which has not been streamed."""
    if flow.response is None or passing.response_headers is None:
        return None
    head = passing.response_body
    streamed = bool(flow.response.stream)
    body = bytes(head.data) if head else b""
    if not streamed and head is not None:
        body = flow.response.raw_content or b""
    return ResponseSeen(
        status=flow.response.status_code,
        headers=passing.response_headers,
        body=body,
        complete=head is not None and head.complete and flow.error is None,
        upstream=flow.server_conn.id if streamed else None,
    )
