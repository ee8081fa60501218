"""Tells what an exchange said: its keys, its facts, the step of a sign-in that it is.

The first bytes of bodies are copied while they stream by, of requests that a sign-in can have, and read
when the exchange is over (`signin.reading`). All others cost next to nothing. Stands right behind Route, so
that it sees header fields as they came: before the edge adds or takes any.

A poll hangs for minutes, so it is told twice: when it has been forwarded, with no outcome, and when it is
over.
"""

from __future__ import annotations

import functools

import msgspec

from lyncgate.edge.heads import known
from lyncgate.edge.records import Observer, Sink
from lyncgate.edge.state import BodyStart, Passing, Transit
from lyncgate.lync import mcx
from lyncgate.policy.decision import Forward
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import Reading, RequestSeen, ResponseSeen, read

NO_BODY = ("/abs/",)  # downloads: nothing is in them for us
NO_ANSWER = (*NO_BODY, "/groupexpansion/")  # its requests carry a ticket
OUTSIDE_STAGES = ("/ucwa/", "/mcx/")  # what belongs to no stage has the key of its application all the same
POLL = mcx.GetNextEvents.operation.encode()  # a poll of the service of 2010 has it in its body
READABLE = (b"text/", b"json", b"xml", b"html")
LONGEST_TYPE = 128  # bytes of a Content-Type that is remembered


class Story:
    """`sinks` hear of polls that have begun."""

    def __init__(self, observer: Observer, hasher: Hasher, *sinks: Sink) -> None:
        self.observer = observer
        self.hasher = hasher
        self.sinks = sinks

    def begin(self, transit: Transit) -> None:
        exchange = transit.exchange
        if exchange.stage is not None or exchange.path.startswith(OUTSIDE_STAGES):
            wanted = not exchange.path.startswith(NO_BODY)
            head = transit.request
            transit.passing = Passing(head.fields, head.names, BodyStart() if wanted else None)

    def sent(self, transit: Transit) -> None:
        """The request is through. The service of 2010 tells a poll by its body only."""
        if transit.passing is None or not isinstance(transit.decision, Forward):
            return
        exchange = transit.exchange
        answered = transit.answer is not None or transit.response is not None
        if answered or not (exchange.kind is Kind.POLL or _may_hang(exchange, transit.passing)):
            return
        reading = self._read(transit, transit.passing, None)
        if reading.kind is not Kind.POLL:
            return
        if exchange.kind is not Kind.POLL:
            exchange.kind = Kind.POLL
            self.observer.poll_started()
        begun = msgspec.structs.replace(exchange, phases=dict(exchange.phases))
        _tell(begun, reading)
        for sink in self.sinks:
            sink(begun)

    def answered(self, transit: Transit) -> None:
        if transit.passing is None or transit.response is None:
            return
        transit.passing.response_fields = transit.response.fields
        transit.passing.response_names = transit.response.names
        if _readable(known(transit.response, b"content-type")) and not transit.exchange.path.startswith(
            NO_ANSWER
        ):
            transit.passing.response_body = BodyStart()

    def end(self, transit: Transit) -> None:
        if transit.passing is not None:
            _tell(transit.exchange, self._read(transit, transit.passing, _answer(transit, transit.passing)))

    def _read(self, transit: Transit, passing: Passing, response: ResponseSeen | None) -> Reading:
        exchange, body = transit.exchange, passing.request_body
        request = RequestSeen(
            method=exchange.method,
            scheme=exchange.scheme,
            host=exchange.host,
            path=exchange.path,
            target=transit.request.target,
            headers=passing.request_fields,
            names=passing.request_names,
            body=bytes(body.data) if body else b"",
            complete=body is not None and body.complete,
        )
        return read(
            self.hasher,
            request,
            response,
            connection=exchange.connection,
            client=exchange.source_ip,
            classified=(exchange.stage, exchange.kind is Kind.POLL),
        )


def _reads(content_type: bytes) -> bool:
    kind = content_type.lower()
    return any(word in kind for word in READABLE)


_remembered = functools.lru_cache(maxsize=128)(_reads)  # always the same few


def _readable(content_type: bytes) -> bool:
    """Whether an answer of this kind may say something."""
    return _remembered(content_type) if len(content_type) <= LONGEST_TYPE else _reads(content_type)


def _may_hang(exchange: Exchange, passing: Passing) -> bool:
    """Whether it can turn out to be a poll of the service of 2010: its reading says."""
    if not exchange.path.startswith("/mcx/"):
        return False
    body = passing.request_body
    if body is None or exchange.method == "GET" or b"content-encoding" in passing.request_names:
        return True
    return POLL in body.data


def _tell(exchange: Exchange, reading: Reading) -> None:
    exchange.keys, exchange.facts, exchange.stage = reading.keys, reading.facts, reading.stage


def _answer(transit: Transit, passing: Passing) -> ResponseSeen | None:
    """The answer as far as it came: a member's, or the edge's own, which passes nobody."""
    if transit.response is None or passing.response_fields is None:
        return None
    own = transit.answer is not None
    head = passing.response_body
    body = b""
    if head is not None:
        body = transit.answer.body if transit.answer is not None else bytes(head.data)
    return ResponseSeen(
        status=transit.response.status,
        headers=passing.response_fields,
        names=passing.response_names,
        body=body,
        complete=head is not None and head.complete and not transit.failed,
        upstream=None if own else transit.upstream,
    )
