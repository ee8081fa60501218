"""Tracking tells what stitching tells: in any order, in any batches, and when there is no end of events."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import SignIn, SignInOutcome
from lyncgate.signin.tracker import Tracker
from support.changed import changed
from support.plays import Fault, Play

USERS = tuple(f"user{number}@contoso.example" for number in range(4))


def take(tracker: Tracker, known: dict[str, SignIn], now: float | None = None) -> None:
    """Keep `known` as a journal does."""
    known.update((sign_in.id, sign_in) for sign_in in tracker.changed(now))
    for id in tracker.gone():
        del known[id]


def in_order(known: dict[str, SignIn]) -> list[SignIn]:
    return sorted(known.values(), key=lambda sign_in: (sign_in.started, sign_in.id))


def fed(tracker: Tracker, events: Iterable[Event], batch: int = 7) -> dict[str, SignIn]:
    known: dict[str, SignIn] = {}
    for number, event in enumerate(events):
        tracker.add(event)
        if number % batch == 0:
            take(tracker, known)
    take(tracker, known)
    return known


PLAYS = st.builds(
    Play,
    name=st.uuids().map(str),
    user=st.sampled_from(USERS),
    device=st.sampled_from(["ucwa", "mcx"]),
    at=st.sampled_from([1.0, 10.0, 100.0]).flatmap(lambda span: st.floats(1000, 1000 + span)),
    client=st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    fault=st.sampled_from(Fault.__value__.__args__),
    named=st.booleans(),
    dns=st.booleans(),
    resolver=st.sampled_from([None, None, "203.0.113.53"]),
    trace=st.booleans(),
    skew=st.sampled_from([0.0, 0.0, 3.0]),
    polls=st.integers(0, 3),
    held=st.sampled_from([5.0, 40.0, 180.0]),
    upn=st.booleans(),
    pace=st.sampled_from([0.005, 0.3, 3.0]),
    server=st.sampled_from(["fe01", "fe02"]),
)
# Few people on few devices, again and again, with all that makes stitching hard.
TRAFFIC = st.lists(PLAYS, min_size=1, max_size=7)


def events_of(plays: Iterable[Play], chance: random.Random) -> list[Event]:
    """Polls are told twice. Some traffic is mixed by a load balancer, of some a part is missing."""
    mixed, missing = chance.random() < 0.3, chance.choice([0.0, 0.0, 0.3])
    found: list[Event] = []
    for event in (event for play in plays for event in play.events):
        if chance.random() < missing:
            continue
        if mixed and isinstance(event, Exchange) and chance.random() < 0.25:
            event = changed(event, keys=changed(event.keys, connection="lb"))
        if isinstance(event, Exchange) and event.kind is Kind.POLL:
            found.append(changed(event, outcome=None, status=None, phases={}))
        found.append(event)
    return found


@given(TRAFFIC, st.randoms(use_true_random=True), st.integers(1, 30))
@settings(max_examples=80, deadline=None)
def test_any_order_in_any_batches(plays: list[Play], chance: random.Random, batch: int) -> None:
    events = events_of(plays, chance)
    chance.shuffle(events)
    assert in_order(fed(Tracker(), events, batch)) == stitch(events)


@given(TRAFFIC, st.randoms(use_true_random=True))
@settings(max_examples=40, deadline=None)
def test_live(plays: list[Play], chance: random.Random) -> None:
    """Events come about when they are over; what is over by the clock is told again when it is."""
    events = events_of(plays, chance)
    pairs = sorted((e.started + (e.seconds or 0.0) + chance.random(), e.id, n) for n, e in enumerate(events))
    tracker = Tracker()
    known: dict[str, SignIn] = {}
    for when, _, number in pairs:
        tracker.add(events[number])
        take(tracker, known, when)
    now = pairs[-1][0] if pairs else 1000.0
    assert in_order(known) == stitch(events, now)
    take(tracker, known, now + 3600)
    assert in_order(known) == stitch(events)
    assert tracker.changed(now + 7200) == []


def test_what_did_not_change_is_not_told_again() -> None:
    tracker = Tracker()
    for event in Play("one").events:
        tracker.add(event)
    assert len(tracker.changed()) == 1
    for event in Play("two", user=USERS[0], client="192.0.2.99").events:
        tracker.add(event)
    assert [sign_in.user for sign_in in tracker.changed()] == [USERS[0]]
    assert tracker.changed() == []


def test_a_sign_in_is_told_open_and_then_over() -> None:
    tracker = Tracker()
    for event in Play("one", fault="password").events:
        tracker.add(event)
    assert [sign_in.outcome for sign_in in tracker.changed(1001.0)] == [SignInOutcome.OPEN]
    assert tracker.changed(1005.0) == []
    assert [sign_in.outcome for sign_in in tracker.changed(1020.0)] == [SignInOutcome.FAILED]
    assert tracker.changed(1021.0) == []


def test_one_that_turns_out_to_be_another_is_gone() -> None:
    """Queries alone are a sign-in that came no further, until the exchanges are known."""
    play = Play("late")
    tracker = Tracker()
    for event in play.events[:2]:
        tracker.add(event)
    (queries,) = tracker.changed()
    assert tracker.gone() == []
    for event in play.events[2:]:
        tracker.add(event)
    (sign_in,) = tracker.changed()
    assert tracker.gone() == [queries.id]
    assert sign_in.id != queries.id
    assert tracker.gone() == []


def streamed(number: int, seconds: float = 2.0) -> list[Event]:
    """`number` sign-ins of ten people, one every `seconds`, as told live."""
    pairs: list[tuple[float, Event]] = []
    for play in range(number):
        user = f"user{play % 10}@contoso.example"
        events = Play(f"s{play}", user=user, at=1000 + seconds * play, client=f"192.0.2.{play % 10}").events
        pairs += [(event.started + (event.seconds or 0.0), event) for event in events]
    return [event for _, event in sorted(pairs, key=lambda pair: pair[0])]


def test_memory_is_bounded_and_nothing_is_lost() -> None:
    events = streamed(600)
    tracker = Tracker(limit=4000, keep=300.0, remembered=3000)
    known: dict[str, SignIn] = {}
    most, late = 0, 0
    for number, event in enumerate(events):
        tracker.add(event)
        if number % 50 == 0:
            take(tracker, known, event.started)
            late += len(tracker.late())
            most = max(most, len(tracker))
    take(tracker, known, 1e9)
    assert most < 4000 + 50 * 25  # the limit, and what is open
    assert late == 0
    expected = {sign_in.id: sign_in for sign_in in stitch(events)}
    assert known == expected


def test_an_event_of_a_forgotten_sign_in_finds_its_id() -> None:
    """A poll of half an hour ends when its sign-in is not held any more."""
    play = Play("old", held=1800.0)
    ended = play.events[-1]
    assert isinstance(ended, Exchange)
    begun = changed(ended, outcome=None, status=None, phases={})
    tracker = Tracker(keep=60.0)
    known = fed(tracker, [*play.events[:-1], begun])
    for number, event in enumerate(streamed(200)):
        tracker.add(changed(event, started=event.started + 200))
        if number % 50 == 0:
            take(tracker, known, event.started + 400)
    before = len(tracker)
    tracker.late()
    tracker.add(ended)
    assert tracker.late() == [(stitch(play.events)[0].id, ended, True)]
    assert len(tracker) == before
    assert tracker.late() == []


def strangers(number: int) -> list[Event]:
    """Sign-ins of ever new people, each with an account by another name."""
    found: list[Event] = []
    for play in range(number):
        user = f"person{play}@contoso.example"
        for event in Play(f"n{play}", user=user, at=1000.0 + play, client=f"192.0.2.{play % 200}").events:
            keys = changed(event.keys, account=f"CONTOSO\\p{play}")
            found.append(changed(event, keys=keys))
    return found


def test_names_are_bounded_and_those_named_last_are_known() -> None:
    tracker = Tracker(limit=500, accounts=20)
    events = strangers(200)
    fed(tracker, events)
    assert tracker.names < 3 * 20 + 4 * len(tracker), "200 people were named, with two names each"
    last = next(event for event in reversed(events) if event.keys.user and event.keys.connection)
    again = changed(
        last,
        id="again",
        started=last.started + 600,
        keys=changed(last.keys, user=None, connection="another", tickets=(), application=None),
    )
    tracker.add(again)
    tracker.changed()
    (strand,) = (one for one in tracker._weave._strand_of.values() if one.events[0][1].id == "again")
    assert strand.person == last.keys.user


def test_what_is_told_again_is_known_by_its_id_and_nothing_else_is_remembered_by_it() -> None:
    tracker = Tracker(keep=60.0)
    play = Play("old", held=1800.0)
    poll = play.events[-1]
    assert isinstance(poll, Exchange)
    begun = changed(poll, outcome=None, status=None, phases={})
    fed(tracker, [*play.events[:-1], begun])
    fed(tracker, [changed(e, started=e.started + 400) for e in streamed(3)])
    assert len(tracker) < 100
    assert len(tracker._forgotten) > 0
    requests = {event.id for event in play.events if isinstance(event, Exchange)}
    assert {id for id in requests if tracker._forgotten.get(("event", id)) is not None} == {begun.id}


@given(st.lists(PLAYS, min_size=12, max_size=25), st.randoms(use_true_random=True))
@settings(max_examples=10, deadline=None)
def test_one_user_again_and_again(plays: list[Play], chance: random.Random) -> None:
    """More attempts of one person than are put together anew when one of them changes."""
    events = events_of([changed(play, user=USERS[0]) for play in plays], chance)
    told = sorted(events, key=lambda event: event.started + (event.seconds or 0.0) + chance.random())
    assert in_order(fed(Tracker(), told, 20)) == stitch(events)


def with_ticket_of(play: Play, other: Play) -> list[Event]:
    """What a device does that still has its ticket: it asks nobody for one."""
    ticket = next(event.keys.tickets for event in other.events if event.keys.tickets)
    return [
        changed(event, keys=changed(event.keys, tickets=ticket)) if event.keys.tickets else event
        for event in play.events
        if not (isinstance(event, Exchange) and (event.stage == "ticket" or event.status == 401))
    ]


def test_who_signs_in_anew_with_the_ticket_of_a_forgotten_sign_in_has_signed_in_twice() -> None:
    first = Play("old", held=5.0, polls=1, dns=False, trace=False)
    second = Play("anew", at=first.at + 700, held=5.0, dns=False, trace=False)
    again = with_ticket_of(second, first)
    tracker = Tracker(keep=60.0)
    known = fed(tracker, first.events, 1)
    fed(tracker, [changed(e, started=e.started + 300) for e in streamed(40)], 1)
    assert len(tracker._forgotten) > 0
    tracker.late()
    for event in again:
        tracker.add(event)
        take(tracker, known)
    assert tracker.late() == []
    mine = [sign_in for sign_in in in_order(known) if sign_in.user == first.user]
    assert mine == stitch([*first.events, *again])
    assert len(mine) == 2
