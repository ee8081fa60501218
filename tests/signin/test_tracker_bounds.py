"""What tracking holds, and what it costs, for hours: things are counted, and the clock is simulated."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.keys import Keys
from lyncgate.signin.stitch import stitch
from lyncgate.signin.tracker import Tracker
from support.changed import changed
from support.plays import Play
from support.signins import sign_in, told_at

EVERY = 4.0  # seconds from sign-in to sign-in, and from look to look
QUARTER = 900.0
USERS, SESSIONS = 500, 8


def tracked(most: int = 500) -> Tracker:
    return Tracker(2000, 2000.0, 1500, 200, spare=400, rest=120.0, most=most)


def people(until: float) -> Iterator[tuple[float, Event]]:
    """Sign-ins of users who come again and again, each from an address of its own."""
    for number in range(int(until / EVERY)):
        user = f"user{number % USERS}@contoso.example"
        play = Play(
            f"s{number}",
            user=user,
            at=number * EVERY,
            client=f"192.0.{number // 250}.{number % 250}",
            trace=number % 4 == 0,
            held=30.0,
        )
        yield from ((event.started + (event.seconds or 0.0), event) for event in play.events)


def sessions(until: float, *, named: bool) -> Iterator[tuple[float, Event]]:
    """Phones that stay signed in, and poll; if not `named`, their application is everybody's."""
    for number in range(SESSIONS):
        events = list(sign_in(90_000 + number, 1.0))
        yield from ((told_at(event), event) for event in events)
        poll = events[-1]
        assert isinstance(poll, Exchange)
        keys = poll.keys
        if not named:
            keys = Keys(connection=keys.connection, application="everybody's", client="192.0.2.1")
        for place in range(int(until / 30)):
            started = 40.0 + place * 30
            again = changed(poll, id=f"poll{number}-{place}", started=started, keys=keys)
            yield started, changed(again, outcome=None, status=None, phases={})
            yield started + 29.0, again


def held(root: object) -> int:
    """How many objects are reached from here, but for what is the program's."""
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        for one in gc.get_referents(waiting.pop()):
            if id(one) not in seen and not isinstance(one, type) and not callable(one):
                seen.add(id(one))
                waiting.append(one)
    return len(seen)


@dataclasses.dataclass(frozen=True)
class Quarter:
    """What stood at the end of a quarter of an hour, and what was done in it."""

    events: int
    objects: int
    work: int
    late: int
    told: int


def run(tracker: Tracker, pairs: list[tuple[float, Event]]) -> list[Quarter]:
    found: list[Quarter] = []
    look, until, work, late, told = EVERY, QUARTER, 0, 0, 0
    for when, event in pairs:
        while when > look:
            told += len(tracker.changed(look))
            tracker.gone()
            late += len(tracker.late())
            look += EVERY
        if when > until:
            found.append(Quarter(len(tracker), held(tracker), tracker.work - work, late, told))
            until, work, late, told = until + QUARTER, tracker.work, 0, 0
        tracker.add(event)
    return found


@pytest.mark.parametrize("named", [True, False])
def test_hours_of_sign_ins_and_sessions_are_held_in_the_same_room_at_the_same_cost(named: bool) -> None:
    hours = 1.5
    pairs = [*people(hours * 3600.0), *sessions(hours * 3600.0, named=named)]
    pairs.sort(key=lambda pair: (pair[0], pair[1].id))
    tracker = tracked()
    first, second, *rest = run(tracker, pairs)
    assert first.events > 400
    assert len(rest) >= 3
    for quarter in rest:
        assert quarter.events <= 2000
        assert quarter.objects < second.objects * 1.1
        assert quarter.work < second.work * 1.1
    assert rest[-1].late >= SESSIONS * 2 * QUARTER / 30 * 0.9 or not named, (
        "what a session does goes by `late`"
    )


def cost(others: int, before: int) -> int:
    """Of one sign-in when so many others are tracked, and of the same user so many before."""
    tracker = Tracker()
    for number in range(others):
        for event in Play(f"o{number}", user=f"user{number}@contoso.example", at=1000 + number).events:
            tracker.add(event)
    for number in range(before):
        for event in Play(f"b{number}", at=1000 + 60 * number, client="192.0.2.7", held=30.0).events:
            tracker.add(event)
    tracker.changed()
    was = tracker.work
    for event in Play("one", at=1000 + 60 * before, client="192.0.2.7", held=30.0).events:
        tracker.add(event)
        tracker.changed()
    return tracker.work - was


def test_a_sign_in_costs_the_same_whoever_else_signs_in_and_however_often() -> None:
    alone = cost(0, 0)
    assert alone > 0
    assert cost(300, 0) == alone
    assert cost(0, 60) < cost(0, 20) * 1.1


def flood(number: int) -> Iterator[Event]:
    """Requests on one connection that look like steps of a sign-in, and name nobody."""
    step = next(
        event for event in Play("x").events if isinstance(event, Exchange) and event.stage == "ticket"
    )
    for place in range(number):
        keys = Keys(connection="one", client="192.0.2.66")
        yield changed(step, id=f"f{place}", started=1000.0 + place / 50, keys=keys)


def test_a_flood_on_one_connection_is_let_go_and_others_are_not() -> None:
    tracker = tracked(most=100)
    play = Play("one", at=1020.0)
    pairs = [(told_at(event), event) for event in [*flood(5000), *play.events] if isinstance(event, Exchange)]
    most, known, late = 0, {}, 0
    for number, (when, event) in enumerate(sorted(pairs, key=lambda pair: (pair[0], pair[1].id))):
        tracker.add(event)
        if number % 10 == 0:
            known.update((one.id, one) for one in tracker.changed(when))
            late += len(tracker.late())
        most = max(most, len(tracker))
    known.update((one.id, one) for one in tracker.changed(2000.0))
    late += len(tracker.late())
    assert most < 100 + 10 + len(play.events)
    assert tracker.work < len(pairs) * 60, "it was not looked at again and again as a whole"
    assert late > 4800
    (expected,) = stitch([event for event in play.events if isinstance(event, Exchange)])
    assert known[expected.id] == expected
