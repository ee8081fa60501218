"""What became of many sign-ins: how long each stage took, where they failed, how many there were at once.

A stage's time in a sign-in is the sum of its steps, polls left out, which are meant to hang: two requests
that a phone sends at once count twice. Percentiles are of sign-ins that have the stage, and by nearest
rank: each is a value that was measured.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

from lyncgate.lab.report import SignInReport
from lyncgate.lync.stages import Stage

PERCENTILES = (50, 90, 99, 100)
MOST_FAILURES = 20  # kinds of them that are told apart in a summary


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of the values do not exceed. There has to be one."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """A way to fail: where, and the last words."""

    stage: Stage
    status: int | None
    detail: str


def _seconds() -> array[float]:
    return array("d")


@dataclasses.dataclass(slots=True)
class Summary:
    """Sums up reports, which it does not keep. `most_at_once`, `most_polls`: signed-in phones and held
    polls at one moment; `arriving`: seconds from the first phone's start to the last one's arrival."""

    ok: int = 0
    failed: int = 0
    most_at_once: int = 0
    most_polls: int = 0
    arriving: float = 0.0
    polls: int = 0  # that were answered
    seconds: array[float] = dataclasses.field(default_factory=_seconds)  # of good sign-ins
    stages: defaultdict[Stage, array[float]] = dataclasses.field(
        default_factory=lambda: defaultdict(_seconds)
    )
    failures: Counter[Failure] = dataclasses.field(default_factory=Counter)

    def add(self, report: SignInReport) -> None:
        """A phone has left, or has failed."""
        spent: defaultdict[Stage, float] = defaultdict(float)
        for step in report.steps:
            if step.poll:
                self.polls += step.ok
            else:
                spent[step.stage] += step.seconds
        for stage, seconds in spent.items():
            self.stages[stage].append(seconds)
        if report.ok:
            self.ok += 1
            self.seconds.append(report.seconds)
        else:
            self.failed += 1
            if last := report.failed:
                self.failures[Failure(last.stage, last.status, last.detail)] += 1

    @property
    def rate(self) -> float:
        """Sign-ins a second, good ones."""
        return self.ok / self.arriving if self.arriving else 0.0

    def by_stage(self) -> list[tuple[Stage, array[float]]]:
        """The stages that were seen, in the order of a sign-in, with seconds of each phone."""
        return [(stage, self.stages[stage]) for stage in Stage if stage in self.stages]

    def worst(self) -> list[tuple[Failure, int]]:
        """The most frequent failures, and how often each came."""
        return self.failures.most_common(MOST_FAILURES)

    def document(self) -> dict[str, object]:
        """All of it in JSON's terms; times in seconds."""
        return {
            "ok": self.ok,
            "failed": self.failed,
            "most_at_once": self.most_at_once,
            "most_polls": self.most_polls,
            "polls_answered": self.polls,
            "sign_ins_per_second": round(self.rate, 3),
            "sign_in": percentiles(self.seconds),
            "stages": {
                stage: {**percentiles(seconds), "failed": self._failed_at(stage)}
                for stage, seconds in self.by_stage()
            },
            "failures": [{**dataclasses.asdict(failure), "count": count} for failure, count in self.worst()],
        }

    def _failed_at(self, stage: Stage) -> int:
        return sum(count for failure, count in self.failures.items() if failure.stage is stage)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`count`, and `p50` … `p100` in seconds; empty when there are no values."""
    ascending = sorted(values)
    if not ascending:
        return {}
    found = {f"p{percent}": round(percentile(ascending, percent), 6) for percent in PERCENTILES}
    return {"count": len(ascending), **found}
