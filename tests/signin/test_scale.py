"""The scale of time: linear where something happens, broken where nothing does, and always in order."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lyncgate.signin.scale import BREAK_WIDTH, LEAST_WIDTH, MOST_BREAKS, Scale, Span, scale

TIMES = st.floats(-5, 1e5)
SPANS = st.lists(
    st.builds(
        lambda start, took, waits: Span(start, start + took, waits), TIMES, st.floats(0, 2e3), st.booleans()
    ),
    max_size=30,
)


def test_what_happens_without_a_pause_is_linear() -> None:
    on = scale([Span(0.0, 0.1), Span(0.1, 0.4)])
    assert on.breaks == ()
    assert (on.position(0.0), on.position(0.1), on.position(0.4)) == (0.0, 25.0, 100.0)


def test_a_pause_is_left_out_and_marked() -> None:
    """A person typed a password for a minute."""
    on = scale([Span(0.0, 0.1), Span(60.1, 60.2)])
    (gap,) = on.breaks
    assert (gap.start, gap.end, gap.width) == (0.1, 60.1, BREAK_WIDTH)
    assert on.bar(0.0, 0.1).width == on.bar(60.1, 60.2).width == (100 - BREAK_WIDTH) / 2


def test_a_slow_server_is_no_pause() -> None:
    """Thirty seconds that a request took must look long."""
    on = scale([Span(0.0, 0.1), Span(0.1, 30.1)])
    assert on.breaks == ()
    assert on.bar(0.1, 30.1).width > 99


def test_a_poll_that_hangs_presses_nothing_together() -> None:
    polls = [Span(start, start + 180.0, waits=True) for start in range(1, 1801, 180)]
    on = scale([Span(0.0, 0.2), *polls])
    assert len(on.breaks) == 1
    assert on.bar(0.0, 0.2).width > 90


def test_nothing_at_all_has_a_scale() -> None:
    assert scale([]).stretches
    assert scale([Span(0.0, 0.0)]).bar(0.0, 0.0).width == LEAST_WIDTH


@given(SPANS)
def test_it_covers_the_whole_width_in_order(spans: list[Span]) -> None:
    on = scale(spans)
    assert len(on.breaks) <= MOST_BREAKS
    assert abs(sum(stretch.width for stretch in on.stretches) - 100) < 0.1
    for before, after in itertools.pairwise(on.stretches):
        assert before.end == after.start
        assert before.left <= after.left
    for span in spans:
        bar = on.bar(span.start, span.end)
        assert 0 <= bar.left <= 100
        assert LEAST_WIDTH <= bar.width <= 100.01
        assert bar.left + bar.width <= 100.01


@given(SPANS, TIMES, TIMES)
def test_what_is_later_is_never_drawn_before(spans: list[Span], one: float, other: float) -> None:
    on = scale(spans)
    assert on.position(min(one, other)) <= on.position(max(one, other)) + 1e-6


@given(SPANS)
def test_ticks_are_few_apart_and_clear_of_breaks(spans: list[Span]) -> None:
    on: Scale = scale(spans)
    ticks = on.ticks()
    assert len(ticks) <= 12
    assert ticks[0].seconds == 0.0
    assert all(after.left - before.left >= 5 for before, after in itertools.pairwise(ticks))
    assert not any(gap.left < tick.left < gap.left + gap.width for gap in on.breaks for tick in ticks)
