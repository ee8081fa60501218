"""What becomes of the file that rules.yaml names: none, ours, of a newer one, damaged, another's."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from lyncgate.observe.journal.key import hasher_of, key_file
from lyncgate.observe.journal.schema import VERSION, JournalError, Place, open_to_read, open_to_write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def made(path: Path) -> None:
    hasher_of(path)
    open_to_write(Place.of(path)).close()


def test_a_new_one_is_for_its_owner_alone(path: Path) -> None:
    connection = open_to_write(Place.of(path))
    connection.execute("INSERT INTO events (id, at, event, belongs) VALUES ('1', 0, '{}', 0)")
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["journal.db", "journal.db-shm", "journal.db-wal"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    connection.close()


def test_it_is_opened_again_as_it_was(path: Path) -> None:
    with open_to_write(Place.of(path)) as connection:
        connection.execute("INSERT INTO state VALUES ('a', 'b')")
    again = open_to_write(Place.of(path))
    assert again.execute("SELECT * FROM state").fetchall() == [("a", "b")]


def test_one_of_a_newer_lyncgate_is_refused_and_stays(path: Path) -> None:
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    for opened in (open_to_write, open_to_read):
        with pytest.raises(JournalError, match=f"found version {VERSION + 1}, of a newer lyncgate"):
            opened(Place.of(path))
    assert path.exists()


def test_another_programs_database_is_refused_and_stays(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(JournalError, match="another program's SQLite file"):
        open_to_write(Place.of(path))
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_a_file_that_never_was_a_journal_is_refused_and_stays(path: Path) -> None:
    path.write_text("version: 1\n")
    with pytest.raises(JournalError, match="found another kind of file; allowed: a journal, or no file yet"):
        open_to_write(Place.of(path))
    assert path.read_text() == "version: 1\n"


@pytest.mark.parametrize("damage", ["head", "pages", "zeros"])
def test_a_damaged_one_is_moved_aside_loudly_and_a_new_one_begins(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    made(path)
    content = bytearray(path.read_bytes())
    match damage:
        case "head":
            content[:16] = b"\xff" * 16
        case "pages":
            content[100:] = b"\xff" * (len(content) - 100)
        case "zeros":
            content = bytearray(len(content))
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        connection = open_to_write(Place.of(path))
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert "is damaged" in caplog.text
    aside = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    assert [file.read_bytes() for file in aside] == [bytes(content)]


def test_no_folder_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none/journal\.db"):
        open_to_write(Place.of(tmp_path / "none" / "journal.db"))


def test_readers_are_told_what_there_is_not(path: Path) -> None:
    with pytest.raises(JournalError, match="there is no such file"):
        open_to_read(Place.of(path))
    path.touch()
    with pytest.raises(JournalError, match="nothing is in it yet"):
        open_to_read(Place.of(path))


def test_readers_change_nothing(path: Path) -> None:
    made(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        open_to_read(Place.of(path)).execute("DELETE FROM events")


def test_each_journal_in_memory_is_its_own_and_can_be_read() -> None:
    place, other = Place.of(None), Place.of(None)
    writing, _ = open_to_write(place), open_to_write(other)
    writing.execute("INSERT INTO state VALUES ('a', 'b')")
    assert open_to_read(place).execute("SELECT * FROM state").fetchall() == [("a", "b")]
    assert open_to_read(other).execute("SELECT * FROM state").fetchall() == []


def test_the_key_is_made_once_for_its_owner_alone(path: Path) -> None:
    first = hasher_of(path)
    assert key_file(path).stat().st_mode & 0o777 == 0o600
    assert hasher_of(path)("secret") == first("secret")
    assert hasher_of(None)("secret") != first("secret")
    assert [file.name for file in path.parent.iterdir()] == ["journal.db.key"]


def test_a_key_that_is_none_is_refused(path: Path) -> None:
    key_file(path).write_bytes(b"short")
    with pytest.raises(JournalError, match="found 5 bytes; allowed: 32"):
        hasher_of(path)
