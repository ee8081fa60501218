"""A small estate and what happens on it, for the tests of everything that reads exchanges."""

from __future__ import annotations

from typing import Any

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.metrics import Metrics
from lyncgate.policy.decision import Reason
from lyncgate.policy.policy import CertificateFiles, Listener, Member, Policy, Pool, Publication, Scheme
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.finding import Certainty, Evidence, Finding, Fix, Grade
from lyncgate.signin.story import SignIn, SignInOutcome, StageState, StageView
from support.changed import changed

POLICY = Policy(
    version="0123456789ab",
    domains={},
    users=(),
    listeners={
        "http": Listener("http", Scheme.HTTP, (("127.0.0.1", 80),), redirect=True),
        "https": Listener(
            "https",
            Scheme.HTTPS,
            (("127.0.0.1", 443),),
            certificates=(
                CertificateFiles("/c.pem", "/k.pem", ("lyncweb.contoso.example",), not_after=2_000_000_000.0),
            ),
        ),
    },
    pools={
        "pool01": Pool(
            "pool01", (Member("fe01", "fe01.contoso.example"), Member("fe02", "fe02.contoso.example"))
        )
    },
    publications=(
        Publication("web services", ("lyncweb.contoso.example",), "pool01"),
        Publication("simple urls", ("meet.contoso.example",), "pool01"),
    ),
)

# A web ticket: what most requests look like.
TICKET = Exchange(
    id="00000000000000a1",
    listener="https",
    scheme="https",
    source_ip="198.51.100.7",
    connection="c0ffee01",
    started=1_700_000_000.1234,
    method="POST",
    host="lyncweb.contoso.example",
    path="/webticket/webticketservice.svc",
    stage="ticket",
    decision="forward",
    rule='publication "web services"',
    publication="web services",
    ntlm_user="CONTOSO\\anna",
    pool="pool01",
    member="fe01",
    attempts=1,
    reused=True,
    status=200,
    request_bytes=1_432,
    response_bytes=4_096,
    ended_by=Source.UPSTREAM,
    outcome=Outcome.OK,
    server_fqdn="fe01.contoso.example",
    user_agent="Lync Mobile/5.4 (iPhone)",
    phases={
        Phase.REQUEST_HEADERS: 0.0004,
        Phase.REQUEST_BODY: 0.0021,
        Phase.ROUTE: 0.0002,
        Phase.WAIT: 0.0317,
        Phase.RESPONSE_BODY: 0.0009,
        Phase.TOTAL: 0.0353,
    },
)

# A poll that a device between phone and edge cut.
POLL = changed(
    TICKET,
    id="00000000000000a2",
    kind=Kind.POLL,
    method="GET",
    path="/ucwa/v1/applications/1/events",
    stage="notifications",
    ntlm_user=None,
    reused=False,
    attempts=2,
    member="fe02",
    status=None,
    request_bytes=0,
    response_bytes=0,
    ended_by=Source.CLIENT,
    outcome=Outcome.CLIENT_GONE,
    server_fqdn=None,
    phases={
        Phase.REQUEST_HEADERS: 0.0003,
        Phase.ROUTE: 0.0002,
        Phase.CONNECT: 0.0012,
        Phase.UPSTREAM_TLS: 0.0049,
        Phase.WAIT: None,
        Phase.TOTAL: None,
    },
)

# Someone asks for a name that is not published.
SCAN = Exchange(
    id="00000000000000a3",
    listener="http",
    scheme="http",
    source_ip="2001:db8::7",
    connection="c0ffee02",
    started=1_700_000_001.0,
    method="_other",
    host="_other",
    path='/a b"\\\u00fc\n\x1b[2J',
    status=404,
    outcome=Outcome.DENIED,
    reason=Reason.NOT_PUBLISHED,
    user_agent="-",
    phases={Phase.REQUEST_HEADERS: 0.0005, Phase.ROUTE: 0.0001, Phase.TOTAL: 0.0007},
)

NO_MEMBER = changed(
    TICKET,
    id="00000000000000a4",
    member=None,
    attempts=0,
    reused=None,
    status=503,
    response_bytes=0,
    ended_by=Source.PROXY,
    outcome=Outcome.NO_MEMBER,
    server_fqdn=None,
)

EXCHANGES = (TICKET, POLL, SCAN, NO_MEMBER)

# A poll that ended as it should, after a push wait of fifteen minutes.
LONG_POLL = changed(
    POLL,
    status=200,
    outcome=Outcome.OK,
    ended_by=Source.UPSTREAM,
    phases={Phase.REQUEST_HEADERS: 0.0003, Phase.WAIT: 899.9, Phase.TOTAL: 900.0},
)


# A sign-in that came as far as its application, and what is said of it.
REACHED = (Stage.START, Stage.DISCOVER, Stage.LOCATE, Stage.TICKET)
REFUSED = SignIn(
    id="00000000000000b1",
    user="anna@contoso.example",
    account="CONTOSO\\anna",
    client="198.51.100.7",
    device="Lync Mobile/5.4 (iPhone)",
    started=1_700_000_000.0,
    ended=1_700_000_002.5,
    outcome=SignInOutcome.FAILED,
    failed_stage=Stage.REGISTER,
    stages=tuple(
        StageView(stage=stage, state=StageState.OK, seconds=0.2)
        if stage in REACHED
        else StageView(stage=stage, state=StageState.FAILED, seconds=1.5)
        if stage is Stage.REGISTER
        else StageView(stage=stage, state=StageState.NOT_REACHED)
        for stage in Stage
    ),
    events=(),
    joined=(),
)
FINDING = Finding(
    code="F20",
    title="The user is not enabled for mobility",
    stage=Stage.REGISTER,
    certainty=Certainty.LIKELY,
    cause="No policy that allows it.",
    evidence=(Evidence(said="403 from fe01", event="00000000000000a1"),),
    fixes=(Fix(said="Grant one.", command="Grant-CsMobilityPolicy -Identity anna@contoso.example"),),
    grade=Grade.DOCUMENT,
    source="protocol reference §10",
)


def exercised() -> Metrics:
    """Metrics after each kind of event was told once: every family has a series."""
    metrics = Metrics()
    metrics.configure(POLICY)
    metrics.reload(True, 1_700_000_000.0, POLICY.version)
    metrics.connection_opened("https")
    metrics.poll_started()
    metrics.rejected("https", "unknown_name")
    metrics.access_log_dropped(1)
    metrics.journal.journaled(20)
    metrics.journal.journal_dropped(Dropped.BUFFER, 1)
    metrics.journal.journal_state(4096, 1)
    metrics.journal.sign_in_settled(REFUSED, (FINDING,))
    metrics.failover("pool01", "fe01")
    for member in ("fe01", "fe02"):
        metrics.member_check("pool01", member, "tcp", True)
        metrics.member_check("pool01", member, "https", True)
        metrics.member_state("pool01", member, True)
        metrics.member_load("pool01", member, lambda: 2)
        metrics.queued("pool01", member, 1)
    for exchange in (*EXCHANGES, LONG_POLL):
        metrics.observe(exchange)
    return metrics


def series(metrics: Metrics) -> dict[str, float]:
    """Every series as Prometheus writes it, with its value; the process's own left out."""
    return {
        _series_name(sample.name, sample.labels): sample.value
        for family in metrics.registry.collect()
        if not family.name.startswith("process_")
        for sample in family.samples
    }


def _series_name(name: str, labels: dict[str, Any]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name
