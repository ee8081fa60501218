"""Text and numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.signin.shown import ahead, clock, duration, moment, shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"),
        (-1.0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.0123, "12.3 ms"),
        (0.09994, "99.9 ms"),
        (0.09996, "100 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.994, "9.99 s"),
        (31.24, "31.2 s"),
        (59.96, "1 min 00 s"),
        (182.0, "3 min 02 s"),
        (3599.6, "1 h 00 min"),
        (3900.0, "1 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.text())
def test_nothing_that_is_shown_hides_or_commands(text: str) -> None:
    found = shown(text, 40)
    assert len(found) <= 40
    assert all(char.isprintable() or char == "�" or char.isspace() for char in found)
    assert not set(found) & set("\n\r\x1b\u202e\u200b\u2028\x00")


@given(st.floats(allow_nan=False))
def test_any_number_is_a_time(when: float) -> None:
    assert moment(when).endswith(" UTC")
    assert len(clock(when)) == 12


def test_times_are_utc() -> None:
    assert moment(1_795_348_800.25) == "2026-11-22 12:00:00 UTC"
    assert clock(1_795_348_800.25) == "12:00:00.250"


def test_clocks() -> None:
    assert ahead(2.5) == "2.500 s ahead, corrected"
    assert ahead(-0.25) == "0.250 s behind, corrected"
    assert ahead(0.0001) == "agrees"
