"""Files of lines: traces, and logs of DNS servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from lyncgate.observe.sources.form import HEAD, encoding_of
from lyncgate.signin.events import Event

LONGEST = 1024 * 1024  # characters of a line; longer ones are read in parts


class LineReader(Protocol):
    """What makes events of lines."""

    def line(self, line: str) -> Iterator[Event]: ...
    def end(self) -> Iterator[Event]: ...


def line_events(path: Path, reader: LineReader, tell: Callable[[str], None]) -> Iterator[Event]:
    """The events of a file, each told once: as it was told last, where it was told first."""
    events: dict[str, Event] = {}
    with path.open("rb") as file:
        encoding = encoding_of(file.read(HEAD))
    replaced = 0
    with path.open(encoding=encoding, errors="replace", newline="\n") as text:
        while line := text.readline(LONGEST):
            replaced += "\ufffd" in line
            events.update((event.id, event) for event in reader.line(line))
    events.update((event.id, event) for event in reader.end())
    if replaced:
        tell(f"{replaced} lines are not all {encoding.upper().removesuffix('-SIG')}; read as far as they are")
    if not events:
        tell("nothing in it tells of a sign-in")
    yield from events.values()
