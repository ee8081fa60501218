"""Time limits that share one timer: never early, hardly late, and never of who has ended."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.engine.lane.deadline import COARSE, FAR, NEVER, ROUNDED, TICK, Deadline, Deadlines
from support.rawhttp import PATIENCE

BEGAN = 1000.0
LATE = TICK + 2 * ROUNDED
FAR_LATE = COARSE * TICK + LATE


class Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Clock:
    """A loop and a clock of which nothing passes by itself. `looks`: how often the loop has called."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.looks = 0
        self.timers: list[Timer] = []
        self.errors: list[BaseException] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        assert delay >= 0
        self.timers.append(timer := Timer(self.now + delay, call))
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context["exception"])

    @property
    def armed(self) -> list[Timer]:
        return [timer for timer in self.timers if timer.call]

    def advance(self, to: float) -> None:
        while first := min((t for t in self.armed if t.at <= to), key=lambda timer: timer.at, default=None):
            assert len(self.armed) == 1, "one timer for all"
            self.now = max(self.now, first.at)
            self.timers.remove(first)
            self.looks += 1
            assert self.looks < 100_000
            assert first.call
            first.call()
        self.now = to


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: made.now)
        yield made


def deadlines(clock: Clock) -> Deadlines:
    loop: Any = clock  # as much of one as is asked for
    return Deadlines(loop)


class Limit:
    """One that notes when it was called."""

    def __init__(self, everyone: Deadlines, clock: Clock) -> None:
        self.called: list[float] = []
        self.deadline = Deadline(everyone, lambda: self.called.append(clock.now))


def test_it_is_called_once_not_early_and_at_most_a_tick_late(clock: Clock) -> None:
    limit = Limit(deadlines(clock), clock)
    limit.deadline.set(BEGAN + 0.33)
    clock.advance(BEGAN + 0.33)
    assert not limit.called
    clock.advance(BEGAN + 10)
    (called,) = limit.called
    assert BEGAN + 0.33 < called <= BEGAN + 0.33 + LATE
    assert limit.deadline.due == NEVER
    assert not clock.armed


def test_to_move_it_later_arms_nothing_and_to_move_it_earlier_does(clock: Clock) -> None:
    limit = Limit(deadlines(clock), clock)
    limit.deadline.set(BEGAN + 5)
    (timer,) = clock.armed
    limit.deadline.set(BEGAN + 9)
    assert clock.armed == [timer]
    limit.deadline.set(BEGAN + 1)
    clock.advance(BEGAN + 1 + LATE)
    assert len(limit.called) == 1
    clock.advance(BEGAN + 20)
    assert len(limit.called) == 1


def test_who_has_put_it_off_or_ended_is_not_called(clock: Clock) -> None:
    everyone = deadlines(clock)
    put_off, ended, other = (Limit(everyone, clock) for _ in range(3))
    for limit in (put_off, ended, other):
        limit.deadline.set(BEGAN + 1)
    put_off.deadline.put_off()
    ended.deadline.end()
    clock.advance(BEGAN + 2)
    assert (len(put_off.called), len(ended.called), len(other.called)) == (0, 0, 1)
    put_off.deadline.set(BEGAN + 3)
    clock.advance(BEGAN + 4)
    assert len(put_off.called) == 1


def test_one_that_ends_another_of_the_same_moment(clock: Clock) -> None:
    everyone = deadlines(clock)
    calls: list[int] = []
    both: list[Deadline] = []

    def call(number: int) -> Callable[[], None]:
        def ends() -> None:
            calls.append(number)
            both[1 - number].end()

        return ends

    both += [Deadline(everyone, call(0)), Deadline(everyone, call(1))]
    for one in both:
        one.set(BEGAN + 1)
    clock.advance(BEGAN + 5)
    assert len(calls) == 1


def test_one_that_is_due_again_at_once_does_not_keep_the_loop(clock: Clock) -> None:
    everyone = deadlines(clock)
    again = Deadline(everyone, lambda: again.set(BEGAN))
    again.set(BEGAN)
    clock.advance(BEGAN + 1)
    assert 1 <= clock.looks <= 1 / TICK + 1
    again.end()
    clock.advance(BEGAN + 2)
    assert not clock.armed


def test_what_one_does_wrong_the_others_do_not_feel(clock: Clock) -> None:
    everyone = deadlines(clock)
    wrong = Deadline(everyone, lambda: [1].remove(2))
    others = [Limit(everyone, clock) for _ in range(5)]
    wrong.set(BEGAN + 1)
    for number, other in enumerate(others):
        other.deadline.set(BEGAN + 1 + 0.1 * (number % 2))
    clock.advance(BEGAN + 2)
    assert [type(error) for error in clock.errors] == [ValueError]
    assert [len(other.called) for other in others] == [1] * 5


def test_after_the_end_nobody_is_called(clock: Clock) -> None:
    everyone = deadlines(clock)
    before, after = Limit(everyone, clock), Limit(everyone, clock)
    before.deadline.set(BEGAN + 1)
    everyone.close()
    after.deadline.set(BEGAN + 1)
    clock.advance(BEGAN + 5)
    assert not any((before.called, after.called, clock.armed))


def test_thousands_that_come_and_go_leave_nothing_behind(clock: Clock) -> None:
    everyone = deadlines(clock)
    for number in range(20_000):
        clock.advance(BEGAN + number / 1000)
        one = Deadline(everyone, lambda: None)
        one.set(clock.now + 1800)
        one.end()
    # As many moments as there are in between, and nobody at any of them.
    assert len(everyone._at) == len(everyone._ticks) <= 20 / (COARSE * TICK) + 2
    assert not any(everyone._at.values())
    clock.advance(BEGAN + 2000)
    assert not any((everyone._at, everyone._ticks, clock.armed))


_moves = st.one_of(
    st.tuples(st.just("set"), st.floats(0, 2 * FAR * TICK)),
    st.tuples(st.just("put off"), st.just(0.0)),
    st.tuples(st.just("end"), st.just(0.0)),
    st.tuples(st.just("pass"), st.floats(0, 20)),
)


@given(st.lists(st.tuples(st.integers(0, 4), _moves), max_size=60))
def test_whatever_is_done_each_is_called_when_it_is_due(moves: list[tuple[int, Any]]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: clock.now)
        everyone = deadlines(clock)
        limits = [Limit(everyone, clock) for _ in range(5)]
        due = [math.inf] * 5  # by the simplest of models
        ended: set[int] = set()

        def settle(number: int) -> None:
            """What the model says must have happened by now, did; and nothing else."""
            called, expected = limits[number].called, due[number]
            late = FAR_LATE  # near ones are later than a tick if they were far when they were set
            if called:
                assert len(called) == 1
                assert expected <= called[0] <= expected + late
                due[number] = math.inf
                called.clear()
            else:
                assert clock.now <= expected + late

        for number, (what, amount) in moves:
            if what == "pass":
                clock.advance(clock.now + amount)
                for each in range(5):
                    settle(each)
                continue
            settle(number)
            if what == "set" and number not in ended:
                due[number] = clock.now + amount
                limits[number].deadline.set(due[number])
            elif what == "put off":
                due[number] = math.inf
                limits[number].deadline.put_off()
            elif what == "end":
                due[number] = math.inf
                ended.add(number)
                limits[number].deadline.end()
        clock.advance(clock.now + 3 * FAR * TICK)
        for each in range(5):
            settle(each)
        assert due == [math.inf] * 5
        assert not clock.armed


def test_a_real_loop_calls_it() -> None:
    async def check() -> None:
        everyone = Deadlines(asyncio.get_running_loop())
        called = asyncio.Event()
        began = time.monotonic()
        Deadline(everyone, called.set).set(began + 0.1)
        async with asyncio.timeout(PATIENCE):
            await called.wait()
        assert time.monotonic() - began >= 0.1

    asyncio.run(check())
