"""Several processes and one journal: nothing is lost at a rate no edge reaches, whoever reads or dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.writer import Part
from lyncgate.signin.story import SignInOutcome
from support.journalling import append, ask, journal, kept
from support.processes import ROOT, wait_until
from support.signins import sign_in

EVENTS = len(list(sign_in(0, 0.0)))
COUNT = 400  # sign-ins; ten thousand of them: bench/journal.py
RATE = 40.0  # a second: more than the rate that docs/journal.md promises
HELD = 5.0  # seconds that a poll hangs
POURED = 3000  # three times as many as are held in memory
GROWTH = 1.05  # of memory in the second half: the last keys that are remembered, what the allocator needs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def process(*arguments: object) -> subprocess.Popen[str]:
    """`support.journalling` in a process of its own, begun."""
    started = subprocess.Popen(
        [sys.executable, "-m", "support.journalling", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT / 'tests'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    assert started.stdout.readline()
    return started


def ended(started: subprocess.Popen[str]) -> dict[str, Any]:
    """What it did, told when its standard input ends or it is done."""
    out, _ = started.communicate(timeout=100)
    done: dict[str, Any] = json.loads(out)
    return done


@pytest.mark.timeout(120)
def test_none_is_lost_while_another_process_reads(path: Path) -> None:
    """At the rate that is documented, each event told when an edge would tell it."""
    with journal(path):
        pass  # there is something to read
    reading = process("read", path)
    written = ended(process("write", path, 0, COUNT, RATE, HELD))
    read = ended(reading)
    assert written["dropped"] == {}
    assert written["sent"] == written["written"]
    assert written["settled"] == COUNT
    # A poll is told twice.
    assert kept(path) == (COUNT, written["sent"] - COUNT)
    assert read["errors"] == []
    assert read["details"] > 50
    assert len(Reader(Place.of(path)).list(limit=1000, failed=False)) == COUNT


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_what_was_written(path: Path) -> None:
    written = ended(process("pour", path, 0, POURED))
    assert written["settled"] == POURED
    half = len(written["memory"]) // 2
    assert max(written["memory"][half:]) < GROWTH * written["memory"][half], written["memory"]


def test_two_processes_write_one_journal_and_one_story_is_told(path: Path) -> None:
    """Half of each sign-in's events come by one worker, half by the other."""
    with journal(path) as (one, told_one), journal(path) as (other, told_other):
        now = time.time() - 120
        for number in range(40):
            for place, event in enumerate(sign_in(number, now)):
                (one if place % 2 else other).append(event)
        assert one.flush()
        assert other.flush()
        leader = one if one._stitcher.leads else other
        assert leader.flush()
        rows = Reader(one.place).list(limit=100)
        assert len(rows) == 40
        assert {row.outcome for row in rows} == {SignInOutcome.OK}
        assert told_one.written + told_other.written == 40 * EVENTS
        assert {len(told.settled) for told in (told_one, told_other)} == {0, 40}


def test_who_only_writes_leaves_the_rest_to_who_keeps(path: Path) -> None:
    with (
        journal(path, part=Part.WRITES) as (writes, told_writes),
        journal(path, part=Part.KEEPS) as (keeps, told_keeps),
    ):
        append(writes, 0, 10)
        assert writes.flush()
        assert told_writes.written == kept(path)[1] + 10, "each has a poll, which is told twice"
        assert keeps.flush()
        assert len(Reader(keeps.place).list(limit=100)) == len(told_keeps.settled) == 10
        assert keeps._stitcher.leads
        assert not writes._stitcher.leads
        assert (told_writes.settled, told_keeps.written) == ([], 0)
        assert told_keeps.size > told_writes.size == 0, "room is made by who keeps"


def test_another_writer_goes_on_when_the_one_that_stitches_is_killed(path: Path) -> None:
    first = process("write", path, 0, 100_000, 20, HELD)
    wait_until(lambda: kept(path)[0] > 10, "no sign-ins")
    with journal(path) as (made, _):
        assert made.flush()
        assert not made._stitcher.leads
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = kept(path)[0]
        append(made, 500_000, 5)
        wait_until(lambda: kept(path)[0] >= before + 5, lambda: kept(path))
        assert made._stitcher.leads
    for pipe in (first.stdin, first.stdout):
        assert pipe
        pipe.close()


def test_killed_in_the_middle_it_is_whole_and_goes_on(path: Path) -> None:
    started = process("pour", path, 0, 100_000)
    wait_until(lambda: kept(path)[0] > 50, "no sign-ins")
    started.send_signal(signal.SIGKILL)
    started.communicate()
    assert ask(path, "PRAGMA integrity_check") == "ok"
    assert ask(path, "SELECT count(*) FROM joined WHERE event NOT IN (SELECT id FROM events)") == 0
    before, _ = kept(path)
    with journal(path) as (made, _):
        append(made, 500_000, 3)
        wait_until(lambda: kept(path)[0] >= before + 3, "does not go on")
