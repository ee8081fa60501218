"""Crowds arrive by the clock, stay with their polls up, leave nothing behind, and are summed up."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab.phones.crowd import Crowd
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.phones.summary import Summary, percentile
from lyncgate.lab.phones.target import users
from lyncgate.lab.report import SignInReport, Step
from lyncgate.lync.stages import Stage
from support.processes import wait_until

EVERYBODY = users("user[01-20]@contoso.example")
FOR_EVER = 3600.0  # seconds


def started(lab, crowd):
    return asyncio.run_coroutine_threadsafe(crowd.run(), lab.loop)


def test_crowd_stays_with_its_polls_up_and_leaves_when_told(lab, made):
    crowd = Crowd(lambda n: made(Lync2013, EVERYBODY[n]), count=20, rate=1000.0, hold=FOR_EVER)
    running = started(lab, crowd)
    applications = lab.estate.pools["pool01"].applications
    # The polls of those that arrive are held too.
    wait_until(lambda: crowd.polls == applications.polls_held == 20, "not all of them poll")
    assert (crowd.present, crowd.arriving) == (20, 0)
    crowd.observe()
    lab.loop.call_soon_threadsafe(crowd.stop)
    summary = running.result()
    assert (summary.ok, summary.failed) == (20, 0)
    assert (summary.most_at_once, summary.most_polls) == (20, 20)
    assert len(applications) == 0  # all signed out
    assert crowd.present == 0


def test_stopped_crowd_starts_nobody_any_more(lab, made):
    crowd = Crowd(lambda n: made(Lync2013, EVERYBODY[n]), count=20, rate=1 / FOR_EVER, hold=FOR_EVER)
    running = started(lab, crowd)
    wait_until(lambda: crowd.present == 1, "the first phone is not there")
    lab.loop.call_soon_threadsafe(crowd.stop)
    summary = running.result()
    assert (crowd.started, summary.ok) == (1, 1)


def test_failures_are_counted_by_stage_and_say_why(lab, made):
    def phone(number):
        password = {} if number else {"password": "wrong"}
        return made(Lync2013, EVERYBODY[number], **password)

    summary = started(lab, Crowd(phone, count=3, rate=1000.0)).result()
    assert (summary.ok, summary.failed) == (2, 1)
    ((failure, number),) = summary.worst()
    assert (failure.stage, failure.status, number) == (Stage.TICKET, 401, 1)
    document = summary.document()
    assert document["stages"]["ticket"]["failed"] == 1
    assert document["stages"]["ticket"]["count"] == 3
    assert document["stages"]["register"]["count"] == 2
    assert document["sign_in"]["count"] == 2


def test_poll_that_fails_makes_a_failed_sign_in(lab, made):
    """The application goes away under the phone: its polls are answered with 404."""
    crowd = Crowd(lambda n: made(Lync2013, EVERYBODY[n], poll_timeout=1), count=1, rate=1.0, hold=FOR_EVER)
    running = started(lab, crowd)
    applications = lab.estate.pools["pool01"].applications
    wait_until(lambda: crowd.polls == applications.polls_held == 1, "no poll is held")
    for application in applications.of(EVERYBODY[0]):
        lab.loop.call_soon_threadsafe(applications.delete, application.id)
    summary = running.result()
    ((failure, _),) = summary.worst()
    assert (summary.failed, failure.stage, failure.status) == (1, Stage.NOTIFICATIONS, 404)


def report(ok, *steps):
    return SignInReport("alice@contoso.example", list(steps), 1.0, ok)


def test_polls_are_no_part_of_any_duration():
    summary = Summary()
    summary.add(
        report(
            True,
            Step(Stage.TICKET, "POST", True, 200, 0.25, ""),
            Step(Stage.TICKET, "POST", True, 200, 0.25, ""),
            Step(Stage.NOTIFICATIONS, "GET", True, 200, 900.0, "", poll=True),
        )
    )
    assert summary.document()["stages"] == {
        "ticket": {"count": 1, "p50": 0.5, "p90": 0.5, "p99": 0.5, "p100": 0.5, "failed": 0}
    }
    assert summary.document()["polls_answered"] == 1


def test_summary_of_nobody_has_no_numbers():
    assert Summary().document() == {
        "ok": 0,
        "failed": 0,
        "most_at_once": 0,
        "most_polls": 0,
        "polls_answered": 0,
        "sign_ins_per_second": 0.0,
        "sign_in": {},
        "stages": {},
        "failures": [],
    }


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_percentile_is_a_value_that_was_measured_and_the_smallest_that_will_do(values, percent):
    ascending = sorted(values)
    found = percentile(ascending, percent)
    assert found in values

    def share(limit):
        return 100 * sum(value <= limit for value in ascending)

    assert share(found) >= percent * len(values)
    smaller = [value for value in ascending if value < found]
    assert not smaller or share(smaller[-1]) < percent * len(values)


@pytest.mark.parametrize("percent", [50, 100])
def test_percentile_of_one_value_is_that_value(percent):
    assert percentile([3.0], percent) == 3.0
