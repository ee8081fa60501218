"""Reads a file as it grows, line by line, also when it is rotated, truncated, or not there yet.

A place in the file is kept as text, so that a restart goes on where it was. It holds a hash of what stands
before it: a file that was begun anew and has grown as long again is read from its beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

CHUNK = 256 * 1024  # bytes read at once
LONGEST = 1024 * 1024  # bytes of a line; what is longer is passed over
BEFORE = 64  # bytes hashed


class Tail:
    """`position`: as it was told before; None: begin at the end of a file that is there, or at the
    beginning of one that comes later. Raises OSError from `lines` for a file that can't be read."""

    def __init__(self, path: Path, position: str | None) -> None:
        self._path = path
        self._position = position
        self._first = True
        self._file: io.FileIO | None = None
        self._offset = 0  # of `_rest`
        self._rest = b""  # the beginning of a line
        self._skipping = False  # in a line that is too long
        self.more = False  # there is more to be had at once

    def lines(self) -> list[tuple[int, bytes]]:
        """Whole lines that came since, with the offset of each, without their ends."""
        self.more = False
        if self._file is None and not self._open():
            return []
        assert self._file is not None
        if self._shrunk(self._file):
            self._restart(0)
        data = self._file.read(CHUNK)
        self.more = len(data) == CHUNK
        if not data and self._rotated(self._file):
            self.close()
            self.more = self._open()
            return []
        return self._split(data)

    def begin(self) -> None:
        """Take the place now where the first `lines` would begin. Raises OSError as that does."""
        if self._file is None:
            self._open()

    @property
    def position(self) -> str | None:
        """Where the next line begins, as text; None: nothing was read yet."""
        if self._file is None:
            return self._position
        return f"{os.fstat(self._file.fileno()).st_ino} {self._offset} {self._hash(self._file, self._offset)}"

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._position = None, ""

    def _open(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self._file = self._path.open("rb", buffering=0)
        first, self._first = self._first, False
        if self._file is None:
            self._position = self._position or ""  # what comes now is new
            return False
        self._restart(self._resumed(self._file, first))
        return True

    def _resumed(self, file: io.FileIO, first: bool) -> int:
        if not self._position:
            return os.fstat(file.fileno()).st_size if first and self._position is None else 0
        inode, offset, before = self._position.split(" ")
        known = os.fstat(file.fileno()).st_ino == int(inode)
        return int(offset) if known and self._hash(file, int(offset)) == before else 0

    def _restart(self, offset: int) -> None:
        assert self._file is not None
        self._file.seek(offset)
        self._offset, self._rest, self._skipping = offset, b"", False

    def _shrunk(self, file: io.FileIO) -> bool:
        return os.fstat(file.fileno()).st_size < self._offset + len(self._rest)

    def _rotated(self, file: io.FileIO) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False  # between two names
        return there.st_ino != os.fstat(file.fileno()).st_ino

    def _split(self, data: bytes) -> list[tuple[int, bytes]]:
        *whole, rest = (self._rest + data).split(b"\n")
        lines = []
        for line in whole:
            if not self._skipping:
                lines.append((self._offset, line.removesuffix(b"\r")))
            self._skipping = False
            self._offset += len(line) + 1
        if len(rest) > LONGEST:
            self._skipping = True
            self._offset, rest = self._offset + len(rest), b""
        self._rest = rest
        return lines

    @staticmethod
    def _hash(file: io.FileIO, offset: int) -> str:
        begin = max(0, offset - BEFORE)
        return hashlib.blake2b(os.pread(file.fileno(), offset - begin, begin), digest_size=8).hexdigest()
