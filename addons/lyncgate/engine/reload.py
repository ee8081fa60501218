"""Hot reload: rules.yaml or a certificate changed, so validate, and swap if all is well.

The last good policy serves on when the new one is bad; what is wrong goes to the log, and a metric
says so. Reads are retried at the next change, so a half-written file costs nothing but a message.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from OpenSSL import SSL

from lyncgate.engine.master import StartError
from lyncgate.engine.rules import read_rules
from lyncgate.policy.load import Loaded
from lyncgate.policy.policy import Policy

log = logging.getLogger(__name__)

LOOK_EVERY = 0.3  # seconds
SETTLE = 0.2  # seconds without a further change before files are read
MOST_SETTLES = 4  # files that change all the time are read all the same

type Looks = tuple[tuple[Path, object], ...]


class ReloadObserver(Protocol):
    def reload(self, successful: bool, when: float, version: str) -> None: ...


class Reloader:
    """`path`: the rules file. `adopt` puts a policy in force or raises."""

    def __init__(
        self,
        path: Path,
        first: Loaded,
        *,
        adopt: Callable[[Policy], Awaitable[None]],
        observer: ReloadObserver,
    ) -> None:
        if first.policy is None:
            raise ValueError("the first policy must be a good one")
        self._adopt = adopt
        self._observer = observer
        self._path = path
        self._files = first.files
        self._version = first.policy.version
        self._lock = asyncio.Lock()
        self.problems: tuple[str, ...] = ()  # of the last load
        observer.reload(True, time.time(), self._version)

    async def reload(self) -> bool:
        """Read, check, swap. False if the old policy stays because the new one is bad."""
        async with self._lock:
            try:
                loaded = await asyncio.to_thread(read_rules, self._path)
            except OSError as error:
                return self._bad(str(error))
            self._files = loaded.files or self._files
            if loaded.policy is None:
                return self._bad(*map(str, loaded.problems))
            if loaded.policy.version != self._version:
                try:
                    await self._adopt(loaded.policy)
                except (OSError, SSL.Error, StartError) as error:
                    return self._bad(str(error))
                self._version = loaded.policy.version
                log.info("rules adopted, version %s", self._version)
            # Also when nothing changed: a bad file that was put back is good again.
            self.problems = ()
            self._observer.reload(True, time.time(), self._version)
            return True

    @property
    def files(self) -> tuple[str, ...]:
        """What the rules read last depend on, beside rules.yaml."""
        return self._files

    @property
    def version(self) -> str:
        """Of the rules in force."""
        return self._version

    def _bad(self, *problems: str) -> bool:
        self.problems = problems
        for problem in problems:
            log.error("rules not adopted: %s", problem)
        self._observer.reload(False, time.time(), self._version)
        return False

    @property
    def _watched(self) -> tuple[Path, ...]:
        return (self._path, *map(Path, self._files))

    async def watch(self) -> None:
        """Reload whenever a file that the rules depend on changes. Runs until cancelled.

        Files are looked at, a few times a second. The system could tell of changes, but of all in their
        folders, and not on every file system; where a log or the journal lies beside rules.yaml, hearing of
        what is written there took more of the processor than everything else that this process does.
        """
        seen = self._looks()
        if await self._is_old():
            await self.reload()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            found = self._looks()
            if found != seen:
                seen = await self._settled(found)
                await self.reload()

    async def _settled(self, found: Looks) -> Looks:
        """How files look when nothing has changed for a while: they may be being written."""
        for _ in range(MOST_SETTLES):
            await asyncio.sleep(SETTLE)
            before, found = found, self._looks()
            if found == before:
                break
        return found

    async def _is_old(self) -> bool:
        """Whether the rules were changed after they were read and before anybody watched."""
        try:
            loaded = await asyncio.to_thread(read_rules, self._path)
        except OSError:
            return True
        return loaded.policy is None or loaded.policy.version != self._version

    def _looks(self) -> Looks:
        """Of each file what changes when it does, whether it is written or another one takes its place."""
        return tuple([(file, _look(file)) for file in self._watched])


def _look(file: Path) -> object:
    try:
        status = file.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
