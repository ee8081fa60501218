"""Workers start at once: all of them find a journal there, whoever made it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sqlite3
import threading
from pathlib import Path

from lyncgate.observe.journal.schema import Place, open_to_write

WORKERS, TIMES = 6, 40


def test_all_open_a_journal_that_is_just_being_made(tmp_path: Path) -> None:
    barrier = threading.Barrier(WORKERS)

    def opened(number: int) -> int:
        barrier.wait()
        place = Place.of(tmp_path / f"{number}.sqlite")
        while True:
            try:
                connection = open_to_write(place)
            except sqlite3.OperationalError:
                continue  # locked: the journal's thread tries again as well
            with contextlib.closing(connection):
                version: int = connection.execute("PRAGMA user_version").fetchone()[0]
                return version

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for number in range(TIMES):
            versions = [pool.submit(opened, number) for _ in range(WORKERS)]
            assert len({version.result() for version in versions}) == 1
