"""`lyncgate capture` as a process, for tests."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.signin.events import Event
from support.processes import LYNCGATE, Address, Process, wait_until


class Captured:
    """A capture that runs, and what it has seen."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.out = Path(process.said["out"])
        self.ca = Path(process.said["certificate"])
        self.reader = Reader(Place.of(self.out / "journal.db"))

    def address(self, mode: str) -> Address:
        """Where the first mode that begins so listens."""
        listening: dict[str, list[list[Any]]] = self.process.said["listening"]
        host, port = next(at[0] for name, at in listening.items() if name.startswith(mode))
        return host, port

    @property
    def warnings(self) -> str:
        return self.process.log.read_text()

    def stop(self) -> list[dict[str, Any]]:
        """End it as Ctrl-C does; the sign-ins as it told them last."""
        self.process.tell(signal.SIGINT)
        assert self.process.popen.stdout is not None
        lines = self.process.popen.stdout.read().decode().splitlines()
        assert self.process.popen.wait(30) == 0, self.warnings
        return list({row["id"]: row for row in map(json.loads, lines)}.values())

    def events(self) -> list[Event]:
        """Everything in the journal that belongs to a sign-in."""
        found = [self.reader.detail(row.id) for row in self.reader.list()]
        return [event for detail in found if detail for event in detail[0].events]

    def wait_for_events(self, kind: type, count: int = 1) -> None:
        wait_until(
            lambda: sum(isinstance(event, kind) for event in self.journaled()) >= count,
            lambda: f"events of {kind.__name__}: {self.journaled()}",
        )

    def journaled(self) -> list[Event]:
        """Every event of the journal, whether or not it belongs to a sign-in."""
        import sqlite3

        from lyncgate.signin import codec

        with contextlib.closing(sqlite3.connect(self.out / "journal.db")) as connection:
            return [
                codec.loads(line) for (line,) in connection.execute("SELECT event FROM events ORDER BY seq")
            ]


@contextlib.contextmanager
def capture_process(directory: Path, *options: str, prefix: Sequence[str] = ()) -> Iterator[Captured]:
    """`lyncgate capture` with its files in `directory`."""
    directory.mkdir(exist_ok=True)
    command = [*prefix, *LYNCGATE, "capture", "--json", "--out", str(directory / "out")]
    command += ["--ca-dir", str(directory / "ca"), *options]
    with contextlib.closing(Process(*command, log=directory / "capture.log")) as process:
        yield Captured(process)


def refused(*options: str, prefix: Sequence[str] = ()) -> str:
    """What `lyncgate capture` says that does not start."""
    done = subprocess.run(
        [*prefix, *LYNCGATE, "capture", *options], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr
