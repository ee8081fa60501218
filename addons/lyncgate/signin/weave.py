"""The fabric that sign-ins are made of: events, tied to strands, strands put together to attempts, what is
loose given to them. It can be added to, and then works out anew only what the new events have to do with.
What comes out depends on which events there are and not on their order.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator

from lyncgate.signin.attempt import Attempt
from lyncgate.signin.attempts import put_together_again
from lyncgate.signin.clocks import SAMPLES, estimate
from lyncgate.signin.division import divide
from lyncgate.signin.events import DnsQuery, Event, is_complete
from lyncgate.signin.loose import Loose
from lyncgate.signin.people import People, local, plain
from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Key, Strand, personal, strand, strands


@dataclasses.dataclass(slots=True)
class _Named:
    """Who is named together with a key."""

    users: set[str] = dataclasses.field(default_factory=set)
    accounts: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True, slots=True)
class Woven:
    """A sign-in. `home`: the event by which its attempt is known."""

    id: str
    home: str
    parts: tuple[tuple[Strand, Joined], ...]

    @property
    def latest(self) -> float:
        """When its last event began."""
        return max(one.events[-1][0] for one, _ in self.parts)

    @property
    def events(self) -> list[tuple[Event, Joined]]:
        return [(event, why) for one, why in self.parts for _, event in one.events]


class Weave:
    """`accounts`: so many are remembered of which no event is held any more. `most`: with more events tied
    together, `large` tells of them. None: all; never."""

    def __init__(self, accounts: int | None = None, most: int | None = None) -> None:
        self._accounts = accounts
        self._most = most
        self._large: list[list[str]] = []  # ids of events that are tied together
        self.work = 0  # events, and strands, that were looked at anew or again: what all of it has cost
        self.events: dict[str, Event] = {}
        self.offsets: dict[str, float] = {}  # origin → seconds that its clock is ahead
        self.sign_ins: dict[str, Woven] = {}  # by id
        self._people = People()
        self._attempts: dict[str, list[Attempt]] = {}  # by person
        self._loose = Loose()
        self._standing: dict[str, Attempt] = {}  # those that are sign-ins, by home
        self._ids: dict[str, str] = {}  # home → id of the sign-in
        self._keyed: dict[Key, dict[str, None]] = {}  # key → ids of events
        self._named: dict[Key, _Named] = {}
        self._shared: set[Key] = set()
        self._claimed: dict[str, dict[str, None]] = {}  # account → ids of events that name no user
        self._strand_of: dict[str, Strand] = {}  # by event
        self._dirty: dict[str, None] = {}  # ids of events
        self._traced: dict[str, dict[str, None]] = {}  # trace → ids of its events
        self._registering: dict[str, dict[Strand, None]] = {}  # person → strands that ask to register
        self._registered: dict[str, dict[Strand, None]] = {}  # trace → strands that tell of it
        self._clocks_doubtful = False
        self._dropped = False  # something was forgotten

    def add(self, event: Event) -> None:
        """Take in an event. Of two with one id the complete one counts."""
        known = self.events.get(event.id)
        if known is not None and (event == known or _telling(event) < _telling(known)):
            return
        self.events[event.id] = event
        self._dirty[event.id] = None
        if event.origin.startswith("trace:"):
            self._traced.setdefault(event.origin, {})[event.id] = None
        keys = event.keys
        account = plain(keys.account)
        if keys.user is None and account is not None:
            self._claimed.setdefault(account, {})[event.id] = None
        for name in self._people.learn(keys):
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

    def update(self) -> tuple[set[str], set[str]]:
        """Works out what was added. Returns ids of sign-ins that are new or changed; and of those that are no
        more."""
        if not self._dirty:
            return set(), set()
        changes: dict[Strand, bool] = {}
        self._tie_again(changes)
        if self._set_clocks():
            self._tie_again(changes)
        by_person: dict[str, tuple[list[Strand], list[Strand]]] = {}
        for one, is_new in changes.items():
            if one.person is not None:
                by_person.setdefault(one.person, ([], []))[0 if is_new else 1].append(one)
            elif is_new:
                self._loose.add(one)
            else:
                self._loose.remove(one)
        gone: list[Attempt] = []
        new: list[Attempt] = []
        for person, (added, removed) in by_person.items():
            had = self._attempts.get(person, [])
            old, made = put_together_again(person, had, added, removed)
            self.work += sum(len(attempt.strands) for attempt in made)
            self._attempts[person] = [attempt for attempt in had if attempt not in old] + made
            if not self._attempts[person]:
                del self._attempts[person]
            gone += old
            new += made
        homes = {attempt.home for attempt in new if attempt.staged}
        for attempt in gone:
            if attempt.home not in homes:
                self._loose.take(attempt)
        for attempt in new:
            self._loose.put(attempt)
        touched, gone_too, new_too = self._loose.settle()
        return self._name([*gone, *gone_too], [*new, *new_too], touched)

    def knows(self, key: Key) -> bool:
        """Whether an event that is held has this key."""
        return key in self._keyed

    def is_private(self, key: Key) -> bool:
        """Whether the key ties events to one person."""
        return key not in self._shared

    def seen_by(self, offsets: dict[str, float]) -> set[str]:
        """Ids of sign-ins that events tell of whose clock is not any more what it was in `offsets`."""
        moved = {origin for origin in self.offsets if self.offsets[origin] != offsets.get(origin)}
        moved |= offsets.keys() - self.offsets.keys()
        return {
            woven.id
            for woven in self.sign_ins.values()
            if any(event.origin in moved for event, _ in woven.events)
        }

    def large(self) -> list[tuple[int, list[Woven], set[Strand]]]:
        """Where more than `most` events turned out to be tied together since this was asked: how many, the
        sign-ins with any of them, and their strands that belong to none."""
        found: list[tuple[int, list[Woven], set[Strand]]] = []
        for group in self._large:
            strands = {one for id in group if (one := self._strand_of.get(id)) is not None}
            woven = [
                one for one in self.sign_ins.values() if any(strand in strands for strand, _ in one.parts)
            ]
            placed = {strand for one in woven for strand, _ in one.parts}
            found.append((len(group), woven, strands - placed))
        self._large = []
        return found

    def waits(self, person: str, since: float, agent: str | None) -> bool:
        """Whether an attempt that began since then has asked where to go, and not gone there; by that agent,
        if it names one."""
        return any(
            attempt.beyond is None and bool(attempt.asked) and attempt.start >= since
            for attempt in self._attempts.get(person, ())
            if agent is None or not attempt.agents or agent in attempt.agents
        )

    def unplaced(self) -> set[Strand]:
        """Strands that belong to no sign-in."""
        placed = {one for woven in self.sign_ins.values() for one, _ in woven.parts}
        return set(self._strand_of.values()) - placed

    def drop(self, sign_ins: Iterable[Woven], others: Iterable[Strand]) -> None:
        """Forget sign-ins, and strands that belong to none. What is left stays as it is."""
        dropped = dict.fromkeys(others)
        for woven in sign_ins:
            del self.sign_ins[woven.id], self._ids[woven.home], self._standing[woven.home]
            self._loose.forget(woven.home)
            dropped.update(dict.fromkeys(one for one, _ in woven.parts))
        self._dropped |= bool(dropped)
        self._loose.drop([one for one in dropped if one.person is None])
        for person in {one.person for one in dropped if one.person is not None}:
            attempts = self._attempts.get(person, [])
            left = [attempt for attempt in attempts if attempt.strands[0][0] not in dropped]
            self._attempts[person] = left
            if not left:
                self._attempts.pop(person)
        for one in dropped:
            self._forget_strand(one)
            for _, event in one.events:
                self._drop_event(event)
        self._loose.tidy()
        if self._accounts is not None:
            self._people.trim(self._accounts, self._claimed)

    @property
    def names(self) -> int:
        """How many names of people are held."""
        return self._people.names

    def _drop_event(self, event: Event) -> None:
        del self.events[event.id]
        self._traced.get(event.origin, {}).pop(event.id, None)
        for key in personal(event):
            ids = self._keyed.get(key, {})
            ids.pop(event.id, None)
            if not ids:
                self._keyed.pop(key, None)
                self._named.pop(key, None)
                self._shared.discard(key)
                if key[0] == "connection":
                    self._people.forget(key[1])
        account = plain(event.keys.account)
        if account is not None and event.id in (claimed := self._claimed.get(account, {})):
            del claimed[event.id]
            if not claimed:
                del self._claimed[account]

    def _name(self, gone: list[Attempt], new: list[Attempt], touched: set[str]) -> tuple[set[str], set[str]]:
        """Gives sign-ins their ids: that of the first exchange; without one, of the first handshake, trace
        record, DNS query. So it stays when traces and DNS queries are added later, as they usually are."""
        for attempt in gone:
            self._standing.pop(attempt.home, None)
        self._standing.update((attempt.home, attempt) for attempt in new if attempt.staged)
        homes = {attempt.home for attempt in (*gone, *new)} | touched
        had = {id: self.sign_ins.pop(id) for home in homes if (id := self._ids.pop(home, None)) is not None}
        made: set[str] = set()
        same: set[str] = set()
        for home in homes & self._standing.keys():
            attempt = self._standing[home]
            given = sorted(self._loose.given.get(home, ()), key=lambda one: one.order)
            whys = (Joined.ADDRESS if one.clients & attempt.clients else Joined.TIME for one in given)
            parts = (*attempt.strands, *zip(given, whys, strict=True))
            id = min(one.anchor for one, _ in parts)[2]
            self._ids[home] = id
            before = had.get(id)
            if before is not None and before.home == home and before.parts == parts:
                self.sign_ins[id] = before  # the same object, which says so to who remembers it
                same.add(id)
            else:
                self.sign_ins[id] = Woven(id, home, parts)
                made.add(id)
        return made, had.keys() - made - same

    def _time(self, event: Event) -> float:
        return event.started - self.offsets.get(event.origin, 0.0)

    def _tie_again(self, changes: dict[Strand, bool]) -> None:
        """Makes the strands of dirty events anew. Notes in `changes` which are new, and which are no more."""
        waiting = list(self._dirty)
        self._dirty = {}
        done: set[str] = set()
        while waiting:
            first = waiting.pop()
            if first in done:
                continue
            group = self._component(first)
            if self._most is not None and len(group) > self._most:
                self._large.append(group)
            done.update(group)
            self.work += len(group)
            for old in {self._strand_of[id] for id in group if id in self._strand_of}:
                self._forget_strand(old)
                waiting.extend(event.id for _, event in old.events)
                if changes.pop(old, None) is None:
                    changes[old] = False
            for one in self._woven([self.events[id] for id in group]):
                self._keep_strand(one)
                changes[one] = True

    def _keep_strand(self, one: Strand) -> None:
        self._clocks_doubtful |= bool(one.registered) or (one.web and bool(one.registering))
        self._strand_of.update((event.id, one) for _, event in one.events)
        for origin, _ in one.registered:
            if one.person is not None:
                self._registered.setdefault(origin, {})[one] = None
        if one.web and one.registering and one.person is not None:
            self._registering.setdefault(one.person, {})[one] = None

    def _forget_strand(self, one: Strand) -> None:
        for _, event in one.events:
            self._strand_of.pop(event.id, None)
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
            if not registrations and self._dropped:
                continue  # what was known of the clock still holds
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
        persons = {event.id: self._people.person(event.keys) for event in events}
        users = {event.keys.user for event in events} - {None}
        everyone = {person for person in persons.values() if person is not None}
        if len(users) == 1:  # an account on a user's own connection is the user's
            yield from self._of_person(users.pop(), timed)
        elif len(everyone) <= 1:
            yield from self._of_person(everyone.pop() if everyone else None, timed)
        else:
            persons = divide(timed, persons, self._shared)
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
    text = repr(event)
    return is_complete(event), len(text), text


def weave(events: Iterable[Event]) -> Weave:
    """All of them at once."""
    made = Weave()
    for event in events:
        made.add(event)
    made.update()
    return made
