"""`lyncgate capture` as a process, for tests."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from e2e import clients
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from support.processes import LYNCGATE, Address, Process, wait_until

Kind = TypeVar("Kind", bound=Event)


class Captured:
    """A capture that runs, and what it has seen."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.out = Path(process.said["out"])
        self.ca = Path(process.said["certificate"])

    def address(self, mode: str) -> Address:
        """Where the first mode that begins so listens."""
        listening: dict[str, list[list[Any]]] = self.process.said["listening"]
        host, port = next(at[0] for name, at in listening.items() if name.startswith(mode))
        return host, port

    @property
    def front(self) -> clients.Edge:
        """Its reverse proxies, as the tests' clients see an edge."""
        http, https = self.address("reverse:http:"), self.address("reverse:https:")
        return clients.Edge(http[1], https[1], self.ca)

    @property
    def warnings(self) -> str:
        return self.process.log.read_text()

    def stop(self) -> list[dict[str, Any]]:
        """End it as Ctrl-C does; the sign-ins that there are, as it told them last."""
        self.process.tell(signal.SIGINT)
        assert self.process.popen.stdout is not None
        lines = self.process.popen.stdout.read().decode().splitlines()
        assert self.process.popen.wait(30) == 0, self.warnings
        told = {row["id"]: row for row in map(json.loads, lines)}
        return [told[row.id] for row in Reader(Place.of(self.out / "journal.db")).list()]

    def events(self) -> list[Event]:
        """Every event of the journal, oldest first, whether or not it belongs to a sign-in."""
        with contextlib.closing(sqlite3.connect(self.out / "journal.db")) as connection:
            lines = connection.execute("SELECT event FROM events ORDER BY seq").fetchall()
        return [codec.loads(line) for (line,) in lines]

    def of(self, kind: type[Kind], /, **fields: object) -> list[Kind]:
        """The events of that kind that have these fields."""
        found = (event for event in self.events() if isinstance(event, kind))
        return [one for one in found if all(getattr(one, name) == wanted for name, wanted in fields.items())]

    def wait_for(self, kind: type[Kind], count: int = 1, /, **fields: object) -> list[Kind]:
        """The same, as soon as there are `count`."""
        said = f"{count} of {kind.__name__} with {fields}"
        wait_until(lambda: len(self.of(kind, **fields)) >= count, lambda: f"{said}: {self.events()}")
        return self.of(kind, **fields)


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
