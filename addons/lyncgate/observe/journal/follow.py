"""Files that others write, read as they grow: a DNS server's log, traces of front ends.

How far each was read stands in the journal, so that a restart goes on there, and another writer that
takes over as well. A file of which it has nothing is read from where it ended when it was asked for: the
thread may come to it much later, on a busy machine or when the journal is locked. Of a trace's record that
was cut by a restart the rest is lost.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from lyncgate.observe.journal.tail import Tail
from lyncgate.policy.policy import Followed, FollowedKind
from lyncgate.signin.dnslog import DnsLogReader
from lyncgate.signin.events import Event
from lyncgate.signin.keys import Hasher
from lyncgate.signin.traces import TraceReader

QUIET = 1.0  # seconds without a new line after which the last record of a trace is taken to be whole

log = logging.getLogger(__name__)


class LineReader(Protocol):
    """What makes events of lines."""

    def line(self, line: str) -> Iterator[Event]: ...
    def end(self) -> Iterator[Event]: ...


class FollowedFile:
    """One of them. `position`: what the journal has; `begun`: where to begin if it has none."""

    def __init__(self, rules: Followed, hasher: Hasher, position: str | None, begun: str | None) -> None:
        self.rules = rules
        self.key = key_of(rules)
        self._tail = Tail(Path(rules.path), begun if position is None else position)
        self._reader: LineReader = (
            DnsLogReader(hasher, Path(rules.path).stem)
            if rules.kind is FollowedKind.DNS
            else TraceReader(rules.server or "", hasher)
        )
        self._events: collections.deque[Event] = collections.deque()
        self._newest = 0.0  # monotonic
        self._ended = True  # nothing came since `end` was told
        self._failing = False  # said so already
        self.saved = position  # what the journal has

    def read(self, limit: int) -> list[Event]:
        """Up to `limit` events that came since."""
        if len(self._events) < limit:
            self._take()
        return [self._events.popleft() for _ in range(min(limit, len(self._events)))]

    @property
    def more(self) -> bool:
        """There is more to be had at once."""
        return bool(self._events) or self._tail.more

    @property
    def position(self) -> str | None:
        """How far it was read; None while events of what was read are still to be told."""
        return None if self._events else self._tail.position

    def close(self) -> None:
        self._tail.close()

    def _take(self) -> None:
        try:
            lines = self._tail.lines()
        except OSError as error:
            if not self._failing:
                self._failing = True
                log.warning("journal.follow: %s: %s", self.rules.path, error.strerror)
            return
        self._failing = False
        for _, line in lines:
            self._events.extend(self._reader.line(line.decode("utf-8", "replace")))
        if lines:
            self._newest, self._ended = time.monotonic(), False
        elif not self._ended and time.monotonic() - self._newest > QUIET:
            self._ended = True
            self._events.extend(self._reader.end())


def key_of(rules: Followed) -> str:
    """Under which a file's position is kept."""
    return f"follow {rules.kind} {rules.path}"


class Following:
    """All files that are followed now."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._files: dict[Followed, FollowedFile] = {}
        self._begun: dict[str, str | None] = {}  # by key; until the journal has a place

    def begin(self, wanted: tuple[Followed, ...]) -> None:
        """What is written to them from now on is to be read, unless the journal has a place. Any thread."""
        for rules in wanted:
            if key_of(rules) not in self._begun:
                tail = Tail(Path(rules.path), None)
                with contextlib.suppress(OSError):  # told when it is read
                    tail.begin()
                    self._begun[key_of(rules)] = tail.position
                tail.close()

    def files(
        self, wanted: tuple[Followed, ...], position: Callable[[str], str | None]
    ) -> tuple[FollowedFile, ...]:
        """Those that are `wanted` now. `position`: how far a file was read, by its key."""
        for rules in self._files.keys() - set(wanted):
            self._files.pop(rules).close()
            self._begun.pop(key_of(rules), None)
        for rules in wanted:
            key = key_of(rules)
            if rules not in self._files:
                known = position(key)
                self._files[rules] = FollowedFile(rules, self._hasher, known, self._begun.get(key))
            if self._files[rules].saved:
                self._begun.pop(key, None)
        return tuple(self._files.values())

    def stop(self) -> None:
        """Somebody else follows them, or nobody."""
        while self._files:
            self._files.popitem()[1].close()
