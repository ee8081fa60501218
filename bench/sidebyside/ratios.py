"""From rounds to figures. Pure.

Peers take turns, and a ratio is the median over rounds of each round's own ratio: on a machine that does
other things too the figures move, the ratios less.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

type Round = dict[str, Any]

SATURATED = 0.85  # of the time: a proxy that is busy for less was not the limit of what was measured


def middle(rounds: Sequence[Round], key: str) -> float | None:
    """The median of a figure over the rounds that have it."""
    values = [round_[key] for round_ in rounds if round_.get(key) is not None]
    return statistics.median(values) if values else None


def total(rounds: Sequence[Round], key: str) -> float:
    return sum(round_.get(key) or 0 for round_ in rounds)


def ratio(own: Sequence[Round], other: Sequence[Round], key: str) -> float | None:
    """The median of own / other, round by round; rounds in which either is nothing say nothing."""
    pairs = zip(own, other, strict=True)
    return _median([o[key] / r[key] for o, r in pairs if o.get(key) and r.get(key)])


def by_capacity(own: Sequence[Round], other: Sequence[Round]) -> float | None:
    """How many times the other's rate is ours. Where the other was not busy all the time, the load was the
    limit and its rate is too low to compare: then the ratio is that of the CPU that the same work took.
    """
    ratios = []
    for o, r in zip(own, other, strict=True):
        if not (o.get("rate") and r.get("rate") and o.get("cpu") and r.get("cpu")):
            continue
        ratios.append(o["rate"] / r["rate"] if r["busy"] >= SATURATED else r["cpu"] / o["cpu"])
    return _median(ratios)


def saturated(rounds: Sequence[Round]) -> bool:
    return (middle(rounds, "busy") or 0) >= SATURATED


def added(own: Sequence[Round], other: Sequence[Round], direct: Sequence[Round]) -> float | None:
    """Latency added to the direct way, ours over the other's; rounds in which the other seems to add nothing
    are noise."""
    triples = zip(own, other, direct, strict=True)
    return _median(
        [(o["p50"] - d["p50"]) / (r["p50"] - d["p50"]) for o, r, d in triples if r["p50"] > d["p50"]]
    )


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
