"""Certificate provisioning (protocol reference §4): a ticket's holder proves that he holds its key, hands in
a PKCS#10 request and gets a certificate. Both directions, pure.

    body = Provisioning(user, device, request).document(ticket, key, url)       # the client
    proof, asked = parse_request(body)                                          # the service
    proof.verify(key)

The proof is a signed time stamp, see xmlsignature; the ticket stands beside it as the SAML Assertion that
the client got, and in `KeyInfo` the signature names that ticket.
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import uuid
from xml.dom import minidom
from xml.sax.saxutils import escape, quoteattr

from lyncgate.lync import xmlsignature
from lyncgate.lync.wstrust import SAML, SOAP, WSA, WSSE, WST, TokenResponse, TrustError, envelope
from lyncgate.lync.xmlsignature import DSIG, HMAC_SHA1, WSU, SignatureError, children, find, text

SERVICE = "/CertProv/CertProvisioningService.svc"
PORT = "CertProvisioningServiceWebTicketProof_SHA1"
OCS = "http://schemas.microsoft.com/OCS/AuthWebServices/"
ACTION = f"{OCS}GetAndPublishCert"
PKCS10 = "http://schemas.microsoft.com/OCS/AuthWebServices.xsd#PKCS10"
X509 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
ASSERTION_ID = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID"
WSTEP = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
_BASE64 = f"{WSSE}#Base64Binary"
# SIPE writes WS-Trust's namespace with a slash at its end here, and real servers take it.
_WST_NAMES = (WST, f"{WST}/")

_TIMESTAMP = (
    '<u:Timestamp xmlns:u="{wsu}" u:Id="timestamp"><u:Created>{created}</u:Created>'
    "<u:Expires>{expires}</u:Expires></u:Timestamp>"
)
_KEY_INFO = (
    '<SecurityTokenReference xmlns="{wsse}"><KeyIdentifier ValueType="{kind}">{identifier}</KeyIdentifier>'
    "</SecurityTokenReference>"
)
_HEADER = (
    '<To xmlns="{wsa}">{to}</To><Action xmlns="{wsa}">{action}</Action>'
    '<Security xmlns="{wsse}">{timestamp}{assertion}{signature}</Security>'
)
_REQUEST = (
    '<GetAndPublishCert xmlns="{ocs}" DeviceId={device} Entity={entity}><RequestSecurityToken xmlns="{wst}">'
    "<TokenType>{x509}</TokenType><RequestType>{wst}/Issue</RequestType>"
    '<BinarySecurityToken xmlns="{wsse}" ValueType="{pkcs10}" EncodingType="{base64}">{request}'
    '</BinarySecurityToken><RequestID xmlns="{wstep}">{identifier}</RequestID></RequestSecurityToken>'
    "</GetAndPublishCert>"
)
_ANSWER = (
    '<GetAndPublishCertResponse xmlns="{ocs}" DeviceId={device} Entity={entity}>'
    '<RequestSecurityTokenResponse xmlns="{wst}"><TokenType>{x509}</TokenType><RequestedSecurityToken>'
    '<BinarySecurityToken xmlns="{wsse}" ValueType="{x509}" EncodingType="{base64}">{certificate}'
    '</BinarySecurityToken></RequestedSecurityToken><RequestID xmlns="{wstep}">{identifier}</RequestID>'
    "</RequestSecurityTokenResponse></GetAndPublishCertResponse>"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Provisioning:
    """What is asked for: a certificate for `entity` (user@domain) and its device (`{guid}`), by a PKCS#10
    `request` in DER. `identifier` comes back in the answer."""

    entity: str
    device: str
    request: bytes
    identifier: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))

    def document(self, ticket: TokenResponse, key: bytes, url: str) -> bytes:
        """The signed request, to be posted to `url`. `key`: `ticket.key(client_entropy)`."""
        stamp = _TIMESTAMP.format(wsu=WSU, created=ticket.created, expires=ticket.expires)
        named = xmlsignature.parse(ticket.token.encode()).getAttribute("AssertionID")
        signature = xmlsignature.signature(
            xmlsignature.parse(stamp.encode()),
            HMAC_SHA1,
            xmlsignature.hmac_sha1(key),
            _KEY_INFO.format(wsse=WSSE, kind=ASSERTION_ID, identifier=escape(named)),
        )
        header = _HEADER.format(
            wsa=WSA,
            wsse=WSSE,
            to=escape(url),
            action=ACTION,
            timestamp=stamp,
            assertion=ticket.token,
            signature=signature,
        )
        body = _REQUEST.format(
            **_NAMESPACES,
            device=quoteattr(self.device),
            entity=quoteattr(self.entity),
            pkcs10=PKCS10,
            request=base64.encodebytes(self.request).decode().strip(),
            identifier=escape(self.identifier),
        )
        return envelope(body, header)

    def answer(self, certificate: bytes) -> bytes:
        """The answer with a certificate in DER."""
        return envelope(
            _ANSWER.format(
                **_NAMESPACES,
                device=quoteattr(self.device),
                entity=quoteattr(self.entity),
                certificate=base64.b64encode(certificate).decode(),
                identifier=escape(self.identifier),
            )
        )


_NAMESPACES = {"ocs": OCS, "wst": WST, "wsse": WSSE, "wstep": WSTEP, "x509": X509, "base64": _BASE64}


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """The Security header of a request: a ticket, and the signed time stamp. `assertion`: the ticket's
    canonical XML; `expires`: the time stamp's, as it stands there."""

    assertion: str
    expires: str
    _timestamp: minidom.Element
    _signature: minidom.Element

    def verify(self, key: bytes) -> None:
        """That the time stamp was signed with the ticket's key. Raises SignatureError."""

        def check(signed: bytes, value: bytes) -> bool:
            return hmac.compare_digest(hmac.digest(key, signed, "sha1"), value)

        xmlsignature.verify(self._signature, self._timestamp, HMAC_SHA1, check)


def parse_request(body: bytes) -> tuple[Proof, Provisioning]:
    """Read a signed request. Nothing of it is verified yet. Raises TrustError."""
    try:
        top = xmlsignature.parse(body)
        security = find(top, SOAP, "Header")
        security = find(security, WSSE, "Security")
        return _proof(security), _asked(find(find(top, SOAP, "Body"), OCS, "GetAndPublishCert"))
    except SignatureError as error:
        raise TrustError(str(error)) from error


def parse_answer(body: bytes) -> bytes:
    """The certificate in DER. Raises TrustError."""
    try:
        answer = find(find(xmlsignature.parse(body), SOAP, "Body"), OCS, "GetAndPublishCertResponse")
        requested = find(answer, WST, "RequestSecurityTokenResponse", "RequestedSecurityToken")
        return xmlsignature.base64_bytes(text(find(requested, WSSE, "BinarySecurityToken")))
    except SignatureError as error:
        raise TrustError(str(error)) from error


def _proof(security: minidom.Element) -> Proof:
    timestamp = find(security, WSU, "Timestamp")
    assertion = find(security, SAML, "Assertion")
    signature = find(security, DSIG, "Signature")
    reference = find(find(signature, DSIG, "KeyInfo"), WSSE, "SecurityTokenReference", "KeyIdentifier")
    if text(reference) != assertion.getAttribute("AssertionID"):
        raise SignatureError("the signature names another ticket")
    expires = text(find(timestamp, WSU, "Expires"))
    return Proof(xmlsignature.canonical(assertion).decode(), expires, timestamp, signature)


def _asked(element: minidom.Element) -> Provisioning:
    token = next((c for c in children(element) if c.localName == "RequestSecurityToken"), None)
    if token is None or token.namespaceURI not in _WST_NAMES:
        raise SignatureError("no RequestSecurityToken in GetAndPublishCert")
    request = find(token, WSSE, "BinarySecurityToken")
    if request.getAttribute("ValueType") != PKCS10:
        raise SignatureError("the request is no PKCS#10")
    return Provisioning(
        element.getAttribute("Entity"),
        element.getAttribute("DeviceId"),
        xmlsignature.base64_bytes(text(request)),
        text(find(token, WSTEP, "RequestID")),
    )
