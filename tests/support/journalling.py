"""Writers and readers of a journal, here and as processes of their own.

    with journal(path) as (journal, told): ...

    python -m support.journalling write PATH FIRST COUNT RATE   sign-ins FIRST … at RATE a second (0: at once)
    python -m support.journalling read PATH                     lists and details until standard input ends

Either says one line of JSON when it begins, and one with what it did when it ends.
"""

from __future__ import annotations

import collections
import contextlib
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import JournalError, Place
from lyncgate.observe.journal.writer import BUFFERED_EVENTS, Journal
from lyncgate.policy import policy
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn
from support.signins import sign_in

EARLIER = 120.0  # seconds ago that sign-ins began: they are over


class Told:
    """A JournalObserver that remembers."""

    def __init__(self) -> None:
        self.written = 0
        self.dropped: collections.Counter[str] = collections.Counter()
        self.settled: list[str] = []  # ids
        self.size = 0
        self.open = 0

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None:
        self.settled.append(sign_in.id)

    def journaled(self, events: int) -> None:
        self.written += events

    def journal_dropped(self, reason: Dropped, events: int) -> None:
        self.dropped[reason] += events

    def journal_state(self, size: int, open_sign_ins: int) -> None:
        self.size, self.open = size, open_sign_ins


@contextlib.contextmanager
def journal(
    path: Path | None,
    *,
    limit: int = BUFFERED_EVENTS,
    clock: Callable[[], float] = time.time,
    **rules: Any,
) -> Iterator[tuple[Journal, Told]]:
    """One that runs, and what it told. `rules`: of policy.Journal, beside the path."""
    told = Told()
    made = Journal(policy.Journal(str(path) if path else None, **rules), told, clock=clock, limit=limit)
    try:
        yield made, told
    finally:
        made.close()


def append(made: Journal, first: int, count: int, *, started: float | None = None, **how: Any) -> int:
    """So many sign-ins, at once. Returns the number of their events."""
    events = 0
    for number in range(first, first + count):
        for event in sign_in(number, time.time() - EARLIER if started is None else started, **how):
            made.append(event)
            events += 1
    return events


def ask(path: Path, question: str) -> Any:
    """The one value that a query gives."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(question).fetchone()[0]


def kept(path: Path) -> tuple[int, int]:
    """Sign-ins and events in the file; none while there is no table yet."""
    if not ask(path, "SELECT count(*) FROM sqlite_master"):
        return 0, 0
    return ask(path, "SELECT count(*) FROM signins"), ask(path, "SELECT count(*) FROM events")


def memory() -> int:
    """What it has now, in bytes."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def write(path: str, first: int, count: int, rate: float) -> None:
    with journal(Path(path)) as (made, told):
        print(json.dumps({"writing": path}), flush=True)
        begun = time.monotonic()
        sent, memories = 0, []
        for number in range(count):
            sent += append(made, first + number, 1)
            if rate and (ahead := number / rate - (time.monotonic() - begun)) > 0:
                time.sleep(ahead)  # the rate at which phones come
            if number % max(1, count // 20) == 0:
                memories.append(memory())
        behind = made.behind
        made.flush(120)
        seconds = time.monotonic() - begun
    done = {
        "sent": sent,
        "seconds": seconds,
        "cpu": time.process_time(),
        "behind": behind,
        "written": told.written,
        "settled": len(told.settled),
        "dropped": sum(told.dropped.values()),
        "memory": memories,
    }
    print(json.dumps(done), flush=True)


def read(path: str) -> None:
    """As fast as it can."""
    reader = Reader(Place.of(path))
    print(json.dumps({"reading": path}), flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    done: dict[str, Any] = {"lists": 0, "details": 0, "errors": [], "slowest": 0.0}
    while not ended.is_set():
        begun = time.monotonic()
        try:
            for row in reader.list(limit=5):
                told = reader.detail(row.id)
                done["details"] += told is not None and told[0].id == row.id and len(told[0].events) > 0
            done["lists"] += 1
        except JournalError as error:
            done["errors"].append(str(error))
        done["slowest"] = max(done["slowest"], time.monotonic() - begun)
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, first, count, rate]:
            write(path, int(first), int(count), float(rate))
        case ["read", path]:
            read(path)
        case _:
            sys.exit(__doc__)
