"""Who gets what: precedence of policies, provisioning, dial plans, contacts and photos."""

from __future__ import annotations

import struct
import zlib

import pytest

from lab.scenario.files import office
from lyncgate.lab.scenario.load import default_scenario
from lyncgate.lab.scenario.policies import MobilityPolicy, Scope
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lync import contacts, provisioning
from lyncgate.lync.contacts import Availability, ContactGroup
from lyncgate.lync.provisioning import Group

OFFICE = office()
ALICE, BOB = OFFICE.by_sip["alice@contoso.example"], OFFICE.by_sip["bob@contoso.example"]
CAROL, ERIN = OFFICE.by_sip["carol@emea.contoso.example"], OFFICE.by_sip["erin@contoso.example"]


def test_the_nearest_policy_wins_and_says_who_it_is() -> None:
    """Erin's site has a policy, she was granted another: per user > site > global."""
    granted = {user.name: OFFICE.mobility(user) for user in (ALICE, CAROL, ERIN)}
    assert {name: (g.name, g.scope) for name, g in granted.items()} == {
        "alice": ("global", Scope.GLOBAL),
        "carol": ("site:london", Scope.SITE),
        "erin": ("NoMobility", Scope.USER),
    }
    assert [granted[name].policy.enable_mobility for name in ("alice", "carol", "erin")] == [
        True,
        True,
        False,
    ]


def test_a_policy_wins_whole() -> None:
    """The site's policy does not say EnableOutsideVoice, so it is the default, not the global one's."""
    assert OFFICE.mobility(ALICE).policy.enable_outside_voice is False
    assert OFFICE.mobility(CAROL).policy.enable_outside_voice is True
    assert OFFICE.mobility(CAROL).policy.enable_push_notifications is False


def test_without_a_global_policy_there_are_the_defaults() -> None:
    assert OFFICE.voice(ALICE).scope is Scope.GLOBAL
    assert OFFICE.voice(ALICE).policy.allow_simul_ring is True
    assert OFFICE.voice(BOB).policy.allow_simul_ring is False


def test_defaults_are_those_of_the_protocol_reference() -> None:
    assert MobilityPolicy().properties() == {
        "EnableMobility": "true",
        "EnableOutsideVoice": "true",
        "EnableIPAudioVideo": "true",
        "RequireWiFiForIPAudio": "false",
        "RequireWIFIForIPVideo": "false",
        "RequireWiFiForSharing": "false",
        "EnablePushNotifications": "true",
        "AllowSaveCallLogs": "true",
        "AllowSaveIMHistory": "true",
        "AllowSaveCredentials": "true",
        "AllowExchangeConnectivity": "true",
    }


@pytest.mark.parametrize("user", OFFICE.users, ids=lambda user: user.sip)
def test_provisioning_comes_over_the_wire_as_it_was(user) -> None:
    told = OFFICE.provisioning(user)
    assert provisioning.parse(provisioning.document(told)) == told


def test_a_phone_is_told_everything() -> None:
    heard = provisioning.parse(provisioning.document(OFFICE.provisioning(ALICE)))
    assert heard.voicemail_uri == "sip:alice@contoso.example;opaque=app:voicemail"
    assert heard.url("abs", external=True) == "https://lyncweb.contoso.example:443/abs/handler"
    assert heard.url("abs", external=False) == "https://pool01.contoso.local:443/abs/handler"
    assert heard.url("dlx", external=True) == "https://lyncweb.contoso.example:443/groupexpansion/service.svc"
    where = "https://pool01.contoso.local:443/locationinformation/liservice.svc"
    assert heard.location_information_url == where
    assert heard.get(Group.SERVER, "organization") == "Fabrikam"
    assert (heard.mobility, heard.photo_usage) == (True, "AllPhotos")
    assert heard.flag(Group.MOBILITY, "EnableOutsideVoice") is False
    assert set(heard.groups) == set(Group) - {Group.DIAL_PLAN}


def test_what_a_policy_takes_away_is_gone_on_the_phone() -> None:
    heard = provisioning.parse(provisioning.document(OFFICE.provisioning(BOB)))
    assert heard.voicemail_uri is None
    assert (heard.simultaneous_ring, heard.team_call) == (False, False)
    assert (heard.call_forwarding, heard.delegation) == (True, True)
    assert heard.mobility is False
    assert heard.photo_usage == "NoPhoto"


def test_urls_are_the_home_pool_s() -> None:
    heard = OFFICE.provisioning(CAROL)
    assert heard.url("dlx", external=True) == (
        "https://lyncweb-emea.contoso.example:443/groupexpansion/service.svc"
    )


@pytest.mark.parametrize(
    ("user", "dialled", "number"),
    [(ALICE, "0101", "0101"), (CAROL, "0101", "+44205550101"), (BOB, "9 31 20 555", "+3120555")],
    ids=["none", "site", "user"],
)
def test_dial_plans_by_scope(user, dialled: str, number: str) -> None:
    heard = provisioning.parse(provisioning.document(OFFICE.provisioning(user))).dial_plan
    assert (heard.normalise(dialled).number if heard else dialled) == number


def test_the_buddy_list() -> None:
    listed = contacts.parse_roaming(contacts.roaming_document(OFFICE.contacts(ALICE)))
    assert listed.groups == (ContactGroup(1, "Team"), ContactGroup(2, "Friends"))
    assert {contact.sip: (contact.name, contact.groups) for contact in listed.contacts} == {
        "bob@contoso.example": ("Bob", (1, 2)),
        "carol@emea.contoso.example": ("Carol", (1,)),
    }


def test_a_contact_card_and_its_presence() -> None:
    presence = OFFICE.presence(CAROL, BOB)
    assert presence.availability is Availability.Busy
    assert presence.card.photo is None  # Bob has none
    card = OFFICE.presence(BOB, ALICE).card
    assert (card.display_name, card.title, card.company) == ("Alice Adams", "Engineer", "Fabrikam")
    assert [phone.uri for phone in card.phones] == ["tel:+31205550101"]


def test_the_viewer_s_policy_decides_about_photos() -> None:
    assert OFFICE.presence(ALICE, ALICE).card.photo is not None
    assert OFFICE.presence(BOB, ALICE).card.photo is None  # NoPhoto
    assert OFFICE.presence(CAROL, ALICE).card.photo is None  # MaxPhotoSizeKB: 0


def test_photos_are_pictures_of_one_s_own() -> None:
    picture = Scenario.photo(ALICE)
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    data = picture.index(b"IDAT")
    (size,) = struct.unpack(">I", picture[data - 4 : data])
    assert len(zlib.decompress(picture[data + 4 : data + 4 + size])) == height * (1 + 3 * width)
    assert picture != Scenario.photo(CAROL)


def test_the_lab_s_own_people_are_as_ever() -> None:
    """Tests and demos of the lab know them; what came later is Frank, who has no mobility."""
    users = {user.sip: (user.home, user.down_level_name, user.password) for user in default_scenario().users}
    assert users.pop("frank@contoso.example") == ("pool01", "CONTOSO\\frank", "P4ss-frank")
    expected = {
        f"{name}@contoso.example": ("pool01", f"CONTOSO\\{name}", f"P4ss-{name}")
        for name in ("alice", "bob", *(f"user{n:02}" for n in range(1, 51)))
    }
    expected["erin@contoso.example"] = ("pool02", "CONTOSO\\erin", "P4ss-erin")
    expected["carol@emea.contoso.example"] = ("pool02", "EMEA\\carol", "P4ss-carol")
    expected["dave@fabrikam.example"] = ("pool01", "FABRIKAM\\dave", "P4ss-dave")
    assert users == expected


def test_everybody_in_the_lab_but_frank_is_enabled_for_mobility() -> None:
    scenario = default_scenario()
    off = [user.name for user in scenario.users if not scenario.mobility(user).policy.enable_mobility]
    assert off == ["frank"]
