"""Web tickets: made and checked by a pool, good on that pool only (protocol reference §3.4).

Two forms. The compact one, `cwt=<claims>.<mac>`, goes to mobile clients in `UserToken`; the SAML 1.1
Assertion goes to desktop clients, which send the whole element back in Base64 as they got it
(`opaque=`). Real tickets are encrypted or carry an XML signature; here both carry an HMAC under a key
made of the lab's secret and the pool's name, over the exact bytes, which is as strict: a forged ticket,
a changed one and one of another pool are all refused.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import json
import re
import secrets
import time
from xml.sax.saxutils import escape

LIFETIME = 8 * 3600.0  # seconds (protocol reference §3.5)
SAML_NS = "urn:oasis:names:tc:SAML:1.0:assertion"
URI_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/uri"

_SIGNATURE = re.compile(r"<SignatureValue>([0-9a-f]{64})</SignatureValue>")
_SUBJECT = re.compile(r"<saml:NameIdentifier[^>]*>sip:([^<]+)</saml:NameIdentifier>")
_EXPIRES = re.compile(r'NotOnOrAfter="([^"]+)"')


class InvalidTicketError(Exception):
    """A ticket that this pool did not make, or that was changed: 500 and diagnostics 28032."""


class ExpiredTicketError(Exception):
    """A ticket of ours whose time is over: challenged like no ticket at all (our guess)."""


def timestamp(seconds: float) -> str:
    """A Unix time as xs:dateTime in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class TicketOffice:
    """Issues and checks the tickets of one pool. `issuer` is the URI in the assertions."""

    def __init__(self, secret: bytes, pool: str, issuer: str) -> None:
        self._key = hmac.digest(secret, f"web ticket of {pool}".encode(), "sha256")
        self._issuer = issuer

    def compact(self, sip: str, expires: float) -> str:
        """A compact ticket for the user, `cwt=` included. `expires`: Unix time."""
        claims = json.dumps({"sip": sip, "exp": int(expires), "jti": secrets.token_hex(8)}).encode()
        body = base64.urlsafe_b64encode(claims).decode()
        return f"cwt={body}.{self._mac(body)}"

    def assertion(self, sip: str, now: float, expires: float) -> str:
        """A SAML 1.1 Assertion element for the user."""
        identifier = f"SamlSecurityToken-{secrets.token_hex(16)}"
        created, until = timestamp(now), timestamp(expires)
        head = (
            f'<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="{identifier}" '
            f'Issuer="{escape(self._issuer)}" IssueInstant="{created}" xmlns:saml="{SAML_NS}">'
            f'<saml:Conditions NotBefore="{created}" NotOnOrAfter="{until}"/>'
            '<saml:AuthenticationStatement AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:unspecified" '
            f'AuthenticationInstant="{created}"><saml:Subject><saml:NameIdentifier Format="{URI_CLAIM}">'
            f"sip:{escape(sip)}</saml:NameIdentifier></saml:Subject></saml:AuthenticationStatement>"
        )
        tail = "</saml:Assertion>"
        return f"{head}<SignatureValue>{self._mac(head + tail)}</SignatureValue>{tail}"

    def holder(self, web_ticket: str | None, authorization: str | None, now: float) -> str | None:
        """The SIP address that the headers `X-MS-WebTicket` or `Authorization: Bearer` prove; None when
        there is no ticket in them. Raises InvalidTicketError or ExpiredTicketError."""
        if web_ticket is None and authorization and authorization.lower().startswith("bearer "):
            web_ticket = authorization[7:].strip()
        if web_ticket is None:
            return None
        kind, _, value = web_ticket.partition("=")
        if kind == "cwt":
            sip, expires = self._open_compact(value)
        elif kind == "opaque":
            sip, expires = self._open_assertion(value)
        else:
            raise InvalidTicketError
        if now >= expires:
            raise ExpiredTicketError
        return sip

    def _open_compact(self, value: str) -> tuple[str, float]:
        body, _, mac = value.partition(".")
        self._check(body, mac)
        claims = json.loads(base64.urlsafe_b64decode(body))  # ours: the MAC was right
        return claims["sip"], claims["exp"]

    def _open_assertion(self, value: str) -> tuple[str, float]:
        try:
            text = base64.b64decode(value, validate=True).decode()
        except ValueError as error:  # not Base64, not UTF-8
            raise InvalidTicketError from error
        signature = _SIGNATURE.search(text)
        if signature is None:
            raise InvalidTicketError
        self._check(text[: signature.start()] + text[signature.end() :], signature[1])
        subject, expires = _SUBJECT.search(text), _EXPIRES.search(text)
        if subject is None or expires is None:
            raise InvalidTicketError
        return subject[1], _unix(expires[1])

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), hashlib.sha256).hex()

    def _check(self, text: str, mac: str) -> None:
        if not hmac.compare_digest(self._mac(text).encode(), mac.encode()):
            raise InvalidTicketError


def _unix(date_time: str) -> float:
    return calendar.timegm(time.strptime(date_time, "%Y-%m-%dT%H:%M:%SZ"))
