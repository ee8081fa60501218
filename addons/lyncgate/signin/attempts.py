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

Traces know no address, only who and when: a registration goes to the attempt that was registering then.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Sequence

from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Anchor, Key, Strand

IDLE = 60.0  # seconds: a phone waits that long for a connection that nobody answers
QUIET = 10.0  # seconds: who asks the same again after that long was told to by a person
LED = 2.0  # seconds from an answer that leads to discovery to the question there
CLOCK = 1.0  # seconds: by what times of different machines may be off, after correction
RECENT = 8  # attempts of one person, the latest, that a strand is compared with if no key decides


@dataclasses.dataclass(slots=True, eq=False)
class Attempt:
    """A sign-in in the making."""

    person: str | None
    strands: list[tuple[Strand, Joined]] = dataclasses.field(default_factory=list)
    start: float = 0.0
    end: float = 0.0
    agents: set[str] = dataclasses.field(default_factory=set)
    clients: set[str] = dataclasses.field(default_factory=set)
    endpoints: set[str] = dataclasses.field(default_factory=set)  # as web clients name themselves
    epids: set[str] = dataclasses.field(default_factory=set)  # as the registrar knows them
    tickets: set[str] = dataclasses.field(default_factory=set)
    hosts: dict[str, float] = dataclasses.field(default_factory=dict)
    leads: set[str] = dataclasses.field(default_factory=set)
    asked: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)  # question → last asked
    redirects: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    awaited: bool = False  # after discovery comes something with the same User-Agent
    rounds: list[list[Strand]] = dataclasses.field(default_factory=list)  # of discovery
    beyond: float | None = None
    challenged: list[tuple[float, float]] = dataclasses.field(default_factory=list)  # until located
    located: float | None = None
    registering: list[tuple[float, float, str]] = dataclasses.field(default_factory=list)
    sessions: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    connections: set[tuple[str, str]] = dataclasses.field(default_factory=set)  # shared ones
    ties: set[Key] = dataclasses.field(default_factory=set)
    anchor: Anchor = (9, 0.0, "")
    staged: bool = False  # there is a step of a sign-in in it; else it is none

    def add(self, strand: Strand, why: Joined = Joined.KEY) -> None:
        if not self.strands:
            self.start, self.end = strand.start, strand.end
            self.anchor = strand.anchor
        self.anchor = min(self.anchor, strand.anchor)
        self.ties |= strand.ties
        self.staged |= strand.staged
        self.strands.append((strand, why))
        self.start = min(self.start, strand.start)
        self.end = max(self.end, strand.end)
        if not strand.web:
            self.epids |= strand.endpoints
            return
        self.agents |= strand.agents
        self.clients |= strand.clients
        self.endpoints |= strand.endpoints
        self.tickets |= strand.tickets
        for host, when in strand.hosts.items():
            self.hosts[host] = min(when, self.hosts.get(host, when))
        self.leads |= strand.leads
        self.connections |= strand.shared
        for find in strand.finds:
            self.asked[find.asked] = max(find.started, self.asked.get(find.asked, find.started))
        self.redirects += strand.redirects
        self.beyond = _earliest(self.beyond, strand.beyond)
        self.located = _earliest(self.located, strand.located)
        if strand.challenged is not None:
            self.challenged.append((strand.challenged, strand.located or strand.end))
        self.registering += strand.registering
        if strand.session is not None:
            self.sessions.append(strand.session)

    @property
    def home(self) -> str:
        """Id of the event by which the attempt is known."""
        return self.anchor[2]


def put_together_again(
    person: str | None, had: Sequence[Attempt], added: Sequence[Strand], removed: Sequence[Strand]
) -> tuple[list[Attempt], list[Attempt]]:
    """What becomes of a person's attempts `had` when strands are added and removed: those that are no more,
    and those instead. Only attempts that the strands can have to do with are put together anew: by key, or
    because they began after or shortly before."""
    changed = (*added, *removed)
    since = _since(added, removed)
    ties = {tie for strand in changed for tie in strand.ties}
    tickets = {ticket for strand in changed for ticket in strand.tickets}
    epids = {epid for strand in changed if not strand.web for epid in strand.endpoints}
    ordered = sorted(had, key=_opened_at)
    first = bisect.bisect_left(ordered, (since, ""), key=_opened_at) - 2 * RECENT
    old = [
        attempt
        for number, attempt in enumerate(ordered)
        if number >= first
        or not attempt.ties.isdisjoint(ties)
        or not attempt.tickets.isdisjoint(tickets)
        or not attempt.epids.isdisjoint(epids)
    ]
    strands = {strand for attempt in old for strand, _ in attempt.strands} - set(removed) | set(added)
    return old, attempts(person, strands)


def _since(added: Sequence[Strand], removed: Sequence[Strand]) -> float:
    """The moment before which nothing is changed by the strands. One that only went on longer, as by a poll,
    changes nothing before its old end."""
    before = {strand.order: strand for strand in removed}
    found = []
    for strand in added:
        old = before.pop(strand.order, None)
        longer = old is not None and old.look == strand.look
        found.append(min(old.end, strand.end) if longer and old is not None else strand.start)
    return min([*found, *(strand.start for strand in before.values())]) - CLOCK


def _opened_at(attempt: Attempt) -> tuple[float, str]:
    return attempt.strands[0][0].order


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
        made += _place_traces(person, traces, [attempt for attempt in made if attempt.staged])
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


def _distance(strand: Strand, attempt: Attempt) -> tuple[int, bool, float, float]:
    """Smaller fits better: device first; then one that waits for what begins; then the latest."""
    begins = strand.beyond is not None
    waits = attempt.beyond is None
    return _fit(strand, attempt), begins and not waits, -attempt.end, -attempt.start


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


# -- traces ---------------------------------------------------------------------------------------------


def _place_traces(person: str | None, traces: Sequence[Strand], web: list[Attempt]) -> list[Attempt]:
    """Adds traces to the attempts that they tell of; returns those that only traces tell of."""
    by_tie: dict[Key, Attempt] = {}
    by_epid: dict[str, list[Attempt]] = {}
    made = sorted(web, key=_opened_at)
    opened = [attempt.start for attempt in made]
    only: list[Attempt] = []
    # Those that register first: they tell which endpoint is whose.
    for strand in sorted(traces, key=lambda s: (not s.registering, not s.endpoints, s.order)):
        tied = [by_tie[tie] for tie in strand.ties if tie in by_tie]
        same = [attempt for epid in strand.endpoints for attempt in by_epid.get(epid, ())]
        until = bisect.bisect_right(opened, strand.start + CLOCK)
        attempt = tied[0] if tied else _covering(strand, same, made[max(0, until - RECENT) : until])
        if attempt is None:
            attempt = Attempt(person)
            only.append(attempt)
            if not strand.staged:
                attempt.add(strand)
                continue
            place = bisect.bisect_right(opened, strand.start)
            opened.insert(place, strand.start)
            made.insert(place, attempt)
        attempt.add(strand)
        for tie in strand.ties:
            by_tie[tie] = attempt
        for epid in strand.endpoints:
            by_epid.setdefault(epid, []).append(attempt)
    return only


def _covering(strand: Strand, same: Sequence[Attempt], recent: Sequence[Attempt]) -> Attempt | None:
    """The attempt that a strand of a trace tells of: of the same endpoint; or among the `recent` ones that
    which was registering then, and there."""
    known = [attempt for attempt in same if _is_near(strand, attempt)]
    if known:
        return max(known, key=lambda attempt: attempt.start)
    near = (attempt for attempt in recent if _is_near(strand, attempt))
    free = [attempt for attempt in near if not (strand.endpoints and attempt.epids)]
    return min(free, key=lambda attempt: (_misfit(strand, attempt), -attempt.start), default=None)


def _is_near(strand: Strand, attempt: Attempt) -> bool:
    return attempt.start - CLOCK <= strand.start <= attempt.end + IDLE


def _misfit(strand: Strand, attempt: Attempt) -> tuple[float, bool]:
    """Seconds by which what the trace tells lies outside of the attempt's registering, and whether it was
    another server."""
    when = strand.registering[0][0] if strand.registering else strand.start
    server = strand.events[0][1].origin.removeprefix("trace:")
    best = (IDLE, True)
    for first, last, at in attempt.registering:
        outside = max(0.0, first - when, when - last)
        best = min(best, (0.0 if outside < 0.005 else outside, at != server))
    return best


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


def _earliest(one: float | None, other: float | None) -> float | None:
    return min((when for when in (one, other) if when is not None), default=None)


def names_of(attempt: Attempt) -> dict[str, float]:
    """Names that the attempt's device may have looked up, and when it used them: its start if it did not."""
    found = dict.fromkeys(attempt.leads, attempt.start)
    if attempt.person is not None and "@" in attempt.person:
        domain = attempt.person.partition("@")[2]
        found |= dict.fromkeys((f"lyncdiscover.{domain}", f"lyncdiscoverinternal.{domain}"), attempt.start)
    for host in attempt.hosts:
        if host.startswith("lyncdiscover."):
            found[f"lyncdiscoverinternal.{host.removeprefix('lyncdiscover.')}"] = attempt.start
    return found | attempt.hosts
