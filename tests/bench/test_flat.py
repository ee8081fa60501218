"""The soak's verdict on its samples."""

from __future__ import annotations

from typing import Any

import pytest

from sidebyside import flat


def samples(count: int = 100, **lines: Any) -> list[dict[str, Any]]:
    """A sample every ten seconds; a line is a function of its number."""
    usual = {
        "memory": lambda _: 100.0,
        "descriptors": lambda _: 1050,
        "p50": lambda _: 2.0,
        "p99": lambda _: 9.0,
    }
    return [
        {"at": 10.0 * n, **{k: line(n) for k, line in (usual | lines).items()}} for n in range(1, count + 1)
    ]


def test_steady_is_flat() -> None:
    told = flat.verdicts(samples(memory=lambda n: 100 + n % 7, descriptors=lambda n: 1050 + n % 30), 20, 22)
    assert (told["memory"], told["descriptors"], told["latency"], told["leak"]) == (
        "flat",
        "flat",
        "flat",
        False,
    )


def test_what_grows_in_the_beginning_only_is_flat() -> None:
    told = flat.verdicts(samples(memory=lambda n: 60 + 2 * min(n, 20)), 20, 20)
    assert told["memory"] == "flat"


def test_steady_growth_is_seen_with_its_slope() -> None:
    told = flat.verdicts(samples(memory=lambda n: 100 + n / 4, descriptors=lambda n: 1000 + n), 20, 20)
    assert told["memory_mib_per_hour"] == pytest.approx(90.0)
    assert (told["memory"], told["descriptors"]) == ("grows", "grows")


def test_slower_and_slower_is_seen() -> None:
    told = flat.verdicts(samples(p50=lambda n: 2.0 + n / 50), 20, 20)
    assert told["latency"] == "grows"
    assert told["p50_ratio"] > 1.3


def test_descriptors_that_stay_open_are_a_leak_however_short_the_run() -> None:
    told = flat.verdicts(samples(3), 20, 20 + flat.LEFT + 1)
    assert told["leak"] is True
    assert (told["memory"], told["latency"]) == ("too short to tell",) * 2


def test_many_samples_of_a_short_time_say_nothing_of_growth() -> None:
    short = [sample | {"at": sample["at"] / 10} for sample in samples()]
    assert flat.verdicts(short, 20, 20)["memory"] == "too short to tell"


def test_no_samples_no_verdict() -> None:
    told = flat.verdicts([], 20, 20)
    assert (told["memory"], told["leak"], told["p50_ratio"]) == ("too short to tell", False, None)
