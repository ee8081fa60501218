"""The fabric that sign-ins are made of: events, tied to strands, strands put together to attempts. It can be
added to, and then works out anew only what the new events have to do with. What comes out depends on which
events there are and not on their order.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator

from lyncgate.signin import loose
from lyncgate.signin.attempts import Attempt, attempts
from lyncgate.signin.clocks import SAMPLES, estimate
from lyncgate.signin.events import DnsQuery, Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.people import People, local, plain
from lyncgate.signin.strands import Key, Strand, personal, strand, strands

_KINDS = ("application", "dialog", "ticket", "connection")  # the surest first


@dataclasses.dataclass(slots=True)
class _Named:
    """Who is named together with a key."""

    users: set[str] = dataclasses.field(default_factory=set)
    accounts: set[str] = dataclasses.field(default_factory=set)


class Weave:
    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.tellings: dict[str, int] = {}  # event id → how often it was told better
        self.offsets: dict[str, float] = {}  # origin → seconds that its clock is ahead
        self.people = People()
        self.strands_of: dict[str | None, dict[Strand, None]] = {}  # person → strands
        self.attempts_of: dict[str | None, list[Attempt]] = {}
        self.nobodys: list[Attempt] = []
        self._keyed: dict[Key, dict[str, None]] = {}  # key → ids of events
        self._named: dict[Key, _Named] = {}
        self._shared: set[Key] = set()
        self._claimed: dict[str, dict[str, None]] = {}  # account → ids of events that name no user
        self._strands: dict[str, tuple[Strand, ...]] = {}  # event id → strands worked out together
        self._dirty: dict[str, None] = {}
        self._traced: dict[str, dict[str, None]] = {}  # trace → ids of its events
        self._registering: dict[str, dict[Strand, None]] = {}  # person → strands that ask to register
        self._registered: dict[str, dict[Strand, None]] = {}  # trace → strands that tell of it
        self._clocks_doubtful = False

    def add(self, event: Event) -> None:
        """Take in an event. Of two with one id the complete one counts."""
        known = self.events.get(event.id)
        if known is not None and (event == known or _telling(event) < _telling(known)):
            return
        self.events[event.id] = event
        self.tellings[event.id] = self.tellings.get(event.id, 0) + 1
        self._dirty[event.id] = None
        if event.origin.startswith("trace:"):
            self._traced.setdefault(event.origin, {})[event.id] = None
        keys = event.keys
        account = plain(keys.account)
        if keys.user is None and account is not None:
            self._claimed.setdefault(account, {})[event.id] = None
        for name in self.people.learn(keys):
            self._dirty.update(self._claimed.get(name, {}))
        for key in personal(event):
            ids = self._keyed.setdefault(key, {})
            ids[event.id] = None
            if keys.user is not None or account is not None:
                named = self._named.setdefault(key, _Named())
                if keys.user is not None:
                    named.users.add(keys.user)
                if account is not None:
                    named.accounts.add(account)
                if _is_shared(named) is not (key in self._shared):
                    self._shared ^= {key}
                    self._dirty.update(ids)

    def update(self) -> None:
        """Work out what was added."""
        if not self._dirty:
            return
        persons = self._tie_again()
        if self._set_clocks():
            persons |= self._tie_again()
        for person in persons:
            if person is not None:
                self.attempts_of[person] = attempts(person, self.strands_of.get(person, ()))
                if not self.attempts_of[person]:
                    del self.attempts_of[person]
        made = [attempt for found in self.attempts_of.values() for attempt in found]
        self.nobodys = loose.attach(made, self.strands_of.get(None, ()))

    def knows(self, key: Key) -> bool:
        """Whether an event that is held has this key."""
        return key in self._keyed

    def is_private(self, key: Key) -> bool:
        """Whether the key ties events to one person."""
        return key not in self._shared

    def drop(self, events: list[Event]) -> None:
        """Forget these events. Drop sign-ins as a whole: what is left is not worked out anew."""
        for event in events:
            del self.events[event.id], self.tellings[event.id]
            for one in self._strands.pop(event.id, ()):
                self._forget_strand(one)
            self._traced.get(event.origin, {}).pop(event.id, None)
            for key in personal(event):
                ids = self._keyed.get(key, {})
                ids.pop(event.id, None)
                if not ids:
                    self._keyed.pop(key, None)
                    self._named.pop(key, None)
                    self._shared.discard(key)
                    if key[0] == "connection":
                        self.people.forget(key[1])
            claimed = self._claimed.get(plain(event.keys.account) or "", {})
            claimed.pop(event.id, None)
        gone = {event.id for event in events}
        for person, found in list(self.attempts_of.items()):
            left = [attempt for attempt in found if attempt.strands[0][0].order[1] not in gone]
            if left:
                self.attempts_of[person] = left
            else:
                del self.attempts_of[person]
        self.nobodys = [a for a in self.nobodys if a.strands[0][0].order[1] not in gone]

    def attempts(self) -> Iterator[Attempt]:
        """All sign-ins, in no order."""
        for found in self.attempts_of.values():
            yield from found
        yield from self.nobodys

    def _time(self, event: Event) -> float:
        return event.started - self.offsets.get(event.origin, 0.0)

    def _tie_again(self) -> set[str | None]:
        """Makes the strands of dirty events anew. Returns whose changed."""
        persons: set[str | None] = set()
        waiting = list(self._dirty)
        self._dirty = {}
        done: set[str] = set()
        while waiting:
            first = waiting.pop()
            if first in done:
                continue
            group = self._component(first)
            done.update(group)
            for id in group:
                for old in self._strands.pop(id, ()):
                    if old in self.strands_of.get(old.person, {}):
                        self._forget_strand(old)
                        persons.add(old.person)
                        waiting.extend(event.id for _, event in old.events)
            made = tuple(self._woven([self.events[id] for id in group]))
            for one in made:
                persons.add(one.person)
                self._keep_strand(one)
                for _, event in one.events:
                    self._strands[event.id] = (one,)
        return persons

    def _keep_strand(self, one: Strand) -> None:
        self.strands_of.setdefault(one.person, {})[one] = None
        self._clocks_doubtful |= bool(one.registered) or (one.web and bool(one.registering))
        for origin, _ in one.registered:
            if one.person is not None:
                self._registered.setdefault(origin, {})[one] = None
        if one.web and one.registering and one.person is not None:
            self._registering.setdefault(one.person, {})[one] = None

    def _forget_strand(self, one: Strand) -> None:
        self.strands_of.get(one.person, {}).pop(one, None)
        if not self.strands_of.get(one.person, True):
            del self.strands_of[one.person]
        for origin, _ in one.registered:
            self._registered.get(origin, {}).pop(one, None)
        if one.person is not None and one in (asking := self._registering.get(one.person, {})):
            del asking[one]
            if not asking:
                del self._registering[one.person]

    def _set_clocks(self) -> bool:
        """Estimates the clocks of traces anew. Whether one changed, and with it the times of its events."""
        changed = False
        for origin, told in self._registered.items() if self._clocks_doubtful else ():
            registrations = heapq.nlargest(
                SAMPLES,
                (
                    (when, one.person)
                    for one in told
                    for where, when in one.registered
                    if where == origin and one.person is not None and one.person in self._registering
                ),
            )
            if not registrations:
                continue  # none, or all of them were dropped: what was known of the clock still holds
            spans = {
                person: [span[:2] for one in self._registering[person] for span in one.registering]
                for _, person in registrations
            }
            offset = estimate(registrations, spans)
            if offset == self.offsets.get(origin):
                continue
            moved = (offset or 0.0) != self.offsets.get(origin, 0.0)
            if offset is None:
                del self.offsets[origin]
            else:
                self.offsets[origin] = offset
            if moved:
                self._dirty.update(self._traced[origin])
                changed = True
        self._clocks_doubtful = False
        return changed

    def _component(self, first: str) -> list[str]:
        """Ids of all events that exact keys tie to one, directly or by others."""
        found = {first: None}
        seen: set[Key] = set()
        waiting = [first]
        while waiting:
            for key in personal(self.events[waiting.pop()]):
                if key in seen or key in self._shared:
                    continue
                seen.add(key)
                for id in self._keyed[key]:
                    if id not in found:
                        found[id] = None
                        waiting.append(id)
        return list(found)

    def _woven(self, events: list[Event]) -> Iterator[Strand]:
        timed = sorted(((self._time(event), event) for event in events), key=lambda p: (p[0], p[1].id))
        persons = {event.id: self.people.person(event.keys) for event in events}
        users = {event.keys.user for event in events} - {None}
        everyone = {person for person in persons.values() if person is not None}
        if len(users) == 1:  # an account on a user's own connection is the user's
            yield from self._of_person(users.pop(), timed)
        elif len(everyone) <= 1:
            yield from self._of_person(everyone.pop() if everyone else None, timed)
        else:
            persons = _divide(timed, persons, self._shared)
            for person in sorted({person for person in persons.values() if person is not None}):
                yield from strands(person, [p for p in timed if persons[p[1].id] == person], self._shared)

    def _of_person(self, person: str | None, timed: list[tuple[float, Event]]) -> Iterator[Strand]:
        if len(timed) == 1 and isinstance(timed[0][1], DnsQuery):
            yield strand(None, timed)
        else:
            yield from strands(person, timed, self._shared)


def _is_shared(named: _Named) -> bool:
    """Whether a key was seen with different people. A user's accounts may be called anything."""
    if named.users:
        return len(named.users) > 1
    return len({local(account) for account in named.accounts}) > 1


def _telling(event: Event) -> tuple[bool, int, str]:
    """Orders tellings of one event: the complete one is last."""
    complete = not isinstance(event, Exchange) or event.outcome is not None
    return complete, len(repr(event)), repr(event)


def _divide(
    timed: list[tuple[float, Event]], said: dict[str, str | None], shared: set[Key]
) -> dict[str, str | None]:
    """Several people, tied by events that don't say who: event id → whose it is. Whom it names as user; else
    to whom its surest keys lead; else whom its account is taken for; else whose event is nearest in time."""
    persons = {event.id: event.keys.user for _, event in timed}
    _spread(timed, persons, shared)
    if None in persons.values():
        persons = {id: person or said[id] for id, person in persons.items()}
        _spread(timed, persons, shared)
    known = [(at, person) for at, event in timed if (person := persons[event.id]) is not None]
    for at, event in timed:
        if persons[event.id] is None:
            persons[event.id] = min(known, key=lambda one: (abs(one[0] - at), one[0]))[1]
    return persons


def _spread(timed: list[tuple[float, Event]], persons: dict[str, str | None], shared: set[Key]) -> None:
    """Gives events of nobody to whom their keys lead, the surest kind of key first, as far as that goes."""
    nameless = [event for _, event in timed if persons[event.id] is None]
    grew = True
    while nameless and grew:
        grew = False
        for kind in _KINDS:
            claims: dict[Key, set[str]] = {}
            for _, event in timed:
                if (person := persons[event.id]) is not None:
                    for key in personal(event):
                        if key[0] == kind and key not in shared:
                            claims.setdefault(key, set()).add(person)
            found: dict[str, str] = {}
            for event in nameless:
                by = [claims[key] for key in personal(event) if key in claims]
                if by and len(only := set.union(*by)) == 1:
                    found[event.id] = next(iter(only))
            if found:
                persons.update(found)
                nameless = [event for event in nameless if event.id not in found]
                grew = True
                break


def weave(events: Iterable[Event]) -> Weave:
    made = Weave()
    for event in events:
        made.add(event)
    made.update()
    return made
