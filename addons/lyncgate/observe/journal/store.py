"""What is written into a journal, and how room is made. One connection, one thread; see `schema` for tables.

Every method that changes something is a transaction: it has happened whole, or it raised sqlite3.Error
and has not happened at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lyncgate.observe.journal import rows
from lyncgate.observe.journal.schema import PATIENCE, Place, open_to_write, pages_of
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import Joined, SignIn, SignInOutcome

UNJOINED_AGE = 3600.0  # seconds that an event is kept which belongs to no sign-in
FRESH = 60.0  # seconds in which it may still come to belong to one, whatever room is needed
PRUNED_AT_ONCE = 20  # sign-ins, or twenty times as many events that belong to none: others wait for the file
LOOKED_BACK = 20_000  # sign-ins among which earlier ones of a user are looked for
REMEMBERED = 20_000  # sign-ins under way, of which it is remembered what stands in the file
LOG_PAGES = 4000  # 16 MB of write-ahead log until a process empties it that only writes
VACUUMED_AT_ONCE = 1000  # pages given back to the file system: 4 MB

# An exchange that is not over never replaces one that is: it was told late.
_EVENT = (
    "INSERT OR {} INTO events (id, at, event, belongs) "
    "VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM joined WHERE event = ?1))"
)
_FIRST, _WHOLE = _EVENT.format("IGNORE"), _EVENT.format("REPLACE")
_JOINED = "SELECT count(*) FROM joined WHERE signin = ?"
_COUNTED = "SELECT counted FROM signins WHERE id = ?"
# It never goes back, whatever is deleted: who follows asks for what comes after the one that he knows.
_REVISION = (
    "SELECT max(coalesce((SELECT max(revision) FROM signins), 0), "
    "coalesce((SELECT CAST(value AS INTEGER) FROM state WHERE name = 'revision'), 0))"
)
_SET = "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)"

type Judged = tuple[SignIn, tuple[Finding, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Put:
    """What stands in the file of a sign-in."""

    started: float
    ended: float
    joined: tuple[tuple[str, Joined], ...]

    def same(self, sign_in: SignIn) -> bool:
        """Nothing is to be written but what it has come to."""
        times = sign_in.started, sign_in.ended
        return (self.started, self.ended) == times and self.joined == sign_in.joined


class Store:
    """`reads`: what is written here is read here as well, to be stitched."""

    def __init__(self, place: Place, *, reads: bool = True) -> None:
        """Raises as `schema.open_to_write` does."""
        self.place = place
        self.reads = reads
        self._connection = open_to_write(place)
        if not reads:  # who keeps the journal empties its log long before
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self._inode = _inode(place)
        self._written: dict[str, Event] = {}  # by its line: what was written last need not be read
        self._put: dict[str, _Put] = {}  # sign-ins under way, as they stand in the file
        self._putting: dict[str, _Put] = {}  # and as they will when a transaction has ended

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # some errors have ended it already
                connection.execute("ROLLBACK")
            raise

    # -- events ----------------------------------------------------------------------------------

    def add_events(self, events: Sequence[tuple[Event, str]], state: Mapping[str, str]) -> None:
        """Each event with its line. `state` is set in the same transaction: how far a file was read."""
        with self._transaction() as connection:
            for is_open, tellings in itertools.groupby(events, _is_open):
                connection.executemany(_FIRST if is_open else _WHOLE, map(_row, tellings))
            if state:
                connection.executemany(_SET, state.items())
        if self.reads:
            self._written = {line: event for event, line in events}

    def events_after(self, seq: int, limit: int) -> list[tuple[int, Event | None]]:
        """In the order of writing, whoever wrote them. None: of a newer version's kind."""
        found = self._connection.execute(
            "SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
        )
        return [(seq, self._written.pop(line, None) or rows.event(line)) for seq, line in found]

    def last_seq(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def unsettled(self, since: float, seq: int, limit: int) -> list[Event]:
        """What a stitcher must know to go on: the events of sign-ins that are not counted, or ended after
        `since` (Unix seconds), and later ones that belong to none. The last `limit` up to `seq`, in order of
        writing."""
        found = self._connection.execute(
            "SELECT event FROM events WHERE seq IN ("
            "SELECT seq FROM events WHERE belongs = 0 AND at >= :since UNION "
            "SELECT seq FROM signins JOIN joined ON signin = signins.id "
            "JOIN events ON events.id = joined.event WHERE counted = 0 OR ended >= :since) "
            "AND seq <= :seq ORDER BY seq DESC LIMIT :limit",
            {"since": since, "seq": seq, "limit": limit},
        )
        return [event for (line,) in reversed(found.fetchall()) if (event := rows.event(line))]

    def events_of(self, id_: str) -> tuple[list[Event], dict[str, Joined]]:
        """What a sign-in is made of, and why each event belongs."""
        return rows.told(self._connection.execute(rows.EVENTS, (id_, rows.MOST_EVENTS)).fetchall())

    def join(self, id_: str, events: Sequence[Event], most: int) -> tuple[int, int]:
        """Add late events to a sign-in that was written, as long as it has no more than `most`; nothing else
        of it changes but when it ended. Returns how many it had, and how many it has."""
        with self._transaction() as connection:
            (before,) = connection.execute(_JOINED, (id_,)).fetchone()
            if not 0 < before < most:
                return before, before
            connection.executemany(
                "INSERT OR IGNORE INTO joined (event, signin, joined) VALUES (?, ?, ?)",
                [(event.id, id_, Joined.KEY.value) for event in events[: most - before]],
            )
            connection.executemany("UPDATE events SET belongs = 1 WHERE id = ?", [(e.id,) for e in events])
            ends = max(event.started + (event.seconds or 0.0) for event in events)
            (revision,) = connection.execute(_REVISION).fetchone()
            connection.execute(
                "UPDATE signins SET ended = max(ended, ?), revision = ? WHERE id = ?",
                (ends if math.isfinite(ends) else 0.0, revision + 1, id_),
            )
            connection.execute(_SET, ("revision", revision + 1))
            (after,) = connection.execute(_JOINED, (id_,)).fetchone()
            return before, after

    def offsets_of(self, id_: str) -> dict[str, float]:
        """How far ahead clocks are, as it was known when the sign-in was written."""
        found = self._connection.execute(f"{rows.SELECT} WHERE id = ?", (id_,)).fetchone()
        return dict(rows.read(found).offsets) if found else {}

    def let_in(self, user: str, before: float, limit: int) -> list[str]:
        """Ids of the last sign-ins of `user` that went well and began before that, among the LOOKED_BACK last
        ones of all: looking them up must cost little, whoever is asked for."""
        found = self._connection.execute(
            "SELECT id FROM (SELECT id, user, outcome, started FROM signins WHERE started < ? "
            "ORDER BY started DESC, id DESC LIMIT ?) WHERE user = ? AND outcome = ? LIMIT ?",
            (before, LOOKED_BACK, user, SignInOutcome.OK, limit),
        )
        return [id_ for (id_,) in found]

    def state(self, name: str) -> str | None:
        found = self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return found and str(found[0])

    # -- sign-ins --------------------------------------------------------------------------------

    def put(self, judged: Iterable[Judged], gone: Iterable[str] = (), *, count: bool = True) -> list[Judged]:
        """Write sign-ins with their findings, and forget those that are `gone`. Returns those to be counted:
        they are over, and were not counted before. `count`: False if none shall be, for whoever goes on."""
        settled: list[Judged] = []
        self._putting = {}
        with self._transaction() as connection:
            (revision,) = connection.execute(_REVISION).fetchone()
            for sign_in, findings in judged:
                revision += 1
                before = self._put.get(sign_in.id)
                same = before is not None and before.same(sign_in)
                counted = False if same else self._rejoin(sign_in)
                if is_news := count and not counted and sign_in.outcome is not SignInOutcome.OPEN:
                    settled.append((sign_in, findings))
                self._write(sign_in, findings, revision, counted or is_news, same=same)
            self._forget(list(gone))
            connection.execute(_SET, ("revision", revision))
        self._put.update(self._putting)  # now that it has happened
        for sign_in, _ in settled:
            self._put.pop(sign_in.id, None)
        return settled

    def _write(
        self, sign_in: SignIn, findings: tuple[Finding, ...], revision: int, counted: bool, *, same: bool
    ) -> None:
        """`same`: nothing came to it, but it is over, or is judged anew."""
        if same:
            changed = rows.judgement(sign_in, findings, revision, counted)
            if self._connection.execute(rows.UPDATE, changed).rowcount:
                return
            self._rejoin(sign_in)  # somebody has deleted it
        self._connection.execute(rows.INSERT, rows.values(sign_in, findings, revision, counted))
        if not counted and len(self._put) < REMEMBERED:
            self._putting[sign_in.id] = _Put(sign_in.started, sign_in.ended, sign_in.joined)

    def forget(self) -> None:
        """Somebody else may write sign-ins from now on."""
        self._put.clear()

    def _rejoin(self, sign_in: SignIn) -> bool:
        """Write which events it has. True if it was counted already."""
        self._join(sign_in)
        before = self._connection.execute(_COUNTED, (sign_in.id,)).fetchone()
        return self._absorb(sign_in) or bool(before and before[0])

    def _join(self, sign_in: SignIn) -> None:
        connection = self._connection
        known = dict(
            connection.execute("SELECT event, joined FROM joined WHERE signin = ?", (sign_in.id,)).fetchall()
        )
        wanted = dict(sign_in.joined)
        gone = [(event,) for event in known.keys() - wanted.keys()]
        new = [(event,) for event in wanted.keys() - known.keys()]
        connection.executemany(
            "DELETE FROM joined WHERE event = ? AND signin = ?", [(event, sign_in.id) for (event,) in gone]
        )
        connection.executemany(
            "UPDATE events SET belongs = EXISTS (SELECT 1 FROM joined WHERE event = events.id) WHERE id = ?",
            gone,
        )
        connection.executemany(
            "INSERT OR REPLACE INTO joined (event, signin, joined) VALUES (?, ?, ?)",
            [(event, sign_in.id, why.value) for event, why in wanted.items() if known.get(event) != why],
        )
        connection.executemany("UPDATE events SET belongs = 1 WHERE id = ?", new)

    def _absorb(self, sign_in: SignIn) -> bool:
        """A sign-in whose events have all turned out to be another one's never was one. True if such a one
        was counted."""
        found = self._connection.execute(
            "SELECT id, counted FROM signins WHERE id IN (SELECT other.signin FROM joined mine "
            "JOIN joined other ON other.event = mine.event WHERE mine.signin = ?1 AND other.signin <> ?1) "
            "AND NOT EXISTS (SELECT 1 FROM joined own WHERE own.signin = signins.id "
            "AND own.event NOT IN (SELECT event FROM joined WHERE signin = ?1))",
            (sign_in.id,),
        ).fetchall()
        self._forget([id_ for id_, _ in found])
        return any(counted for _, counted in found)

    def _forget(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        for id_ in ids:
            self._put.pop(id_, None)
            self._putting.pop(id_, None)
        self._connection.executemany("DELETE FROM joined WHERE signin = ?", [(id_,) for id_ in ids])
        self._connection.executemany("DELETE FROM signins WHERE id = ?", [(id_,) for id_ in ids])

    def open_sign_ins(self) -> int:
        found = self._connection.execute("SELECT count(*) FROM signins WHERE counted = 0").fetchone()
        return int(found[0])

    # -- who stitches ----------------------------------------------------------------------------

    def lease(self, owner: str, now: float, seconds: float) -> bool:
        """Take or keep the right to stitch until `now + seconds`. False: another writer has it."""
        with self._transaction():
            held = self.state("stitcher")
            holder, _, until = (held or " 0").partition(" ")
            # A clock that was set back must not lock everybody out for as long as that.
            if holder not in ("", owner) and now < float(until) <= now + 2 * seconds:
                return False
            self._connection.execute(_SET, ("stitcher", f"{owner} {now + seconds}"))
            return True

    def release(self, owner: str) -> None:
        """Let another writer stitch at once."""
        with self._transaction():
            held = self.state("stitcher") or ""
            if held.partition(" ")[0] == owner:
                self._connection.execute("DELETE FROM state WHERE name = 'stitcher'")

    # -- room ------------------------------------------------------------------------------------

    @property
    def replaced(self) -> bool:
        """The file that is written has no name any more, or its name is another one's."""
        return _inode(self.place) != self._inode

    @property
    def size(self) -> int:
        """Bytes in use, without the write-ahead log."""
        pages, free, page = pages_of(self._connection)
        return (pages - free) * page

    def prune(self, now: float, age: float, size: int) -> bool:
        """One step towards the bounds: delete what is too old, else what is oldest while there is too much.
        True if there may be more to do."""
        with self._transaction():
            deleted = self._delete("WHERE ended < ?", now - age)
            deleted += self._delete_unjoined(now - min(age, UNJOINED_AGE))
            if not deleted and self.size > size:
                deleted = self._delete_unjoined(now - FRESH) or self._delete()
        pages, free, page = pages_of(self._connection)
        if free and (pages * page > size or free > pages // 4):  # else new rows will use them
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUMED_AT_ONCE})").fetchall()
        return deleted > 0

    def _delete(self, where: str = "", *values: float) -> int:
        """The sign-ins that ended first, with those of their events that no other one has."""
        found = self._connection.execute(
            f"SELECT id FROM signins {where} ORDER BY ended LIMIT ?",  # noqa: S608 (our own text)
            (*values, PRUNED_AT_ONCE),
        ).fetchall()
        self._connection.executemany(
            "DELETE FROM events WHERE id IN (SELECT event FROM joined mine WHERE signin = ?1 AND NOT EXISTS "
            "(SELECT 1 FROM joined WHERE event = mine.event AND signin <> ?1))",
            found,
        )
        self._forget([id_ for (id_,) in found])
        return len(found)

    def _delete_unjoined(self, before: float) -> int:
        return self._connection.execute(
            "DELETE FROM events WHERE seq IN "
            "(SELECT seq FROM events WHERE belongs = 0 AND at < ? ORDER BY at LIMIT ?)",
            (before, PRUNED_AT_ONCE * 20),
        ).rowcount

    def give_back(self) -> None:
        """Empty the write-ahead log into the file if no reader is in it just now; waits for none."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {round(PATIENCE * 1000)}")


def _is_open(telling: tuple[Event, str]) -> bool:
    event = telling[0]
    return isinstance(event, Exchange) and event.outcome is None


def _row(telling: tuple[Event, str]) -> tuple[str, float, str]:
    event, line = telling
    return event.id, event.started if math.isfinite(event.started) else 0.0, line


def _inode(place: Place) -> int | None:
    try:
        return place.path.stat().st_ino if place.path else None
    except FileNotFoundError:
        return None
