"""The journal as a whole: nothing is lost at a rate no edge reaches; read, killed, locked, full."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lyncgate.observe.journal import stitching, writer
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.policy.policy import MIB, Journal
from lyncgate.signin.story import SignInOutcome
from support.changed import changed
from support.journalling import append, ask, journal, kept
from support.processes import wait_until
from support.requirements import require
from support.signins import sign_in

EVENTS = len(list(sign_in(0, 0.0)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_a_sign_in_under_way_goes_on_after_a_restart_and_is_counted_once(path: Path) -> None:
    now = time.time()
    events = list(sign_in(1, now))
    with journal(path, clock=lambda: now + 1) as (made, told):
        for event in events[:8]:
            made.append(event)
        assert made.flush()
        assert told.settled == []
    with journal(path, clock=lambda: now + 120) as (made, told):
        for event in events[8:]:
            made.append(event)
        assert made.flush()
        (row,) = Reader(made.place).list()
        assert row.outcome is SignInOutcome.OK
        assert told.settled == [row.id]
        detail = Reader(made.place).detail(row.id)
        assert detail
        assert len(detail[0].events) == EVENTS - 1
    with journal(path, clock=lambda: now + 130) as (made, told):
        assert made.flush()
        assert told.settled == [], "it was counted before"


def test_who_is_refused_is_compared_with_how_he_was_let_in_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stitching, "AROUND", 2)
    now = time.time()
    with journal(path) as (made, _):
        append(made, 1, 1, started=now - 1500)
        assert made.flush()
    with journal(path) as (made, _):
        append(made, 2, 4, started=now - 600)
        assert made.flush()
        for number in (1, 9):
            for event in sign_in(number, now - 300, refused=True):
                keys = changed(event.keys, connection=f"{number}-again")
                made.append(changed(event, id=f"f{event.id[1:]}", keys=keys))
        assert made.flush()
        found = {
            row.user: tuple(f.code for f in row.findings) for row in Reader(made.place).list(failed=True)
        }
    assert found == {
        "user1@contoso.example": ("F21",),
        "user9@contoso.example": ("F32", "F21"),
    }, "user1's password was good before; of user9 nothing is known"


def test_stitching_begins_anew_now_and_then_and_nobody_notices(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stitching, "NAMES", 20)
    with journal(path) as (made, told):
        now = time.time() - 120
        phones = [list(sign_in(number, now)) for number in range(12)]
        for place in range(EVENTS):
            for events in phones:
                made.append(events[place])
            if place % 5 == 0:
                assert made.flush()
        assert made.flush()
        rows = Reader(made.place).list()
        assert [row.outcome for row in rows] == [SignInOutcome.OK] * 12
        assert sorted(told.settled) == sorted(row.id for row in rows)


def test_what_stitching_has_no_time_for_waits_in_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds no more than is looked at at once, however much comes; nothing is left out in the end."""
    monkeypatch.setattr(stitching, "FED", 60)
    monkeypatch.setattr(stitching, "EVERY", 3600.0)
    with journal(path) as (made, told):
        assert made.flush()  # one look; the next is in an hour, unless somebody asks
        sent = append(made, 0, 40)
        wait_until(lambda: told.written == sent, "not written")
        tracker = made._stitcher._tracker
        assert tracker is not None
        wait_until(lambda: len(tracker) > 0, "nothing is taken in")
        assert len(tracker) <= 60
        assert made.flush()
        assert len(told.settled) == 40
        sent += append(made, 40, 40)
        wait_until(lambda: told.written == sent, "not written")
        assert len(told.settled) < 80
    assert len(Reader(Place.of(path)).list(limit=100)) == 80, "at the end there is time"


def test_a_sign_in_of_which_a_part_waits_in_the_file_is_not_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago its events were by the clock: it is counted once, and as what it was."""
    monkeypatch.setattr(stitching, "FED", 7)
    with journal(path) as (made, told):
        append(made, 0, 10, started=time.time() - 600)
        assert made.flush()
        assert len(told.settled) == 10
        assert told.outcomes == {SignInOutcome.OK: 10}


def test_when_it_is_locked_it_waits_then_drops_and_counts_and_then_goes_on(path: Path) -> None:
    with journal(path, limit=100) as (made, told):
        assert made.flush()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            sent = append(made, 0, 20)
            assert time.monotonic() - begun < 0.5, "who appends never waits"
            wait_until(lambda: made.behind > 0.5, "it is behind")
            sent += append(made, 20, 20)
            assert told.written == 0
            assert told.dropped["buffer"] >= sent - 200  # a batch and a buffer
            other.execute("ROLLBACK")
        assert made.flush()
        assert told.written + told.dropped["buffer"] == sent
        assert told.written >= 100, "what waited was written"
        assert made.behind == 0


def test_closed_just_after_it_was_locked_it_writes_what_waits(path: Path) -> None:
    with journal(path) as (made, told):
        assert made.flush()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            sent = append(made, 0, 5)
            wait_until(lambda: made._failing, "it has not noticed")
            other.execute("ROLLBACK")
    assert (told.written, told.dropped) == (sent, {})


def test_events_that_come_faster_than_they_are_written_are_dropped_and_counted() -> None:
    with journal(None, limit=500) as (made, told):
        sent = append(made, 0, 200)
        assert made.flush()
        assert 0 < told.dropped["buffer"] == sent - told.written


def test_what_can_not_be_written_is_one_event_less(caplog: pytest.LogCaptureFixture) -> None:
    with journal(None) as (made, told), caplog.at_level(logging.ERROR):
        good, bad, *_ = sign_in(1, time.time())
        bad.host = object()  # type: ignore[assignment,union-attr]  # a fault of ours
        made.append(bad)
        made.append(good)
        assert made.flush()
        assert (told.written, told.dropped["invalid"]) == (1, 1)
        assert "can't be written" in caplog.text


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 3 MiB."""
    require(os.geteuid() == 0, "mount (run as root)")
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def test_on_a_full_disk_it_drops_and_counts_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    with journal(path) as (made, told):
        fill = small_disk / "fill"
        fill.write_bytes(b"\0" * (2 * MIB))
        sent = append(made, 0, 100)
        wait_until(lambda: told.dropped["disk"] > 0, "nothing was dropped")
        fill.unlink()
        wait_until(lambda: made.flush(1.0), "does not go on")
        before = told.written
        sent += append(made, 1000, 5)
        assert made.flush()
        assert told.written == before + 5 * EVENTS
        assert told.written + sum(told.dropped.values()) == sent
    assert ask(path, "PRAGMA integrity_check") == "ok"


def test_it_begins_on_a_disk_that_is_full(small_disk: Path) -> None:
    """An edge must start, journal or not."""
    path = small_disk / "journal.db"
    fill = small_disk / "fill"
    with fill.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    with journal(path) as (made, told):
        append(made, 0, 1)
        fill.unlink()
        wait_until(lambda: told.written == EVENTS, lambda: told.dropped)


def test_damaged_while_it_is_written_it_begins_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with journal(path) as (made, _told):
        append(made, 0, 20)
        assert made.flush()
        with caplog.at_level(logging.ERROR):
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.write(os.urandom(size))
            append(made, 100, 20)
            wait_until(lambda: "is damaged" in caplog.text, "not noticed")
        wait_until(lambda: list(path.parent.glob("*.damaged-*")), "not moved")
        append(made, 200, 5)
        assert made.flush()
        assert any(row.id == f"{200:012x}0000" for row in Reader(made.place).list(limit=50))


def test_damage_that_two_writers_find_moves_one_file_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with journal(path) as (one, _), journal(path) as (other, _), caplog.at_level(logging.ERROR):
        append(one, 0, 20)
        assert one.flush()
        assert other.flush()
        with contextlib.closing(sqlite3.connect(path)) as third:
            third.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        damaged = os.urandom(path.stat().st_size)
        with path.open("r+b") as file:
            file.write(damaged)
        for number, made in enumerate((one, other, one)):
            append(made, 100 * (number + 1), 5)
            assert made.flush()
        (aside,) = path.parent.glob("*.damaged-????????T??????")
        assert aside.read_bytes() == damaged
        assert caplog.text.count("is damaged") == 1
        assert kept(path)[0] >= 5


def test_taken_away_while_it_is_written_it_begins_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PRUNE_EVERY", 0.0)
    with journal(path) as (made, _told):
        append(made, 0, 2)
        assert made.flush()
        path.rename(path.with_name("elsewhere.db"))
        wait_until(path.exists, "no new file")
        append(made, 10, 2)
        wait_until(lambda: kept(path)[0] == 2, lambda: kept(path))


def test_it_is_bounded_by_age(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PRUNE_EVERY", 0.0)
    now = time.time()
    later = now
    with journal(path, clock=lambda: later, age=3600.0) as (made, _told):
        append(made, 0, 30, started=now - 600)
        append(made, 30, 30, started=now - 60)
        assert made.flush()
        assert kept(path)[0] == 60
        later = now + 3300
        wait_until(lambda: kept(path)[0] == 30, lambda: kept(path))
        later = now + 10 * 3600
        wait_until(lambda: kept(path) == (0, 0), lambda: kept(path))
        append(made, 60, 1, started=later - 60)
        assert made.flush()
        (row,) = Reader(made.place).list()
        assert row.revision > 60, "who follows has seen sixty changes"


def test_it_is_bounded_by_size_and_the_oldest_make_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PRUNE_EVERY", 0.0)
    with journal(path, size=2 * MIB) as (made, told):
        for first in range(0, 400, 50):
            # Over, and not so long ago that events which are not stitched yet would make room first.
            append(made, first, 50, started=time.time() - 50 + first / 12)
            assert made.flush()
        told.size = 0  # until room has been made for the last ones as well
        wait_until(lambda: 0 < told.size <= 2 * MIB, lambda: told.size)
        rows = Reader(made.place).list(limit=1000)
        assert 0 < len(rows) < 100, "of 400: each takes 25 kB"
        assert rows[0].user == "user399@contoso.example"
        assert rows == sorted(rows, key=lambda row: (row.started, row.id), reverse=True)
        oldest = min(int(row.id[:12], 16) for row in rows)
        assert {int(row.id[:12], 16) for row in rows} >= set(range(oldest + 50, 400)), "the newest are kept"
        assert told.dropped == {}
    assert path.stat().st_size < 4 * MIB  # closed: the write-ahead log is in it


def test_in_memory_it_is_small() -> None:
    with journal(None) as (made, _told):
        assert made._size == 32 * MIB
        append(made, 0, 10)
        assert made.flush()
        assert len(Reader(made.place).list()) == 10
    with journal(None) as (other, _):
        assert other.flush()
        assert Reader(other.place).list() == []


def test_with_pseudonyms_no_user_is_in_the_file_and_can_be_found_all_the_same(path: Path) -> None:
    with journal(path, pseudonyms=True) as (made, _):
        append(made, 7, 3)
        assert made.flush()
        reader = Reader(made.place)
        (row,) = reader.list(user="user8@contoso.example")
        assert row.user
        assert row.user.startswith("user-")
        assert reader.list(user="user11@contoso.example") == []
    written = b"".join(file.read_bytes() for file in path.parent.iterdir()).lower()
    assert b"198.51.100.1" in written
    for number in range(7, 10):
        assert f"user{number}".encode() not in written


def test_other_bounds_are_adopted_and_another_file_is_refused(path: Path) -> None:
    with journal(path) as (made, _):
        made.adopt(Journal(str(path), size=MIB, age=7200.0))
        assert (made.rules.size, made.rules.age) == (MIB, 7200.0)
        other = path.with_name("other.db")
        with pytest.raises(
            OSError, match=rf"journal.path: found {other}; in force: {path}; it needs a restart"
        ):
            made.adopt(Journal(str(other)))
        with pytest.raises(OSError, match=r"journal\.pseudonyms"):
            made.adopt(Journal(str(path), pseudonyms=True))


def test_the_log_of_writes_is_emptied(path: Path) -> None:
    with journal(path) as (made, _):
        append(made, 0, 100)
        assert made.flush()
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db", "journal.db.key"]
