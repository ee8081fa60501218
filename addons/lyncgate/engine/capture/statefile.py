"""What a gateway must undo, in a file that is locked while its owner lives. One for each network namespace:
rules and settings belong to that."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from pathlib import Path
from typing import Self, TextIO

from lyncgate.engine.master import StartError

_DIRECTORY = Path("/run")


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """`since`: Unix time; `sysctls`: values before, by name below net.ipv4."""

    pid: int
    since: float
    sysctls: dict[str, str]


class StateFile:
    """Made by `claim`."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file

    @classmethod
    def claim(cls) -> Self:
        """Open and lock this namespace's file. Raises StartError: its owner lives."""
        namespace = Path("/proc/self/ns/net").stat().st_ino
        path = _DIRECTORY / f"lyncgate-capture-{namespace}.json"
        while True:
            claimed = cls(path, os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+"))
            if not claimed._lock():
                owner = claimed.read()
                claimed.close()
                who = f" (pid {owner.pid})" if owner else ""
                raise StartError(f"another transparent capture is running{who}")
            if claimed._is_current():
                return claimed
            claimed.close()  # its owner has removed it just now

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_current(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        return False

    def read(self) -> State | None:
        """What is to be undone. A state that was not written to its end preceded every change: None."""
        self._file.seek(0)
        try:
            return State(**json.load(self._file))
        except (ValueError, TypeError):
            return None

    def write(self, state: State) -> None:
        """Keep it, safely on disk. Raises OSError."""
        self.clear()
        json.dump(dataclasses.asdict(state), self._file)
        self._file.flush()
        os.fsync(self._file.fileno())

    def clear(self) -> None:
        """There is nothing to undo."""
        self._file.seek(0)
        self._file.truncate()

    def remove(self) -> None:
        """The file goes, while it is still locked."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()
