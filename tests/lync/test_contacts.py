"""Buddy lists and presence: as they come over the wire, and as SIPE's and Microsoft's look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.contacts import (
    Availability,
    Card,
    Contact,
    ContactGroup,
    ContactList,
    ContactsError,
    Phone,
    Photo,
    Presence,
    parse_presence,
    parse_roaming,
    presence_document,
    roaming_document,
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20)
SIP = st.just("bob@contoso.example")
IDS = st.integers(min_value=1, max_value=64)


@given(
    st.builds(
        ContactList,
        groups=st.lists(st.builds(ContactGroup, IDS, TEXT), max_size=3).map(tuple),
        contacts=st.lists(st.builds(Contact, SIP, TEXT, st.lists(IDS, max_size=3).map(tuple))).map(tuple),
        delta=st.integers(min_value=1),
    )
)
def test_a_buddy_list_comes_over_the_wire_as_it_was(contacts: ContactList) -> None:
    assert parse_roaming(roaming_document(contacts)) == contacts


@given(
    st.builds(
        Presence,
        st.builds(
            Card,
            SIP,
            TEXT.filter(bool),
            TEXT,
            TEXT,
            TEXT,
            TEXT,
            TEXT,
            st.lists(st.builds(Phone, st.sampled_from(["work", "mobile"]), TEXT), max_size=3).map(tuple),
            st.none() | st.builds(Photo, TEXT, TEXT),
        ),
        st.sampled_from(Availability),
        st.sampled_from(["", "on-the-phone"]),
    )
)
def test_presence_comes_over_the_wire_as_it_was(presence: Presence) -> None:
    assert parse_presence(presence_document(presence)) == presence


@pytest.mark.parametrize(
    ("number", "availability"),
    [
        (0, Availability.Offline),
        (2999, Availability.Offline),
        (3000, Availability.Online),
        (3500, Availability.Online),
        (4499, Availability.Online),
        (6500, Availability.Busy),
        (9500, Availability.DoNotDisturb),
        (15500, Availability.Away),
        (18500, Availability.Offline),
        (999999, Availability.Offline),
    ],
)
def test_numbers_stand_for_ranges(number: int, availability: Availability) -> None:
    assert Availability.of(number) is availability


@pytest.mark.parametrize("availability", Availability)
def test_the_number_that_is_published_is_inside_the_range(availability: Availability) -> None:
    assert Availability.of(availability.number) is availability


def test_a_list_as_a_lync_2010_pool_sends_it() -> None:
    body = (
        b'<contactList deltaNum="7"><group id="1" name="~" externalURI=""/><group id="2" name="Team"/>'
        b'<contact uri="bob@contoso.example" name="" groups="1 2 " subscribed="true" externalURI="">'
        b"<contactExtension/></contact></contactList>"
    )
    assert parse_roaming(body) == ContactList(
        (ContactGroup(1, "~"), ContactGroup(2, "Team")), (Contact("bob@contoso.example", "", (1, 2)),), 7
    )


def test_somebody_of_whom_little_is_known() -> None:
    nobody = parse_presence(b'<categories uri="sip:bob@contoso.example"><category name="note"/></categories>')
    assert nobody == Presence(Card("bob@contoso.example", "bob@contoso.example"), Availability.Offline)


def test_a_card_as_microsoft_s_examples_have_it() -> None:
    body = b"""<categories uri="sip:b@contoso.example"
      xmlns="http://schemas.microsoft.com/2006/09/sip/categories">
      <category name="contactCard" instance="0">
      <contactCard xmlns="http://schemas.microsoft.com/2006/09/sip/contactcard">
        <identity><name><displayName>Bob Brown</displayName></name><email>b@contoso.example</email></identity>
        <phone type="mobile"><uri>tel:+31</uri><displayString>+31</displayString></phone>
      </contactCard></category></categories>"""
    card = parse_presence(body).card
    assert (card.display_name, card.email, card.phones) == (
        "Bob Brown",
        "b@contoso.example",
        (Phone("mobile", "tel:+31"),),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<other/>",
        b'<contactList deltaNum="x"/>',
        b'<contactList><group name="no id"/></contactList>',
        b'<contactList><contact uri="a" groups="one"/></contactList>',
    ],
)
def test_what_is_no_buddy_list(body: bytes) -> None:
    with pytest.raises(ContactsError):
        parse_roaming(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<categories",
        b"<contactList/>",
        b'<categories uri="sip:b@c"><category name="state"><state><availability>high</availability></state>'
        b"</category></categories>",
    ],
)
def test_what_is_no_presence(body: bytes) -> None:
    with pytest.raises(ContactsError):
        parse_presence(body)
