"""Whether the machine kept up. Edge, lab and phones share a process in these measurements, and the machine
with others: a phone that fails may have met nothing worse than that."""

from __future__ import annotations

import asyncio
import time

TICK = 0.1  # seconds between two looks
SHORT = 1.0  # seconds that a look comes late: who waits for an answer meanwhile waits for us


class Breath:
    """How late the loop was, and when."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []  # Unix time, seconds

    async def watch(self) -> None:
        """Without an end."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self._late.append((time.time(), time.monotonic() - before - TICK))

    def worst(self, first: float = 0.0, last: float = float("inf")) -> float:
        """The latest look between two moments, in seconds."""
        return max((late for at, late in self._late if first <= at <= last), default=0.0)
