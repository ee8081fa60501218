"""The cells that exchanges of one kind count in: same listener, publication, answer, stage and member."""

from __future__ import annotations

from bisect import bisect_left

from lyncgate.observe.counting import Cell, HistogramCell
from lyncgate.observe.families import PHASE_BUCKETS, Families
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase

SHORTEST = PHASE_BUCKETS[0]  # most phases are no longer


class Tally:
    """Label values are those that may stand in a series. A series begins with its first event, not before."""

    __slots__ = (
        "_duration",
        "_families",
        "_kind",
        "_member",
        "_phases",
        "_publication",
        "_request_bytes",
        "_requests",
        "_response_bytes",
        "_upstream",
        "_where",
    )

    def __init__(
        self,
        families: Families,
        kind: Kind,
        *,
        listener: str,
        publication: str,
        decision: str,
        code_class: str,
        source: str,
        stage: str,
        member: tuple[str, str] | None,
    ) -> None:
        self._families = families
        self._kind = kind
        self._where = (listener, publication)
        self._publication = (publication, stage)
        self._member = None if member is None else (*member, code_class)
        self._requests = families.requests[listener, publication, decision, code_class, source]
        self._request_bytes: Cell | None = None
        self._response_bytes: Cell | None = None
        self._upstream: Cell | None = None
        self._duration: HistogramCell | None = None
        self._phases: dict[Phase, HistogramCell] = {}

    def count(self, exchange: Exchange) -> None:
        """One of them ended."""
        self._requests.count += 1.0
        if sent := exchange.request_bytes:
            if self._request_bytes is None:
                self._request_bytes = self._families.request_bytes[self._where]
            self._request_bytes.count += sent
        if got := exchange.response_bytes:
            if self._response_bytes is None:
                self._response_bytes = self._families.response_bytes[self._where]
            self._response_bytes.count += got
        phases, known = exchange.phases, self._phases
        for phase, seconds in phases.items():
            if seconds is not None:
                if phase not in known:
                    known[phase] = self._families.phases[phase, self._kind]
                cell = known[phase]
                cell.counts[0 if seconds <= SHORTEST else bisect_left(PHASE_BUCKETS, seconds)] += 1
                cell.sum += seconds
        if self._kind is Kind.REQUEST and (total := phases.get(Phase.TOTAL)) is not None:
            if self._duration is None:
                self._duration = self._families.duration[self._publication]
            self._duration.observe(total)
        if self._member is not None and _answered_by_member(exchange):
            if self._upstream is None:
                self._upstream = self._families.upstream_responses[self._member]
            self._upstream.count += 1.0


def _answered_by_member(exchange: Exchange) -> bool:
    """The status is the member's own word, not a 502 that the edge made of its silence."""
    return (
        exchange.outcome in (Outcome.OK, Outcome.CLIENT_GONE)
        and exchange.status is not None
        and exchange.phases.get(Phase.WAIT) is not None
    )
