"""The time limits of connections: one each, that moves. Moving it later costs an assignment.

All of an event loop share one timer of it. To give each its own takes the loop longer than all else that is
done about them, for nearly every connection has ended before its limit.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable

NEVER = math.inf

TICK = 0.05  # seconds that a limit may be late
FAR = 600  # ticks from now on, beyond which a limit may be later
COARSE = 20  # ticks, by as much
ROUNDED = 0.001  # seconds to which the loop rounds: a look before the tick would be one for nothing
_NO_TICK = 1 << 62


def _nothing() -> None: ...


class Deadlines:
    """Those of one event loop. They stand by the tick, counted from the beginning of the monotonic clock, at
    which they are to be looked at."""

    __slots__ = ("_at", "_loop", "_next", "_ticks", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._at: dict[int, set[Deadline]] = {}
        self._ticks: list[int] = []  # a heap of the keys of `_at`
        self._next = _NO_TICK  # the one that the timer waits for
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, deadline: Deadline, due: float) -> int:
        """Look at `deadline` once `due` (monotonic seconds) has passed: at which tick."""
        now = int(time.monotonic() / TICK)
        tick = max(int(due / TICK), now) + 1
        if tick - now > FAR:
            tick += -tick % COARSE
        standing = self._at.get(tick)
        if standing is None:
            standing = self._at[tick] = set()
            heapq.heappush(self._ticks, tick)
            if tick < self._next:
                self._arm(tick)
        standing.add(deadline)
        return tick

    def forget(self, deadline: Deadline, tick: int) -> None:
        """Don't look at it."""
        standing = self._at.get(tick)
        if standing is not None:
            standing.discard(deadline)

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = tick
        self._timer = self._loop.call_later(max(0.0, tick * TICK - time.monotonic()) + ROUNDED, self._look)

    def _look(self) -> None:
        self._timer = None
        self._next = 0  # nobody arms it meanwhile
        reached = int(time.monotonic() / TICK)
        while self._ticks and self._ticks[0] <= reached:
            for deadline in self._at.pop(heapq.heappop(self._ticks)):
                try:
                    deadline.look()
                except Exception as error:
                    self._loop.call_exception_handler(
                        {"message": "Exception at a time limit", "exception": error}
                    )
        self._next = _NO_TICK
        if self._ticks:
            self._arm(self._ticks[0])

    def close(self) -> None:
        """For good: nobody is called any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next = 0
        self._at.clear()
        self._ticks.clear()


class Deadline:
    """Calls back once `due` (monotonic seconds) has passed."""

    __slots__ = ("_all", "_call", "_tick", "_wakes", "due")

    def __init__(self, deadlines: Deadlines, call: Callable[[], None]) -> None:
        self._all = deadlines
        self._call = call
        self._tick = 0
        self._wakes = NEVER  # when it is looked at, without what that may be late
        self.due = NEVER

    def set(self, due: float) -> None:
        self.due = due
        if due < self._wakes:
            if self._wakes != NEVER:
                self._all.forget(self, self._tick)
            self._wakes = due
            self._tick = self._all.wake(self, due)

    def look(self) -> None:
        """By whoever wakes it."""
        self._wakes = NEVER
        due = self.due
        if due == NEVER:
            return
        if time.monotonic() < due:
            self.set(due)
            return
        self.due = NEVER
        self._call()

    def put_off(self) -> None:
        """For now there is no limit. It is woken, and finds that out."""
        self.due = NEVER

    def end(self) -> None:
        """For good. It lets go of whoever was to be called."""
        self._call = _nothing
        if self._wakes != NEVER:
            self._all.forget(self, self._tick)
        self.due = self._wakes = NEVER
