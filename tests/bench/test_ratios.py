"""From rounds to figures."""

from __future__ import annotations

from typing import Any

import pytest

from sidebyside import ratios


def rounds(key: str, *values: float | None) -> list[dict[str, Any]]:
    return [{key: value} for value in values]


def loaded(rate: float, cpu: float, busy: float) -> dict[str, Any]:
    return {"rate": rate, "cpu": cpu, "busy": busy}


def test_a_ratio_is_the_median_of_each_rounds_own() -> None:
    """The machine was twice as fast in the second round, for both: the ratio does not see it."""
    assert ratios.ratio(rounds("rate", 10, 20, 12), rounds("rate", 100, 200, 100), "rate") == pytest.approx(
        0.1
    )
    assert ratios.middle(rounds("rate", 10, 20, 12), "rate") == 12


def test_rounds_that_say_nothing_are_left_out() -> None:
    assert ratios.middle(rounds("p50", None, 3.0), "p50") == 3.0
    assert ratios.middle(rounds("p50", None), "p50") is None
    assert ratios.ratio(rounds("rate", 10, 4), rounds("rate", 0, 2), "rate") == 2
    assert ratios.ratio(rounds("rate", 0), rounds("rate", 5), "rate") is None


def test_unequal_numbers_of_rounds_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios.ratio(rounds("rate", 1, 2), rounds("rate", 1), "rate")


def test_rates_decide_where_the_other_was_the_limit() -> None:
    own, other = [loaded(500, 2000, 1.0)], [loaded(1000, 900, 0.95)]
    assert ratios.by_capacity(own, other) == 0.5


def test_cpu_decides_where_the_load_was_the_limit() -> None:
    """HAProxy at half a core would do twice of what was seen: its rate must not flatter us."""
    own, other = [loaded(500, 2000, 1.0)], [loaded(1000, 500, 0.5)]
    assert ratios.by_capacity(own, other) == 0.25


def test_latency_added_is_what_is_left_without_the_direct_way() -> None:
    own, other, direct = rounds("p50", 0.5, 0.9), rounds("p50", 0.3, 0.3), rounds("p50", 0.1, 0.3)
    assert ratios.added(own, other, direct) == pytest.approx(2.0)  # the second round is noise


def test_latency_added_of_nothing_but_noise_is_unknown() -> None:
    assert ratios.added(rounds("p50", 0.5), rounds("p50", 0.1), rounds("p50", 0.1)) is None
