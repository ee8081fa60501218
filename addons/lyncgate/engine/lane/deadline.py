"""One time limit that moves: a connection's. Moving it later costs an assignment, no timer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

NEVER = math.inf


def _nothing() -> None: ...


class Deadline:
    """Calls back once `due` (monotonic seconds) has passed."""

    __slots__ = ("_call", "_loop", "_timer", "_wakes", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = NEVER
        self.due = NEVER

    def set(self, due: float) -> None:
        self.due = due
        if due < self._wakes:
            self._arm(due)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = due
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes = None, NEVER
        if self.due == NEVER:
            return
        if time.monotonic() < self.due:
            self._arm(self.due)
            return
        self.due = NEVER
        self._call()

    def put_off(self) -> None:
        """For now there is no limit. The timer stays, and finds that out."""
        self.due = NEVER

    def end(self) -> None:
        """For good. It lets go of whoever was to be called."""
        self._call = _nothing
        self.due = self._wakes = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
