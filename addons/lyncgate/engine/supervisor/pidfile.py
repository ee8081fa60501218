"""The file that says which process is the supervisor, for those who send signals."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class PidFile:
    """`path`: None for none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self) -> None:
        """Whole or not at all. Raises OSError."""
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{os.getpid()}\n")
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unless it is another's by now."""
        if self._path is not None:
            with contextlib.suppress(OSError, ValueError):
                if read_pid(self._path) == os.getpid():
                    self._path.unlink()


def read_pid(path: Path) -> int:
    """Raises OSError, and ValueError if it says none."""
    return int(path.read_text())
