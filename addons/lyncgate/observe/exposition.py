"""From snapshots to what prometheus_client writes out; the snapshots of several processes as if of one.

Counters and histograms are summed, gauges as their definition says. Nothing here knows what is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from lyncgate.observe.counting import Definition, Kind, Labels, Merge, Snapshot, Value

# A process's own metrics, of several: the sums are the edge's; descriptors are told of the process that is
# nearest to its limit, for it is a process that runs out of them.
PROCESS_MERGE = {
    "process_start_time_seconds": Merge.MIN,
    "process_open_fds": Merge.MAX,
    "process_max_fds": Merge.MIN,
}


class SnapshotCollector(Collector):
    """What a registry writes out: the snapshots that `taken` takes at each scrape, and others' metrics."""

    def __init__(self, taken: Callable[[], Iterable[Snapshot]]) -> None:
        self._taken = taken

    def collect(self) -> Iterator[Metric]:
        return map(metric, self._taken())


def metric(snapshot: Snapshot) -> Metric:
    """As prometheus_client's own classes would tell it."""
    definition = snapshot.definition
    told = Metric(definition.name.removesuffix("_total"), definition.meaning, definition.kind)
    for values, value in snapshot.series.items():
        labels = dict(zip(definition.labels, values, strict=True))
        if isinstance(value, tuple):
            counts, total = value
            seen = 0
            for bound, count in zip((*definition.bounds, float("inf")), counts, strict=True):
                seen += count
                told.samples.append(
                    Sample(f"{definition.name}_bucket", {**labels, "le": _bound(bound)}, seen)
                )
            told.samples.append(Sample(f"{definition.name}_count", labels, seen))
            told.samples.append(Sample(f"{definition.name}_sum", labels, total))
        else:
            told.samples.append(Sample(definition.name, labels, value))
    return told


def _bound(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # the library left it bare
    return text


def process_snapshots() -> list[Snapshot]:
    """This process's CPU, memory and descriptors."""
    return [
        Snapshot(
            Definition(
                family.samples[0].name,
                family.documentation,
                Kind(family.type),
                merge=PROCESS_MERGE.get(family.name, Merge.SUM),
            ),
            {(): family.samples[0].value},
        )
        for family in ProcessCollector(registry=None).collect()
    ]


def merged(processes: Iterable[Iterable[Snapshot]]) -> list[Snapshot]:
    """One snapshot a family. The order is that of the first process that has the family."""
    definitions: dict[str, Definition] = {}
    series: dict[str, dict[Labels, Value]] = {}
    for process in processes:
        for snapshot in process:
            name = snapshot.definition.name
            definitions.setdefault(name, snapshot.definition)
            there = series.setdefault(name, {})
            for values, value in snapshot.series.items():
                before = there.get(values)
                there[values] = value if before is None else _merge(snapshot.definition, before, value)
    return [Snapshot(definition, series[name]) for name, definition in definitions.items()]


def _merge(definition: Definition, one: Value, other: Value) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(a + b for a, b in zip(one[0], other[0], strict=True)), one[1] + other[1]
    if isinstance(one, tuple) or isinstance(other, tuple):
        raise TypeError(f"{definition.name} is a histogram in one process only")
    if definition.kind is Kind.COUNTER or definition.merge is Merge.SUM:
        return one + other
    return min(one, other) if definition.merge is Merge.MIN else max(one, other)
