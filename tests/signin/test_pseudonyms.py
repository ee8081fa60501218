"""Names are hidden, equality is kept."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.signin import codec
from lyncgate.signin.events import DnsQuery, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.facts import Facts
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.pseudonyms import pseudonym, pseudonymise
from support.changed import changed
from support.events import events, exchange

HASHER = Hasher(b"k" * 16)
ALICE = pseudonym("alice", HASHER)

# The user in every spelling that is seen on the wire, with things around it.
SPELT = st.sampled_from(
    [
        *("alice@contoso.example", "sip:alice@contoso.example", "Alice@Contoso.Example"),
        *("sip%3Aalice%40contoso.example", "alice%40contoso.example", "<sip:alice@contoso.example>;tag=1"),
        *(
            "/people/alice@contoso.example/photo",
            "user 'alice@contoso.example' is",
            "x,alice@contoso.example",
        ),
    ]
)
ACCOUNTS = st.sampled_from(["alice", "CONTOSO\\alice", "ALICE@contoso.example", "contoso.example\\Alice"])


def trace(text, **keys):
    return TraceLine(
        id="1",
        started=1.0,
        origin="trace:fe01",
        level="TL_INFO",
        component="MCXService",
        function="f",
        text=text,
        keys=Keys(**keys),
    )


@given(events(SPELT))
def test_no_name_is_left(event):
    assert "alice" not in codec.dumps(pseudonymise(event, HASHER)).lower()


@given(events(SPELT), ACCOUNTS)
def test_no_account_is_left(event, account):
    event = changed(event, keys=changed(event.keys, account=account))
    assert "alice" not in codec.dumps(pseudonymise(event, HASHER)).lower()


@given(events(), st.from_regex(r"[a-z]{8}[.'_=+-]?[a-z]{8}", fullmatch=True))
def test_any_user_disappears(event, name):
    address = f"{name}@contoso.example"
    event = changed(event, keys=changed(event.keys, user=address))
    if isinstance(event, TraceLine):
        event = changed(event, text=f"Failed for {name} ({address})")
    if isinstance(event, Exchange):
        event.path = f"/ucwa/people/{address}/photo/{name}"
    assert name not in codec.dumps(pseudonymise(event, HASHER))


@given(events(SPELT))
def test_twice_is_once(event):
    once = pseudonymise(event, HASHER)
    assert pseudonymise(once, HASHER) == once


def test_one_person_is_one_pseudonym_everywhere():
    asked = exchange(
        path="/photos/sip%3aalice%40contoso.example",
        sip_user="alice@contoso.example",
        ntlm_user="CONTOSO\\Alice",
        keys=Keys(user="alice@contoso.example", account="CONTOSO\\Alice"),
        facts=Facts(settings=(("voiceMailUri", "sip:alice@contoso.example;opaque=app:voicemail"),)),
    )
    hidden = pseudonymise(asked, HASHER)
    assert isinstance(hidden, Exchange)
    assert hidden.keys == Keys(user=f"{ALICE}@contoso.example", account=f"CONTOSO\\{ALICE}")
    assert hidden.path == f"/photos/sip%3a{ALICE}%40contoso.example"
    assert hidden.sip_user == f"{ALICE}@contoso.example"
    assert hidden.ntlm_user == f"CONTOSO\\{ALICE}"
    assert hidden.facts.settings == (("voiceMailUri", f"sip:{ALICE}@contoso.example;opaque=app:voicemail"),)
    line = pseudonymise(trace("Alice signed in", user="alice@contoso.example"), HASHER)
    assert isinstance(line, TraceLine)
    assert line.text == f"{ALICE} signed in"
    assert re.fullmatch(r"user-[0-9a-f]{12}", ALICE)


def test_others_are_hidden_as_well():
    line = pseudonymise(trace("sip:bob@contoso.example called", user="alice@contoso.example"), HASHER)
    assert isinstance(line, TraceLine)
    assert line.text == f"sip:{pseudonym('bob', HASHER)}@contoso.example called"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("to tel:+14255550100;ext=1", "to tel:NUMBER;ext=1"),
        ("TEL%3A%2B14255550100 rang", "TEL%3ANUMBER rang"),
        ("tel:+1(425)555-0100", "tel:NUMBER"),
        ("+1 425 555-0100 is busy", "NUMBER is busy"),
        ("at 2026-11-29T20:15:49+00:00", "at 2026-11-29T20:15:49+00:00"),
        ("signature ab+14255550100==", "signature ab+14255550100=="),
        ('From "Bob Brown" <sip:bob@contoso.example>', 'From "…" <sip:BOB@contoso.example>'),
        ("From: Bob Brown <sip:bob@contoso.example>", 'From: "…" <sip:BOB@contoso.example>'),
        ("the call from <sip:bob@contoso.example>", "the call from <sip:BOB@contoso.example>"),
    ],
)
def test_numbers_and_display_names(text, hidden):
    line = pseudonymise(trace(text), HASHER)
    assert isinstance(line, TraceLine)
    told = re.sub("number-[0-9a-f]{12}", "NUMBER", line.text).replace(pseudonym("bob", HASHER), "BOB")
    assert told == hidden
    assert pseudonymise(line, HASHER) == line


def test_one_number_is_one_pseudonym():
    one = pseudonymise(trace("tel:+14255550100 +1 425 555 0100 tel:+14255550101"), HASHER)
    assert isinstance(one, TraceLine)
    first, second, other = re.findall("number-[0-9a-f]+", one.text)
    assert first == second != other


def test_another_key_gives_other_pseudonyms():
    assert pseudonym("alice", Hasher(b"other" * 4)) != ALICE


@pytest.mark.parametrize(
    "event",
    [
        DnsQuery(id="1", started=1.0, name="lyncdiscover.contoso.example", kind="A", rcode="NOERROR"),
        exchange(
            path="/autodiscover/autodiscoverservice.svc/root", facts=Facts(links=(("User", "https://a/b"),))
        ),
        SipMessage(
            id="1", started=1.0, origin="trace:fe01", incoming=True, method="REGISTER", peer="fe01:5061"
        ),
        trace("no name here"),
    ],
)
def test_what_names_nobody_stays_as_it_is(event):
    assert pseudonymise(event, HASHER) == event
