"""How a client with a certificate of CertProv asks for a web ticket: a signed time stamp in the Security
header of its RST, the certificate beside it (protocol reference §3.1: WebTicketServiceCert). Pure.

    TokenRequest(…).document(security_header(certificate, sign, created, expires))
    parse(body).verify(check)

SOAP X.509 signatures are [OCAUTHWS] §3.2's words; what exactly is signed is our guess, the same as for
certificate provisioning: the time stamp, by RSA-SHA1.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from xml.dom import minidom

from lyncgate.lync import xmlsignature
from lyncgate.lync.wstrust import SOAP, WSSE
from lyncgate.lync.xmlsignature import DSIG, RSA_SHA1, WSU, Sign, SignatureError, find, text

X509 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"

_TIMESTAMP = (
    '<u:Timestamp xmlns:u="{wsu}" u:Id="timestamp"><u:Created>{created}</u:Created>'
    "<u:Expires>{expires}</u:Expires></u:Timestamp>"
)
_CERTIFICATE = (
    '<BinarySecurityToken xmlns="{wsse}" xmlns:u="{wsu}" u:Id="certificate" ValueType="{x509}">{certificate}'
    "</BinarySecurityToken>"
)
_KEY_INFO = (
    '<SecurityTokenReference xmlns="{wsse}"><Reference URI="#certificate" ValueType="{x509}"></Reference>'
    "</SecurityTokenReference>"
)


def security_header(certificate: bytes, sign: Sign, created: str, expires: str) -> str:
    """The content of the Security header. `certificate` in DER; `sign`: RSA PKCS#1 1.5 with SHA-1."""
    stamp = _TIMESTAMP.format(wsu=WSU, created=created, expires=expires)
    signature = xmlsignature.signature(
        xmlsignature.parse(stamp.encode()), RSA_SHA1, sign, _KEY_INFO.format(wsse=WSSE, x509=X509)
    )
    encoded = base64.b64encode(certificate).decode()
    return stamp + _CERTIFICATE.format(wsse=WSSE, wsu=WSU, x509=X509, certificate=encoded) + signature


@dataclasses.dataclass(frozen=True, slots=True)
class CertificateProof:
    """What a header says. Nothing of it is verified before `verify`. `certificate`: DER; `created` and
    `expires`: the time stamp's, as they stand there."""

    certificate: bytes
    created: str
    expires: str
    _timestamp: minidom.Element
    _signature: minidom.Element

    def verify(self, check: Callable[[bytes, bytes], bool]) -> None:
        """That the time stamp is signed; `check(signed, value)` by the certificate's key. Raises
        SignatureError."""
        xmlsignature.verify(self._signature, self._timestamp, RSA_SHA1, check)


def parse(body: bytes) -> CertificateProof:
    """Read an envelope. Raises SignatureError."""
    security = find(find(xmlsignature.parse(body), SOAP, "Header"), WSSE, "Security")
    timestamp = find(security, WSU, "Timestamp")
    token = find(security, WSSE, "BinarySecurityToken")
    if token.getAttribute("ValueType") != X509:
        raise SignatureError("the token is no X.509 certificate")
    return CertificateProof(
        xmlsignature.base64_bytes(text(token)),
        text(find(timestamp, WSU, "Created")),
        text(find(timestamp, WSU, "Expires")),
        timestamp,
        find(security, DSIG, "Signature"),
    )
