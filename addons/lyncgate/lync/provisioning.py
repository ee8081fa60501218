"""In-band provisioning: what the server tells a client about itself and about what its user may do.

A client, or the mobility service on a phone's behalf, sends SIP SUBSCRIBE for the groups it wants, and
the 200 carries them ([MS-SIPREGE] §2.2.2, §4.2.2; protocol reference §5.7):

    SUBSCRIBE, Event: vnd-microsoft-provisioning-v2, Expires: 0
    <provisioningGroupList xmlns="…/provisioninggrouplist"><provisioningGroup name="ucPolicy"/>…

    200, Content-Type: application/vnd-microsoft-roaming-provisioning-v2+xml
    <provisionGroupList xmlns="…/provisiongrouplist-notification">
      <provisionGroup name="ServerConfiguration"><voiceMailUri>sip:alice@…;opaque=app:voicemail</voiceMailUri>
      <provisionGroup name="ucPolicy"><instance><property name="AllowCallForwarding">true</property>
      <provisionGroup name="endpointConfiguration"><propertyEntryList><property name="PhotoUsage">…

Three shapes of a group: elements (ServerConfiguration), `instance` (the two oldest policies), and
`propertyEntryList` (all others). Names are compared without case: UCMA hands them out in lower case.

What is verified: the groups and their shapes, and the names of ServerConfiguration ([MS-SIPREGE]
§2.2.2.5.1); those of ucPolicy (UCMA, "Parsing Unified Communications Policy"); the names above and in
`locationPolicy`, `mediaConfiguration` ([MS-SIPREGE] §4.2.2, UCMA). What is our guess is in GUESSES.
"""

from __future__ import annotations

import dataclasses
import enum
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Iterable, Mapping

from lyncgate.lync import dialplan, safexml
from lyncgate.lync.dialplan import DialPlan

EVENT = "vnd-microsoft-provisioning-v2"
CONTENT_TYPE = "application/vnd-microsoft-roaming-provisioning-v2+xml"
_REQUEST_NAMESPACE = "http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist"
_ANSWER_NAMESPACE = "http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification"


class Group(enum.StrEnum):
    """Groups that can be asked for, as far as the lab serves them, in the order of an answer."""

    SERVER = "ServerConfiguration"
    MEETING = "meetingPolicy"
    VOICE = "ucPolicy"
    ENDPOINT = "endpointConfiguration"
    LOCATION = "locationPolicy"
    MEDIA = "mediaConfiguration"
    PRESENCE = "presencePolicyV2"
    MOBILITY = "mobilityPolicy"
    DIAL_PLAN = "locationProfile"


GUESSES = {
    Group.MEETING: "the names of its properties: those of CsConferencingPolicy",
    Group.VOICE: "the capitals of its property names, which are known in lower case only",
    Group.PRESENCE: "the names of its properties: those of CsPresencePolicy",
    Group.MOBILITY: "the group (UCMA has a MobilityPolicyConfiguration, the wire name was not read) and its "
    "properties: those of CsMobilityPolicy",
    Group.DIAL_PLAN: "that it comes with the others: [MS-SIPRE] §3.8.5.1 has it fetched by SERVICE",
}
"""What of the groups is not verified."""

_INSTANCE = (Group.MEETING, Group.VOICE)

type Properties = Mapping[str, str]  # name → text, `true` and `false` for truth values


class ProvisioningError(ValueError):
    """Not a provisioning document."""


@dataclasses.dataclass(frozen=True, slots=True)
class Provisioning:
    """`groups`: property → text, by group; a group that did not come is missing."""

    groups: Mapping[Group, Properties]
    dial_plan: DialPlan | None = None

    def get(self, group: Group, name: str) -> str | None:
        """A property's text, None: not there. The name's case does not matter."""
        wanted = name.lower()
        properties = self.groups.get(group, {})
        return next((text for known, text in properties.items() if known.lower() == wanted), None)

    def flag(self, group: Group, name: str) -> bool | None:
        """A property's truth, None: not there, or neither true nor false."""
        return {"true": True, "false": False}.get((self.get(group, name) or "").strip().lower())

    def url(self, service: str, *, external: bool) -> str | None:
        """The URL of `abs` (address book), `dlx` (group expansion), `abwq` (address book web query) or
        `updatesServer`, as seen from outside or inside."""
        suffix = "Server" if service == "abs" else ""
        where = "External" if external else "Internal"
        return self.get(Group.SERVER, f"{service}{where}{suffix}Url")

    @property
    def location_information_url(self) -> str | None:
        """The location information service; it has no external URL (protocol reference §8)."""
        return self.get(Group.SERVER, "lisInternalUrl")

    @property
    def voicemail_uri(self) -> str | None:
        """Where a call is sent that shall reach the user's voice mail."""
        return self.get(Group.SERVER, "voiceMailUri")

    @property
    def simultaneous_ring(self) -> bool | None:
        """May another phone ring with the user's own?"""
        return self.flag(Group.VOICE, "AllowSimultaneousRinging")

    @property
    def call_forwarding(self) -> bool | None:
        """May calls be forwarded?"""
        return self.flag(Group.VOICE, "AllowCallForwarding")

    @property
    def delegation(self) -> bool | None:
        """May others call and answer on the user's behalf?"""
        return self.flag(Group.VOICE, "EnableDelegation")

    @property
    def team_call(self) -> bool | None:
        """May a call ring at the user's team?"""
        return self.flag(Group.VOICE, "EnableTeamCall")

    @property
    def photo_usage(self) -> str | None:
        """`NoPhoto`, `PhotosFromADOnly` or `AllPhotos` (CsClientPolicy, DisplayPhoto)."""
        return self.get(Group.ENDPOINT, "PhotoUsage")

    @property
    def mobility(self) -> bool | None:
        """Is the user enabled for mobility?"""
        return self.flag(Group.MOBILITY, "EnableMobility")


def request(groups: Iterable[Group] = Group) -> bytes:
    """The body of a SUBSCRIBE."""
    top = ET.Element("provisioningGroupList", xmlns=_REQUEST_NAMESPACE)
    for group in groups:
        ET.SubElement(top, "provisioningGroup", name=group)
    return safexml.serialised(top)


def parse_request(body: bytes) -> tuple[Group, ...]:
    """The groups that a SUBSCRIBE asks for, those that we know. Raises ProvisioningError."""
    top = _top(body, "provisioningGroupList")
    asked = (_group(child) for child in top if safexml.local(child) == "provisioningGroup")
    return tuple(group for group in asked if group)


def document(provisioning: Provisioning, groups: Iterable[Group] = Group) -> bytes:
    """The body of the 200, with those of `groups` that there are."""
    top = ET.Element("provisionGroupList", xmlns=_ANSWER_NAMESPACE)
    for group in groups:
        if group is Group.DIAL_PLAN:
            if provisioning.dial_plan:
                written = ET.SubElement(top, "provisionGroup", name=group)
                written.append(dialplan.element(provisioning.dial_plan))
        elif group in provisioning.groups:
            _write(ET.SubElement(top, "provisionGroup", name=group), group, provisioning.groups[group])
    return safexml.serialised(top)


def parse(body: bytes) -> Provisioning:
    """What the body of a 200 says; groups that we don't know are passed over. Raises ProvisioningError."""
    groups: dict[Group, Properties] = {}
    plan = None
    for written in _top(body, "provisionGroupList"):
        group = _group(written)
        if group is Group.DIAL_PLAN and len(written):
            try:
                plan = dialplan.read(written[0])
            except dialplan.DialPlanError as error:
                raise ProvisioningError(str(error)) from error
        elif group:
            groups[group] = _read(written)
    return Provisioning(groups, plan)


def _top(body: bytes, name: str) -> ET.Element:
    try:
        top = safexml.parse(body)
    except safexml.XmlError as error:
        raise ProvisioningError(str(error)) from error
    if safexml.local(top) != name:
        raise ProvisioningError(f"found {safexml.local(top)}, no {name}")
    return top


def _group(written: ET.Element) -> Group | None:
    name = written.get("name", "")
    return Group(name) if name in Group else None


def _write(written: ET.Element, group: Group, properties: Properties) -> None:
    if group is Group.SERVER:
        for name, text in properties.items():
            ET.SubElement(written, name).text = text
        return
    entries = ET.SubElement(written, "instance" if group in _INSTANCE else "propertyEntryList")
    for name, text in properties.items():
        ET.SubElement(entries, "property", name=name).text = text


def _read(written: ET.Element) -> dict[str, str]:
    properties: dict[str, str] = {}
    for child in written:
        if safexml.local(child) in ("instance", "propertyEntryList"):
            properties |= {entry.get("name", ""): entry.text or "" for entry in child}
        else:
            properties[safexml.local(child)] = child.text or ""
    return properties
