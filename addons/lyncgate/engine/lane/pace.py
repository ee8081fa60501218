"""Whether bytes that are due move at all: of a body that a client sends, of an answer that it takes.

Judged over one stretch of time after the other, so that bytes which trickle in are no sign of life, and only
while something is due: whoever waits for a silent member has nothing to send and nothing to take.
"""

from __future__ import annotations

import time

from lyncgate.edge.timeouts import TimeLimit
from lyncgate.engine.lane.stream import Stream
from lyncgate.policy.policy import Timeouts


class Pace:
    """One such stretch. `limit`: BODY or WRITE."""

    __slots__ = ("_began", "_moved", "_stream", "limit")

    def __init__(self, limit: TimeLimit, stream: Stream) -> None:
        self.limit = limit
        self._stream = stream
        self._began = time.monotonic()
        self._moved = self._bytes()

    def _bytes(self) -> int:
        return self._stream.taken() if self.limit is TimeLimit.WRITE else self._stream.got

    def _lasts(self, times: Timeouts) -> float:
        return times.write if self.limit is TimeLimit.WRITE else times.body

    def due(self, times: Timeouts) -> float:
        """When it is to be judged, in monotonic seconds."""
        return self._began + self._lasts(times)

    def kept(self, times: Timeouts) -> bool:
        return self._bytes() - self._moved >= max(1.0, times.rate * self._lasts(times))
