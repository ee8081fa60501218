"""Reads a journal while it is written, by any thread of any process. Changes nothing.

    reader = Reader(Place.of("/var/lib/lyncgate/journal.db"))
    reader.list(user="alice", failed=True)      rows, newest first
    reader.detail(id)                           one sign-in with its events and findings
    reader.changed(revision)                    what is new since then

Each call opens the file anew: it may have been moved aside or replaced meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import TypedDict, Unpack

from lyncgate.observe.journal import rows
from lyncgate.observe.journal.key import existing_hasher
from lyncgate.observe.journal.rows import SignInRow
from lyncgate.observe.journal.schema import JournalError, Place, open_to_read
from lyncgate.signin.finding import Finding
from lyncgate.signin.pseudonyms import pseudonym
from lyncgate.signin.stages import assemble
from lyncgate.signin.story import SignIn, SignInOutcome

LIMIT = 1000  # rows a call

type Rows = list[SignInRow]  # `list` is a method below
type Where = tuple[str, tuple[object, ...]]  # a condition and its values
type Wheres = list[Where]


class Wanted(TypedDict, total=False):
    """Which sign-ins. None, or left out: all.

    `user`: part of the address or account, `device`: part of the User-Agent, neither minds case. `since`:
    started then or later, Unix seconds. `failed`: True, the failed and the stopped; False, the others.
    `code`: a finding's. `client`: an IP address.
    """

    user: str | None
    since: float | None
    failed: bool | None
    code: str | None
    device: str | None
    client: str | None


class Reader:
    """Every method raises JournalError if there is no journal, or none that can be read."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def list(self, *, limit: int = 100, before: str | None = None, **wanted: Unpack[Wanted]) -> Rows:
        """Newest first. `before`: the `cursor` of the last row one has. Raises ValueError if it is none."""
        wheres = self._wheres(wanted)
        if before:
            started, _, id_ = before.partition("~")
            wheres.append(("(started, id) < (?, ?)", (float(started), id_)))
        return self._rows(wheres, "started DESC, id DESC", limit)

    def changed(self, after: int = 0, *, limit: int = LIMIT, **wanted: Unpack[Wanted]) -> Rows:
        """Rows written after that revision, in that order; the last one's is the next `after`."""
        return self._rows([*self._wheres(wanted), ("revision > ?", (after,))], "revision", limit)

    def revision(self) -> int:
        """That of the last change."""
        with self._connection() as connection:
            return int(connection.execute("SELECT coalesce(max(revision), 0) FROM signins").fetchone()[0])

    def follow(
        self, after: int | None = None, *, every: float = 0.5, **wanted: Unpack[Wanted]
    ) -> Iterator[SignInRow]:
        """Rows as they are written, after that revision (None: from now on). Never ends."""
        revision = self.revision() if after is None else after
        while True:
            new = self.changed(revision, **wanted)
            for row in new:
                revision = row.revision
                yield row
            if len(new) < LIMIT:
                time.sleep(every)

    def row(self, id_: str) -> SignInRow | None:
        return next(iter(self._rows([("id = ?", (id_,))], "id", 1)), None)

    def detail(self, id_: str) -> tuple[SignIn, tuple[Finding, ...]] | None:
        """A sign-in with its events. None: there is none of that id, or none any more."""
        with self._connection() as connection:
            connection.execute("BEGIN")  # one moment of the journal for both questions
            found = connection.execute(f"{rows.SELECT} WHERE id = ?", (id_,)).fetchone()
            if found is None:
                return None
            lines = connection.execute(rows.EVENTS, (id_, rows.MOST_EVENTS)).fetchall()
        row = rows.read(found)
        events, joined = rows.told(lines)
        if not events:
            return None
        return assemble(id_, events, joined, dict(row.offsets), time.time()), row.findings

    def of_event(self, event: str) -> Sequence[str]:
        """Ids of the sign-ins that an event belongs to: an exchange's id stands in the access log."""
        with self._connection() as connection:
            found = connection.execute("SELECT signin FROM joined WHERE event = ? ORDER BY signin", (event,))
            return [id_ for (id_,) in found]

    def _wheres(self, wanted: Wanted) -> Wheres:
        wheres: Wheres = []
        if user := wanted.get("user"):
            wheres.append(self._of_user(user))
        if (since := wanted.get("since")) is not None:
            wheres.append(("started >= ?", (since,)))
        if (failed := wanted.get("failed")) is not None:
            bad = (SignInOutcome.FAILED.value, SignInOutcome.INCOMPLETE.value)
            wheres.append((f"outcome {'' if failed else 'NOT '}IN (?, ?)", bad))
        if code := wanted.get("code"):
            wheres.append(("instr(codes, ?)", (f" {code.upper()} ",)))
        if device := wanted.get("device"):
            wheres.append(("instr(lower(device), ?)", (device.lower(),)))
        if client := wanted.get("client"):
            wheres.append(("client = ?", (client,)))
        return wheres

    def _of_user(self, user: str) -> Where:
        """By a part of the name, or by the pseudonym of all of it."""
        wanted = [user.lower()]
        if self.place.path and (hasher := existing_hasher(self.place.path)):
            name = user.rpartition("\\")[2].partition("@")[0]
            wanted.append(pseudonym(name, hasher))
        text = " OR ".join(["instr(lower(user), ?) OR instr(lower(account), ?)"] * len(wanted))
        return f"({text})", tuple(word for word in wanted for _ in range(2))

    def _rows(self, wheres: Wheres, order: str, limit: int) -> Rows:
        where = " AND ".join(text for text, _ in wheres)
        with self._connection() as connection:
            found = connection.execute(
                f"{rows.SELECT}{f' WHERE {where}' if where else ''} ORDER BY {order} LIMIT ?",
                (*(value for _, values in wheres for value in values), max(0, min(limit, LIMIT))),
            ).fetchall()
        return [rows.read(row) for row in found]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = open_to_read(self.place)
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise JournalError(f"journal {self.place}: {error}") from error
        finally:
            connection.close()
