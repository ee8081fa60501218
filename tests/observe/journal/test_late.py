"""What comes to a sign-in that is not held any more: sessions that go on for hours. Simulated time."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncgate.observe.journal import rows
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.stitching import FED, Stitcher
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Outcome, Phase
from lyncgate.signin.story import Joined, SignIn, SignInOutcome
from support.changed import changed
from support.journalling import Told, ask
from support.signins import sign_in

T0 = 1_790_000_000.0
LONG_AFTER = 3000.0  # seconds: nobody holds it any more


class CountingStore(Store):
    """How often a sign-in's events were read again."""

    read = 0

    def events_of(self, id_: str) -> tuple[list[Event], dict[str, Joined]]:
        self.read += 1
        return super().events_of(id_)


@dataclasses.dataclass
class Keeping:
    path: Path
    store: CountingStore
    stitcher: Stitcher
    told: Told

    def take(self, now: float, *events: Event) -> None:
        self.store.add_events([(event, codec.dumps(event)) for event in events], {})
        while self.stitcher.step(self.store, now, at_once=True):
            pass

    def sign_in(self, of: Event) -> SignIn:
        found = Reader(Place.of(self.path)).detail(of.id)
        assert found is not None
        return found[0]


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Keeping]:
    path, told = tmp_path / "journal.db", Told()
    store = CountingStore(Place.of(path))
    with contextlib.closing(store):
        made = Keeping(path, store, Stitcher(told), told)
        made.take(T0)
        yield made


def forgotten(keeping: Keeping) -> tuple[Event, Exchange]:
    """A sign-in that is long over, but for its poll. Its first event; the poll as it will end."""
    *events, poll = sign_in(1, T0, held=LONG_AFTER - 2)
    assert isinstance(poll, Exchange)
    keeping.take(T0 + 3, *events)
    keeping.take(T0 + 20)
    for number in range(2, 14):
        now = T0 + LONG_AFTER * number / 13
        keeping.take(now, *sign_in(number, now - 40))
    assert keeping.told.settled.count(events[0].id) == 1
    return events[0], poll


def polls(poll: Exchange, number: int) -> list[Exchange]:
    """Those that follow, each told when it is over."""
    keys = changed(poll.keys, user=None)
    return [
        changed(poll, id=f"poll{place}", started=poll.started + LONG_AFTER + 30 * place, keys=keys)
        for place in range(number)
    ]


def test_the_end_of_what_was_awaited_is_told(keeping: Keeping) -> None:
    first, poll = forgotten(keeping)
    assert "is held" in {view.said[-7:] for view in keeping.sign_in(first).stages}
    keeping.take(T0 + LONG_AFTER, poll)
    found = keeping.sign_in(first)
    assert not any(view.said.endswith("is held") for view in found.stages)
    assert found.ended == T0 + LONG_AFTER
    assert found.outcome is SignInOutcome.OK, "it does not open again"
    assert keeping.told.settled.count(first.id) == 1


def test_a_session_that_goes_on_costs_little_and_has_a_bound(keeping: Keeping) -> None:
    first, poll = forgotten(keeping)
    keeping.take(T0 + LONG_AFTER, poll)
    keeping.store.read = 0
    more = polls(poll, 700)
    for one in more:
        keeping.take(one.started + 30, changed(one, outcome=None, phases={}, status=None))
        keeping.take(one.started + 30, one)
    assert keeping.store.read < 20, "it is read again when it has grown by a quarter"
    found = keeping.sign_in(first)
    assert len(found.events) == rows.MOST_EVENTS
    assert found.outcome is SignInOutcome.OK
    assert keeping.told.settled.count(first.id) == 1
    assert ask(keeping.path, "SELECT count(*) FROM signins") == 13, "what is left over is no sign-in"
    assert ask(keeping.path, "SELECT count(*) FROM events WHERE id LIKE 'poll%'") == 700


def test_a_poll_that_fails_is_judged(keeping: Keeping) -> None:
    first, poll = forgotten(keeping)
    keeping.take(T0 + LONG_AFTER, poll)
    cut = [
        changed(
            one, outcome=Outcome.UPSTREAM_TIMEOUT, status=504, server_fqdn=None, phases={Phase.TOTAL: 30.0}
        )
        for one in polls(poll, 2)
    ]
    keeping.take(cut[1].started + 3000, *cut)
    row = next(row for row in Reader(Place.of(keeping.path)).list() if row.id == first.id)
    assert row.outcome is SignInOutcome.OK
    assert [finding.code for finding in row.findings] == ["F37"]


def test_what_there_is_no_time_for_waits_in_the_file_and_is_caught_up_with(keeping: Keeping) -> None:
    """Three times as much as is taken in at once, written while nobody stitched."""
    count = 3 * FED // 19
    events = [event for number in range(count) for event in sign_in(number, T0 + number / 30, held=5.0)]
    lines = [(event, codec.dumps(event)) for event in events]
    keeping.store.add_events(lines, {})
    assert keeping.stitcher.step(keeping.store, T0 + 100, at_once=True), "there is more"
    assert ask(keeping.path, "SELECT count(*) FROM signins") < count / 2
    keeping.take(T0 + 100)
    keeping.take(T0 + 200)
    assert ask(keeping.path, "SELECT count(*) FROM signins WHERE counted") == count
    assert len(keeping.told.settled) == count
    assert ask(keeping.path, "SELECT count(*) FROM events WHERE NOT belongs") == 0
