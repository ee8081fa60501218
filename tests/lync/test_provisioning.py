"""In-band provisioning: what is asked, what is answered, in the three shapes of a group."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.dialplan import DialPlan, Rule
from lyncgate.lync.provisioning import (
    GUESSES,
    Group,
    Provisioning,
    ProvisioningError,
    document,
    parse,
    parse_request,
    request,
)

NS = "{http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification}"
ALICE = Provisioning(
    {
        Group.SERVER: {
            "voiceMailUri": "sip:alice@contoso.example;opaque=app:voicemail",
            "absExternalServerUrl": "https://lyncweb.contoso.example:443/abs/handler",
            "absInternalServerUrl": "https://pool01.contoso.local:443/abs/handler",
            "dlxExternalUrl": "https://lyncweb.contoso.example:443/groupexpansion/service.svc",
            "lisInternalUrl": "https://pool01.contoso.local:443/locationinformation/liservice.svc",
        },
        Group.VOICE: {
            "AllowSimultaneousRinging": "true",
            "AllowCallForwarding": "false",
            "EnableDelegation": "true",
        },
        Group.ENDPOINT: {"PhotoUsage": "NoPhoto"},
        Group.MOBILITY: {"EnableMobility": "true"},
    },
    DialPlan("Amsterdam", (Rule("^1$", "+1"),)),
)


def test_what_was_said_is_what_is_heard() -> None:
    assert parse(document(ALICE)) == ALICE


def test_a_client_reads_what_it_needs() -> None:
    heard = parse(document(ALICE))
    assert heard.voicemail_uri == "sip:alice@contoso.example;opaque=app:voicemail"
    assert (heard.simultaneous_ring, heard.call_forwarding, heard.delegation) == (True, False, True)
    assert heard.team_call is None  # nothing was said
    assert heard.url("abs", external=True) == "https://lyncweb.contoso.example:443/abs/handler"
    assert heard.url("abs", external=False) == "https://pool01.contoso.local:443/abs/handler"
    assert heard.url("dlx", external=True) == "https://lyncweb.contoso.example:443/groupexpansion/service.svc"
    assert heard.url("dlx", external=False) is None
    assert heard.location_information_url
    assert heard.location_information_url.endswith("/liservice.svc")
    assert heard.photo_usage == "NoPhoto"
    assert heard.mobility is True
    assert heard.dial_plan
    assert heard.dial_plan.normalise("1").number == "+1"


def test_names_are_compared_without_case() -> None:
    """UCMA shows them in lower case, Microsoft's example in mixed case."""
    assert parse(document(ALICE)).get(Group.VOICE, "allowSIMULTANEOUSringing") == "true"


@pytest.mark.parametrize(
    ("group", "path"),
    [
        (Group.SERVER, f"{NS}voiceMailUri"),
        (Group.VOICE, f"{NS}instance/{NS}property[@name='EnableDelegation']"),
        (Group.ENDPOINT, f"{NS}propertyEntryList/{NS}property[@name='PhotoUsage']"),
        (Group.MOBILITY, f"{NS}propertyEntryList/{NS}property[@name='EnableMobility']"),
    ],
)
def test_the_shape_of_each_group_is_ms_siprege_s(group: Group, path: str) -> None:
    written = ET.fromstring(document(ALICE)).find(f"{NS}provisionGroup[@name='{group}']")
    assert written is not None
    assert written.find(path) is not None


def test_only_what_was_asked_for_is_answered() -> None:
    asked = parse_request(request([Group.VOICE, Group.PRESENCE, Group.DIAL_PLAN]))
    assert asked == (Group.VOICE, Group.PRESENCE, Group.DIAL_PLAN)
    heard = parse(document(ALICE, asked))
    assert set(heard.groups) == {Group.VOICE}
    assert heard.dial_plan == ALICE.dial_plan


def test_what_sipe_asks_for() -> None:
    """The body of SIPE 1.23's SUBSCRIBE; it asks for a group that we don't know."""
    body = (
        b'<provisioningGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist">'
        b' <provisioningGroup name="ServerConfiguration"/> <provisioningGroup name="meetingPolicy"/>'
        b' <provisioningGroup name="persistentChatConfiguration"/> <provisioningGroup name="ucPolicy"/>'
        b"</provisioningGroupList>"
    )
    assert parse_request(body) == (Group.SERVER, Group.MEETING, Group.VOICE)


def test_a_microsoft_answer_is_read() -> None:
    """The shape of [MS-SIPREGE] §4.2.2: blanks in the text, groups we don't know."""
    body = (
        b'<provisionGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification">'
        b'<provisionGroup name="endpointConfiguration"><propertyEntryList>\n'
        b'<property name="ShowRecentContacts">true</property>'
        b'<property name="MaxPhotoSizeKB">10</property></propertyEntryList></provisionGroup>'
        b'<provisionGroup name="publicationGrammar"><categories/></provisionGroup>'
        b'<provisionGroup name="ucPolicy"><instance><property name="EnableTeamCall"> TRUE </property>'
        b"</instance></provisionGroup></provisionGroupList>"
    )
    heard = parse(body)
    assert heard.get(Group.ENDPOINT, "MaxPhotoSizeKB") == "10"
    assert heard.team_call is True
    assert set(heard.groups) == {Group.ENDPOINT, Group.VOICE}


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<provisionGroupList>"])
def test_what_is_no_provisioning(body: bytes) -> None:
    with pytest.raises(ProvisioningError):
        parse(body)
    with pytest.raises(ProvisioningError):
        parse_request(body)


def test_a_dial_plan_that_is_none() -> None:
    group = b'<provisionGroup name="locationProfile"><x/></provisionGroup>'
    body = b"<provisionGroupList>" + group + b"</provisionGroupList>"
    with pytest.raises(ProvisioningError, match="no LocationProfileDescription"):
        parse(body)


VALUES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("instance", "propertyEntryList")
)


@given(
    st.dictionaries(
        st.sampled_from([group for group in Group if group is not Group.DIAL_PLAN]),
        st.dictionaries(NAMES, VALUES),
    )
)
def test_any_settings_come_over_the_wire_as_they_were(groups: dict[Group, dict[str, str]]) -> None:
    assert parse(document(Provisioning(groups))) == Provisioning(groups)


def test_what_is_a_guess_is_named_so() -> None:
    assert set(GUESSES) <= set(Group)
    assert Group.SERVER not in GUESSES
