"""A log that never makes the event loop wait: records go into a bounded buffer, one thread writes them.

When the disk or the reader of a pipe can't keep up, records are dropped and counted; nothing is
held back and nothing grows. Records become text on the writing thread as well, so that a dropped
one costs nothing. A file is opened for appending, one `write()` a batch, and reopened when asked,
which is what logrotate needs.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import io
import logging
import os
import select
import stat
import sys
import threading
from collections.abc import Callable

BUFFERED_RECORDS = 10_000  # about 5 MB of exchanges: a second or two of the fastest edge
GATHER = 0.1  # seconds that a record may wait for company

logger = logging.getLogger(__name__)


class LogWriter[Record]:
    """`path`: a file, or `-` for standard output. `render` makes one line of a record, without its
    newline. `dropped` is told how many records were lost; it is called from either thread.

    Raises OSError when the file can't be opened.
    """

    def __init__(
        self,
        path: str,
        render: Callable[[Record], str],
        dropped: Callable[[int], None],
        limit: int = BUFFERED_RECORDS,
    ) -> None:
        self._path = path
        self._render = render
        self._dropped = dropped
        self._limit = limit
        # What write() leaves for the thread, and whether that waits for it.
        self._records: collections.deque[Record] = collections.deque()
        self._waits = False
        # Guarded by _changed: what reopen() and close() leave for it.
        self._changed = threading.Condition()
        self._reopen = False
        self._closed = False
        # The thread's own.
        self._file = self._open()
        # Of a file the system appends each write as it is. A pipe that other workers write as well does so
        # up to a size only.
        self._whole = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self._torn = False  # the last line written lacks its end
        self._failing = False  # said so already
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Hand over a record that won't change any more. Never waits for the disk."""
        if len(self._records) >= self._limit or self._closed:
            self._dropped(1)
            return
        self._records.append(record)
        if self._waits:  # seldom: it wakes up by itself for those that follow
            with self._changed:
                self._changed.notify()

    def reopen(self) -> None:
        """Go on in a new file of the same name, after those that were written before this call."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def close(self, timeout: float = 5.0) -> None:
        """Write what is buffered and end; give up after `timeout` seconds (a pipe nobody reads)."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    # -- on the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                self._waits = True
                self._changed.wait_for(lambda: self._records or self._reopen or self._closed)
                self._waits = False
                # Let a batch gather: waking up for each record costs more than writing it.
                self._changed.wait_for(lambda: self._reopen or self._closed, GATHER)
                reopen, self._reopen = self._reopen, False
                closed = self._closed
            if records := [self._records.popleft() for _ in range(len(self._records))]:
                self._write_all(records)
            if reopen:
                self._reopen_file()
        self._file.close()

    def _write_all(self, records: list[Record]) -> None:
        text = "".join(self._render(record) + "\n" for record in records).encode("utf-8", "backslashreplace")
        torn = b"\n" if self._torn else b""
        batch = memoryview(torn + text)
        done = 0
        try:
            while done < len(batch):
                piece = batch[done:] if self._whole else _atomic(batch[done:])
                done += self._file.write(piece) or self._stuck()
            self._torn = self._failing = False
        except OSError as error:
            if done:
                self._torn = batch[done - 1] != ord("\n")
            # A line that was cut is lost as well, the end of the one before it is none.
            self._dropped(bytes(batch[max(done, len(torn)) :]).count(b"\n"))
            if not self._failing:
                self._failing = True
                logger.warning("access log %s: %s", self._path, error.strerror)

    def _stuck(self) -> int:
        """write() said None: a standard output that someone else made non-blocking is full."""
        raise BlockingIOError(errno.EAGAIN, "nobody reads it")

    def _open(self) -> io.RawIOBase:
        if self._path == "-":
            return io.FileIO(sys.stdout.fileno(), "wb", closefd=False)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # It names users and where they are: the group may read it, nobody else.
        return io.FileIO(os.open(self._path, flags, 0o640), "wb")

    def _reopen_file(self) -> None:
        try:
            file = self._open()
        except OSError as error:
            logger.warning("access log %s stays open as it is: %s", self._path, error.strerror)
            return
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = file
        self._torn = self._torn and os.fstat(file.fileno()).st_size > 0  # it may be the same file


def _atomic(batch: memoryview) -> memoryview:
    """As many whole lines as a pipe takes at once (PIPE_BUF), or the first one if it is longer."""
    if len(batch) <= select.PIPE_BUF:
        return batch
    end = bytes(batch[: select.PIPE_BUF]).rfind(b"\n") + 1
    return batch[: end or bytes(batch).find(b"\n") + 1]
