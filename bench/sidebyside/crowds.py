"""A crowd (crowd.py), or a steady load (steady.py), seen from outside: it does its work, and tells."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

from sidebyside.mix import Rates
from sidebyside.processes import ENVIRONMENT, python

type Told = dict[str, Any]


class Crowd:
    """`opened`: what it told when all were there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.opened = self._hear()

    def look(self) -> Told:
        """How many are still there; how a steady load fares."""
        self._tell("look\n")
        return self._hear()

    def end(self) -> Told:
        """What it tells when it leaves; what is under way is waited for."""
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
    with _begun(python("crowd", port, count, kind)) as begun:
        yield begun


@contextlib.contextmanager
def steady(https: int, http: int, rates: Rates) -> Iterator[Crowd]:
    """A load that goes on (steady.py). It has begun; it opens what it needs as it goes."""
    each = (rates.requests, rates.sign_ins, rates.connections, rates.polls, rates.longest)
    with _begun(python("steady", https, http, *each)) as begun:
        yield begun


@contextlib.contextmanager
def _begun(command: list[str]) -> Iterator[Crowd]:
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.communicate()
