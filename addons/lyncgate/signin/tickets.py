"""Web tickets, in the form in which issued and shown ones are the same text.

A compact ticket is itself, `cwt=…`, in `UserToken` of an RSTR, in `access_token` of an OAuth answer, in
X-MS-WebTicket and after `Bearer` (protocol reference §3.4). A SAML assertion is known by its AssertionID:
who reads one and writes it again may change its bytes (prefixes, order), and it travels in Base64 or as XML.
These texts are secrets: only keyed hashes of them leave `signin.reading`.
"""

from __future__ import annotations

import base64
import binascii
import re
import xml.etree.ElementTree as ET  # elements only; what comes from outside passes safexml

from lyncgate.lync import names, safexml
from lyncgate.lync.wstrust import SAML, URI_CLAIM
from lyncgate.signin.seen import Fields

CWT, SAML_FORM, OTHER = "cwt", "saml", "other"

type Ticket = tuple[str, str]  # form, canonical text

_ASSERTION, _NAME_IDENTIFIER = f"{{{SAML}}}Assertion", f"{{{SAML}}}NameIdentifier"
_LONGEST = 64 * 1024  # bytes of a header field
_COMPACT = "cwt="
_ASSERTION_ID = re.compile(rb"""\bAssertionID\s{0,8}=\s{0,8}["']([^"']{1,256})["']""")
_SUBJECT = re.compile(rb"<(?:\w{1,32}:)?NameIdentifier[^>]{0,400}>\s{0,40}(sip:[^<\s]{1,320})", re.IGNORECASE)


def shown(headers: Fields) -> tuple[Ticket, str | None] | None:
    """The ticket in a request's headers, and the SIP address that it names, if that can be read."""
    value = headers.first.get(b"x-ms-webticket")
    if value is None:
        authorization = headers.first.get(b"authorization")
        if authorization is None:
            return None
        scheme, _, value = authorization.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
    value = value.strip()
    if not value or len(value) > _LONGEST:
        return None
    if value.lower().startswith(b"opaque="):
        return _opaque(value.partition(b"=")[2])
    return of_text(value.decode("latin-1")), None


def of_text(text: str) -> Ticket:
    """A ticket that stands alone."""
    text = text.strip()
    compact = len(text) > len(_COMPACT) and text[: len(_COMPACT)].lower() == _COMPACT and _one_word(text)
    return (CWT, _COMPACT + text[len(_COMPACT) :]) if compact else (OTHER, text)


def _one_word(text: str) -> bool:
    """Tickets are long: an expression would take ten times as long."""
    return len(text.split(maxsplit=1)) == 1 and not ('"' in text or "<" in text or ">" in text)


def may_be_in(body: bytes) -> bool:
    """Whether there can be tickets in a document (UTF-8): whether it has the names of their elements."""
    return body.find(b"UserToken") >= 0 or body.find(b"Assertion") >= 0


def in_document(element: ET.Element) -> list[tuple[Ticket, str | None]]:
    """The tickets inside an XML element, with the SIP addresses that they name."""
    found: list[tuple[Ticket, str | None]] = []
    for inner in element.iter():
        if inner.tag == _ASSERTION and (identifier := inner.get("AssertionID")):
            subjects = inner.iter(_NAME_IDENTIFIER)
            named = (s.text or "" for s in subjects if s.get("Format") == URI_CLAIM)
            found.append(((SAML_FORM, identifier), next(map(names.sip_address, named), None)))
        elif inner.tag.endswith("UserToken") and safexml.local(inner) == "UserToken" and inner.text:
            found.append((of_text(inner.text), None))
    return found


def _opaque(encoded: bytes) -> tuple[Ticket, str | None]:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    identifier = _ASSERTION_ID.search(decoded)
    if identifier is None:
        return (OTHER, encoded.decode("latin-1")), None
    subject = _SUBJECT.search(decoded)
    user = names.sip_address(subject[1].decode("utf-8", "replace")) if subject else None
    return (SAML_FORM, identifier[1].decode("utf-8", "replace")), user
