"""What the journal tells becomes metrics: each sign-in once, labels bounded, every series from the start."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.metrics import Metrics
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.story import SignInOutcome
from observe.samples import FINDING, REFUSED, series
from support.changed import changed

STAGE = "lyncgate_signin_stage_duration_seconds_count"


def test_a_sign_in_that_failed() -> None:
    metrics = Metrics()
    metrics.journal.sign_in_settled(REFUSED, (FINDING, FINDING))
    found = series(metrics)
    assert found['lyncgate_signins_total{outcome="failed",failed_stage="register"}'] == 1
    assert found['lyncgate_findings_total{code="F20"}'] == 1
    assert found[STAGE + '{stage="register",outcome="failed"}'] == 1
    assert found[STAGE + '{stage="ticket",outcome="ok"}'] == 1
    assert found[STAGE + '{stage="ready",outcome="ok"}'] == 0, "not reached"
    assert sum(value for name, value in found.items() if name.startswith("lyncgate_signins_total")) == 1


def test_one_that_stopped_failed_at_no_stage() -> None:
    metrics = Metrics()
    stopped = changed(REFUSED, outcome=SignInOutcome.INCOMPLETE, failed_stage=Stage.TICKET)
    metrics.journal.sign_in_settled(stopped, ())
    assert series(metrics)['lyncgate_signins_total{outcome="incomplete",failed_stage="_none"}'] == 1


def test_nothing_makes_a_series_that_was_not_there() -> None:
    metrics = Metrics()
    before = set(series(metrics))
    for code in CATALOGUE:
        metrics.journal.sign_in_settled(REFUSED, (changed(FINDING, code=code),))
    for reason in Dropped:
        metrics.journal.journal_dropped(reason, 3)
    metrics.journal.journaled(7)
    metrics.journal.journal_state(4096, 2)
    assert set(series(metrics)) == before
    metrics.journal.sign_in_settled(REFUSED, (changed(FINDING, code="F99"),))
    new = set(series(metrics)) - before
    assert new == {'lyncgate_findings_total{code="_other"}'}


def test_how_far_it_is_behind_is_asked_at_each_scrape() -> None:
    metrics = Metrics()
    seconds = 1.5
    metrics.journal.behind(lambda: seconds)
    assert series(metrics)["lyncgate_journal_behind_seconds"] == 1.5
    seconds = 0.0
    assert series(metrics)["lyncgate_journal_behind_seconds"] == 0.0
