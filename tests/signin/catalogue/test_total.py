"""Whatever a sign-in holds, diagnosis says something about it or nothing, and never fails; what it says holds
no more of the outside world than it should."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.diagnose import diagnose, fill
from lyncgate.signin.events import (
    TEXT_LIMIT,
    Certificate,
    DnsQuery,
    Event,
    Handshake,
    HandshakeOutcome,
    SipMessage,
    TraceLine,
)
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.finding import Certainty, Fix
from lyncgate.signin.keys import Keys
from lyncgate.signin.story import SignIn, SignInOutcome
from signin.catalogue.made import (
    ALICE,
    BOB,
    CAROL,
    DISCOVER,
    FE1,
    FE2,
    INTERNAL,
    MCX,
    ROOT,
    TICKET,
    UCWA,
    WEB,
    made,
)

NAMES = st.sampled_from(
    [DISCOVER, INTERNAL, WEB, "sip.contoso.test", "*.online.lync.com", "_other", "", "ü.test"]
)
PATHS = st.sampled_from(
    [
        "/",
        "",
        ROOT,
        f"{ROOT}/user",
        TICKET,
        f"{TICKET}/mex",
        UCWA,
        f"{UCWA}/1/events",
        MCX,
        "/certprov/x",
        "/passiveauth/p",
        "/hosting/discovery",
    ]
)
URLS = st.one_of(
    st.text(max_size=30), st.builds("https://{}{}".format, NAMES, PATHS), st.just("https://[::1/root")
)
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["ApplicationNotFound", "SessionNotFound", "PGetReplaced", "invalid_grant", "unknown ca", "x" * 999]
    ),
)
TIMES = st.one_of(st.floats(0, 4000), st.floats(allow_nan=False, allow_infinity=False))
IDS = st.integers(1, 40).map("{:016x}".format)
maybe = lambda strategy: st.one_of(st.none(), strategy)  # noqa: E731
several = lambda strategy: st.lists(strategy, max_size=3).map(tuple)  # noqa: E731

KEYS = st.builds(
    Keys,
    connection=maybe(st.sampled_from(["c1", "c2"])),
    application=maybe(st.sampled_from(["a", "b"])),
    account=maybe(st.sampled_from([ALICE, BOB, "CONTOSO\\alice"])),
)
FACTS = st.builds(
    Facts,
    operation=maybe(WORDS),
    document=maybe(st.sampled_from(Document)),
    access_location=maybe(st.sampled_from(["Internal", "External"])),
    links=several(
        st.tuples(st.sampled_from(["User", "Redirect", "External/Mcx", "Internal/Ucwa", "Ucwa"]), URLS)
    ),
    redirect=maybe(URLS),
    content_type=maybe(st.sampled_from(["text/html", "text/xml", "application/json", ""])),
    framing=maybe(st.sampled_from(["length", "chunked", "close"])),
    auth_offered=several(st.sampled_from(["NTLM", "Negotiate", "Basic"])),
    auth_used=maybe(st.sampled_from(["NTLM", "Bearer"])),
    ntlm=maybe(st.sampled_from([1, 3])),
    ntlm_challenge=st.booleans(),
    authentication_urls=several(URLS),
    diagnostics=maybe(st.sampled_from([28000, 28001, 28020, 28029, 28032, 28055, 1])),
    diagnostics_text=maybe(WORDS),
    warning=maybe(WORDS),
    error=maybe(WORDS),
    cookies=several(st.sampled_from(["MS-WSMAN=; path=/", "LB=; HttpOnly", "", "=", ";;"])),
    cookies_sent=several(st.sampled_from(["MS-WSMAN", "LB"])),
    settings=several(st.tuples(st.just("EnableMobility"), st.sampled_from(["false", "True"]))),
    upstream=maybe(st.sampled_from(["u1", "u2"])),
    origin_sent=st.booleans(),
)
EXCHANGES = st.builds(
    Exchange,
    id=IDS,
    listener=st.just("https"),
    scheme=st.sampled_from(["http", "https"]),
    source_ip=st.just("203.0.113.9"),
    connection=st.sampled_from(["c1", "c2"]),
    started=TIMES,
    method=st.sampled_from(["GET", "POST", "DELETE", "_other"]),
    host=NAMES,
    path=PATHS,
    kind=st.sampled_from(Kind),
    stage=maybe(st.sampled_from(Stage)),
    decision=st.sampled_from(["deny", "forward", "answer", "redirect"]),
    status=maybe(
        st.sampled_from([200, 201, 204, 301, 302, 400, 401, 403, 404, 407, 409, 500, 502, 503, 504])
    ),
    ended_by=st.sampled_from(Source),
    outcome=maybe(st.sampled_from(Outcome)),
    server_fqdn=maybe(st.sampled_from([FE1, FE2, "", "ü"])),
    phases=st.dictionaries(st.just(Phase.TOTAL), maybe(TIMES)),
    origin=st.sampled_from(["edge", "capture", "har"]),
    facts=FACTS,
    keys=KEYS,
)
CERTIFICATES = st.builds(
    Certificate,
    names=several(NAMES),
    issuer=WORDS,
    not_before=TIMES,
    not_after=TIMES,
    chain=st.integers(0, 3),
)
HANDSHAKES = st.builds(
    Handshake,
    id=IDS,
    started=TIMES,
    origin=st.sampled_from(["edge", "capture", "probe"]),
    side=st.sampled_from(["client", "upstream"]),
    address=maybe(st.sampled_from(["192.0.2.1:80", "[::1]:443", "x"])),
    server_name=maybe(NAMES),
    outcome=st.sampled_from(HandshakeOutcome),
    detail=WORDS,
    versions=several(st.sampled_from(["TLSv1", "TLSv1.2"])),
    certificate=maybe(CERTIFICATES),
    certificate_problem=maybe(st.sampled_from(["name", "expired", "not_yet", "chain", "self_signed"])),
    first_words=maybe(st.sampled_from(["sip", "other"])),
)
DNS = st.builds(
    DnsQuery,
    id=IDS,
    started=TIMES,
    name=st.one_of(NAMES, st.just("_sipfederationtls._tcp.contoso.test")),
    kind=st.sampled_from(["A", "AAAA", "SRV"]),
    rcode=maybe(st.sampled_from(["NOERROR", "NXDOMAIN", "SERVFAIL"])),
    answers=several(st.sampled_from(["A 192.0.2.1", "CNAME x.test", "CNAME", ""])),
    view=maybe(st.sampled_from(["internal", "external"])),
)
SIP = st.builds(
    SipMessage,
    id=IDS,
    started=TIMES,
    origin=st.just("trace:fe1"),
    incoming=st.booleans(),
    method=st.sampled_from(["REGISTER", "MESSAGE"]),
    status=maybe(st.sampled_from([200, 401, 504])),
    reason=maybe(WORDS),
    contact=maybe(st.sampled_from(["pool:5087", "x"])),
)
LINES = st.builds(
    TraceLine,
    id=IDS,
    started=TIMES,
    origin=st.just("trace:fe1"),
    level=st.sampled_from(["TL_INFO", "TL_ERROR"]),
    component=WORDS,
    function=WORDS,
    text=WORDS,
)
EVENTS: st.SearchStrategy[Event] = st.one_of(EXCHANGES, EXCHANGES, HANDSHAKES, DNS, SIP, LINES)


def sign_ins(most: int) -> st.SearchStrategy[SignIn]:
    return st.builds(
        lambda events, user, outcome: made(*events, user=user, outcome=outcome),
        st.lists(EVENTS, max_size=most),
        st.sampled_from([ALICE, BOB, CAROL, None, "x", "a'b; rm -rf /@contoso.test"]),
        st.sampled_from(SignInOutcome),
    )


@settings(max_examples=300, deadline=None)
@given(sign_ins(12), st.lists(sign_ins(4), max_size=3))
def test_any_sign_in_can_be_diagnosed(sign_in: SignIn, around: list[SignIn]) -> None:
    findings = diagnose(sign_in, [*around, sign_in])
    assert len({finding.code for finding in findings}) == len(findings)
    ranks = [list(Certainty).index(finding.certainty) for finding in findings]
    assert ranks == sorted(ranks)
    ids = {event.id for event in sign_in.events}
    for finding in findings:
        assert finding.evidence
        for evidence in finding.evidence:
            assert evidence.event is None or evidence.event in ids
            assert 0 < len(evidence.said) <= TEXT_LIMIT
        assert all(not fix.command or "rm -rf" not in fix.command for fix in finding.fixes)
    assert findings == diagnose(sign_in, [*around, sign_in])


@given(st.text(max_size=30))
def test_what_is_filled_in_is_a_word_to_any_shell(value: str) -> None:
    command = fill(Fix(said="", command="X '{user}'"), {"user": value}).command or ""
    assert command == f"X '{value}'" or command == "X '<user>'"
    assert re.fullmatch(r"X '(?:<user>|[A-Za-z0-9._@+\\-]+)'", command)


def test_every_command_can_be_filled_in_and_every_entry_is_whole() -> None:
    known = {"user", "account", "domain", "server", "pool", "web", "host"}
    for entry in CATALOGUE.values():
        assert all((entry.symptom, entry.looks, entry.cause, entry.sure, entry.fixes, entry.sources))
        assert set(entry.explains) <= CATALOGUE.keys() - {entry.code}
        for fix in entry.fixes:
            filled = fill(fix, dict.fromkeys(known, "word")).command or ""
            assert not re.search(r"<(?:user|account|domain|server|pool|web|host)>", filled), entry.code


def test_the_catalogue_has_all_fifty_in_order() -> None:
    assert list(CATALOGUE) == [f"F{number:02}" for number in range(1, 51)]
