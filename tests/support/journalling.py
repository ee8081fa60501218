"""Writers and readers of a journal, here and as processes of their own.

    with journal(path) as (journal, told): ...

    python -m support.journalling write PATH FIRST COUNT RATE HELD
        sign-ins FIRST … begin, RATE a second; each event is told when an edge would; polls hang HELD seconds
    python -m support.journalling pour PATH FIRST COUNT         the same, as fast as they are stitched
    python -m support.journalling read PATH                     lists and details until standard input ends

Either says one line of JSON when it begins, and one with what it did when it ends.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lyncgate.engine.journaling import share_interpreter
from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import JournalError, Place
from lyncgate.observe.journal.writer import BUFFERED_EVENTS, Journal, Part
from lyncgate.policy import policy
from lyncgate.signin.events import Event
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn
from support.signins import sign_in, told_at

EARLIER = 120.0  # seconds ago that sign-ins began: they are over


class Told:
    """A JournalObserver that remembers."""

    def __init__(self) -> None:
        self.written = 0
        self.dropped: collections.Counter[str] = collections.Counter()
        self.settled: list[str] = []  # ids
        self.outcomes: collections.Counter[str] = collections.Counter()  # of those
        self.size = 0
        self.open = 0

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None:
        self.settled.append(sign_in.id)
        self.outcomes[sign_in.outcome] += 1

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
    part: Part = Part.ALL,
    **rules: Any,
) -> Iterator[tuple[Journal, Told]]:
    """One that runs, and what it told. `rules`: of policy.Journal, beside the path."""
    told = Told()
    kept = policy.Journal(str(path) if path else None, **rules)
    made = Journal(kept, told, part=part, clock=clock, limit=limit)
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


class Meter:
    """What writing costs this process: memory as it goes on, the CPU of the journal's thread alone, and by
    how much the thread that hands events over came late."""

    def __init__(self, made: Journal, samples: int, of: int) -> None:
        assert made._thread.ident
        self._clock = time.pthread_getcpuclockid(made._thread.ident)
        self._every = max(1, of // samples)
        self.memory: list[int] = []
        self.late: list[float] = []

    def note(self, number: int) -> None:
        if number % self._every == 0:
            self.memory.append(memory())

    def told(self, sent: int, begun: float, made: Journal, told: Told) -> dict[str, Any]:
        late = sorted(self.late) or [0.0]
        return {
            "sent": sent,
            "seconds": time.monotonic() - begun,
            "cpu": time.clock_gettime(self._clock),
            "written": told.written,
            "settled": len(told.settled),
            "dropped": dict(told.dropped),
            "memory": self.memory,
            "late": [late[len(late) // 2], late[len(late) * 99 // 100], late[-1]],
        }


def stream(first: int, count: int, rate: float, held: float) -> Iterator[tuple[float, int, Event]]:
    """(seconds from the beginning, sign-in, event), as an edge tells them."""
    coming: list[tuple[float, int, int, Event]] = []
    origin = time.time()
    for number in range(first, first + count):
        begins = (number - first) / rate
        while coming and coming[0][0] <= begins:
            at, of, _, event = heapq.heappop(coming)
            yield at, of, event
        for place, event in enumerate(sign_in(number, origin + begins, held=held)):
            heapq.heappush(coming, (told_at(event) - origin, number, place, event))
    while coming:
        at, of, _, event = heapq.heappop(coming)
        yield at, of, event


def write(path: str, first: int, count: int, rate: float, held: float) -> None:
    share_interpreter()  # as an edge does
    with journal(Path(path)) as (made, told):
        print(json.dumps({"writing": path}), flush=True)
        meter = Meter(made, 40, count * len(list(sign_in(0, 0.0))))
        behind = 0.0
        begun = time.monotonic()
        for number, (at, _, event) in enumerate(stream(first, count, rate, held)):
            if (ahead := at - (time.monotonic() - begun)) > 0:
                time.sleep(ahead)
                meter.late.append(time.monotonic() - begun - at)
            made.append(event)
            meter.note(number)
            behind = max(behind, made.behind)
        sent = number + 1
        ends = time.monotonic()
        until = time.monotonic() + 300
        while made.flush(60) and len(told.settled) < count and time.monotonic() < until:
            time.sleep(0.5)  # the last ones are over when nothing more comes of them
        done = meter.told(sent, begun, made, told) | {"behind": behind, "after": time.monotonic() - ends}
    print(json.dumps(done), flush=True)


def pour(path: str, first: int, count: int) -> None:
    with journal(Path(path)) as (made, told):
        print(json.dumps({"writing": path}), flush=True)
        meter = Meter(made, 40, count)
        begun, sent = time.monotonic(), 0
        for number in range(count):
            sent += append(made, first + number, 1)
            if number % 25 == 24:
                made.flush()
            meter.note(number)
        made.flush(60)
        done = meter.told(sent, begun, made, told)
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
        case ["write", path, first, count, rate, held]:
            write(path, int(first), int(count), float(rate), float(held))
        case ["pour", path, first, count]:
            pour(path, int(first), int(count))
        case ["read", path]:
            read(path)
        case _:
            sys.exit(__doc__)
