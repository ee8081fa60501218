"""Web tickets: made and checked by a pool, good on that pool only (protocol reference §3.4).

Two forms. The compact one, `cwt=<claims>.<mac>`, goes to mobile clients in `UserToken`; the SAML 1.1
Assertion goes to desktop clients, which send the whole element back: in Base64 (`opaque=`), or in the
Security header of a SOAP request. Real tickets are encrypted or carry an XML signature; here both carry
an HMAC under a key made of the lab's secret and the pool's name, which is as strict: a forged ticket, a
changed one and one of another pool are all refused. The assertion's covers its canonical form, so that it
survives a client that reads it and writes it again.

An assertion may have a key, which its holder must prove to have (certificate provisioning). It travels
inside, encrypted for the pool, as in a holder-of-key assertion of the real service.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import secrets
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lyncgate.lync import xmlsignature
from lyncgate.lync.wstrust import SAML, URI_CLAIM, timestamp, unix_time
from lyncgate.lync.xmlsignature import DSIG

LIFETIME = 8 * 3600.0  # seconds (protocol reference §3.5)
ANONYMOUS_LIFETIME = 3600.0  # of who joins a meeting without an account

_HOLDER_OF_KEY = "urn:oasis:names:tc:SAML:1.0:cm:holder-of-key"
_SIGNATURE = re.compile(rf'<SignatureValue xmlns="{DSIG}">([0-9a-f]{{64}})</SignatureValue>')
_SUBJECT = re.compile(r"<saml:NameIdentifier[^>]*>sip:([^<]+)</saml:NameIdentifier>")
_EXPIRES = re.compile(r'NotOnOrAfter="([^"]+)"')
_KEY = re.compile(r"<e:CipherValue>([^<]+)</e:CipherValue>")
_NONCE = 12  # bytes, AES-GCM's


class InvalidTicketError(Exception):
    """A ticket that this pool did not make, or that was changed: 500 and diagnostics 28032."""


class ExpiredTicketError(Exception):
    """A ticket of ours whose time is over: challenged like no ticket at all (our guess)."""


class ForeignTokenError(Exception):
    """A Bearer token that is no web ticket, an OAuth issuer's for instance: 403 and diagnostics 28055. The
    lab trusts no other issuer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """Whose ticket it is, and the key that its holder must prove to have; empty for none."""

    sip: str
    key: bytes = b""


class TicketOffice:
    """Issues and checks the tickets of one pool. `issuer` is the URI in the assertions."""

    def __init__(self, secret: bytes, pool: str, issuer: str) -> None:
        self._key = hmac.digest(secret, f"web ticket of {pool}".encode(), "sha256")
        self._cipher = AESGCM(hmac.digest(secret, f"ticket keys of {pool}".encode(), "sha256"))
        self._issuer = issuer

    def compact(self, sip: str, expires: float) -> str:
        """A compact ticket for the user, `cwt=` included. `expires`: Unix time."""
        claims = json.dumps({"sip": sip, "exp": int(expires), "jti": secrets.token_hex(8)}).encode()
        body = base64.urlsafe_b64encode(claims).decode()
        return f"cwt={body}.{self._mac(body)}"

    def assertion(self, sip: str, now: float, expires: float, key: bytes = b"") -> str:
        """A SAML 1.1 Assertion element for the user. `AssertionID` with `Issuer` right behind it is how real
        ones begin, and what filters in the field look for."""
        identifier = f"SamlSecurityToken-{secrets.token_hex(16)}"
        created, until = timestamp(now), timestamp(expires)
        head = (
            f'<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="{identifier}" '
            f'Issuer="{escape(self._issuer)}" IssueInstant="{created}" xmlns:saml="{SAML}">'
            f'<saml:Conditions NotBefore="{created}" NotOnOrAfter="{until}"/>'
            '<saml:AuthenticationStatement AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:unspecified" '
            f'AuthenticationInstant="{created}"><saml:Subject><saml:NameIdentifier Format="{URI_CLAIM}">'
            f"sip:{escape(sip)}</saml:NameIdentifier>{self._confirmation(key) if key else ''}"
            "</saml:Subject></saml:AuthenticationStatement>"
        )
        tail = "</saml:Assertion>"
        mac = self._mac(_canonical(head + tail))
        return f'{head}<SignatureValue xmlns="{DSIG}">{mac}</SignatureValue>{tail}'

    def _confirmation(self, key: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE)
        sealed = base64.b64encode(nonce + self._cipher.encrypt(nonce, key, None)).decode()
        return (
            f"<saml:SubjectConfirmation><saml:ConfirmationMethod>{_HOLDER_OF_KEY}</saml:ConfirmationMethod>"
            f'<KeyInfo xmlns="{DSIG}">'
            '<e:EncryptedKey xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:CipherData>'
            f"<e:CipherValue>{sealed}</e:CipherValue></e:CipherData></e:EncryptedKey></KeyInfo>"
            "</saml:SubjectConfirmation>"
        )

    def holder(self, web_ticket: str | None, authorization: str | None, now: float) -> str | None:
        """The SIP address that the headers `X-MS-WebTicket` or `Authorization: Bearer` prove; None when
        there is no ticket in them. Raises InvalidTicketError, ExpiredTicketError or ForeignTokenError."""
        if web_ticket is None and authorization and authorization.lower().startswith("bearer "):
            web_ticket = authorization[7:].strip()
            if not web_ticket.startswith("cwt="):
                raise ForeignTokenError
        if web_ticket is None:
            return None
        kind, _, value = web_ticket.partition("=")
        if kind == "cwt":
            sip, expires = self._open_compact(value)
        elif kind == "opaque":
            return self.open(_decoded(value), now).sip
        else:
            raise InvalidTicketError
        if now >= expires:
            raise ExpiredTicketError
        return sip

    def open(self, assertion: str, now: float) -> Holder:
        """Who holds this Assertion. Raises InvalidTicketError or ExpiredTicketError."""
        assertion = _canonical(assertion)
        signature = _SIGNATURE.search(assertion)
        if signature is None:
            raise InvalidTicketError
        self._check(assertion[: signature.start()] + assertion[signature.end() :], signature[1])
        subject, expires = _SUBJECT.search(assertion), _EXPIRES.search(assertion)
        if subject is None or expires is None:
            raise InvalidTicketError
        if now >= unix_time(expires[1]):
            raise ExpiredTicketError
        sealed = _KEY.search(assertion)
        return Holder(subject[1], self._unsealed(sealed[1]) if sealed else b"")

    def _unsealed(self, sealed: str) -> bytes:
        value = base64.b64decode(sealed)  # ours: the MAC was right
        try:
            return self._cipher.decrypt(value[:_NONCE], value[_NONCE:], None)
        except InvalidTag as error:
            raise InvalidTicketError from error

    def _open_compact(self, value: str) -> tuple[str, float]:
        body, _, mac = value.partition(".")
        self._check(body, mac)
        claims = json.loads(base64.urlsafe_b64decode(body))  # ours: the MAC was right
        return claims["sip"], claims["exp"]

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), hashlib.sha256).hex()

    def _check(self, text: str, mac: str) -> None:
        if not hmac.compare_digest(self._mac(text).encode(), mac.encode()):
            raise InvalidTicketError


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError as error:  # not Base64, not UTF-8
        raise InvalidTicketError from error


def _canonical(assertion: str) -> str:
    try:
        return xmlsignature.canonical(xmlsignature.parse(assertion.encode())).decode()
    except xmlsignature.SignatureError as error:
        raise InvalidTicketError from error
