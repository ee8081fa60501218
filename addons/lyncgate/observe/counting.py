"""Counters, gauges and histograms as plain Python: every request counts a dozen times, on the event loop.

A series is a cell; who counts often keeps the cell. Each cell is written by one thread only, so nothing is
locked; a scrape in another thread reads a list of the cells and may miss the last event, not more.
What is told (names, labels, buckets) is in `families.py`; how it is written out in `exposition.py`.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

type Labels = tuple[str, ...]


class Kind(enum.StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge(enum.StrEnum):
    """What a gauge's series of several processes are together."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"


class Definition(NamedTuple):
    """A family as Prometheus is told of it. `name` with the `_total` of a counter. `bounds`: a histogram's
    upper ones, without infinity."""

    name: str
    meaning: str
    kind: Kind
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Merge = Merge.SUM


# A histogram's: how many in each bucket, the last one being that to infinity, and the sum of all.
type Distribution = tuple[tuple[int, ...], float]
type Value = float | Distribution


class Snapshot(NamedTuple):
    """A family at one moment. Plain values: it goes to other processes."""

    definition: Definition
    series: Mapping[Labels, Value]


class Cell:
    """One series of a counter or gauge."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0.0

    def inc(self, by: float = 1.0) -> None:
        self.count += by

    def dec(self) -> None:
        self.count -= 1.0

    def set(self, to: float) -> None:
        self.count = float(to)

    @property
    def value(self) -> Value:
        return self.count


class AskedCell(Cell):
    """A gauge that is asked at each scrape, once it is known whom."""

    __slots__ = ("ask",)

    def __init__(self) -> None:
        super().__init__()
        self.ask: Callable[[], float] | None = None

    @property
    def value(self) -> Value:
        return self.ask() if self.ask else self.count


class HistogramCell:
    """One labelled histogram."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, counted: Distribution) -> None:
        """What another one counted."""
        for index, count in enumerate(counted[0]):
            self.counts[index] += count
        self.sum += counted[1]

    @property
    def value(self) -> Value:
        return tuple(self.counts), self.sum


class Family[C: (Cell, AskedCell, HistogramCell)]:
    """The cells of one metric by their label values."""

    _make: Callable[[], C]

    def __init__(self, definition: Definition, make: Callable[[], C]) -> None:
        self.definition = definition
        self._make = make
        self._cells: dict[Labels, C] = {}

    def __getitem__(self, values: Labels) -> C:
        cell = self._cells.get(values)
        if cell is None:
            # Plain text: members of an enumeration are equal to it, but other processes needn't know them.
            cell = self._cells[tuple(map(str, values))] = self._make()
        return cell

    def __contains__(self, values: Labels) -> bool:
        return values in self._cells

    def keep(self, wanted: Callable[[Labels], bool]) -> None:
        """Remove each series whose label values are not `wanted`."""
        for values in [values for values in self._cells if not wanted(values)]:
            del self._cells[values]

    def snapshot(self) -> Snapshot:
        """Of any thread."""
        return Snapshot(self.definition, {values: cell.value for values, cell in list(self._cells.items())})
