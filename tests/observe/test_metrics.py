"""What is counted, under which labels, and that nobody outside can make a series."""

from __future__ import annotations

import dataclasses
import random
import time

import msgspec
import pytest

from lyncgate.edge.framing import Fault
from lyncgate.observe.metrics import Metrics
from lyncgate.policy.policy import CertificateFiles, Health, Member, Pool
from lyncgate.signin.exchange import Outcome, Phase, Source
from observe.samples import LONG_POLL, NO_MEMBER, POLICY, POLL, SCAN, TICKET, exercised, series

CHECK_UP = "lyncgate_upstream_check_up"


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.configure(POLICY)
    return metrics


def grown(metrics: Metrics, before: dict[str, float]) -> dict[str, float]:
    """By how much which series grew; histogram buckets and sums left out."""
    now = series(metrics)
    assert before.keys() <= now.keys()
    return {
        name: value - before.get(name, 0.0)
        for name, value in now.items()
        if value != before.get(name, 0.0) and "_bucket{" not in name and "_sum{" not in name
    }


def test_a_request_counts_once_with_its_phases(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.observe(TICKET)

    where = 'listener="https",publication="web services"'
    assert grown(metrics, before) == {
        f'lyncgate_requests_total{{{where},decision="forward",code_class="2xx",source="upstream"}}': 1,
        'lyncgate_request_duration_seconds_count{publication="web services",stage="ticket"}': 1,
        f"lyncgate_request_body_bytes_total{{{where}}}": 1_432,
        f"lyncgate_response_body_bytes_total{{{where}}}": 4_096,
        'lyncgate_upstream_responses_total{pool="pool01",member="fe01",code_class="2xx"}': 1,
    } | {
        f'lyncgate_request_phase_seconds_count{{phase="{phase}",kind="request"}}': 1
        for phase in ("request_headers", "request_body", "route", "wait", "response_body", "total")
    }


def test_a_poll_stays_out_of_the_durations_and_unended_phases_are_not_counted(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.observe(POLL)
    metrics.observe(LONG_POLL)

    growth = grown(metrics, before)
    assert not [name for name in growth if name.startswith("lyncgate_request_duration_seconds")]
    assert growth['lyncgate_request_phase_seconds_count{phase="total",kind="poll"}'] == 1
    assert growth['lyncgate_request_phase_seconds_count{phase="wait",kind="poll"}'] == 1
    assert growth['lyncgate_errors_total{kind="poll",outcome="client_gone",source="client"}'] == 1
    # 900 s lies between two of Microsoft's limits, and the buckets can tell.
    after = series(metrics)
    bucket = 'lyncgate_request_phase_seconds_bucket{{phase="total",kind="poll",le="{}"}}'
    assert (after[bucket.format("600.0")], after[bucket.format("900.0")]) == (0, 1)


def test_an_answer_the_edge_made_is_not_the_members(metrics: Metrics) -> None:
    before = series(metrics)
    reset = msgspec.structs.replace(
        TICKET, status=502, outcome=Outcome.UPSTREAM_RESET, phases=TICKET.phases | {Phase.WAIT: None}
    )
    metrics.observe(reset)
    metrics.observe(NO_MEMBER)

    growth = grown(metrics, before)
    assert not [name for name in growth if name.startswith("lyncgate_upstream_responses")]
    assert growth['lyncgate_errors_total{kind="request",outcome="upstream_reset",source="upstream"}'] == 1
    assert growth['lyncgate_errors_total{kind="request",outcome="no_member",source="proxy"}'] == 1


def test_ten_thousand_random_requests_make_no_series(metrics: Metrics) -> None:
    rng = random.Random(7)

    def word() -> str:
        return "".join(chr(rng.randrange(1, 0x250)) for _ in range(rng.randrange(1, 20)))

    def scan() -> None:
        metrics.observe(
            msgspec.structs.replace(
                SCAN, host=word(), path="/" + word(), method=word(), user_agent=word(), sip_user=word()
            )
        )

    scan()
    before = series(metrics).keys()
    for _ in range(10_000):
        scan()
    assert series(metrics).keys() == before


def test_even_labels_hold_only_what_the_policy_or_a_closed_list_has(metrics: Metrics) -> None:
    """Should a bug let a client's words through to a label, they end as `_other`."""

    def junk(n: int) -> None:
        metrics.observe(
            msgspec.structs.replace(
                TICKET,
                listener=f"l{n}",
                publication=f"p{n}",
                decision=f"d{n}",
                stage=f"s{n}",
                status=600 + 100 * n,
                pool=f"pool{n}",
                member=f"m{n}",
            )
        )
        metrics.rejected(f"l{n}", f"r{n}")
        metrics.connection_opened(f"l{n}")
        metrics.connection_closed(f"l{n}")
        metrics.failover(f"pool{n}", f"m{n}")
        metrics.member_state(f"pool{n}", f"m{n}", True)
        metrics.member_check("pool01", f"m{n}", "tcp", True)

    junk(1)
    before = series(metrics)
    for n in range(2, 200):
        junk(n)
    after = series(metrics)
    assert after.keys() == before.keys()
    other = (
        'lyncgate_requests_total{listener="_other",publication="_other",decision="_other",'
        'code_class="_other",source="upstream"}'
    )
    assert after[other] == 199


def test_reload_removes_what_is_gone_and_keeps_what_stays(metrics: Metrics) -> None:
    for member in ("fe01", "fe02"):
        metrics.member_state("pool01", member, True)
        metrics.member_check("pool01", member, "tcp", True)
        metrics.member_load("pool01", member, lambda: 1)
    metrics.observe(TICKET)
    metrics.connection_opened("http")

    https = POLICY.listeners["https"]
    renewed = CertificateFiles("/new.pem", "/k.pem", ("meet.contoso.example",), not_after=2_100_000_000.0)
    smaller = dataclasses.replace(
        POLICY,
        listeners={"https": dataclasses.replace(https, certificates=(renewed,))},
        pools={"pool01": Pool("pool01", (Member("fe01", "fe01.contoso.example"),))},
        publications=POLICY.publications[:1],
    )
    metrics.configure(smaller)
    after = series(metrics)

    assert not [name for name in after if "fe02" in name or "simple urls" in name]
    assert after['lyncgate_upstream_up{pool="pool01",member="fe01"}'] == 1
    assert (
        after[
            'lyncgate_requests_total{listener="https",publication="web services",decision="forward",'
            'code_class="2xx",source="upstream"}'
        ]
        == 1
    )
    expiries = {name: value for name, value in after.items() if name.startswith("lyncgate_certificate_")}
    assert expiries == {
        'lyncgate_certificate_not_after_timestamp_seconds{name="https/meet.contoso.example"}': 2_100_000_000.0
    }
    # A check that ends after the reload does not bring the member back.
    metrics.member_check("pool01", "fe02", "tcp", False)
    assert not [name for name in series(metrics) if "fe02" in name]
    # A connection is closed where it was counted.
    metrics.connection_closed("http")
    assert series(metrics)['lyncgate_connections{listener="http",state="open"}'] == 0


def test_of_two_certificates_of_one_name_the_earlier_expiry_counts() -> None:
    https = POLICY.listeners["https"]
    old, new = (CertificateFiles("/c", "/k", ("meet.contoso.example",), not_after=t) for t in (1e9, 2e9))
    name = 'lyncgate_certificate_not_after_timestamp_seconds{name="https/meet.contoso.example"}'
    for certificates in ((old, new), (new, old)):
        metrics = Metrics()
        listener = dataclasses.replace(https, certificates=certificates)
        metrics.configure(dataclasses.replace(POLICY, listeners={"https": listener}))
        assert series(metrics)[name] == 1e9


def test_a_refused_reload_leaves_the_version_in_force(metrics: Metrics) -> None:
    metrics.reload(True, 100.0, "aaaaaaaaaaaa")
    metrics.reload(True, 200.0, "bbbbbbbbbbbb")
    metrics.reload(False, 300.0, "bbbbbbbbbbbb")

    reloads = {name: value for name, value in series(metrics).items() if "_config_" in name}
    assert reloads == {
        "lyncgate_config_last_reload_successful": 0,
        "lyncgate_config_last_reload_success_timestamp_seconds": 200.0,
        'lyncgate_config_reloads_total{result="success"}': 2,
        'lyncgate_config_reloads_total{result="failure"}': 1,
        'lyncgate_config_info{version="bbbbbbbbbbbb"}': 1,
    }


def test_the_first_error_is_a_rise_that_rate_can_see(metrics: Metrics) -> None:
    """A counter that appears with 1 has no increase for Prometheus: errors exist at 0 before."""
    exchanges = [
        msgspec.structs.replace(NO_MEMBER, outcome=outcome, kind=kind)
        for kind in type(TICKET.kind)
        for outcome in Outcome
        if outcome not in (Outcome.OK, Outcome.CLIENT_GONE, Outcome.UPSTREAM_RESET, Outcome.UPSTREAM_INVALID)
    ]
    before = series(metrics).keys()
    for exchange in exchanges:
        metrics.observe(msgspec.structs.replace(exchange, ended_by=Source.PROXY))
    metrics.rejected("https", "head_too_large")
    metrics.failover("pool01", "fe02")
    new = {
        name for name in series(metrics).keys() - before if "_seconds_" not in name and "_bytes_" not in name
    }
    assert not new


def test_a_refusal_counts_once_wherever_it_was_made(metrics: Metrics) -> None:
    """decide()'s come as exchanges; framing's are told to rejected() and come as exchanges too."""
    before = series(metrics)
    metrics.observe(SCAN)
    metrics.rejected("http", Fault.URL_TOO_LONG)
    metrics.observe(msgspec.structs.replace(SCAN, reason=Fault.URL_TOO_LONG))

    rejections = {name: by for name, by in grown(metrics, before).items() if "_rejections_" in name}
    assert rejections == {
        'lyncgate_guard_rejections_total{listener="http",reason="not_published"}': 1,
        'lyncgate_guard_rejections_total{listener="http",reason="url_too_long"}': 1,
    }


def test_polls_held(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.poll_started()
    metrics.poll_ended()
    assert series(metrics)["lyncgate_polls_held"] == 2


def test_every_family_says_what_it_tells_and_none_has_created_series() -> None:
    families = [f for f in exercised().registry.collect() if f.name.startswith("lyncgate_")]
    assert len(families) > 20
    for family in families:
        assert family.samples, family.name
        assert family.documentation.endswith(".")
        assert len(family.documentation) > 20
    assert not [name for name in series(exercised()) if "_created" in name]


def test_process_metrics_are_there(metrics: Metrics) -> None:
    started = metrics.registry.get_sample_value("process_start_time_seconds")
    assert started is not None
    assert 0 < started <= time.time()
    assert (metrics.registry.get_sample_value("process_open_fds") or 0) > 2


def test_a_check_that_a_reload_takes_away_leaves_no_verdict(metrics: Metrics) -> None:
    """It would say for ever what was seen last: a member that is down."""
    metrics.member_state("pool01", "fe01", False)
    for check in ("tcp", "https"):
        metrics.member_check("pool01", "fe01", check, False)
    pool = POLICY.pools["pool01"]

    def told(health: Health) -> list[str]:
        metrics.configure(
            dataclasses.replace(POLICY, pools={"pool01": dataclasses.replace(pool, health=health)})
        )
        return [name for name in series(metrics) if name.startswith(("lyncgate_upstream_up", CHECK_UP))]

    one = [
        'lyncgate_upstream_up{pool="pool01",member="fe01"}',
        'lyncgate_upstream_check_up{pool="pool01",member="fe01",check="https"}',
    ]
    assert sorted(told(Health(tcp=None))) == sorted(one)
    assert told(Health(tcp=None, https=None)) == []
