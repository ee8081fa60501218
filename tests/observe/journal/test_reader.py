"""What a reader finds: rows by every filter, page by page, one sign-in with its events, and what is new."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import JournalError, Place
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState, StageView
from observe.samples import FINDING
from support.changed import changed
from support.signins import sign_in

NOW = 1_789_000_000.0
OTHER = changed(FINDING, code="F21", title="the password is wrong")


def told(id_: str, events: list[Event], outcome: SignInOutcome, **changes: object) -> SignIn:
    """A sign-in of these events, without stitching."""
    first = events[0]
    made = SignIn(
        id=id_,
        user=first.keys.user,
        account="CONTOSO\\anna",
        client=first.keys.client,
        device=first.keys.agent,
        started=first.started,
        ended=events[-1].started,
        outcome=outcome,
        failed_stage=Stage.TICKET if outcome is SignInOutcome.FAILED else None,
        stages=tuple(StageView(stage=stage, state=StageState.OK, seconds=0.25) for stage in Stage),
        events=tuple(events),
        joined=tuple((event.id, Joined.KEY) for event in events),
        offsets=(("trace:fe01", 2.5),),
    )
    return changed(made, **changes)


def put(store: Store, number: int, outcome: SignInOutcome, *findings: Finding, **changes: object) -> SignIn:
    events = list(sign_in(number, NOW + number))[:6]
    store.add_events([(event, codec.dumps(event)) for event in events], {})
    made = told(f"id{number:02}", events, outcome, **changes)
    store.put([(made, findings)])
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(Place.of(tmp_path / "journal.db"))
    yield store
    store.close()


def ids(reader: Reader, **wanted: object) -> list[str]:
    return [row.id for row in reader.list(**wanted)]  # type: ignore[arg-type]


def test_a_row_is_what_was_written(store: Store) -> None:
    made = put(store, 1, SignInOutcome.FAILED, FINDING, OTHER)
    (row,) = Reader(store.place).list()
    for name in ("id", "user", "account", "client", "device", "started", "ended", "outcome", "failed_stage"):
        assert getattr(row, name) == getattr(made, name), name
    assert row.findings == (FINDING, OTHER)
    assert row.offsets == (("trace:fe01", 2.5),)
    assert row.stages == tuple((stage, StageState.OK, 0.25) for stage in Stage)
    assert Reader(store.place).row("id01") == row
    assert Reader(store.place).row("id02") is None


def test_filters(store: Store) -> None:
    put(store, 1, SignInOutcome.FAILED, FINDING, OTHER)
    put(store, 2, SignInOutcome.OK, user="Bob@contoso.example", account=None, device="SIPE/1.25")
    put(store, 3, SignInOutcome.INCOMPLETE, OTHER, user=None, client="2001:db8::7")
    put(store, 4, SignInOutcome.OPEN, device=None)
    reader = Reader(store.place)
    assert ids(reader) == ["id04", "id03", "id02", "id01"]
    assert ids(reader, failed=True) == ["id03", "id01"]
    assert ids(reader, failed=False) == ["id04", "id02"]
    assert ids(reader, code="f20") == ["id01"]
    assert ids(reader, code="F2") == []
    assert ids(reader, code="F21") == ["id03", "id01"]
    assert ids(reader, user="bOB") == ["id02"]
    assert ids(reader, user="anna") == ["id04", "id03", "id01"]
    assert ids(reader, user="%") == []
    assert ids(reader, device="sipe") == ["id02"]
    assert ids(reader, client="2001:db8::7") == ["id03"]
    assert ids(reader, since=NOW + 3) == ["id04", "id03"]
    assert ids(reader, since=NOW, failed=True, user="anna", code="F21", limit=1) == ["id03"]


def test_page_by_page_none_is_left_out_and_none_comes_twice(store: Store) -> None:
    for number in range(10):
        put(store, number, SignInOutcome.OK, started=NOW + number // 4 + 0.1)
    reader = Reader(store.place)
    pages, before = [], None
    while page := reader.list(limit=3, before=before):
        pages.append([row.id for row in page])
        before = page[-1].cursor
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [id_ for page in pages for id_ in page] == ids(reader)
    with pytest.raises(ValueError, match="float"):
        reader.list(before="nonsense")


def test_one_sign_in_with_its_events_and_findings(store: Store) -> None:
    made = put(store, 1, SignInOutcome.FAILED, FINDING)
    found = Reader(store.place).detail("id01")
    assert found
    sign_in, findings = found
    assert findings == (FINDING,)
    assert (sign_in.id, sign_in.user, sign_in.joined) == (made.id, made.user, made.joined)
    assert list(sign_in.events) == [codec.loads(codec.dumps(event)) for event in made.events]
    assert Reader(store.place).detail("id02") is None


def test_a_newer_versions_events_are_left_out(store: Store) -> None:
    put(store, 1, SignInOutcome.OK)
    store._connection.execute("""UPDATE events SET event = '{"type":"telepathy"}' WHERE seq = 1""")
    found = Reader(store.place).detail("id01")
    assert found
    assert len(found[0].events) == 5
    store._connection.execute("UPDATE events SET event = 'x'")
    assert Reader(store.place).detail("id01") is None


def test_which_sign_in_a_request_of_the_access_log_belongs_to(store: Store) -> None:
    made = put(store, 1, SignInOutcome.OK)
    assert Reader(store.place).of_event(made.events[2].id) == ["id01"]
    assert Reader(store.place).of_event("nobody's") == []


def test_what_is_new_comes_in_the_order_of_writing_by_what_is_wanted(store: Store) -> None:
    reader = Reader(store.place)
    put(store, 2, SignInOutcome.OPEN)
    put(store, 1, SignInOutcome.FAILED)
    first = reader.changed()
    assert [row.id for row in first] == ["id02", "id01"]
    assert reader.changed(first[-1].revision) == []
    put(store, 2, SignInOutcome.OK)
    again = reader.changed(first[-1].revision)
    assert [(row.id, row.outcome) for row in again] == [("id02", SignInOutcome.OK)]
    assert [row.id for row in reader.changed(failed=True)] == ["id01"]
    assert next(reader.follow(first[-1].revision)).id == "id02"
    assert reader.revision() == again[-1].revision


def test_a_sign_in_settles_once(store: Store) -> None:
    events = list(sign_in(1, NOW))
    store.add_events([(event, codec.dumps(event)) for event in events], {})
    settled = []
    for id_, outcome in (
        ("a", SignInOutcome.OPEN),
        ("a", SignInOutcome.FAILED),
        ("a", SignInOutcome.OPEN),
        ("a", SignInOutcome.OK),
    ):
        settled.append(len(store.put([(told(id_, events[:4], outcome), ())])))
    assert settled == [0, 1, 0, 0], "counted once, though it went on after all"
    # It turns out to be the end of another, or has got another id: no second one.
    assert store.put([(told("b", events[:8], SignInOutcome.OK), ())]) == []
    assert ids(Reader(store.place)) == ["b"]
    assert store.put([(told("c", events[8:12], SignInOutcome.OK), ())], gone=["b"]) != []
    assert ids(Reader(store.place)) == ["c"]


def test_what_is_under_way_at_the_end_is_counted_by_who_goes_on(store: Store) -> None:
    made = put(store, 1, SignInOutcome.OPEN)
    over = changed(made, outcome=SignInOutcome.INCOMPLETE)
    assert store.put([(over, ())], count=False) == []
    assert store.open_sign_ins() == 1
    assert len(store.unsettled(NOW + 10**6, store.last_seq(), 100)) == 6
    assert store.put([(over, ())]) == [(over, ())]
    assert store.open_sign_ins() == 0


def test_an_event_that_moves_belongs_to_one_and_is_kept_as_long_as_it_does(store: Store) -> None:
    events = list(sign_in(1, NOW))[:4]
    store.add_events([(event, codec.dumps(event)) for event in events], {})
    store.put([(told("a", events, SignInOutcome.OK), ())])
    store.put([(told("a", events[:2], SignInOutcome.OK), ())])
    assert Reader(store.place).of_event(events[3].id) == []
    assert store.prune(NOW + 7200, age=86400 * 9, size=10**9)
    found = Reader(store.place).detail("a")
    assert found
    assert len(found[0].events) == 2
    assert [event.id for _, event in store.events_after(0, 10) if event] == [event.id for event in events[:2]]


def test_the_complete_telling_of_an_event_stays(store: Store) -> None:
    *_, begun, over = sign_in(1, NOW)
    assert begun.id == over.id
    for telling in (begun, over, begun):
        store.add_events([(telling, codec.dumps(telling))], {})
    ((_, kept),) = store.events_after(0, 10)
    assert isinstance(kept, Exchange)
    assert kept.status == 200


def test_a_lease_is_held_by_one_and_taken_over_when_it_ends(store: Store) -> None:
    now = time.time()
    assert store.lease("one", now, 4)
    assert not store.lease("two", now + 1, 4)
    assert store.lease("one", now + 3, 4)
    assert not store.lease("two", now + 5, 4)
    assert store.lease("two", now + 8, 4)
    assert not store.lease("one", now + 9, 4)
    store.release("two")
    assert store.lease("one", now + 9, 4)
    # The clock was set back by a day: nobody is locked out for that long.
    assert store.lease("two", now - 86400, 4)


def test_without_a_journal_it_says_so(tmp_path: Path) -> None:
    reader = Reader(Place.of(tmp_path / "journal.db"))
    for call in (reader.list, reader.changed, reader.revision, lambda: reader.detail("x")):
        with pytest.raises(JournalError, match="there is no such file"):
            call()


def test_a_folder_that_can_not_be_written_can_be_read(tmp_path: Path) -> None:
    """A copy on a read-only file system: WAL's files can't be made beside it."""
    folder = tmp_path / "copy"
    folder.mkdir()
    store = Store(Place.of(folder / "journal.db"))
    put(store, 1, SignInOutcome.OK)
    store.close()
    folder.chmod(0o500)
    assert ids(Reader(Place.of(folder / "journal.db"))) == ["id01"]
