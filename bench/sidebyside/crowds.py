"""A crowd (crowd.py) seen from outside: it opens its connections, and tells."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

from sidebyside.processes import ENVIRONMENT, python

type Told = dict[str, Any]


class Crowd:
    """`opened`: what it told when all were there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.opened = self._hear()

    def look(self) -> Told:
        """How many are still there."""
        self._tell("look\n")
        return self._hear()

    def end(self) -> Told:
        """What it tells when it leaves; polls wait for their answers."""
        self._tell("\n")
        return self._hear()

    def _tell(self, line: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _hear(self) -> Told:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the crowd ended without a word")
        told: Told = json.loads(line)
        return told


@contextlib.contextmanager
def crowd(port: int, count: int, kind: str) -> Iterator[Crowd]:
    """`count` connections to `port`: kind `poll` or `idle`."""
    command = python("crowd", port, count, kind)
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.communicate()
