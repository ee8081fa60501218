"""What the events of a sign-in mean for its stages, and how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import DnsQuery, Event, Handshake, HandshakeOutcome, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Outcome, Phase
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Keys
from lyncgate.signin.stages import SETTLE, assemble
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState
from support.changed import changed
from support.plays import WEB, Play, hex_of

OK, FAILED = StageState.OK, StageState.FAILED
NOT_OBSERVED, NOT_REACHED = StageState.NOT_OBSERVED, StageState.NOT_REACHED


def told(events: list[Event], now: float | None = None) -> SignIn:
    return assemble("x", events, {event.id: Joined.KEY for event in events}, now=now)


def played(changes: dict[str, dict[str, Any]] | None = None, **fields: Any) -> list[Event]:
    """The events of a play, some of them changed, or left out (None)."""
    play = Play("x", **fields)
    events: dict[str, Event] = {event.id: event for event in play.events}
    for name, change in (changes or {}).items():
        event = events.pop(hex_of("x", *name.split()))
        if change:
            events[event.id] = changed(event, **change)
    return list(events.values())


def state(sign_in: SignIn, stage: Stage) -> StageState:
    return sign_in.stage(stage).state


def test_a_healthy_sign_in() -> None:
    sign_in = told(played(certificate=True))
    assert {view.stage: view.state for view in sign_in.stages} == dict.fromkeys(Stage, OK)
    assert [view.stage for view in sign_in.stages] == list(Stage)
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.OK, None)
    assert (sign_in.user, sign_in.account) == ("alice@contoso.example", r"CONTOSO\alice")
    timed = [view for view in sign_in.stages if view.stage.value[:4] != "dns_"]
    assert all(view.seconds is not None and view.started is not None and view.said for view in timed)
    assert sign_in.stage(Stage.START).seconds == pytest.approx(0.04)  # until somebody is named
    assert sign_in.stage(Stage.TICKET).seconds == pytest.approx(0.016)  # four requests, no pauses
    assert sign_in.stage(Stage.NOTIFICATIONS).seconds == pytest.approx(0.002)  # not the hanging
    assert sign_in.stage(Stage.REGISTER).origins == ("edge", "trace:fe01")


def test_what_nobody_watched_is_not_observed() -> None:
    sign_in = told(played(dns=False, trace=False))
    for stage in (Stage.DNS_INTERNAL, Stage.DNS_DISCOVER, Stage.DNS_WEB, Stage.CERTIFICATE):
        view = sign_in.stage(stage)
        assert (view.state, view.started, view.seconds, view.said, view.events) == (
            NOT_OBSERVED,
            None,
            None,
            "",
            (),
        )
    assert sign_in.outcome is SignInOutcome.OK


@pytest.mark.parametrize(
    ("fault", "at"),
    [
        ("dns", Stage.DNS_DISCOVER),
        ("connect", Stage.CONNECT),
        ("discover", Stage.DISCOVER),
        ("password", Stage.TICKET),
        ("register", Stage.REGISTER),
        ("poll", Stage.NOTIFICATIONS),
    ],
)
def test_where_it_ends(fault: str, at: Stage) -> None:
    sign_in = told(played(fault=fault, trace=False))
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, at)
    later = list(Stage)[list(Stage).index(at) + 1 :]
    seen = {Stage.READY} if fault == "poll" else set()
    assert {stage for stage in later if state(sign_in, stage) is not NOT_REACHED} == seen
    assert FAILED not in {state(sign_in, stage) for stage in Stage if stage is not at}


def test_a_401_is_the_way_to_a_ticket() -> None:
    """A user document is refused, asks for a ticket, and that fails: locating is what went well."""
    sign_in = told(played(fault="password"))
    assert state(sign_in, Stage.LOCATE) is OK
    assert "401" in sign_in.stage(Stage.TICKET).said
    open_ = told(played(fault="password"), now=1000.2)
    assert (open_.outcome, open_.failed_stage) == (SignInOutcome.OPEN, None)
    assert (state(open_, Stage.TICKET), open_.stage(Stage.TICKET).seconds) == (NOT_REACHED, None)


def test_a_home_that_is_not_known() -> None:
    sign_in = told(
        played({"user2": {"status": 404}, **dict.fromkeys(["app", "poll0"])}, fault="none", trace=False)
    )
    assert state(sign_in, Stage.LOCATE) is FAILED


def test_the_mobility_policy_forbids_it() -> None:
    refused = {"stage": "mobility_policy", "status": 403}
    rest: dict[str, Any] = dict.fromkeys(["poll0", "more0", "more1", "more2", "more3"])
    sign_in = told(played({"app": refused, **rest}, trace=False))
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, Stage.MOBILITY_POLICY)
    assert state(sign_in, Stage.REGISTER) is NOT_OBSERVED


def test_a_session_tells_of_the_mobility_policy() -> None:
    facts = Facts(operation="InitiateSession", settings=(("EnableOutsideVoice", "true"),))
    sign_in = told(played({"app": {"facts": facts}, "more0": None}, device="mcx", trace=False))
    view = sign_in.stage(Stage.MOBILITY_POLICY)
    assert (view.state, view.events) == (OK, (hex_of("x", "app"),))
    assert "EnableOutsideVoice" in view.said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": 200, "facts": Facts(document=Document.HTML)}, FAILED),
        ({"status": 200, "facts": Facts(document=Document.OTHER)}, FAILED),
        ({"status": 200, "facts": Facts(document=Document.ROOT)}, OK),
        ({"status": 407}, FAILED),
        ({"status": None, "outcome": Outcome.NO_MEMBER}, FAILED),
        (
            {"status": 302, "facts": Facts(redirect="https://lyncdiscover.contoso.example/CookieAuth.dll")},
            FAILED,
        ),
        ({"status": 301, "facts": Facts(redirect="https://www.fabrikam.example/")}, FAILED),
    ],
)
def test_what_is_an_answer_to_discovery(change: dict[str, Any], expected: StageState) -> None:
    sign_in = told(played({"find2": change}, fault="discover"))
    assert state(sign_in, Stage.DISCOVER) is expected


def test_port_80_leads_to_https() -> None:
    assert state(told(played()), Stage.REDIRECT) is OK
    elsewhere = {"status": 301, "facts": Facts(redirect="https://www.fabrikam.example/")}
    sign_in = told(played({"find1": elsewhere}, fault="discover"))
    assert state(sign_in, Stage.REDIRECT) is not OK


def test_a_name_inside_that_exists_is_no_failure_of_the_sign_in() -> None:
    """What it means, diagnosis says (F02)."""
    name = "lyncdiscoverinternal.contoso.example"
    there = {"rcode": "NOERROR", "answers": ("A 192.0.2.99",)}
    sign_in = told(played({f"dns {name}": there}))
    view = sign_in.stage(Stage.DNS_INTERNAL)
    assert (view.state, "192.0.2.99" in view.said) == (OK, True)
    assert "as it should be" in told(played()).stage(Stage.DNS_INTERNAL).said


def test_a_name_of_the_web_services_that_does_not_exist() -> None:
    query = DnsQuery(
        id="q", started=1000.3, name="pool01.contoso.local", kind="A", rcode="NXDOMAIN", keys=Keys()
    )
    gone = dict.fromkeys(["user1", "mex", "rst1", "rst2"])
    sign_in = told([*played(gone, fault="password"), query])
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, Stage.DNS_WEB)


def handshake(started: float) -> Handshake:
    return Handshake(
        id="h", started=started, origin="edge", outcome=HandshakeOutcome.ALERT, server_name=WEB, seconds=0.1
    )


def test_who_gets_over_a_failed_handshake_has_connected() -> None:
    early, late = told([*played(), handshake(1000.05)]), told([*played(fault="discover"), handshake(1000.5)])
    assert state(early, Stage.CONNECT) is OK
    assert (late.stage(Stage.CONNECT).state, "alert" in late.stage(Stage.CONNECT).said) == (FAILED, True)


@pytest.mark.parametrize(
    ("origin", "outcome", "expected"),
    [
        ("capture", HandshakeOutcome.REFUSED, FAILED),  # the capture connects in the phone's place
        ("capture", HandshakeOutcome.ALERT, FAILED),
        ("capture", HandshakeOutcome.UNTRUSTED, NOT_REACHED),  # it goes on; what it means, diagnosis says
        ("capture", HandshakeOutcome.OK, OK),
        ("edge", HandshakeOutcome.REFUSED, NOT_REACHED),  # a member's door, none that the phone knocked at
    ],
)
def test_what_is_behind_who_watches(origin: str, outcome: HandshakeOutcome, expected: StageState) -> None:
    name, behind = handshake(1000.5), {"origin": origin, "side": "upstream", "outcome": outcome}
    sign_in = told([played(fault="dns")[0], changed(name, **behind)])
    assert state(sign_in, Stage.CONNECT) is expected


@pytest.mark.parametrize(
    ("origin", "at"), [("capture", Stage.CONNECT), ("har", Stage.CONNECT), ("edge", Stage.DISCOVER)]
)
def test_a_request_that_never_got_through_is_a_failed_connect(origin: str, at: Stage) -> None:
    """What was spoken with a capture counts for nothing. Behind an edge it is a member's connect."""
    failed = {"status": None, "outcome": Outcome.TLS_FAILED, "origin": origin}
    sign_in = told(played({"find1": failed, "find2": failed}, fault="discover"))
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, at)


def test_who_speaks_has_connected_even_if_nobody_timed_it() -> None:
    """As in a HAR."""
    events = [
        changed(event, phases={Phase.TOTAL: 0.1}) if isinstance(event, Exchange) else event
        for event in played()
    ]
    view = told(events).stage(Stage.CONNECT)
    assert (view.state, view.seconds) == (OK, None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"outcome": None, "status": None, "phases": {}}, OK),  # held
        ({"outcome": Outcome.CLIENT_GONE, "status": None}, OK),  # it was held for a while
        ({"status": 504}, OK),  # likewise: it gets through, and is disconnected
        ({"status": 404, "phases": {Phase.TOTAL: 0.01}}, FAILED),
        ({"status": 200, "facts": Facts(document=Document.FAULT), "phases": {Phase.TOTAL: 0.01}}, FAILED),
    ],
)
def test_how_a_poll_ends(change: dict[str, Any], expected: StageState) -> None:
    assert state(told(played({"poll0": change})), Stage.NOTIFICATIONS) is expected


def test_a_poll_proves_a_registration_that_nobody_saw() -> None:
    poll = [event for event in played() if event.id == hex_of("x", "poll0")]
    sign_in = told(poll)
    assert (sign_in.outcome, state(sign_in, Stage.REGISTER)) == (SignInOutcome.OK, NOT_OBSERVED)


def test_registered_and_silent_is_incomplete() -> None:
    gone: dict[str, Any] = dict.fromkeys(["poll0", "more0", "more1", "more2", "more3"])
    sign_in = told(played(gone, trace=False))
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.INCOMPLETE, None)
    assert state(sign_in, Stage.READY) is NOT_REACHED


@pytest.mark.parametrize(
    ("text", "stage", "expected"),
    [
        ("alice@contoso.example is enabled for mobility by policy global", Stage.MOBILITY_POLICY, OK),
        (
            "The global mobility policy global does not enable alice@contoso.example for mobility.",
            Stage.MOBILITY_POLICY,
            FAILED,
        ),
        ("alice@contoso.example endpoint=1 is registered, Call-ID=2", Stage.REGISTER, OK),
        ("alice@contoso.example endpoint=1 refused: 403", Stage.REGISTER, FAILED),
        ("alice@contoso.example endpoint=1 no registrar: refused", Stage.REGISTER, FAILED),
    ],
)
def test_lines_of_the_mobility_service(text: str, stage: Stage, expected: StageState) -> None:
    line = TraceLine(
        id="t",
        started=1.0,
        origin="trace:fe01",
        level="TL_INFO",
        component="MCXService",
        function="F",
        text=text,
    )
    assert state(told([line]), stage) is expected


def test_an_answer_in_a_trace_is_of_its_request() -> None:
    """Not every answer repeats the Event header."""
    keys = Keys(user="alice@contoso.example", dialog="d")
    common = {"origin": "trace:fe01", "keys": keys, "method": "SUBSCRIBE", "cseq": 3}
    asked = SipMessage(
        id="1",
        started=1.0,
        incoming=True,
        package="vnd-microsoft-provisioning-v2",
        **common,  # type: ignore[arg-type]
    )
    answered = SipMessage(id="2", started=1.1, incoming=False, status=200, **common)  # type: ignore[arg-type]
    assert state(told([asked, answered]), Stage.PROVISIONING) is OK
    refused = changed(answered, status=403)
    assert state(told([asked, refused]), Stage.PROVISIONING) is FAILED


def test_what_comes_later_than_a_minute_is_no_part_of_it() -> None:
    late = changed(
        next(e for e in played() if e.id == hex_of("x", "more3")), id="late", started=1100.0, status=500
    )
    assert told([*played(), late]).outcome is SignInOutcome.OK


def test_it_is_open_until_it_has_settled() -> None:
    events = played(open=True)
    assert told(events, now=1000.5 + SETTLE - 1).outcome is SignInOutcome.OPEN
    assert told(events, now=1000.5 + SETTLE).outcome is SignInOutcome.OK


def test_times_of_traces_are_set_right() -> None:
    events = played(skew=3600.0)
    why = {event.id: Joined.KEY for event in events}
    sign_in = assemble("x", events, why, {"trace:fe01": 3600.0, "trace:other": 1.0})
    assert sign_in.offsets == (("trace:fe01", 3600.0),)
    assert sign_in.seconds < 200
    started = [sign_in.stage(stage).started for stage in (Stage.REGISTER, Stage.READY)]
    assert all(1000 <= when <= 1001 for when in started if when is not None)
    assert [why for _, why in sign_in.joined] == [Joined.KEY] * len(events)
