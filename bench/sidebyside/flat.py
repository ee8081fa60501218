"""Is a line of samples flat? Pure: for the soak."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

type Sample = dict[str, Any]

WARM = 0.2  # of the run: until caches, pools and tables have what they need
FEWEST = 30  # samples after that, below which nothing is said of growth
SHORTEST = 600.0  # seconds after that, likewise: little grows much in less
GROWTH = 0.05  # of the median, over the whole run
SLACK = 8.0  # MiB: below this growth is an allocator's business
SLOWER = 1.3  # times the first quarter's median latency
LEFT = 6  # descriptors more than before, when everything is closed again: a log, a timer, a journal


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: how much y grows for each x; 0 for fewer than two points."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def verdicts(samples: Sequence[Sample], before: int, after: int) -> dict[str, Any]:
    """What the samples say. `before`, `after`: descriptors without any client. Each verdict is `flat`,
    `grows` or `too short to tell`; descriptors that stay open are a leak however short the run was."""
    warm = [sample for sample in samples if sample["at"] >= samples[-1]["at"] * WARM] if samples else []
    judged = len(warm) >= FEWEST and warm[-1]["at"] - warm[0]["at"] >= SHORTEST
    memory = [(sample["at"], sample["memory"]) for sample in warm]
    descriptors = [(sample["at"], float(sample["descriptors"])) for sample in warm]
    hours = (warm[-1]["at"] - warm[0]["at"]) / 3600 if warm else 0.0
    return {
        "memory_mib_per_hour": slope(memory) * 3600,
        "memory": _grown(memory, SLACK, judged=judged),
        "descriptors_per_hour": slope(descriptors) * 3600,
        "descriptors": _grown(descriptors, 20.0, judged=judged),
        "p50_ratio": _quarters(warm, "p50"),
        "p99_ratio": _quarters(warm, "p99"),
        "latency": _slower(warm, judged=judged),
        "hours": hours,
        "descriptors_before": before,
        "descriptors_after": after,
        "leak": after > before + LEFT,
    }


def _grown(points: Sequence[tuple[float, float]], slack: float, *, judged: bool) -> str:
    if not judged:
        return "too short to tell"
    grown = slope(points) * (points[-1][0] - points[0][0])
    most = max(slack, GROWTH * statistics.median(y for _, y in points))
    return "grows" if grown > most else "flat"


def _slower(warm: Sequence[Sample], *, judged: bool) -> str:
    ratio = _quarters(warm, "p50")
    if not judged or ratio is None:
        return "too short to tell"
    return "grows" if ratio > SLOWER else "flat"


def _quarters(warm: Sequence[Sample], key: str) -> float | None:
    """The last quarter's median over the first's."""
    values = [sample[key] for sample in warm if sample.get(key) is not None]
    quarter = len(values) // 4
    if not quarter or not statistics.median(values[:quarter]):
        return None
    return float(statistics.median(values[-quarter:]) / statistics.median(values[:quarter]))
