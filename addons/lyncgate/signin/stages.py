"""From the events of one sign-in to how it is shown: the state of each stage, and how it ended.

A stage is

- `ok` when what was tried there succeeded in the end;
- `failed` when it did not: the last thing that says anything about it is bad. 401 on the way to a ticket is
  none of these; 401 as the last word on the ticket is;
- `not_reached` when nothing was seen of it, and the sign-in had ended (or has not come so far yet);
- `not_observed` when nothing was seen of it, but later stages were.

What comes later than ESTABLISHED after the first registration is the life of the session, no part of the
sign-in: a poll that ends badly after an hour makes no failed sign-in of a good one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import msgspec

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import DnsQuery, Event, SipMessage
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.facts import Document
from lyncgate.signin.proofs import Proof, Verdict, connected, proofs
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState, StageView

SETTLE = 10.0  # seconds without anything new after which a sign-in is taken to be over
ESTABLISHED = 60.0  # seconds after the first registration
CIRCLE = 3  # as many answers of discovery that lead to discovery again, and none further, are a circle

_ORDER = {stage: number for number, stage in enumerate(Stage)}
_ENDS_AT_401 = (Stage.TICKET, Stage.CERTIFICATE)


def assemble(
    id: str,
    events: Iterable[Event],
    joined: Mapping[str, Joined],
    offsets: Mapping[str, float] | None = None,
    now: float | None = None,
) -> SignIn:
    """The sign-in that these events tell of; at least one.

    `joined`: event id → why it belongs here. `offsets`: origin → seconds that its clock is ahead; times of
    stages and of the sign-in are corrected by it, those in the events stay as they were told. `now`: Unix
    seconds, to tell what is still going on from what is over; None: everything is over.
    """
    return Assembly(id, events, joined, offsets).sign_in(now)


class Assembly:
    """A sign-in of these events, as `assemble` has it, whose outcome is asked for later, or again: most are
    shown while they go on, and once more when they are over and nothing else has come. `over`: the time (Unix
    seconds) from which on it is over, if nothing is added to it."""

    __slots__ = ("_id", "_joined", "_offsets", "_open", "_rows", "_story", "_timed", "over")

    def __init__(
        self,
        id: str,
        events: Iterable[Event],
        joined: Mapping[str, Joined],
        offsets: Mapping[str, float] | None = None,
    ) -> None:
        self._id = id
        self._joined = joined
        self._offsets = offsets or {}
        self._timed = sorted(
            [(event.started - self._offsets.get(event.origin, 0.0), event.id, event) for event in events]
        )
        self._story = _Story([_Seen(when, event) for when, _, event in self._timed])
        self._rows = {stage: self._story.row(stage) for stage in Stage}
        self.over = self._story.over(self._rows)
        self._open: SignIn | None = None  # as it was told while it went on

    def sign_in(self, now: float | None = None) -> SignIn:
        """As of `now`; None: when it is over. Not before what was asked for last: it does not open again."""
        story, rows = self._story, self._rows
        is_open = now is not None and now < self.over
        outcome, failed = (SignInOutcome.OPEN, None) if is_open else story.outcome(rows)
        stages = tuple(story.finished(rows, outcome, failed))
        if self._open is not None:
            return dataclasses.replace(self._open, outcome=outcome, failed_stage=failed, stages=stages)
        users = [user for seen in story.seen if (user := seen.event.keys.user)]
        accounts = [account for seen in story.seen if (account := seen.event.keys.account)]
        user = _most_common(users)
        origins = {event.origin for _, _, event in self._timed}
        made = SignIn(
            id=self._id,
            user=user,
            account=_most_common([name for name in accounts if name.lower() != user]),
            client=_most_common([_client(seen.event) for seen in story.seen]),
            device=_most_common([seen.event.keys.agent for seen in story.seen]),
            started=story.seen[0].started,
            ended=max([seen.ended for seen in story.seen]),
            outcome=outcome,
            failed_stage=failed,
            stages=stages,
            events=tuple([event for _, _, event in self._timed]),
            joined=tuple([(id, self._joined.get(id, Joined.TIME)) for _, id, _ in self._timed]),
            offsets=tuple(
                sorted([(origin, self._offsets[origin]) for origin in origins if origin in self._offsets])
            ),
        )
        if is_open:
            self._open = made
        return made


def _client(event: Event) -> str | None:
    """The client's address; that of a DNS query is often a resolver's."""
    return None if isinstance(event, DnsQuery) else event.keys.client


def _most_common(names: Iterable[str | None]) -> str | None:
    """The name said most often; among equals the first."""
    count: dict[str, int] = {}
    for name in names:
        if name is not None:
            count[name] = count.get(name, 0) + 1
    return max(count, key=count.__getitem__) if count else None


class _Seen:
    """An event at its corrected time, with what it proves."""

    __slots__ = ("ended", "event", "proofs", "started")

    def __init__(self, started: float, event: Event) -> None:
        self.started = started
        self.ended = started + (event.seconds or 0.0)
        self.event = event
        self.proofs = proofs(event)


@dataclasses.dataclass(slots=True)
class _Row:
    """A stage before it is known how the sign-in ended."""

    state: StageState | None  # None: nothing was seen, or nothing that decides
    proof: Proof | None = None  # that is quoted
    seen: list[_Seen] = dataclasses.field(default_factory=list)
    seconds: float | None = None
    decided: float = 0.0  # when the deciding event was over


class _Story:
    """All that was seen, in order of time."""

    def __init__(self, seen: list[_Seen]) -> None:
        self.seen = seen
        self.by_stage: dict[Stage, list[tuple[_Seen, Proof]]] = {}
        packages: dict[tuple[str | None, int | None], str] = {}
        for one in seen:
            if isinstance(one.event, SipMessage):
                one.proofs = _of_request(one.event, packages) or one.proofs
            for proof in one.proofs:
                self.by_stage.setdefault(proof.stage, []).append((one, proof))
        registered = [
            s.started for s, p in self.by_stage.get(Stage.REGISTER, ()) if p.verdict is Verdict.GOOD
        ]
        self.cutoff = min(registered) + ESTABLISHED if registered else None

    def row(self, stage: Stage) -> _Row:
        if stage is Stage.START:
            return self._start()
        found = self.by_stage.get(stage, [])
        if self.cutoff is not None:
            found = [pair for pair in found if pair[0].started <= self.cutoff] or found
        if not found:
            return self._port_without_handshake() if stage is Stage.CONNECT else _Row(None)
        decisive = [pair for pair in found if pair[1].verdict is not Verdict.STEP]
        if stage is Stage.CONNECT:  # who spoke HTTP after a failed handshake has got over it
            spoken = max((s.started for s in self.seen if _spoke(s.event)), default=None)
            decisive = [
                (one, proof)
                for one, proof in decisive
                if proof.verdict is Verdict.GOOD or spoken is None or one.started >= spoken
            ] or [pair for pair in decisive[:1] if spoken is None]
            if not decisive:
                return self._port_without_handshake()
        if stage is Stage.READY and any(proof.verdict is Verdict.GOOD for _, proof in decisive):
            decisive = [pair for pair in decisive if pair[1].verdict is Verdict.GOOD]
        last = decisive[-1] if decisive else found[-1]
        row = _Row(None, last[1], [one for one, _ in found], _busy(found), last[0].ended)
        if decisive:
            row.state = StageState.OK if last[1].verdict is Verdict.GOOD else StageState.FAILED
        if stage is Stage.LOCATE and not decisive:
            row.state = StageState.OK  # it was found, and wants a ticket: that is its way
        if stage is Stage.DISCOVER and row.state is StageState.OK and self._in_a_circle(found):
            row.state = StageState.FAILED
            row.proof = dataclasses.replace(last[1], said=f"redirected in a circle: {last[1].said}")
        if stage is Stage.NOTIFICATIONS and row.state is StageState.OK:
            row.seconds = next((p.seconds for _, p in decisive if p.verdict is Verdict.GOOD), None)
        return row

    def _start(self) -> _Row:
        first = self.seen[0]
        named = next((one for one in self.seen if one.event.keys.user or one.event.keys.account), None)
        if named is None:
            said = f"nobody is named; first seen: {first.event.origin}"
            return _Row(StageState.OK, Proof(Stage.START, Verdict.GOOD, said, None), [first], None)
        who = named.event.keys.user or named.event.keys.account
        said = f"{who} first named by {_whence(named.event)}"
        seen = [first] if named is first else [first, named]
        return _Row(
            StageState.OK, Proof(Stage.START, Verdict.GOOD, said, None), seen, named.started - first.started
        )

    def _port_without_handshake(self) -> _Row:
        """Who speaks HTTP has connected, even if nobody timed it."""
        first = next((one for one in self.seen if _spoke(one.event)), None)
        if first is None or not isinstance(first.event, Exchange):
            return _Row(None)
        said = f"{first.event.scheme.upper()} connection for {first.event.host}"
        return _Row(StageState.OK, Proof(Stage.CONNECT, Verdict.GOOD, said, None), [first], None, first.ended)

    def _in_a_circle(self, found: list[tuple[_Seen, Proof]]) -> bool:
        leads = [
            one.event.path
            for one, _ in found
            if isinstance(one.event, Exchange) and one.event.facts.document is Document.REDIRECT
        ]
        located = any(
            isinstance(one.event, Exchange) and one.event.facts.document is not Document.REDIRECT
            for one, _ in self.by_stage.get(Stage.LOCATE, ())
        )
        return len(leads) >= CIRCLE and not located

    def over(self, rows: Mapping[Stage, _Row]) -> float:
        """When nothing more is to be expected: SETTLE after all was well, or after the last sign of it."""
        if not _is_ok(rows):
            return self._last_activity() + SETTLE
        told, ready = rows[Stage.NOTIFICATIONS], rows[Stage.READY]
        reached = told if told.state is StageState.OK else ready
        return min(max(reached.decided, rows[Stage.REGISTER].decided), self._last_activity()) + SETTLE

    def outcome(self, rows: Mapping[Stage, _Row]) -> tuple[SignInOutcome, Stage | None]:
        """How it ended; decides what is undecided, for nothing more is to come."""
        if _is_ok(rows):
            return SignInOutcome.OK, None
        for stage in _ENDS_AT_401:
            row = rows[stage]
            if row.state is None and row.seen and _refused(row.seen):
                row.state = StageState.FAILED
        failed = [stage for stage in Stage if rows[stage].state is StageState.FAILED]
        for stage in failed:
            later = [s for s in Stage if _ORDER[s] > _ORDER[stage] and s is not Stage.MOBILITY_POLICY]
            if not any(
                rows[s].state is StageState.OK and rows[s].decided > rows[stage].decided for s in later
            ):
                return SignInOutcome.FAILED, stage
        return (SignInOutcome.FAILED, failed[-1]) if failed else (SignInOutcome.INCOMPLETE, None)

    def _last_activity(self) -> float:
        """When something last began or ended. How long a poll hangs says nothing."""
        return max(
            one.started if isinstance(one.event, Exchange) and one.event.kind is Kind.POLL else one.ended
            for one in self.seen
        )

    def finished(
        self, rows: Mapping[Stage, _Row], outcome: SignInOutcome, failed: Stage | None
    ) -> Iterable[StageView]:
        furthest = max(_ORDER[stage] for stage in Stage if rows[stage].seen or stage is Stage.START)
        if outcome is SignInOutcome.OK:
            furthest = len(_ORDER)
        for stage in Stage:
            row = rows[stage]
            nothing = StageState.NOT_OBSERVED if _ORDER[stage] < furthest else StageState.NOT_REACHED
            if failed is not None and _ORDER[stage] > _ORDER[failed]:
                nothing = StageState.NOT_REACHED
            elif row.seen:
                nothing = StageState.NOT_REACHED  # tried, and not decided
            if not row.seen and row.proof is None:
                yield _unseen(stage, row.state or nothing)
                continue
            yield StageView(
                stage=stage,
                state=row.state or nothing,
                started=row.seen[0].started if row.seen else None,
                seconds=row.seconds if row.state is not None else None,
                said=row.proof.said if row.proof is not None else "",
                origins=tuple(dict.fromkeys(one.event.origin for one in row.seen)),
                events=tuple(one.event.id for one in row.seen),
            )


@functools.cache
def _unseen(stage: Stage, state: StageState) -> StageView:
    """A row of which nothing is told: most are, and there are few different ones."""
    return StageView(stage=stage, state=state)


def _is_ok(rows: Mapping[Stage, _Row]) -> bool:
    """Registered, and notified or ready. A poll that is up proves a registration that nobody saw."""
    register, told, ready = (rows[s] for s in (Stage.REGISTER, Stage.NOTIFICATIONS, Stage.READY))
    if register.state is StageState.OK:
        return told.state is StageState.OK or (ready.state is StageState.OK and told.state is None)
    return register.state is None and not register.seen and told.state is StageState.OK


def _of_request(event: SipMessage, packages: dict[tuple[str | None, int | None], str]) -> list[Proof] | None:
    """An answer that does not repeat the request's Event header gets it from the request."""
    key = (event.keys.dialog, event.cseq)
    if event.package is not None:
        packages[key] = event.package
    elif event.status is not None and key in packages:
        return proofs(msgspec.structs.replace(event, package=packages[key]))
    return None


def _spoke(event: Event) -> bool:
    return isinstance(event, Exchange) and connected(event)


def _refused(seen: list[_Seen]) -> bool:
    """Whether the last word on it was a 401."""
    answers = [one.event for one in seen if isinstance(one.event, Exchange) and one.event.status is not None]
    return bool(answers) and answers[-1].status == 401


def _busy(found: list[tuple[_Seen, Proof]]) -> float | None:
    """Seconds that the stage's events took, what overlaps counted once. Other stages' share of the time in
    between, and the device's own, are left out. None: nobody timed them."""
    spans = sorted((s.started, s.started + p.seconds) for s, p in found if p.seconds is not None)
    if not spans:
        return None
    total, until = 0.0, spans[0][0]
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _whence(event: Event) -> str:
    if isinstance(event, Exchange):
        return f"{event.method} {event.host}{event.path}"
    return event.origin
