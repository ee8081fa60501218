"""A scale of time that all bars of a sign-in share. It is linear where something happens, and broken where
nothing does: a person who types a password, or a poll that hangs for minutes, must not press everything
else into a hairline. A break is always marked, with the time that it leaves out.

    Span(start, end, waits)  what is drawn, in seconds since the sign-in's start; `waits`: meant to hang
    scale(spans)             the scale
    scale.bar(start, end)    where that is, in percent of the width
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

BREAK_WIDTH = 5.0  # percent of the width
MOST_BREAKS = 5
SHORTEST = 0.001  # seconds that a scale spans at least
DIGITS = 6  # of a second
LEAST_WIDTH = 0.4  # percent: what takes no time is still to be seen
MOST_TICKS = 6
TICK_DISTANCE = 9.0  # percent between ticks, and from a break, so that labels don't collide


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    start: float
    end: float
    waits: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """Percent of the width."""

    left: float
    width: float


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the time (seconds), and where it is drawn (percent). `broken`: not to scale."""

    start: float
    end: float
    left: float
    width: float
    broken: bool

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    seconds: float
    left: float  # percent


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    stretches: tuple[Stretch, ...]

    @property
    def breaks(self) -> tuple[Stretch, ...]:
        return tuple(stretch for stretch in self.stretches if stretch.broken)

    @property
    def seconds(self) -> float:
        return self.stretches[-1].end

    def position(self, seconds: float) -> float:
        """Percent of the width; what lies outside is at its end."""
        for stretch in self.stretches:
            if seconds <= stretch.end:
                share = (seconds - stretch.start) / stretch.seconds if stretch.seconds else 0.0
                return stretch.left + max(share, 0.0) * stretch.width
        return 100.0

    def bar(self, start: float, end: float) -> Bar:
        left = self.position(start)
        width = max(self.position(max(start, end)) - left, LEAST_WIDTH)
        return Bar(round(min(left, 100.0 - width), 3), round(width, 3))

    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers of seconds: 0, and those that stand clear of each other, of breaks and of the end."""
        linear = sum(stretch.seconds for stretch in self.stretches if not stretch.broken)
        step = _round_step(linear / MOST_TICKS)
        ticks = [Tick(0.0, 0.0)]
        for stretch in self.stretches:
            if stretch.broken:
                continue
            first = math.floor(stretch.start / step) + 1
            last = min(math.ceil(stretch.end / step), first + 2 * MOST_TICKS)
            for number in range(first, last):
                left = self.position(number * step)
                if self._is_clear(left, ticks[-1].left):
                    ticks.append(Tick(number * step, round(left, 3)))
        return tuple(ticks)

    def _is_clear(self, left: float, before: float) -> bool:
        if left - before < TICK_DISTANCE or left > 100.0 - TICK_DISTANCE / 2:
            return False
        return all(
            not b.left - TICK_DISTANCE / 2 < left < b.left + b.width + TICK_DISTANCE / 2 for b in self.breaks
        )


def scale(spans: Sequence[Span]) -> Scale:
    """From 0 to the end of the last span. What is left out are pauses that nothing but waiting spans reach
    across, if they are longer than all that is busy and all shorter pauses together."""
    end = max(SHORTEST, *(round(span.end, DIGITS) for span in spans), 0.0)
    done = [(_instant(span.start), _instant(span.end)) for span in spans if not span.waits]
    busy = _united(done)
    starts = [0.0, *(stop for _, stop in busy)]
    stops = [*(start for start, _ in busy), end]
    pauses = [(start, stop) for start, stop in zip(starts, stops, strict=True) if stop > start]
    broken = _few(_long(pauses, sum(stop - start for start, stop in busy)))
    edges = sorted({0.0, end, *(edge for pause in broken for edge in pause)})
    linear = sum(stop - start for start, stop in itertools.pairwise(edges) if (start, stop) not in broken)
    room = 100.0 - BREAK_WIDTH * len(broken)
    stretches, left = [], 0.0
    for start, stop in itertools.pairwise(edges):
        is_broken = (start, stop) in broken
        width = BREAK_WIDTH if is_broken else room * (stop - start) / linear
        stretches.append(Stretch(start, stop, round(left, 3), round(width, 3), is_broken))
        left += width
    return Scale(tuple(stretches))


def _instant(seconds: float) -> float:
    """Not before the beginning, and no finer than a clock is: what lies between has a width."""
    return round(max(seconds, 0.0), DIGITS)


def _united(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans in order, those that touch as one."""
    united: list[tuple[float, float]] = []
    for start, stop in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], stop))
        else:
            united.append((start, max(start, stop)))
    return united


def _long(pauses: list[tuple[float, float]], busy: float) -> list[tuple[float, float]]:
    """The pauses to leave out, in order. One stays if nothing else would."""
    rest = busy
    by_length = sorted(pauses, key=lambda pause: pause[1] - pause[0])
    for number, (start, stop) in enumerate(by_length):
        if rest and stop - start > rest:
            return sorted(by_length[number:])
        rest += stop - start
    return []


def _few(broken: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST_BREAKS: those with the least between them become one."""
    broken = list(broken)
    while len(broken) > MOST_BREAKS:
        near = min(range(len(broken) - 1), key=lambda n: broken[n + 1][0] - broken[n][1])
        broken[near : near + 2] = [(broken[near][0], broken[near + 1][1])]
    return broken


def _round_step(least: float) -> float:
    """The next of 1, 2, 5 · 10ⁿ."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
