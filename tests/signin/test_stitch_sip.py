"""Whose a connection is that speaks SIP where HTTP is spoken (F19): it names nobody but a domain."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event, Handshake, HandshakeOutcome
from lyncgate.signin.keys import Keys
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import SignIn
from support.plays import Play

CLIENT = "192.0.2.10"
ALICE, BOB = "alice@contoso.example", "bob@contoso.example"


def register(at: float, **fields: Any) -> Handshake:
    """REGISTER on port 443 of the proxy."""
    given: dict[str, Any] = {
        "id": "51b0000000000000",
        "origin": "capture",
        "keys": Keys(connection="sip", client=CLIENT),
        "server_name": "sip.contoso.example",
        "outcome": HandshakeOutcome.NOT_HTTP,
        "first_words": "sip",
    }
    return Handshake(started=at, **(given | fields))


def desktop(user: str, at: float, **fields: Any) -> Play:
    """A desktop client that asked for the root document, and got nowhere by it."""
    return Play(f"desktop of {user}", user=user, at=at, agent="desktop/1", fault="discover", **fields)


def whose(*events: Event) -> SignIn:
    (found,) = (s for s in stitch(events) if any(event.id == "51b0000000000000" for event in s.events))
    return found


def codes(sign_in: SignIn) -> list[str]:
    return [finding.code for finding in diagnose(sign_in, [sign_in])]


@pytest.mark.parametrize("device", ["ucwa", "mcx"])
@pytest.mark.parametrize("after", [0.01, 0.3, 3.0])
def test_it_is_no_phones_that_signed_in_by_http(device: Any, after: float) -> None:
    """However close in time a phone behind the same address is."""
    mine = desktop(ALICE, 1000.0)
    phone = Play("phone", user=BOB, device=device, at=1000.3)
    found = whose(*mine.events, *phone.events, register(1000.3 + after))
    assert found.user == ALICE
    assert codes(found)[0] == "F19"


def test_it_is_rather_of_who_got_nowhere() -> None:
    """Others may be desktop clients too, as far as can be seen: SIP's names are the last that are tried."""
    mine = desktop(ALICE, 1000.0)
    others = [Play(f"other{n}", user=BOB, at=1000.0 + n, fault="password", dns=False) for n in range(1, 4)]
    events = [*mine.events, *(event for play in others for event in play.events), register(1003.1)]
    assert whose(*events).user == ALICE


@pytest.mark.parametrize("name", ["sip.contoso.example", None])
def test_it_stands_alone_where_only_phones_signed_in(name: str | None) -> None:
    """With its finding, as a sign-in of nobody known; and theirs have none."""
    phones = [Play(f"phone{n}", user=f"user{n}@contoso.example", at=1000.0 + n / 10) for n in range(3)]
    events = [*(e for play in phones for e in play.events), register(1000.15, server_name=name)]
    sign_ins = stitch(events)
    (nobodys,) = (s for s in sign_ins if s.user is None)
    assert [event.id for event in nobodys.events] == ["51b0000000000000"]
    assert codes(nobodys) == ["F19"]
    assert [codes(s) for s in sign_ins if s.user] == [[], [], []]


def test_it_is_nobodys_of_another_domain() -> None:
    other = desktop("carol@emea.contoso.example", 1000.0)
    assert whose(*other.events, register(1000.3)).user is None
    assert whose(*other.events, register(1000.3, server_name="sip.emea.contoso.example")).user is not None


def test_what_says_no_sip_is_given_as_before() -> None:
    """A handshake that fails tells nothing of who it was."""
    phone = Play("phone", user=BOB, at=1000.0)
    shut = register(1000.2, outcome=HandshakeOutcome.ALERT, first_words=None, server_name=None)
    (sign_in,) = stitch([*phone.events, shut])
    assert shut in sign_in.events


def test_the_order_does_not_matter() -> None:
    plays = [desktop(ALICE, 1000.0), *(Play(f"p{n}", user=BOB, at=1000.2 + n) for n in range(2))]
    events = [*itertools.chain.from_iterable(play.events for play in plays), register(1001.0)]
    for seed in range(20):
        random.Random(seed).shuffle(events)
        assert whose(*events).user == ALICE
