"""A file is read as it grows: each whole line once, whatever is done to the file meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.observe.journal import tail
from lyncgate.observe.journal.tail import Tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dns.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def read(reader: Tail) -> list[bytes]:
    """All that can be had now."""
    lines = [line for _, line in reader.lines()]
    while reader.more:
        lines += [line for _, line in reader.lines()]
    return lines


def test_what_was_there_before_is_passed_over_and_what_comes_is_read(path: Path) -> None:
    path.write_bytes(b"old\n")
    reader = Tail(path, None)
    assert read(reader) == []
    append(path, b"one\ntwo\r\nthr")
    assert read(reader) == [b"one", b"two"]
    append(path, b"ee\n")
    assert read(reader) == [b"three"]


def test_a_file_that_comes_later_is_read_from_its_beginning(path: Path) -> None:
    reader = Tail(path, None)
    assert read(reader) == []
    append(path, b"one\n")
    assert read(reader) == [b"one"]


def test_a_restart_goes_on_where_it_was(path: Path) -> None:
    reader = Tail(path, None)
    read(reader)
    append(path, b"one\ntw")
    assert read(reader) == [b"one"]
    position = reader.position
    append(path, b"o\nthree\n")
    assert read(Tail(path, position)) == [b"two", b"three"]


def test_a_rotated_file_is_read_to_its_end_then_the_new_one(path: Path) -> None:
    reader = Tail(path, None)
    read(reader)
    append(path, b"one\n")
    assert read(reader) == [b"one"]
    append(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    append(path.with_suffix(".1"), b"three\n")
    append(path, b"four\n")
    assert read(reader) == [b"two", b"three"]
    assert read(reader) == [b"four"]


def test_a_truncated_file_is_read_from_its_beginning(path: Path) -> None:
    reader = Tail(path, None)
    read(reader)
    append(path, b"one\ntwo\n")
    assert read(reader) == [b"one", b"two"]
    path.write_bytes(b"new\n")
    assert read(reader) == [b"new"]


def test_one_begun_anew_between_two_runs_is_read_from_its_beginning(path: Path) -> None:
    reader = Tail(path, None)
    read(reader)
    append(path, b"one\n")
    read(reader)
    position = reader.position
    path.write_bytes(b"new and longer\nmore\n")
    assert read(Tail(path, position)) == [b"new and longer", b"more"]


def test_a_line_without_end_is_passed_over_and_costs_no_memory(path: Path) -> None:
    reader = Tail(path, None)
    read(reader)
    for _ in range(12):
        append(path, b"x" * tail.CHUNK)
        read(reader)
        assert len(reader._rest) <= tail.LONGEST
    append(path, b"\nnext\n")
    assert read(reader) == [b"next"]


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=20))
@settings(deadline=None, max_examples=50)
def test_each_line_is_told_once_however_it_comes(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[bytes, bool]]
) -> None:
    path = tmp_path_factory.mktemp("tail") / "log"
    reader = Tail(path, None)
    read(reader)
    told: list[bytes] = []
    for data, restart in writes:
        append(path, data)
        told += read(reader)
        if restart:
            reader = Tail(path, reader.position)
    told += read(reader)
    whole = b"".join(data for data, _ in writes).split(b"\n")[:-1]
    assert told == [line.removesuffix(b"\r") for line in whole]
