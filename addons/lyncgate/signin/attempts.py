"""Attempts: the strands of one person, put together to sign-ins. One sweep in order of time; the same strands
give the same attempts, however they came.

A strand goes to the attempt that it shares a ticket or another exact key with; else to one of the same
person whose device and time fit. A new attempt begins

- when discovery starts anew after an attempt had come further than discovery, unless an answer has just led
  there (F16, F18), or asks for what was asked already after QUIET seconds of nothing;
- when nothing fits: all other attempts have been idle for IDLE seconds, or are another device's.

Two attempts are of different devices when their endpoints differ, when both use an application at the same
time, or when one asks for the user document while the other waits for it. A different User-Agent or client
address makes it less likely, no more: there are devices that have several.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Sequence

from lyncgate.signin.attempt import CLOCK, IDLE, RECENT, Attempt
from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Key, Strand
from lyncgate.signin.traced import place_traces

QUIET = 10.0  # seconds: who asks the same again after that long was told to by a person
LED = 2.0  # seconds from an answer that leads to discovery to the question there


def put_together_again(
    person: str | None, had: Sequence[Attempt], added: Sequence[Strand], removed: Sequence[Strand]
) -> tuple[list[Attempt], list[Attempt]]:
    """What becomes of a person's attempts `had` when strands are added and removed: those that are no more,
    and those instead. Only attempts that the strands can have to do with are put together anew: by key, or
    because they began after or shortly before."""
    changed = (*added, *removed)
    ties = {tie for strand in changed for tie in strand.ties}
    tickets = {ticket for strand in changed for ticket in strand.tickets}
    epids = {epid for strand in changed if not strand.web for epid in strand.endpoints}
    ordered = sorted(had, key=lambda attempt: attempt.order)
    linked = [
        number
        for number, attempt in enumerate(ordered)
        if not attempt.ties.isdisjoint(ties)
        or not attempt.tickets.isdisjoint(tickets)
        or not attempt.epids.isdisjoint(epids)
    ]
    went_on = _went_on(added, removed)
    if went_on is not None and len(linked) == 1:
        # A poll ended, say. Nobody who came RECENT attempts later has looked so far back.
        later = ordered[linked[0] + RECENT : linked[0] + RECENT + 1]
        if later and later[0].start <= went_on + IDLE:
            alone = _of(person, [ordered[linked[0]]], added, removed)
            if len(alone) == 1:
                return [ordered[linked[0]]], alone
    since = min(strand.start for strand in changed) if went_on is None else went_on
    at = bisect.bisect_left(ordered, (since - CLOCK, ""), key=lambda attempt: attempt.order)
    margin = 2 * RECENT
    while True:
        first = max(0, at - margin)
        old = [ordered[number] for number in linked if number < first] + ordered[first:]
        made = _of(person, old, added, removed)
        # What is far enough from the change comes out as it was; else more of what was before matters.
        far = {id(attempt) for attempt in ordered[first : max(first, at - RECENT)]}
        far -= {id(ordered[number]) for number in linked}
        if first == 0 or _parts(one for one in old if id(one) in far) <= _parts(made):
            return old, made
        margin *= 4


def _parts(found: Iterable[Attempt]) -> set[frozenset[Strand]]:
    return {frozenset(strand for strand, _ in attempt.strands) for attempt in found}


def _of(
    person: str | None, old: Sequence[Attempt], added: Sequence[Strand], removed: Sequence[Strand]
) -> list[Attempt]:
    strands = {strand for attempt in old for strand, _ in attempt.strands} - set(removed) | set(added)
    return attempts(person, strands)


def _went_on(added: Sequence[Strand], removed: Sequence[Strand]) -> float | None:
    """When strands ended that now are the same, but longer: nothing before is changed by them. None: some
    are others than before."""
    before = {strand.order: strand for strand in removed}
    ends: list[float] = []
    for strand in added:
        old = before.pop(strand.order, None)
        if old is None or old.look != strand.look:
            return None
        ends.append(min(old.end, strand.end))
    return min(ends, default=None) if not before else None


def attempts(person: str | None, found: Iterable[Strand]) -> list[Attempt]:
    """The sign-ins that these strands of one person (None: nobody is named) make. What is no step of one, and
    fits none, is an attempt that is not `staged`."""
    ordered = sorted(found, key=lambda strand: strand.order)
    bodies = [(strand.start, strand.agents) for strand in ordered if strand.beyond is not None]
    made: list[Attempt] = []
    by_ticket: dict[str, Attempt] = {}
    by_tie: dict[Key, Attempt] = {}
    for strand in ordered:
        if not strand.web:
            continue
        alive = [attempt for attempt in made[: -RECENT - 1 : -1] if attempt.end + IDLE >= strand.start]
        attempt = _place(strand, alive, by_ticket, by_tie)
        if attempt is None:
            attempt = _opened(strand, alive)
            made.append(attempt)
            if not strand.staged:  # nothing may join what is no sign-in
                attempt.add(strand)
                continue
        if strand.finds and strand.beyond is None:
            _note_round(attempt, strand)
        attempt.add(strand)
        if attempt.beyond is None:
            attempt.awaited = _is_awaited(attempt, bodies)
        for ticket in strand.tickets:
            by_ticket[ticket] = attempt
        for tie in strand.ties:
            by_tie[tie] = attempt
    traces = [strand for strand in ordered if not strand.web]
    if traces:
        made += place_traces(person, traces, [attempt for attempt in made if attempt.staged])
    for attempt in made:
        _tell_why(attempt)
    return made


def _is_awaited(attempt: Attempt, bodies: list[tuple[float, set[str]]]) -> bool:
    for start, agents in bodies[bisect.bisect_left(bodies, attempt.start, key=lambda body: body[0]) :]:
        if start > attempt.end + IDLE:
            break
        if agents & attempt.agents:
            return True
    return False


def _place(
    strand: Strand,
    alive: Sequence[Attempt],
    by_ticket: dict[str, Attempt],
    by_tie: dict[Key, Attempt],
) -> Attempt | None:
    """`alive`: the latest first."""
    keyed = [by_tie[tie] for tie in strand.ties if tie in by_tie]
    keyed += [by_ticket[ticket] for ticket in strand.tickets if ticket in by_ticket]
    if keyed:
        linked = max(keyed, key=lambda attempt: attempt.start)
        return _begun_anew(strand, linked, alive) or linked
    fitting = [attempt for attempt in alive if not _differs(strand, attempt)]
    if strand.finds and strand.finds[0].started <= (strand.beyond or strand.start):
        fitting = [attempt for attempt in fitting if not _starts_over(strand, attempt)]
    return min(fitting, key=lambda attempt: _distance(strand, attempt), default=None)


def _begun_anew(strand: Strand, linked: Attempt, alive: Sequence[Attempt]) -> Attempt | None:
    """The later attempt that a strand belongs to although it has a ticket or a connection of `linked`: it
    repeats what `linked` had done, and discovery had started over in the meantime."""
    for attempt in alive:
        waits = attempt.beyond is None and attempt.asked and attempt is not linked
        if waits and linked.end <= attempt.start + CLOCK and _fit(strand, attempt) < 2:
            repeats = (strand.beyond is not None and linked.located is not None) or (
                strand.registering and linked.registering
            )
            if repeats and linked.start < attempt.start <= strand.start:
                return attempt
    return None


def _starts_over(strand: Strand, attempt: Attempt) -> bool:
    """Whether discovery in `strand` is that of another attempt."""
    find = strand.finds[0]
    if attempt.beyond is not None and attempt.beyond < find.started:
        host = find.asked[1]
        return not any(0 <= find.started - when <= LED and to == host for when, to in attempt.redirects)
    before = attempt.asked.get(find.asked)
    return before is not None and find.started - attempt.end > QUIET


def _differs(strand: Strand, attempt: Attempt) -> bool:
    """Whether they are certainly of different devices."""
    if strand.endpoints and attempt.endpoints and not strand.endpoints & attempt.endpoints:
        return True
    if strand.session is not None and any(
        first <= strand.session[1] and strand.session[0] <= last for first, last in attempt.sessions
    ):
        return True
    if strand.challenged is not None and any(
        first <= strand.challenged <= last for first, last in attempt.challenged
    ):
        return True
    if strand.agents and attempt.agents and not strand.agents & attempt.agents:
        begins = strand.session is not None or bool(strand.finds) or strand.beyond is not None
        return begins and not (attempt.beyond is None and not attempt.awaited and not strand.finds)
    return False


def _fit(strand: Strand, attempt: Attempt) -> int:
    """How well agent and address fit: 0 both, 1 the agent, 2 the address, 3 neither. The unknown fits."""
    agent = not strand.agents or not attempt.agents or bool(strand.agents & attempt.agents)
    client = not strand.clients or not attempt.clients or bool(strand.clients & attempt.clients)
    return (0 if client else 1) if agent else (2 if client else 3)


def _distance(strand: Strand, attempt: Attempt) -> tuple[int, bool, float]:
    """Smaller fits better: device first; then one that waits for what begins; then the latest."""
    begins = strand.beyond is not None
    waits = attempt.beyond is None
    return _fit(strand, attempt), begins and not waits, -attempt.start


def _note_round(attempt: Attempt, strand: Strand) -> None:
    """Discovery is done in rounds, each question once. More rounds than sign-ins are repetitions; a second
    device that begins while the first is still discovering brings a round of its own."""
    asked = {find.asked for find in strand.finds}
    if attempt.rounds and not any(asked & {f.asked for f in s.finds} for s in attempt.rounds[-1]):
        attempt.rounds[-1].append(strand)
    else:
        attempt.rounds.append([strand])


def _opened(strand: Strand, alive: Sequence[Attempt]) -> Attempt:
    """A new attempt. If it begins in the middle, and another of those `alive`, the latest first, had a round
    of discovery too many, that was its own."""
    attempt = Attempt(strand.person)
    if strand.beyond is not None and not strand.finds:
        for other in alive:
            spare = other.rounds[1:]
            if spare and _fit(strand, other) == 0:
                rest = Attempt(other.person, rounds=[other.rounds[0], *spare[1:]])
                attempt.rounds = [spare[0]]
                for one, why in other.strands:
                    (attempt if one in spare[0] else rest).add(one, why)
                for field in dataclasses.fields(Attempt):
                    setattr(other, field.name, getattr(rest, field.name))
                break
    return attempt


def _tell_why(attempt: Attempt) -> None:
    """Strands tied to the one with most in it are there by key; the others because of the person, or, where
    nobody is named, of the address."""
    web = [strand for strand, _ in attempt.strands if strand.web] or [s for s, _ in attempt.strands]
    main = max(web, key=lambda s: (s.session is not None, s.beyond is not None, len(s.events), s.order))
    ties, tickets = set(main.ties), set(main.tickets)
    joined = {id(main)}
    grew = True
    while grew:
        grew = False
        for strand, _ in attempt.strands:
            if id(strand) not in joined and (strand.ties & ties or strand.tickets & tickets):
                joined.add(id(strand))
                ties |= strand.ties
                tickets |= strand.tickets
                grew = True
    otherwise = Joined.USER
    if attempt.person is None:
        otherwise = Joined.ADDRESS if attempt.clients else Joined.TIME
    attempt.strands = [
        (strand, Joined.KEY if id(strand) in joined else otherwise) for strand, _ in attempt.strands
    ]
