"""Tickets hold on their own pool, for their own user, for their time; nothing else is believed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab.tickets import ExpiredTicketError, InvalidTicketError, TicketOffice

NOW = 1_700_000_000.0
SECRET = b"a secret of the lab"
OFFICE = TicketOffice(SECRET, "pool01", "https://pool01.contoso.local/")
OTHER_POOL = TicketOffice(SECRET, "pool02", "https://pool02.contoso.local/")
OTHER_LAB = TicketOffice(b"another secret", "pool01", "https://pool01.contoso.local/")
ALICE = "alice@contoso.example"


def compact(office: TicketOffice = OFFICE) -> str:
    return office.compact(ALICE, NOW + 60)


def opaque(office: TicketOffice = OFFICE) -> str:
    return "opaque=" + base64.b64encode(office.assertion(ALICE, NOW, NOW + 60).encode()).decode()


def tampered(ticket: str) -> str:
    kind, _, value = ticket.partition("=")
    if kind == "cwt":
        return ticket.replace(value[10], "A" if value[10] != "A" else "B", 1)
    text = base64.b64decode(value).replace(b"sip:alice@", b"sip:mallory@")
    return f"{kind}={base64.b64encode(text).decode()}"


@pytest.mark.parametrize("make", [compact, opaque])
def test_own_ticket_proves_its_holder_until_it_expires(make):
    assert OFFICE.holder(make(), None, NOW + 59) == ALICE
    with pytest.raises(ExpiredTicketError):
        OFFICE.holder(make(), None, NOW + 60)


def test_bearer_is_another_way_to_show_a_compact_ticket():
    assert OFFICE.holder(None, f"Bearer {compact()}", NOW) == ALICE


@pytest.mark.parametrize("authorization", [None, "NTLM TlRMTVNTUAAB"])
def test_no_ticket_is_nobody_and_no_error(authorization):
    assert OFFICE.holder(None, authorization, NOW) is None


@pytest.mark.parametrize("make", [compact, opaque])
@pytest.mark.parametrize("office", [OTHER_POOL, OTHER_LAB])
def test_ticket_of_another_pool_or_lab_is_invalid(make, office):
    with pytest.raises(InvalidTicketError):
        OFFICE.holder(make(office), None, NOW)


@pytest.mark.parametrize("make", [compact, opaque])
def test_changed_ticket_is_invalid(make):
    with pytest.raises(InvalidTicketError):
        OFFICE.holder(tampered(make()), None, NOW)


@given(kind=st.sampled_from(["cwt=", "opaque=", "other=", ""]), rest=st.text())
def test_whatever_is_no_ticket_is_invalid(kind, rest):
    with pytest.raises(InvalidTicketError):
        OFFICE.holder(kind + rest, None, NOW)


def test_assertion_looks_as_clients_and_filters_expect():
    text = OFFICE.assertion(ALICE, NOW, NOW + 60)
    assert 'AssertionID="SamlSecurityToken-' in text
    assert f">sip:{ALICE}</saml:NameIdentifier>" in text
