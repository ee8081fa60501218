"""The journal's writing end: takes events from the event loop, and a thread does all the rest.

Where one process serves, it does all of this; where several do, each does its `Part`.

- `append` puts an event into a bounded buffer, whatever the disk does. When it is full, events are dropped
  and counted; traffic never waits.
- The thread writes what has gathered in one transaction, stitches, follows files that others write, and
  makes room. What it can't write because the file is locked it keeps and tries again; what the disk does
  not take is dropped and counted.
- A transaction is whole or has not happened: kill -9 costs what was in the buffer, a fraction of a second.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable

from lyncgate.observe.journal.follow import Following
from lyncgate.observe.journal.key import hasher_of
from lyncgate.observe.journal.observer import Dropped, JournalObserver
from lyncgate.observe.journal.schema import JournalError, Place, move_aside, wal_size
from lyncgate.observe.journal.stitching import Stitcher
from lyncgate.observe.journal.store import Store
from lyncgate.policy import policy
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.pseudonyms import pseudonymise

BUFFERED_EVENTS = 20_000  # about 40 MB: half a minute of the fastest edge
BATCH = 2000  # events a transaction
GATHER = 0.2  # seconds that an event may wait for company
LOOK = 0.25  # seconds until the next look at what others have written
NICE = 19  # of who keeps: as little of the processor as can be, where traffic wants it all
PRUNE_EVERY = 5.0  # seconds
STITCH_AT_END = 5.0  # seconds, if stitching is behind
RETRY_AFTER = 1.0  # seconds until a disk that failed is tried again
WAL_WANTED = 16 * policy.MIB  # of write-ahead log; more only while a reader holds it
WAL_MOST = 256 * policy.MIB  # with more nothing is written until the reader is gone

log = logging.getLogger(__name__)


class Part(enum.Enum):
    ALL = enum.auto()
    WRITES = enum.auto()  # what it is told, and nothing else: another process keeps the journal
    KEEPS = enum.auto()  # stitches what others write, follows files, makes room; never in traffic's way


class Journal:
    """`rules`: where, and how much. Raises OSError if its file or key can't be used."""

    def __init__(
        self,
        rules: policy.Journal,
        observer: JournalObserver,
        *,
        part: Part = Part.ALL,
        clock: Callable[[], float] = time.time,
        limit: int = BUFFERED_EVENTS,
    ) -> None:
        self.place = Place.of(rules.path)
        self._part = part
        self._keeps = part is not Part.WRITES
        self._store: Store | None = None  # the thread's own, from when it runs
        with contextlib.suppress(sqlite3.OperationalError):  # locked or full: the thread tries again
            self._store = Store(self.place, reads=self._keeps)
        self.hasher = hasher_of(rules.path)  # now: a key beside a file says that it was a journal before
        self._rules = rules
        self._observer = observer
        self._clock = clock
        self._limit = limit
        self._events: collections.deque[Event] = collections.deque()
        self._since: float | None = None  # monotonic: when the oldest event in the buffer came
        self._asked: collections.deque[threading.Event] = collections.deque()  # flushes
        self._wake = threading.Event()
        self._closing = False
        # The thread's own.
        self._stitcher = Stitcher(observer)
        self._following = Following(self.hasher)
        self._begin_to_follow(rules)
        self._batch: list[tuple[Event, str]] = []
        self._batch_since: float | None = None
        self._retry_at = 0.0  # monotonic
        self._failing = False  # said so already
        self._pruned = 0.0  # monotonic
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # -- any thread ------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Hand over an event that will not change any more. Never waits."""
        if len(self._events) >= self._limit or self._closing:
            self._observer.journal_dropped(Dropped.BUFFER, 1)
            return
        self._events.append(event)
        if self._since is None:
            self._since = time.monotonic()

    @property
    def behind(self) -> float:
        """Seconds that the oldest event which is not yet written has waited."""
        oldest = self._batch_since or self._since
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    @property
    def rules(self) -> policy.Journal:
        return self._rules

    def require(self, rules: policy.Journal) -> None:
        """Raises JournalError if `rules` can't be adopted: with another path or pseudonyms keys would be
        others, in the middle of sign-ins."""
        for name in ("path", "pseudonyms"):
            found, in_force = getattr(rules, name), getattr(self._rules, name)
            if found != in_force:
                raise JournalError(f"journal.{name}: found {found}; in force: {in_force}; it needs a restart")

    def adopt(self, rules: policy.Journal) -> None:
        """Other bounds, or other files to follow."""
        self.require(rules)
        self._begin_to_follow(rules)
        self._rules = rules

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was appended before is written and, if this is who keeps, stitched. False: not in
        `timeout` seconds."""
        done = threading.Event()
        self._asked.append(done)
        self._wake.set()
        return done.wait(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Write what is buffered and end; what is not written in `timeout` seconds is dropped and counted."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        if left := len(self._batch) + len(self._events):
            self._observer.journal_dropped(Dropped.BUFFER, left)

    def _begin_to_follow(self, rules: policy.Journal) -> None:
        """Now, and not when the thread comes to it: who waits until we serve, or until a reload is done,
        counts on all that is written after."""
        if self._keeps:
            self._following.begin(rules.follow)

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        more = False
        pause = GATHER
        if self._part is Part.KEEPS:
            pause = LOOK
            with contextlib.suppress(OSError):  # Linux counts a thread as a process here; a sandbox may not
                thread = threading.get_native_id()
                os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
        while not self._closing:
            if not more:
                self._wake.wait(pause)
            self._wake.clear()
            more = self._guarded(self._cycle)
        self._retry_at = 0.0
        again = True  # what failed before as well: it may be over by now
        while again and (self._events or self._batch):
            self._guarded(self._cycle)
            again = self._store is not None and not self._failing
        self._guarded(self._end)
        self._answer()

    def _guarded(self, work: Callable[[], bool]) -> bool:
        """Run a part of the thread's work; whatever happens, the thread goes on."""
        try:
            return work()
        except sqlite3.OperationalError as error:
            self._failed(error)
        except sqlite3.DatabaseError as error:
            self._damaged(error)
        except OSError as error:
            self._failed(error)
        except Exception:
            log.exception("journal %s", self.place)
            self._batch.clear()  # it may be what the fault came from
        return False

    def _cycle(self) -> bool:
        """True if there is more to do at once."""
        if time.monotonic() < self._retry_at:
            return False
        if self._store is None:
            self._store = Store(self.place, reads=self._keeps)
        self._require_room_in_wal()
        asked = list(self._asked)
        more = self._write(self._store)
        if self._keeps:
            more |= self._stitcher.step(self._store, self._clock(), at_once=bool(asked) and not more)
            more |= self._follow(self._store)
        if self._failing:
            self._failing = False
            log.warning("journal %s is written again", self.place)
        if not more:
            more = self._tidy(self._store)
            for done in asked:
                done.set()
                self._asked.remove(done)
        return more

    def _write(self, store: Store) -> bool:
        """All that has gathered, before anything else is done: what is in the file can't be lost, and
        stitching reads it there. True if there is more already."""
        for _ in range(max(1, self._limit // BATCH)):
            if not self._batch:
                self._take()
            if self._batch:
                store.add_events(self._batch, {})
                self._observer.journaled(len(self._batch))
                self._batch.clear()
            self._batch_since = None
            if not self._events:
                return False
        return True

    def _take(self) -> None:
        """Move events from the buffer to the batch, as lines."""
        self._batch_since, self._since = self._since, None
        for _ in range(min(BATCH, len(self._events))):
            self._encode(self._events.popleft())
        if self._events and self._since is None:
            self._since = self._batch_since  # at the latest

    def _encode(self, event: Event) -> None:
        try:
            if self._rules.pseudonyms:
                event = pseudonymise(event, self.hasher)
            self._batch.append((event, codec.dumps(event)))
        except Exception:  # whatever came in from outside: one event less, and a count
            log.exception("event %s can't be written", event.id)
            self._observer.journal_dropped(Dropped.INVALID, 1)

    def _follow(self, store: Store) -> bool:
        """Events from files that others write; they wait there while the disk fails. True: there is more."""
        if not self._stitcher.leads:
            self._following.stop()
            return False
        files = self._following.files(self._rules.follow, store.state)
        for file in files:
            for event in file.read(BATCH):
                self._encode(event)
            position = file.position
            if self._batch or position != file.saved:
                try:
                    store.add_events(self._batch, {file.key: position} if position else {})
                except sqlite3.Error:
                    self._batch.clear()  # to be read again
                    self._following.stop()
                    raise
                self._observer.journaled(len(self._batch))
                self._batch.clear()
                file.saved = position
        return any(file.more for file in files)

    def _tidy(self, store: Store) -> bool:
        if time.monotonic() - self._pruned < PRUNE_EVERY:
            return False
        more = self._keeps and store.prune(self._clock(), self._rules.age, self._size)
        if not more:
            self._pruned = time.monotonic()
            if self._keeps:
                self._observer.journal_state(store.size, store.open_sign_ins())
            if store.replaced:
                raise JournalError(f"journal {self.place}: the file is gone; a new one begins")
        return more

    @property
    def _size(self) -> int:
        return self._rules.size if self._rules.path else min(self._rules.size, policy.MEMORY_JOURNAL)

    def _require_room_in_wal(self) -> None:
        if self._store and wal_size(self.place) > WAL_WANTED:
            self._store.give_back()
            if wal_size(self.place) > WAL_MOST:
                raise JournalError(f"journal {self.place}: a reader has held it for too long")

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        """Locked: the batch is kept. Full, unreadable, gone: it is lost, and the file is opened anew."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self._lose()
            self._reopen()
        self._retry_at = 0.0 if self._closing else time.monotonic() + RETRY_AFTER
        if not self._failing:
            self._failing = True
            log.warning("journal %s: %s; events are dropped when %d wait", self.place, error, self._limit)

    def _damaged(self, error: sqlite3.DatabaseError) -> None:
        # Each writer finds the damage: who comes later must not take the new one away.
        replaced = self._store is not None and self._store.replaced
        self._lose()
        self._reopen()
        if self.place.path and not replaced:
            with contextlib.suppress(OSError):
                move_aside(self.place.path, str(error))

    def _lose(self) -> None:
        if self._batch:
            self._observer.journal_dropped(Dropped.DISK, len(self._batch))
            self._batch.clear()
        self._batch_since = None

    def _reopen(self) -> None:
        if self._store and self.place.path:  # what is in memory would be gone
            self._store.close()
            self._store = None
            self._stitcher.forget()
            self._following.stop()

    def _end(self) -> bool:
        if self._store and self._keeps:
            until = time.monotonic() + STITCH_AT_END
            while self._stitcher.step(self._store, self._clock(), at_once=True):
                if time.monotonic() > until:  # whoever goes on does the rest
                    break
            self._stitcher.stop(self._store)
        if self._store:
            self._store.close()
        return False

    def _answer(self) -> None:
        while self._asked:
            self._asked.popleft().set()
