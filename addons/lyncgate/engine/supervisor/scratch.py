"""A journal without a file, shared by processes: a file in memory, in a folder that is nobody else's.

The folder is removed at the end. What an edge left that was killed, the next one removes: whose lock nobody
holds is nobody's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from lyncgate.policy.policy import MEMORY_JOURNAL, Journal, Policy

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
PREFIX, LOCK = "lyncgate-", "lock"
ROOM = 8 * MEMORY_JOURNAL  # with its write-ahead log, while a page reads


class Scratch:
    """`folder`: one that the edge before us made, and has until `take`."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = Path(folder) if folder and Path(folder).is_dir() else None
        self._others = self._folder is not None
        self._lock: int | None = None  # open as long as this process lives, or a child of it
        if self._folder:
            self._hold(self._folder)

    @property
    def folder(self) -> str | None:
        return str(self._folder) if self._folder else None

    def policy(self, policy: Policy) -> Policy:
        """`policy`, with a file for its journal. Raises OSError."""
        if policy.journal.path is not None:
            return policy
        if self._folder is None:
            place = _memory() or Path(tempfile.gettempdir())
            _tidy(place)
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            self._hold(self._folder)
        return dataclasses.replace(
            policy, journal=placed(policy.journal, str(self._folder / "journal.sqlite"))
        )

    def _hold(self, folder: Path) -> None:
        self._lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def give_away(self) -> None:
        """It is the next edge's now."""
        self._others = True

    def take(self) -> None:
        """It is ours now, whoever made it."""
        self._others = False

    def remove(self) -> None:
        if self._folder and not self._others:
            shutil.rmtree(self._folder, ignore_errors=True)


def placed(journal: Journal, path: str | None) -> Journal:
    """`journal`; if it names no file, in `path`, which takes memory."""
    if journal.path is not None:
        return journal
    return dataclasses.replace(journal, path=path, size=min(journal.size, MEMORY_JOURNAL))


def _tidy(place: Path) -> None:
    """Remove the folders of edges that are no more. Other users' are none of ours."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it has no lock, or is being removed by somebody else
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if somebody holds it
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _memory() -> Path | None:
    """None: the usual place for temporary files, as there is too little room or no such file system."""
    with contextlib.suppress(OSError):
        free = os.statvfs(MEMORY)
        if free.f_bavail * free.f_frsize >= ROOM and os.access(MEMORY, os.W_OK):
            return MEMORY
    return None
