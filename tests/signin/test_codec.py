"""Events as lines of JSON and back; a sign-in as a document."""

import json
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.stages import Stage
from lyncgate.signin import codec
from lyncgate.signin.events import Certificate, DnsQuery, Handshake, HandshakeOutcome, TraceLine
from lyncgate.signin.exchange import Kind, Outcome, Phase
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.finding import Certainty, Evidence, Finding, Fix, Grade
from lyncgate.signin.keys import Keys
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState, StageView
from support.changed import changed
from support.events import events, exchange

EXCHANGE = exchange(
    path="/ucwa/v1/applications/1/events",
    kind=Kind.POLL,
    stage="notifications",
    status=200,
    outcome=Outcome.OK,
    phases={Phase.WAIT: 0.125, Phase.RESPONSE_BODY: None},
    keys=Keys(connection="c1", tickets=("f00d", "cafe"), user="alice@contoso.example", client="192.0.2.7"),
    facts=Facts(document=Document.EVENTS, links=(("self", "https://lyncweb.contoso.example/x"),), contacts=3),
)


@given(events())
def test_comes_back_as_it_was(event):
    line = codec.dumps(event)
    assert "\n" not in line
    assert codec.loads(line) == event
    assert json.loads(line)["type"] == event.type


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_json_does_not_have(number):
    """A time that is none is the beginning of all; how long it took is not known."""
    odd = changed(EXCHANGE, started=number, phases={Phase.WAIT: number, Phase.TOTAL: 1e-7})
    plain = changed(EXCHANGE, started=0.0, phases={Phase.WAIT: None, Phase.TOTAL: 1e-7})
    assert codec.loads(codec.dumps(odd)) == plain


def test_times_of_today_come_back_exactly():
    for tick in range(1000):
        odd = changed(EXCHANGE, started=1789000000.25 + tick / 4194304)
        assert codec.loads(codec.dumps(odd)) == odd


def test_what_is_not_there_takes_no_room():
    query = DnsQuery(id="1", started=5.0, name="lyncdiscover.contoso.example", kind="A", rcode=None)
    assert json.loads(codec.dumps(query)) == {
        "type": "dns",
        "id": "1",
        "started": 5.0,
        "name": "lyncdiscover.contoso.example",
        "kind": "A",
        "rcode": None,
    }


def test_a_phase_without_an_end_is_not_lost():
    assert '"response_body":null' in codec.dumps(EXCHANGE)
    assert codec.loads(codec.dumps(EXCHANGE)) == EXCHANGE


def test_fields_of_a_newer_version_are_passed_over():
    line = json.loads(codec.dumps(EXCHANGE))
    line |= {"colour": "red", "keys": line["keys"] | {"shape": [1]}, "facts": line["facts"] | {"taste": {}}}
    assert codec.loads(json.dumps(line)) == EXCHANGE


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not an event: Input data was truncated"),
        ("\x00\x01", "not an event: JSON is malformed"),
        ("[]", "not an event: Expected `object`, got `array`"),
        ("{}", "not an event: Object missing required field `type`"),
        ('{"type":"smoke"}', "not an event: Invalid value 'smoke' - at `$.type`"),
        (
            '{"type":"dns","id":"1","started":1,"kind":"A","rcode":null}',
            "not an event: Object missing required field `name`",
        ),
        (
            '{"type":"trace","keys":{"user":5}}',
            "not an event: Expected `str | null`, got `int` - at `$.keys.user`",
        ),
    ],
)
def test_garbage_is_named(line, said):
    with pytest.raises(ValueError, match="not an event") as raised:
        codec.loads(line)
    assert str(raised.value).startswith(said)


@given(st.text() | st.binary())
def test_garbage_raises_nothing_else(line):
    with pytest.raises(ValueError, match=r"^not an event: "):
        codec.loads(line)


def test_half_a_surrogate_pair_does_not_stop_the_journal():
    line = TraceLine(
        id="1", started=1.0, origin="trace:x", level="", component="", function="", text="a\ud83d"
    )
    read = codec.loads(codec.dumps(line))
    assert isinstance(read, TraceLine)
    assert read.text == "a?"


def test_is_quick():
    """20 µs each is the aim; the bound leaves room for a busy machine."""
    line = codec.dumps(EXCHANGE)
    for work in (lambda: codec.dumps(EXCHANGE), lambda: codec.loads(line)):
        assert min(timeit.repeat(work, number=500, repeat=5)) / 500 < 100e-6


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (1789000000.9999, "2026-09-10T00:26:40.999Z"),
        (-5.0, "1970-01-01T00:00:00.000Z"),
        (float("nan"), "1970-01-01T00:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_times_are_always_times(seconds, written):
    assert codec.iso(seconds) == written


def test_document():
    shown = Certificate(names=("lyncweb.contoso.example",), issuer="x", not_before=0, not_after=1, chain=1)
    handshake = Handshake(
        id="h1", started=5.0, origin="probe", outcome=HandshakeOutcome.UNTRUSTED, certificate=shown
    )
    views = tuple(
        StageView(stage=stage, state=StageState.NOT_REACHED)
        if stage is not Stage.NOTIFICATIONS
        else StageView(
            stage=stage,
            state=StageState.OK,
            started=EXCHANGE.started,
            seconds=0.125,
            said="poll",
            origins=("edge",),
            events=(EXCHANGE.id,),
        )
        for stage in Stage
    )
    sign_in = SignIn(
        id="5",
        user="alice@contoso.example",
        account=None,
        client="192.0.2.7",
        device=None,
        started=5.0,
        ended=EXCHANGE.started,
        outcome=SignInOutcome.FAILED,
        failed_stage=Stage.READY,
        stages=views,
        events=(handshake, EXCHANGE),
        joined=(("h1", Joined.ADDRESS), (EXCHANGE.id, Joined.KEY)),
        offsets=(("trace:fe01", 2.5),),
    )
    finding = Finding(
        code="F20",
        title="t",
        stage=Stage.READY,
        certainty=Certainty.CERTAIN,
        cause="c",
        evidence=(Evidence(said="e", event=EXCHANGE.id),),
        fixes=(Fix(said="f", command="Grant-…"),),
        grade=Grade.DOCUMENT,
        source="s",
    )
    said = json.loads(json.dumps(codec.document(sign_in, (finding,))))
    assert said["started"] == "1970-01-01T00:00:05.000Z"
    assert (said["outcome"], said["failed_stage"], said["offsets"]) == (
        "failed",
        "ready",
        {"trace:fe01": 2.5},
    )
    assert [row["stage"] for row in said["stages"]] == [*Stage]
    assert said["findings"][0]["fixes"] == [{"said": "f", "command": "Grant-…"}]
    first, second = said["events"]
    assert (first["joined"], first["type"]) == ("address", "handshake")
    assert first["certificate"]["not_after"] == "1970-01-01T00:00:01.000Z"
    assert (second["started"], second["phases"]) == (
        "2026-09-10T00:26:40.250Z",
        {"wait": 0.125, "response_body": None},
    )
