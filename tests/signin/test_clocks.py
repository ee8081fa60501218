"""Offsets of clocks from registrations and the requests that caused them."""

from __future__ import annotations

import pytest

from lyncgate.signin.clocks import estimate

A, B, C = ((when, when + 0.02) for when in (1000.0, 1100.0, 1207.0))
REQUESTS = {"alice": [A], "bob": [B], "carol": [C]}


def ahead(seconds: float) -> list[tuple[float, str]]:
    return [(span[0] + 0.01 + seconds, who) for who, (span,) in REQUESTS.items()]


def test_a_clock_that_is_right() -> None:
    assert estimate(ahead(0.0), REQUESTS) == 0.0
    assert estimate(ahead(0.005), REQUESTS) == 0.0  # no better known than the requests are long


@pytest.mark.parametrize("seconds", [2.5, -40.0, 3600.0, -7 * 3600 + 2.5])
def test_a_clock_that_is_not(seconds: float) -> None:
    assert estimate(ahead(seconds), REQUESTS) == pytest.approx(seconds, abs=0.02)


def test_a_few_that_fit_nothing_do_not_matter() -> None:
    assert estimate([*ahead(2.5), (5000.0, "alice")], REQUESTS) == pytest.approx(2.5, abs=0.02)


def test_the_smaller_of_two_offsets_that_explain_as_much() -> None:
    """Somebody signs in every 20 seconds: 2.5 s ahead, or 22.5 s ahead and one of them unseen."""
    spans = [(1000.0 + 20 * number, 1000.02 + 20 * number) for number in range(6)]
    told = [(begin + 2.51, "alice") for begin, _ in spans[1:]]
    assert estimate(told, {"alice": spans}) == pytest.approx(2.5, abs=0.02)


def test_nothing_to_go_by() -> None:
    assert estimate([], REQUESTS) is None
    assert estimate([(1.0, "dave")], REQUESTS) is None


def test_one_registration_is_believed_near_a_difference_of_time_zones_only() -> None:
    assert estimate([(A[0] + 3600.0, "alice")], REQUESTS) == pytest.approx(3600.0, abs=0.02)
    assert estimate([(A[0] + 2345.0, "alice")], REQUESTS) is None
    assert estimate([(A[0] + 30 * 3600.0, "alice")], REQUESTS) is None
