"""WS-Trust as web tickets use it (protocol reference §3.2): the request for a ticket, and its answer. Pure.

    body = TokenRequest("c1", COMPACT_TOKEN, applies_to="https://lyncweb.contoso.example/").document()
    parse_token_request(body).token_type
    parse_token_response(answer).token        # `cwt=…`, or the whole SAML Assertion

Both directions, so that the lab's service and its phones share one form; read with an XML parser, not by
looking for words: a proxy that damages a body is found out.

`Lifetime` holds `Created` and `Expires` each with its namespace as the default one: a client (SIPE) puts
their raw text into a `Timestamp` and signs that as if it were canonical, which it is in this form only.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
from xml.dom import minidom
from xml.sax.saxutils import escape, quoteattr

from lyncgate.lync import safexml, xmlsignature
from lyncgate.lync.xmlsignature import WSU, SignatureError, find, text

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
WSP = "http://schemas.xmlsoap.org/ws/2004/09/policy"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
AUTH = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
SAML = "urn:oasis:names:tc:SAML:1.0:assertion"
SAML_TOKEN = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"  # noqa: S105 (a name)
# Asked for by several public clients of the service; in none of Microsoft's documents.
COMPACT_TOKEN = "urn:component:Microsoft.Rtc.WebAuthentication.2010:user-cwt-1"  # noqa: S105 (a name)
CLAIMS = "urn:component:Microsoft.Rtc.WebAuthentication.2010:authclaims"
URI_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/uri"
ISSUE = f"{WST}/RST/Issue"  # the SOAPAction
XML = "text/xml; charset=utf-8"
KEY_SIZE = 32  # bytes: WS-Trust's default of 256 bits, and what SIPE takes

_ENVELOPE = '<s:Envelope xmlns:s="{soap}">{header}<s:Body>{body}</s:Body></s:Envelope>'
_RST = (
    '<RequestSecurityToken xmlns="{wst}" Context={context}><TokenType>{token_type}</TokenType>'
    "<RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</RequestType>"
    '<AppliesTo xmlns="{wsp}"><EndpointReference xmlns="{wsa}"><Address>{applies_to}</Address>'
    "</EndpointReference></AppliesTo>{claims}{entropy}</RequestSecurityToken>"
)
_CLAIM = '<a:ClaimType xmlns:a="{auth}" Uri={uri}><a:Value>{value}</a:Value></a:ClaimType>'
_RSTR = (
    '<RequestSecurityTokenResponseCollection xmlns="{wst}"><RequestSecurityTokenResponse Context={context}>'
    "<TokenType>{token_type}</TokenType><RequestedSecurityToken>{token}</RequestedSecurityToken>"
    '<Lifetime><Created xmlns="{wsu}">{created}</Created><Expires xmlns="{wsu}">{expires}</Expires>'
    "</Lifetime>"
    "{entropy}</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>"
)


class TrustError(ValueError):
    """Not the message it should be; the text goes into a SOAP fault."""


def timestamp(seconds: float) -> str:
    """A Unix time as xs:dateTime in UTC."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_time(date_time: str) -> float:
    """The reverse. Raises ValueError."""
    return datetime.datetime.fromisoformat(date_time).timestamp()


def envelope(body: str, header: str = "") -> bytes:
    """A SOAP 1.1 envelope; `header`: the content of its Header."""
    head = f"<s:Header>{header}</s:Header>" if header else ""
    return _ENVELOPE.format(soap=SOAP, header=head, body=body).encode()


def fault(code: str, reason: str) -> bytes:
    """A SOAP fault; `code`: `Client`, `Server`, or a name of WS-Security's such as `FailedAuthentication`."""
    prefix = "s" if code in ("Client", "Server") else "w"
    return envelope(
        f'<s:Fault xmlns:w="{WSSE}"><faultcode>{prefix}:{code}</faultcode>'
        f"<faultstring>{escape(reason)}</faultstring></s:Fault>"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRequest:
    """An RST. `context` comes back in the answer; `token_type`: SAML_TOKEN or COMPACT_TOKEN; `claims`: (URI,
    value) of what is claimed; `entropy`: the client's half of the ticket's key, empty for none."""

    context: str = ""
    token_type: str = SAML_TOKEN
    applies_to: str = ""
    claims: tuple[tuple[str, str], ...] = ()
    entropy: bytes = b""

    def document(self, security: str = "") -> bytes:
        """The envelope; `security`: the content of its Security header."""
        claims = "".join(
            _CLAIM.format(auth=AUTH, uri=quoteattr(uri), value=escape(value)) for uri, value in self.claims
        )
        body = _RST.format(
            wst=WST,
            wsp=WSP,
            wsa=WSA,
            context=quoteattr(self.context),
            token_type=self.token_type,
            applies_to=escape(self.applies_to),
            claims=f'<Claims Dialect="{CLAIMS}">{claims}</Claims>' if claims else "",
            entropy=_entropy(self.entropy)
            + (f"<KeyType>{WST}/SymmetricKey</KeyType>" if self.entropy else ""),
        )
        return envelope(body, f'<Security xmlns="{WSSE}">{security}</Security>' if security else "")


def parse_token_request(body: bytes) -> TokenRequest:
    """Read an RST in a SOAP 1.1 envelope. Raises TrustError."""
    try:
        root = safexml.parse(body)
    except safexml.XmlError as error:
        raise TrustError(str(error)) from error
    rst = root.find(f"{{{SOAP}}}Body/{{{WST}}}RequestSecurityToken")
    if rst is None:
        raise TrustError("no RequestSecurityToken in the body")
    token_type = (rst.findtext(f"{{{WST}}}TokenType") or SAML_TOKEN).strip()
    if token_type not in (SAML_TOKEN, COMPACT_TOKEN):
        raise TrustError("unknown TokenType")
    claims = tuple(
        (claim.get("Uri", ""), (claim.findtext(f"{{{AUTH}}}Value") or "").strip())
        for claim in rst.iterfind(f"{{{WST}}}Claims/{{{AUTH}}}ClaimType")
    )
    address = rst.findtext(f"{{{WSP}}}AppliesTo/{{{WSA}}}EndpointReference/{{{WSA}}}Address") or ""
    try:
        entropy = xmlsignature.base64_bytes(rst.findtext(f"{{{WST}}}Entropy/{{{WST}}}BinarySecret") or "")
    except SignatureError as error:
        raise TrustError(f"Entropy: {error}") from error
    return TokenRequest(rst.get("Context", ""), token_type, address.strip(), claims, entropy)


def username_token(name: str, password: str) -> str:
    """For a Security header: who one is, in clear text (protocol reference §3.1, /Auth)."""
    return (
        f"<UsernameToken><Username>{escape(name)}</Username>"
        f"<Password>{escape(password)}</Password></UsernameToken>"
    )


def parse_username_token(body: bytes) -> tuple[str, str] | None:
    """Name and password of an envelope's UsernameToken; None when there is none. Raises TrustError."""
    try:
        root = safexml.parse(body)
    except safexml.XmlError as error:
        raise TrustError(str(error)) from error
    token = root.find(f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken")
    if token is None:
        return None
    return token.findtext(f"{{{WSSE}}}Username") or "", token.findtext(f"{{{WSSE}}}Password") or ""


@dataclasses.dataclass(frozen=True, slots=True)
class TokenResponse:
    """An RSTR. `token`: `cwt=…`, or the SAML Assertion as text; `created`, `expires`: as they stand in the
    document; `entropy`: the server's half of the key, empty for none."""

    context: str
    token_type: str
    token: str
    created: str
    expires: str
    entropy: bytes = b""

    def document(self) -> bytes:
        """The envelope."""
        compact = self.token_type == COMPACT_TOKEN
        return envelope(
            _RSTR.format(
                wst=WST,
                wsu=WSU,
                context=quoteattr(self.context),
                token_type=self.token_type,
                token=f"<UserToken>{self.token}</UserToken>" if compact else self.token,
                created=self.created,
                expires=self.expires,
                entropy=_entropy(self.entropy),
            )
        )

    def key(self, client_entropy: bytes) -> bytes:
        """The ticket's key, made of both halves."""
        return xmlsignature.p_sha1(client_entropy, self.entropy, KEY_SIZE)


def parse_token_response(body: bytes) -> TokenResponse:
    """Read an RSTR. Raises TrustError."""
    try:
        collection = find(xmlsignature.parse(body), SOAP, "Body")
        answer = find(
            collection, WST, "RequestSecurityTokenResponseCollection", "RequestSecurityTokenResponse"
        )
        lifetime = find(answer, WST, "Lifetime")
        requested = next(xmlsignature.children(find(answer, WST, "RequestedSecurityToken")), None)
        if requested is None:
            raise TrustError("no token in the answer")
        return TokenResponse(
            answer.getAttribute("Context"),
            text(find(answer, WST, "TokenType")),
            text(requested)
            if requested.localName == "UserToken"
            else xmlsignature.canonical(requested).decode(),
            text(find(lifetime, WSU, "Created")),
            text(find(lifetime, WSU, "Expires")),
            _server_entropy(answer),
        )
    except SignatureError as error:
        raise TrustError(str(error)) from error


def _server_entropy(answer: minidom.Element) -> bytes:
    if not any(child.localName == "Entropy" for child in xmlsignature.children(answer)):
        return b""
    return xmlsignature.base64_bytes(text(find(answer, WST, "Entropy", "BinarySecret")))


def _entropy(secret: bytes) -> str:
    encoded = base64.b64encode(secret).decode()
    return f"<Entropy><BinarySecret>{encoded}</BinarySecret></Entropy>" if secret else ""
