"""Workers start at once: all of them find a journal there, whoever made it, and whatever was there."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sqlite3
import threading
from pathlib import Path

from lyncgate.observe.journal.schema import MAGIC, Place, open_to_read, open_to_write

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


def test_all_open_one_that_begins_in_place_of_a_damaged_one(tmp_path: Path) -> None:
    """Who comes later must not move the new one away."""
    barrier = threading.Barrier(WORKERS)

    def written(path: Path, number: int) -> None:
        barrier.wait()
        while True:
            try:
                connection = open_to_write(Place.of(path))
                break
            except sqlite3.OperationalError:
                continue
        with contextlib.closing(connection):
            connection.execute("INSERT INTO state VALUES (?, 1)", (f"{number}",))

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for number in range(TIMES):
            path = tmp_path / f"{number}.sqlite"
            path.write_bytes(MAGIC + os.urandom(8192))
            for one in [pool.submit(written, path, number) for number in range(WORKERS)]:
                one.result()
            with contextlib.closing(open_to_read(Place.of(path))) as reading:
                assert reading.execute("SELECT count(*) FROM state").fetchone() == (WORKERS,)
