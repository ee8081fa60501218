"""Contacts: the buddy list that roams with a user, and what is published about each buddy.

Two documents, each an answer to a SIP SUBSCRIBE for an event:

    vnd-microsoft-roaming-contacts, application/vnd-microsoft-roaming-contacts+xml   ([MS-SIP] §9.1)
        <contactList deltaNum="1"><group id="1" name="Team" externalURI=""/>
          <contact uri="bob@contoso.example" name="Bob" groups="1" subscribed="true" externalURI=""/>

    presence, application/msrtc-event-categories+xml                                 ([MS-PRES] §7)
        <categories uri="sip:bob@contoso.example"><category name="contactCard">…<category name="state">…

Names of elements and attributes are those that SIPE 1.23 reads (sipe-notify.c). Our guesses: that
`contactList` stands in no namespace, and the URL at which a photo is.
"""

from __future__ import annotations

import dataclasses
import enum
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Iterator

from lyncgate.lync import safexml

ROAMING_EVENT = "vnd-microsoft-roaming-contacts"
ROAMING_CONTENT_TYPE = "application/vnd-microsoft-roaming-contacts+xml"
PRESENCE_EVENT = "presence"
PRESENCE_CONTENT_TYPE = "application/msrtc-event-categories+xml"

_CATEGORIES = "http://schemas.microsoft.com/2006/09/sip/categories"
_CARD = "http://schemas.microsoft.com/2006/09/sip/contactcard"
_STATE = "http://schemas.microsoft.com/2006/09/sip/state"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


class ContactsError(ValueError):
    """Not a document about contacts."""


class Availability(enum.Enum):
    """How well somebody can be reached. Name: UCWA's word. `lowest`: where its numbers begin, of which
    the next one's beginning is the end ([MS-PRES], aggregated availability; widely known)."""

    Online = 3000
    IdleOnline = 4500
    Busy = 6000
    IdleBusy = 7500
    DoNotDisturb = 9000
    BeRightBack = 12000
    Away = 15000
    Offline = 18000

    @property
    def number(self) -> int:
        """A number inside the range, as servers publish it: 3500 for Online."""
        return self.value + 500

    @classmethod
    def of(cls, number: int) -> Availability:
        """The availability that a published number stands for; below all: unknown, so offline."""
        return max((a for a in cls if a.value <= number), key=lambda a: a.value, default=cls.Offline)


@dataclasses.dataclass(frozen=True, slots=True)
class ContactGroup:
    """A group of a buddy list; `id` is from 1."""

    id: int
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Contact:
    """A buddy. `sip`: address without scheme. `groups`: ids of the groups it is in."""

    sip: str
    name: str
    groups: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ContactList:
    """`delta`: number of the list's last change, never 0."""

    groups: tuple[ContactGroup, ...] = ()
    contacts: tuple[Contact, ...] = ()
    delta: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Phone:
    """`kind`: work, home, mobile, other or custom1. `uri`: `tel:+31…`."""

    kind: str
    uri: str


@dataclasses.dataclass(frozen=True, slots=True)
class Photo:
    """`hash`: changes when the picture does."""

    url: str
    hash: str


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A contact card; text that there is not is ""."""

    sip: str
    display_name: str
    email: str = ""
    title: str = ""
    department: str = ""
    company: str = ""
    office: str = ""
    phones: tuple[Phone, ...] = ()
    photo: Photo | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Presence:
    """What is published about somebody. `activity`: a token such as `on-the-phone`, or ""."""

    card: Card
    availability: Availability
    activity: str = ""


# -- the buddy list ---------------------------------------------------------------------------------


def roaming_document(contacts: ContactList) -> bytes:
    """The buddy list, whole."""
    top = ET.Element("contactList", deltaNum=str(contacts.delta))
    for group in contacts.groups:
        ET.SubElement(top, "group", id=str(group.id), name=group.name, externalURI="")
    for contact in contacts.contacts:
        groups = " ".join(map(str, contact.groups))
        ET.SubElement(
            top,
            "contact",
            uri=contact.sip,
            name=contact.name,
            groups=groups,
            subscribed="true",
            externalURI="",
        )
    return safexml.serialised(top)


def parse_roaming(body: bytes) -> ContactList:
    """The buddy list of a `contactList`. Raises ContactsError."""
    top = _top(body, "contactList")
    groups: list[ContactGroup] = []
    contacts: list[Contact] = []
    try:
        for child in top:
            if safexml.local(child) == "group":
                groups.append(ContactGroup(int(child.attrib["id"]), child.attrib["name"]))
            elif safexml.local(child) == "contact":
                ids = tuple(int(group) for group in child.get("groups", "").split())
                contacts.append(Contact(child.attrib["uri"], child.get("name", ""), ids))
        return ContactList(tuple(groups), tuple(contacts), int(top.get("deltaNum", "1")))
    except (KeyError, ValueError) as error:
        raise ContactsError(f"not a buddy list: {error!r}") from error


# -- presence ---------------------------------------------------------------------------------------


def presence_document(presence: Presence) -> bytes:
    """The categories that somebody's watcher gets: contact card and state."""
    top = ET.Element("categories", xmlns=_CATEGORIES, uri=f"sip:{presence.card.sip}")
    _write_card(ET.SubElement(top, "category", name="contactCard", instance="0"), presence.card)
    category = ET.SubElement(top, "category", name="state", instance="1")
    state = ET.SubElement(category, "state", {"xmlns": _STATE, _TYPE: "aggregateState"})
    ET.SubElement(state, "availability").text = str(presence.availability.number)
    if presence.activity:
        ET.SubElement(state, "activity", token=presence.activity)
    return safexml.serialised(top)


def parse_presence(body: bytes) -> Presence:
    """What a `categories` document says; without a state somebody is offline. Raises ContactsError."""
    top = _top(body, "categories")
    sip = top.get("uri", "").removeprefix("sip:")
    card = Card(sip, sip)
    availability, activity = Availability.Offline, ""
    for category in top:
        match category.get("name"), next(iter(category), None):
            case "contactCard", ET.Element() as written:
                card = _read_card(sip, written)
            case "state", ET.Element() as written:
                number = _text(written, "availability")
                if not number.isdecimal():
                    raise ContactsError(f"availability is {number!r}, not a number")
                availability = Availability.of(int(number))
                activity = next((a.get("token", "") for a in _all(written, "activity")), "")
    return Presence(card, availability, activity)


def _write_card(category: ET.Element, card: Card) -> None:
    top = ET.SubElement(category, "contactCard", xmlns=_CARD)
    identity = ET.SubElement(top, "identity")
    ET.SubElement(ET.SubElement(identity, "name"), "displayName").text = card.display_name
    if card.email:
        ET.SubElement(identity, "email").text = card.email
    for name in ("company", "department", "title", "office"):
        if text := getattr(card, name):
            ET.SubElement(top, name).text = text
    for phone in card.phones:
        ET.SubElement(ET.SubElement(top, "phone", type=phone.kind), "uri").text = phone.uri
    if card.photo:
        photo = ET.SubElement(top, "photo", type="enterprise")
        ET.SubElement(photo, "uri").text = card.photo.url
        ET.SubElement(photo, "hash").text = card.photo.hash


def _read_card(sip: str, top: ET.Element) -> Card:
    identity = next(_all(top, "identity"), top)
    phones = tuple(Phone(p.get("type", "other"), _text(p, "uri")) for p in _all(top, "phone"))
    photo = next(_all(top, "photo"), None)
    return Card(
        sip,
        _text(next(_all(identity, "name"), identity), "displayName") or sip,
        _text(identity, "email"),
        _text(top, "title"),
        _text(top, "department"),
        _text(top, "company"),
        _text(top, "office"),
        phones,
        None if photo is None else Photo(_text(photo, "uri"), _text(photo, "hash")),
    )


def _all(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in element if safexml.local(child) == name)


def _text(element: ET.Element, name: str) -> str:
    return next((child.text or "" for child in _all(element, name)), "")


def _top(body: bytes, name: str) -> ET.Element:
    try:
        top = safexml.parse(body)
    except safexml.XmlError as error:
        raise ContactsError(str(error)) from error
    if safexml.local(top) != name:
        raise ContactsError(f"found {safexml.local(top)}, no {name}")
    return top
