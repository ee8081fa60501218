"""The web ticket service: mex, RST over Windows authentication, and the OAuth token end point.

Wire facts: protocol reference §3.1 to §3.5. The port list holds what the lab really serves; a real
pool lists more. The RST is read with an XML parser, not by looking for words in it: a proxy that
damages a body is found out.
"""

from __future__ import annotations

import dataclasses
import time
import urllib.parse
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from lyncgate.lab import tickets
from lyncgate.lab.call import Call, diagnostics, json_answer, method_not_allowed, windows_challenge
from lyncgate.lab.web import Response

SERVICE = "/WebTicket/WebTicketService.svc"
WST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SAML_TOKEN = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1"  # noqa: S105 (a name)
# Asked for by several public clients of the service; in none of Microsoft's documents.
COMPACT_TOKEN = "urn:component:Microsoft.Rtc.WebAuthentication.2010:user-cwt-1"  # noqa: S105 (a name)
XML = "text/xml; charset=utf-8"

_WSDL = """<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions name="WebTicketService" targetNamespace="http://tempuri.org/" \
xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" \
xmlns:tns="http://tempuri.org/" xmlns:wsaw="http://www.w3.org/2006/05/addressing/wsdl" \
xmlns:af="urn:component:Microsoft.Rtc.WebAuthentication.2010">
<wsdl:portType name="IWebTicketService"><wsdl:operation name="IssueToken">
<wsdl:input wsaw:Action="{wst}/RST/Issue"/><wsdl:output wsaw:Action="{wst}/RSTRC/IssueFinal"/>
</wsdl:operation></wsdl:portType>
<wsdl:service name="WebTicketService">
<wsdl:port name="WebTicketServiceWinNegotiate" binding="tns:WebTicketServiceWinNegotiate">\
<soap:address location={location}/></wsdl:port>
</wsdl:service></wsdl:definitions>
"""

_RSTR = """<s:Envelope xmlns:s="{soap}"><s:Body>\
<RequestSecurityTokenResponseCollection xmlns="{wst}"><RequestSecurityTokenResponse Context={context}>\
<TokenType>{token_type}</TokenType><RequestedSecurityToken>{token}</RequestedSecurityToken>\
<Lifetime><wsu:Created xmlns:wsu="{wsu}">{created}</wsu:Created>\
<wsu:Expires xmlns:wsu="{wsu}">{expires}</wsu:Expires></Lifetime>\
</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection></s:Body></s:Envelope>"""

_FAULT = """<s:Envelope xmlns:s="{soap}"><s:Body><s:Fault><faultcode>s:Client</faultcode>\
<faultstring>{reason}</faultstring></s:Fault></s:Body></s:Envelope>"""


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is used of an RST: `context` comes back in the answer, `token_type` says in which form."""

    context: str
    token_type: str


class BadTokenRequestError(Exception):
    """The body is not an RST for a token we can make; the text goes into the SOAP fault."""


def parse_token_request(body: bytes) -> TokenRequest:
    """Read an RST in a SOAP 1.1 envelope. Raises BadTokenRequestError."""
    try:
        root = ET.fromstring(body)  # noqa: S314 (loopback lab; this expat has limits against entity bombs)
    except ET.ParseError as error:
        raise BadTokenRequestError(f"not XML: {error}") from error
    rst = root.find(f"{{{SOAP}}}Body/{{{WST}}}RequestSecurityToken")
    if rst is None:
        raise BadTokenRequestError("no RequestSecurityToken in the body")
    token_type = (rst.findtext(f"{{{WST}}}TokenType") or SAML_TOKEN).strip()
    if token_type not in (SAML_TOKEN, COMPACT_TOKEN):
        raise BadTokenRequestError("unknown TokenType")
    return TokenRequest(rst.get("Context", ""), token_type)


async def mex(call: Call) -> Response:
    """`GET …/mex`: the WSDL, without authentication."""
    if call.request.method != "GET":
        return method_not_allowed("GET")
    text = _WSDL.format(wst=WST, location=quoteattr(call.url(SERVICE)))
    return Response(200, [("Content-Type", XML)], text.encode())


async def issue(call: Call) -> Response:
    """`POST …/WebTicketService.svc`: Windows authentication, then RST in, RSTR out."""
    body = await call.request.read()
    if challenge := windows_challenge(call):
        return challenge
    if call.request.method != "POST":
        return method_not_allowed("POST")
    user = call.pool.directory.by_principal(call.auth.principal or "")
    if user is None:
        return diagnostics(call, 403, 28000, "User is not SIP enabled.")
    try:
        wanted = parse_token_request(body)
    except BadTokenRequestError as error:
        fault = _FAULT.format(soap=SOAP, reason=escape(str(error)))
        return Response(500, [("Content-Type", XML)], fault.encode())
    now = time.time()
    expires = now + tickets.LIFETIME
    if wanted.token_type == COMPACT_TOKEN:
        token = f"<UserToken>{call.pool.tickets.compact(user.sip, expires)}</UserToken>"
    else:
        token = call.pool.tickets.assertion(user.sip, now, expires)
    text = _RSTR.format(
        soap=SOAP,
        wst=WST,
        wsu=WSU,
        context=quoteattr(wanted.context),
        token_type=wanted.token_type,
        token=token,
        created=tickets.timestamp(now),
        expires=tickets.timestamp(expires),
    )
    return Response(200, [("Content-Type", XML)], text.encode())


async def oauth_token(call: Call) -> Response:
    """`POST /WebTicket/oauthtoken`: the password grant, and the windows grant over NTLM."""
    body = await call.request.read()
    if call.request.method != "POST":
        return method_not_allowed("POST")
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    directory = call.pool.directory
    match form.get("grant_type"):
        case "password":
            user = directory.check_password(form.get("username", ""), form.get("password", ""))
        case "urn:microsoft.rtc:windows":
            if challenge := windows_challenge(call):
                return challenge
            user = directory.by_principal(call.auth.principal or "")
        case None:
            return json_answer(400, {"error": "invalid_request"})
        case _:
            return json_answer(400, {"error": "unsupported_grant_type"})
    if user is None:
        return json_answer(400, {"error": "invalid_grant"})
    return json_answer(
        200,
        {
            "access_token": call.pool.tickets.compact(user.sip, time.time() + tickets.LIFETIME),
            "expires_in": int(tickets.LIFETIME),
            "ms_rtc_identityscope": "local",
            "token_type": "Bearer",
        },
        ("Cache-Control", "no-store"),
    )
