"""What is written out is what prometheus_client's own metrics would write, of one process and of several."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lyncgate.observe.counting import Cell, Definition, Family, HistogramCell, Kind, Merge, Snapshot
from lyncgate.observe.exposition import SnapshotCollector, merged
from lyncgate.observe.families import PHASE_BUCKETS
from lyncgate.observe.metrics import Metrics
from lyncgate.signin.exchange import Outcome
from observe.samples import POLICY, TICKET, exercised

VALUES = (0.0, 0.001, 0.0010001, 0.3, 1800.0, 1800.1, 5e4, 1e-9, math.inf)


def page(snapshots: Iterable[Snapshot]) -> str:
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: snapshots))
    return generate_latest(registry).decode()


def samples(snapshots: Iterable[Snapshot]) -> dict[str, float]:
    return {
        sample.name + str(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page(snapshots))
        for sample in family.samples
    }


def test_it_reads_as_the_librarys_own() -> None:
    theirs = CollectorRegistry()
    counter = Counter("a_total", "Things that\nwere.", ["x", "y"], registry=theirs)
    gauge = Gauge("b", 'With "quotes".', registry=theirs)
    histogram = Histogram("c", "Spread.", ["z"], buckets=PHASE_BUCKETS, registry=theirs)
    a = Family(Definition("a_total", "Things that\nwere.", Kind.COUNTER, ("x", "y")), Cell)
    b = Family(Definition("b", 'With "quotes".', Kind.GAUGE), Cell)
    bounds = tuple(PHASE_BUCKETS)
    c = Family(Definition("c", "Spread.", Kind.HISTOGRAM, ("z",), bounds), lambda: HistogramCell(bounds))
    for values in (("1", 'q"\\'), ("2", "ü")):
        counter.labels(*values).inc(2.5)
        a[values].inc(2.5)
    gauge.set(-3)
    b[()].set(-3)
    for value in VALUES:
        histogram.labels("p").observe(value)
        c["p",].observe(value)
    ours = [family.snapshot() for family in (a, b, c)]
    assert page(ours) == generate_latest(theirs).decode()


def test_members_of_enumerations_become_plain_text() -> None:
    family = Family(Definition("a_total", "Things.", Kind.COUNTER, ("outcome",)), Cell)
    family[Outcome.OK,].inc()
    family["ok",].inc()
    [(values, value)] = family.snapshot().series.items()
    assert (type(values[0]), values, value) == (str, ("ok",), 2.0)


@pytest.mark.parametrize(("merge", "together"), [(Merge.SUM, 4.0), (Merge.MIN, 1.0), (Merge.MAX, 3.0)])
def test_gauges_of_two_processes(merge: Merge, together: float) -> None:
    definition = Definition("g", "Something.", Kind.GAUGE, ("x",), merge=merge)
    one, other = Snapshot(definition, {("a",): 1.0}), Snapshot(definition, {("a",): 3.0, ("b",): 7.0})
    [both] = merged([[one], [other]])
    assert both.series == {("a",): together, ("b",): 7.0}


def test_two_processes_are_twice_one() -> None:
    once = samples(exercised().snapshots())
    twice = samples(merged([exercised().snapshots(), pickle.loads(pickle.dumps(exercised().snapshots()))]))
    assert twice.keys() == once.keys()
    for name, value in once.items():
        if name.startswith(("lyncgate_requests_total", "lyncgate_request_phase_seconds_")):
            assert twice[name] == pytest.approx(2 * value), name
    assert twice["lyncgate_polls_held[]"] == 2 * once["lyncgate_polls_held[]"] > 0
    for name in ("lyncgate_config_last_reload_success_timestamp_seconds[]", "lyncgate_signins_open[]"):
        assert twice[name] == once[name] > 0
    assert twice["process_open_fds[]"] == pytest.approx(once["process_open_fds[]"], abs=3)
    assert twice["process_resident_memory_bytes[]"] > 1.5 * once["process_resident_memory_bytes[]"]


def test_counters_of_processes_that_are_gone_stay() -> None:
    """And gauges don't: its connections are gone as well."""
    gone, metrics = exercised(), Metrics()
    metrics.configure(POLICY)
    metrics.absorb(gone.snapshots())
    kept, once = samples(metrics.snapshots()), samples(gone.snapshots())
    for name, value in once.items():
        if name.startswith(("lyncgate_requests_total", "lyncgate_request_phase_seconds_")):
            assert kept[name] == value, name
    assert kept["lyncgate_polls_held[]"] == 0
    assert kept["process_cpu_seconds_total[]"] > once["process_cpu_seconds_total[]"]
    metrics.observe(TICKET)
    metrics.absorb(gone.snapshots())
    counted = [value for name, value in samples(metrics.snapshots()).items() if "requests_total" in name]
    assert sum(counted) == 2 * sum(value for name, value in once.items() if "requests_total" in name) + 1
