"""A sign-in as a waterfall: fourteen rows on one scale of time, with what was seen in each, by whom, and how
long it took. The view model of page, terminal and capture, which only put it on their surface.

    waterfall(sign_in, findings) -> Waterfall

Times are seconds since the sign-in's start, by its own clock: those of traces are corrected by the offsets
that were estimated. Bars are in percent of the width (`signin.scale`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Phase
from lyncgate.signin.finding import Finding
from lyncgate.signin.lines import Line, line
from lyncgate.signin.rows import ROWS, Row, row_state
from lyncgate.signin.scale import Bar, Scale, Span, scale
from lyncgate.signin.shown import shown
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState, StageView

MOST_LINES = 60  # of a row: what is more is counted, and in the export
SHORTEST_STORY = 0.02  # seconds: a scale never shows less


@dataclasses.dataclass(frozen=True, slots=True)
class PhaseBar:
    """A phase inside an exchange; `bar` is in percent of the exchange. `seconds` None: it never ended."""

    phase: Phase
    seconds: float | None
    bar: Bar


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """An event: its line, when it was, where it is drawn, and why it is taken to belong here. `accused`: a
    finding quotes it."""

    line: Line
    start: float
    bar: Bar
    joined: Joined | None
    phases: tuple[PhaseBar, ...]
    accused: bool


@dataclasses.dataclass(frozen=True, slots=True)
class RowView:
    """A row. `views`: its stages; `track`: from its first to its last moment, None if nothing was seen;
    `hidden`: moments that are too many to show; `seconds`: of all its stages together."""

    row: Row
    state: StageState
    views: tuple[StageView, ...]
    seconds: float | None
    said: tuple[str, ...]
    origins: tuple[str, ...]
    track: Bar | None
    moments: tuple[Moment, ...]
    hidden: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Waterfall:
    """`beside`: moments of the sign-in that belong to no stage. `ready_after`: seconds until all of it was
    there, of a sign-in that succeeded; a poll then hangs on, and counts by its start."""

    sign_in: SignIn
    findings: tuple[Finding, ...]
    rows: tuple[RowView, ...]
    scale: Scale
    beside: tuple[Moment, ...]
    ready_after: float | None = None

    def row_of(self, event: str | None) -> RowView | None:
        """The row that has this event, for evidence to point at."""
        if event is None:
            return None
        return next((row for row in self.rows if any(event in view.events for view in row.views)), None)


def waterfall(sign_in: SignIn, findings: Sequence[Finding] = ()) -> Waterfall:
    """Total: any sign-in has one, also one with stages that no event supports."""
    events = {event.id: event for event in sign_in.events}
    drawn = _Drawn(sign_in, findings, events)
    rows = tuple(_row(row, sign_in, drawn) for row in ROWS)
    staged = {event for view in sign_in.stages for event in view.events}
    beside = drawn.moments(event.id for event in sign_in.events if event.id not in staged)
    ready_after = _ready_after(rows) if sign_in.outcome is SignInOutcome.OK else None
    return Waterfall(sign_in, tuple(findings), rows, drawn.scale, beside[:MOST_LINES], ready_after)


def _ready_after(rows: Sequence[RowView]) -> float | None:
    moments = [moment for row in rows for moment in row.moments]
    ends = [m.start + (0.0 if m.line.waits else m.line.seconds or 0.0) for m in moments]
    return max(ends, default=None)


class _Drawn:
    """The sign-in's events on their scale."""

    def __init__(self, sign_in: SignIn, findings: Sequence[Finding], events: Mapping[str, Event]) -> None:
        self._started = sign_in.started
        self._offsets = dict(sign_in.offsets)
        self._joined = dict(sign_in.joined)
        self._accused = {evidence.event for finding in findings for evidence in finding.evidence}
        self._lines = {id_: line(event) for id_, event in events.items()}
        spans = [Span(0.0, SHORTEST_STORY, waits=True)]
        for said in self._lines.values():
            start = self.start(said)
            spans.append(Span(start, start + (said.seconds or 0.0), said.waits))
        for view in sign_in.stages:
            if view.started is not None:
                at = view.started - self._started
                spans.append(Span(at, at + (view.seconds or 0.0), waits=True))
        self.scale = scale(spans)

    def start(self, said: Line) -> float:
        return said.started - self._offsets.get(said.origin, 0.0) - self._started

    def moments(self, ids: Iterable[str]) -> tuple[Moment, ...]:
        return tuple(self._moment(self._lines[id_]) for id_ in ids if id_ in self._lines)

    def handshake(self, moment: Moment) -> Moment:
        """Of an exchange, only the making of its connection: that ended when the request began."""
        if not moment.phases:
            return moment
        tls = next((p.seconds for p in moment.phases if p.phase is Phase.CLIENT_TLS), None) or 0.0
        return dataclasses.replace(
            moment,
            bar=self.scale.bar(moment.start - tls, moment.start),
            line=dataclasses.replace(moment.line, waits=False),
        )

    def _moment(self, said: Line) -> Moment:
        start = self.start(said)
        end = self.scale.seconds if said.seconds is None and said.waits else start + (said.seconds or 0.0)
        return Moment(
            line=said,
            start=start,
            bar=self.scale.bar(start, end),
            joined=self._joined.get(said.id),
            phases=_phase_bars(said),
            accused=said.id in self._accused,
        )


def _row(row: Row, sign_in: SignIn, drawn: _Drawn) -> RowView:
    views = tuple(sign_in.stage(stage) for stage in row.stages)
    ids = dict.fromkeys(event for view in views for event in view.events)
    moments = drawn.moments(ids)
    if row.stages == (Stage.CONNECT,):
        moments = tuple(drawn.handshake(moment) for moment in moments)
    took = [view.seconds for view in views if view.seconds is not None]
    return RowView(
        row=row,
        state=row_state(view.state for view in views),
        views=views,
        seconds=sum(took) if took else None,
        said=tuple(shown(view.said) for view in views if view.said),
        origins=tuple(dict.fromkeys(shown(origin, 64) for view in views for origin in view.origins)),
        track=_track(views, moments, sign_in, drawn.scale),
        moments=moments[:MOST_LINES],
        hidden=max(len(moments) - MOST_LINES, 0),
    )


def _track(views: Sequence[StageView], moments: Sequence[Moment], sign_in: SignIn, on: Scale) -> Bar | None:
    ends = [
        (view.started, view.started + (view.seconds or 0.0)) for view in views if view.started is not None
    ]
    if ends:
        start, stop = min(first for first, _ in ends), max(last for _, last in ends)
        return on.bar(start - sign_in.started, stop - sign_in.started)
    if moments:
        left = min(moment.bar.left for moment in moments)
        return Bar(left, max(moment.bar.left + moment.bar.width for moment in moments) - left)
    return None


def _phase_bars(said: Line) -> tuple[PhaseBar, ...]:
    """One after the other: an exchange's phases hardly overlap, and their starts are not recorded."""
    total = sum(seconds for _, seconds in said.phases if seconds)
    bars, left = [], 0.0
    for phase, seconds in said.phases:
        width = 100.0 * (seconds or 0.0) / total if total else 0.0
        bars.append(PhaseBar(phase, seconds, Bar(round(left, 3), round(width, 3))))
        left += width
    return tuple(bars)
