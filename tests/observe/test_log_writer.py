"""The writer keeps order, never blocks its caller, counts what it loses, and follows logrotate."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.observe.log_writer import LogWriter, _atomic


class Drops:
    """Counts lost records; `seen` is set at the first."""

    def __init__(self) -> None:
        self.count = 0
        self.seen = threading.Event()

    def __call__(self, count: int) -> None:
        self.count += count
        self.seen.set()


def test_order_is_kept_and_close_writes_the_rest(tmp_path: Path) -> None:
    drops = Drops()
    log = LogWriter(str(tmp_path / "log"), str, drops)
    for n in range(5_000):
        log.write(n)
    log.close()
    assert (tmp_path / "log").read_text().splitlines() == [str(n) for n in range(5_000)]
    assert drops.count == 0
    log.write("after the end")
    assert drops.count == 1


def test_only_owner_and_group_may_read_it_and_it_is_appended_to(tmp_path: Path) -> None:
    for _ in range(2):
        log = LogWriter(str(tmp_path / "log"), str, Drops())
        log.write("x")
        log.close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0
    assert (tmp_path / "log").read_text() == "x\nx\n"


def test_logrotate(tmp_path: Path) -> None:
    log = LogWriter(str(tmp_path / "log"), str, Drops())
    log.write("old")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.reopen()
    log.close()
    assert (tmp_path / "log.1").read_text() == "old\n"
    assert (tmp_path / "log").read_text() == ""


def test_a_failed_reopen_stays_with_the_old_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = LogWriter(str(folder / "log"), str, Drops())
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.write("kept")
    log.close()
    assert (tmp_path / "moved" / "log").read_text() == "kept\n"
    assert "stays open as it is" in caplog.text


def test_a_file_that_cannot_be_opened_is_the_callers_to_know(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogWriter(str(tmp_path / "nowhere" / "log"), str, Drops())


@pytest.fixture
def stalled(tmp_path: Path) -> Iterator[tuple[LogWriter[bytes], Drops, int]]:
    """A log into a pipe that nobody reads yet, its thread stuck in write(); and the pipe's end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    drops = Drops()
    rendering = threading.Event()

    def render(record: bytes) -> str:
        rendering.set()
        return record.decode()

    log = LogWriter(str(fifo), render, drops, limit=10)
    log.write(b"x" * 200_000)  # more than a pipe holds
    assert rendering.wait(10)
    yield log, drops, reader
    os.close(reader)
    log.close()


def test_a_reader_too_slow_costs_records_not_time(stalled: tuple[LogWriter[bytes], Drops, int]) -> None:
    log, drops, reader = stalled
    for n in range(25):  # returns though nobody reads: this is the event loop's thread
        log.write(str(n).encode())
    assert drops.count == 15

    # The reader wakes up: what was kept arrives whole and in order.
    os.set_blocking(reader, True)
    received = b""
    while not received.endswith(b"\n9\n"):
        received += os.read(reader, 65536)
    assert received.splitlines()[1:] == [str(n).encode() for n in range(10)]
    assert drops.count == 15


def test_a_reader_gone_costs_records_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    drops = Drops()
    log = LogWriter(str(fifo), str, drops)
    os.close(reader)
    for n in range(3):
        drops.seen.clear()
        log.write(n)
        assert drops.seen.wait(10)
    log.close()
    assert drops.count == 3
    assert caplog.text.count("Broken pipe") == 1


def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the full disk: a write is cut there, the next one fails."""
    script = f"""
import resource, signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parents[2] / "addons")!r})
from lyncgate.observe.log_writer import LogWriter, _atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lost, seen = [], threading.Event()
log = LogWriter({str(tmp_path / "log")!r}, str, lambda count: (lost.append(count), seen.set()))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
log.write("one")
log.write("two")
assert seen.wait(10)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.reopen()  # the file is still the same
log.write("three")
log.close()
print(sum(lost))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (tmp_path / "log").read_text() == "one\nt\nthree\n"
    assert result.stdout == "1\n"


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = LogWriter("-", str, Drops())
    log.write("hello")
    log.close()
    assert capfd.readouterr().out == "hello\n"
    os.fstat(1)  # still open


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=20))
def test_a_pipe_gets_whole_lines_in_pieces_that_nobody_can_cut(sizes: list[int]) -> None:
    """Several workers write one pipe: the system keeps a write of PIPE_BUF together, not more."""
    batch = memoryview(b"".join(b"x" * size + b"\n" for size in sizes))
    pieces, done = [], 0
    while done < len(batch):
        pieces.append(bytes(_atomic(batch[done:])))
        done += len(pieces[-1])
    assert b"".join(pieces) == bytes(batch)
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= select.PIPE_BUF or piece.count(b"\n") == 1 for piece in pieces)
