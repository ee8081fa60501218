"""The address book's web query: SearchAbEntry, with a bearer ticket in the SOAP header. Pure.

    assertion, search = parse_search(body)
    search.matches({"displayName": "Alice Adams", …})
    found((entry, …))

Names are those SIPE sends and reads (sipe-svc.c, sipe-buddy.c); a request asks in one of two ways:

    ChangeSearch    pairs of attribute and value, any of which may match, by equality
    BasicSearch     one value and a list of attributes, of which one begins with it

Attribute names are compared in any case, as in a directory; so are values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from xml.dom import minidom
from xml.sax.saxutils import escape

from lyncgate.lync import xmlsignature
from lyncgate.lync.wstrust import SAML, SOAP, WSSE, TrustError, envelope
from lyncgate.lync.xmlsignature import SignatureError, children, find, text

SERVICE = "/groupexpansion/service.svc"
PORT = "AddressBookWebTicketBearer"
DLX = "DistributionListExpander"  # the namespace, as it stands
ACTION = f"{DLX}/IAddressBook/SearchAbEntry"
SIP_ADDRESS = "msRTCSIP-PrimaryUserAddress"
_MOST = 100  # entries, where a request does not say

type Entry = Mapping[str, str]  # attribute name and value


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """`exact`: (attribute, value) pairs. `prefix`: what one of the attributes `begins` must begin with.
    `wanted`: attributes to answer with, all when empty. `most`: entries to answer with."""

    exact: tuple[tuple[str, str], ...] = ()
    begins: tuple[str, ...] = ()
    prefix: str = ""
    wanted: tuple[str, ...] = ()
    most: int = _MOST

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is looked for."""
        known = {name.lower(): _value(name, value) for name, value in entry.items()}
        if any(known.get(name.lower()) == _value(name, value) for name, value in self.exact):
            return True
        if not self.prefix:
            return False
        return any(known.get(name.lower(), "").startswith(_value(name, self.prefix)) for name in self.begins)

    def shown(self, entry: Entry) -> Entry:
        """What of the entry was asked for."""
        names = {name.lower() for name in self.wanted}
        return {name: value for name, value in entry.items() if not names or name.lower() in names}


def _value(name: str, value: str) -> str:
    """As it is compared: addresses with or without their scheme."""
    value = value.lower()
    return value.removeprefix("sip:") if name.lower() == SIP_ADDRESS.lower() else value


def parse_search(body: bytes) -> tuple[str, Search]:
    """The SAML Assertion of the header, in canonical form, and what is searched. Raises TrustError."""
    try:
        top = xmlsignature.parse(body)
        security = find(find(top, SOAP, "Header"), WSSE, "Security")
        assertion = xmlsignature.canonical(find(security, SAML, "Assertion")).decode()
        asked = find(find(top, SOAP, "Body"), DLX, "SearchAbEntry", "AbEntryRequest")
    except SignatureError as error:
        raise TrustError(str(error)) from error
    metadata = _child(asked, "Metadata")
    basic = _child(asked, "BasicSearch")
    most = _text(metadata, "MaxResultNum")
    return assertion, Search(
        exact=tuple(_pairs(_child(asked, "ChangeSearch"))),
        begins=_names(_text(basic, "SearchList")),
        prefix=_text(basic, "Value"),
        wanted=_names(_text(metadata, "ReturnList")),
        most=int(most) if most.isdecimal() and len(most) < 6 else _MOST,
    )


def found(entries: Iterable[Entry]) -> bytes:
    """The answer."""
    items = "".join(
        "<AbEntry><Attributes>"
        + "".join(
            f"<Attribute><Name>{escape(name)}</Name><Value>{escape(value)}</Value></Attribute>"
            for name, value in entry.items()
        )
        + "</Attributes></AbEntry>"
        for entry in entries
    )
    return envelope(
        f'<SearchAbEntryResponse xmlns="{DLX}"><SearchAbEntryResult><Items>{items}</Items>'
        "</SearchAbEntryResult></SearchAbEntryResponse>"
    )


def _pairs(search: minidom.Element | None) -> Iterator[tuple[str, str]]:
    for query in children(search) if search else ():
        if value := _text(query, "Value"):
            yield _text(query, "SearchOn"), value


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _child(element: minidom.Element, name: str) -> minidom.Element | None:
    return next((child for child in children(element) if child.localName == name), None)


def _text(element: minidom.Element | None, name: str) -> str:
    child = _child(element, name) if element else None
    return text(child) if child else ""
