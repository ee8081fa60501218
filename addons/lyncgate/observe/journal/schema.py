"""Opens a journal's file: makes it, checks that it is one, and moves a damaged one aside.

- A file that never was a journal is refused, so that a slip in rules.yaml costs no file.
- One that a newer lyncgate has written is refused as well: it may mean what we don't know.
- One that is damaged is renamed, loudly, and a new one begun: sign-ins matter more than their past.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import logging
import os
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1  # PRAGMA user_version
APPLICATION = 0x4C796E63  # PRAGMA application_id: `Lync`
MAGIC = b"SQLite format 3\0"
PATIENCE = 2.0  # seconds to wait for another writer's transaction

_TABLES = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of writing; an event told again gets a new one
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,                       -- Unix seconds by the clock of who saw it
    event TEXT NOT NULL,                    -- a line of signin.codec
    belongs INTEGER NOT NULL                -- 1: to a sign-in at least
);
CREATE INDEX events_unjoined ON events (at) WHERE belongs = 0;
CREATE TABLE signins (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL UNIQUE,       -- of the whole journal: what changed last has the highest
    user TEXT, account TEXT, client TEXT, device TEXT,
    started REAL NOT NULL, ended REAL NOT NULL,
    outcome TEXT NOT NULL, failed_stage TEXT,
    counted INTEGER NOT NULL,               -- 1: it came to an end, and that was told to the metrics
    codes TEXT NOT NULL,                    -- of the findings, best first, each between blanks
    stages TEXT NOT NULL,                   -- JSON: [[stage, state, seconds], …]
    findings TEXT NOT NULL,                 -- JSON
    offsets TEXT NOT NULL                   -- JSON: [[origin, seconds], …]
);
CREATE INDEX signins_started ON signins (started, id);
CREATE INDEX signins_ended ON signins (ended);
CREATE INDEX signins_uncounted ON signins (id) WHERE counted = 0;
CREATE TABLE joined (
    event TEXT NOT NULL, signin TEXT NOT NULL, joined TEXT NOT NULL,
    PRIMARY KEY (event, signin)
) WITHOUT ROWID;
CREATE INDEX joined_signin ON joined (signin);
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


class JournalError(OSError):
    """The file can't be the journal. Says why, and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a journal is: a file, or this process's memory."""

    path: Path | None
    name: str

    @classmethod
    def of(cls, path: str | Path | None) -> Place:
        """None: in memory, a journal of its own at each call."""
        return cls(None, f"/journal-{next(_numbers)}") if path is None else cls(Path(path), str(path))

    def uri(self, mode: str) -> str:
        if self.path is None:
            return f"file:{self.name}?vfs=memdb"
        return f"file:{urllib.parse.quote(str(self.path.absolute()))}?{mode}"

    @property
    def wal(self) -> Path | None:
        return self.path and self.path.with_name(f"{self.path.name}-wal")

    def __str__(self) -> str:
        return str(self.path) if self.path else "in memory"


_numbers = itertools.count(1)


def open_to_write(place: Place) -> sqlite3.Connection:
    """The journal, made if it is not there. Raises JournalError or another OSError if it can't be used,
    sqlite3.OperationalError if it can't be used now (locked, disk full)."""
    if place.path is None:
        return _opened(place)
    with _alone(place.path.parent):
        _require_journal(place.path)
        try:
            return _opened(place)
        except sqlite3.OperationalError as error:
            if _transient(error):
                raise
            raise JournalError(f"journal {place}: {error}") from error
        except sqlite3.DatabaseError as error:
            move_aside(place.path, str(error))
            return _opened(place)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One after the other: all workers start at once, and while one moves a damaged journal aside and begins
    a new one, the others would find half of each. The lock is the folder's, so nothing is left behind."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # not to be read, or without locks: so be it
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def open_to_read(place: Place) -> sqlite3.Connection:
    """A connection that changes nothing. Raises JournalError if there is no journal."""
    if place.path is not None and not place.path.exists():
        raise JournalError(f"journal {place}: there is no such file")
    try:
        return _reading(place, "mode=ro")
    except sqlite3.OperationalError as error:
        # Nobody writes it, and we may not make the files beside it that WAL needs: then nothing changes it.
        if place.wal is None or place.wal.exists():
            raise JournalError(f"journal {place}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise JournalError(f"journal {place}: {error}") from error
    try:
        return _reading(place, "immutable=1")
    except sqlite3.DatabaseError as error:
        raise JournalError(f"journal {place}: {error}") from error


def move_aside(path: Path, why: str) -> None:
    """Rename a damaged journal with what belongs to it, so that a new one can begin."""
    aside = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    log.error("journal %s is damaged (%s): kept as %s, a new one begins", path, why, aside)
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(aside + suffix))


def pages_of(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Pages in the file, those of them that are free, and bytes of one."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return pages, free, size


def wal_size(place: Place) -> int:
    try:
        return place.wal.stat().st_size if place.wal else 0
    except FileNotFoundError:
        return 0


def _transient(error: sqlite3.Error) -> bool:
    """Locked or full: may be over in a moment, and the file is as good as before."""
    codes = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


def _require_journal(path: Path) -> None:
    """Make the file if it is not there, for us alone; refuse one that is something else."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head in (b"", MAGIC):
        return
    if path.with_name(f"{path.name}.key").exists():  # it was a journal once
        move_aside(path, "it does not begin as SQLite's files do")
        _require_journal(path)
    else:
        raise JournalError(f"journal {path}: found another kind of file; allowed: a journal, or no file yet")


def _opened(place: Place) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place.uri("mode=rwc"), uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        if _version(place, connection) == 0:
            _create(place, connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: whole after kill -9
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        connection.execute("SELECT max(seq) FROM events").fetchone()
        connection.execute("SELECT max(revision) FROM signins").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _reading(place: Place, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place.uri(mode), uri=True, timeout=PATIENCE * 2, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = 1")
        if _version(place, connection) == 0:
            raise JournalError(f"journal {place}: nothing is in it yet")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(place: Place, connection: sqlite3.Connection) -> int:
    """0: nothing in it yet. Raises JournalError for what is not ours or newer than we are."""
    # In this order: another process may be making it, and where there are tables there is the rest as well.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != APPLICATION:
        raise JournalError(f"journal {place}: found another program's SQLite file; allowed: a journal")
    if version > VERSION:
        raise JournalError(
            f"journal {place}: found version {version}, of a newer lyncgate; allowed: up to {VERSION}. Move "
            "it away, or name another file under journal.path"
        )
    return int(version)


def _create(place: Place, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # pages that are free can be given back
    if place.path is not None:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    if _version(place, connection) == 0:  # else another process was faster
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
