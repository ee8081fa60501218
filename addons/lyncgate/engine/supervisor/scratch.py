"""A journal without a file, shared by processes: a file in memory, in a folder that is nobody else's."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

from lyncgate.policy.policy import MEMORY_JOURNAL, Policy

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
ROOM = 8 * MEMORY_JOURNAL  # with its write-ahead log, while a page reads


class Scratch:
    """`folder`: one that the edge before us made."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = Path(folder) if folder and Path(folder).is_dir() else None
        self._given_away = False

    @property
    def folder(self) -> str | None:
        return str(self._folder) if self._folder else None

    def policy(self, policy: Policy) -> Policy:
        """`policy`, with a file for its journal. Raises OSError."""
        if policy.journal.path is not None:
            return policy
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lyncgate-", dir=_memory()))
        journal = dataclasses.replace(
            policy.journal,
            path=str(self._folder / "journal.sqlite"),
            size=min(policy.journal.size, MEMORY_JOURNAL),
        )
        return dataclasses.replace(policy, journal=journal)

    def give_away(self) -> None:
        """It is the next edge's now."""
        self._given_away = True

    def remove(self) -> None:
        if self._folder and not self._given_away:
            shutil.rmtree(self._folder, ignore_errors=True)


def _memory() -> Path | None:
    """None: the usual place for temporary files, as there is too little room or no such file system."""
    with contextlib.suppress(OSError):
        free = os.statvfs(MEMORY)
        if free.f_bavail * free.f_frsize >= ROOM and os.access(MEMORY, os.W_OK):
            return MEMORY
    return None
