"""The web ticket service: mex, and RST in, RSTR out, at a port for each way to say who one is.

| port | path below the service | proved by |
| --- | --- | --- |
| WebTicketServiceWinNegotiate | | Negotiate or NTLM on HTTP |
| WebTicketServiceWinNtlm | /WinNtlm (our guess) | NTLM on HTTP |
| WebTicketServiceAuth | /Auth | UsernameToken in the SOAP header, in clear text |
| WebTicketServiceCert | /cert (unverified) | a time stamp signed with a certificate of CertProv |
| WebTicketServiceAnon | /Anon | a conference and its key, as claims (their form is our guess) |

Wire facts: protocol reference §3.1 to §3.4. What is in RST and RSTR is lync.wstrust's. A ticket whose RST
brings entropy has a key, half of which comes back in the answer (certificate provisioning wants it).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from lyncgate.lab import meetings, tickets
from lyncgate.lab.call import Call, diagnostics, method_not_allowed, windows_challenge
from lyncgate.lab.web import Response
from lyncgate.lync import certlogin, wstrust, xmlsignature
from lyncgate.lync import mex as metadata
from lyncgate.lync.wstrust import COMPACT_TOKEN as COMPACT_TOKEN  # explicit: phones take them from here
from lyncgate.lync.wstrust import SOAP as SOAP
from lyncgate.lync.wstrust import WST as WST
from lyncgate.lync.wstrust import XML as XML
from lyncgate.lync.wstrust import TokenResponse, TrustError

SERVICE = "/WebTicket/WebTicketService.svc"
PORTS = (
    ("WebTicketServiceWinNegotiate", ""),
    ("WebTicketServiceWinNtlm", "/WinNtlm"),
    ("WebTicketServiceAuth", "/Auth"),
    ("WebTicketServiceCert", "/cert"),
    ("WebTicketServiceAnon", "/Anon"),
)
CONFERENCE_KEY_CLAIM = "urn:lyncgate:lab:conferencekey"  # our own name; the conference is the URI claim

_OPERATION = metadata.Operation(
    "IWebTicketService", "IssueToken", wstrust.ISSUE, f"{wstrust.WST}/RSTRC/IssueFinal"
)

type Identify = Callable[[Call, bytes], str | Response]  # who asks, by SIP address, or the answer instead


async def mex(call: Call) -> Response:
    """`GET …/mex`: the WSDL, without authentication."""
    if call.request.method != "GET":
        return method_not_allowed("GET")
    ports = [metadata.Port(name, call.url(SERVICE + path)) for name, path in PORTS]
    return Response(200, [("Content-Type", XML)], metadata.document("WebTicketService", ports, _OPERATION))


async def issue(call: Call) -> Response:
    """By Windows authentication."""
    return await _issue(call, _by_windows)


async def issue_by_ntlm(call: Call) -> Response:
    """By NTLM only."""
    return await _issue(call, _by_ntlm)


async def issue_by_password(call: Call) -> Response:
    """By UsernameToken."""
    return await _issue(call, _by_password)


async def issue_by_certificate(call: Call) -> Response:
    """By a certificate of CertProv."""
    return await _issue(call, _by_certificate)


async def issue_to_guest(call: Call) -> Response:
    """To who joins a meeting without an account."""
    return await _issue(call, _by_conference_key, tickets.ANONYMOUS_LIFETIME)


async def _issue(call: Call, identify: Identify, lifetime: float = tickets.LIFETIME) -> Response:
    body = await call.request.read()
    if call.request.method != "POST":
        # IIS authenticates before the service sees the method: a probe by GET is challenged as well.
        return (windows_challenge(call) if identify is _by_windows else None) or method_not_allowed("POST")
    try:
        sip = identify(call, body)
        return sip if isinstance(sip, Response) else _answer(call, sip, body, lifetime)
    except TrustError as error:
        return soap_fault("Client", str(error))


def _answer(call: Call, sip: str, body: bytes, lifetime: float) -> Response:
    wanted = wstrust.parse_token_request(body)
    now = time.time()
    expires = now + lifetime
    entropy = key = b""
    if wanted.entropy:
        entropy = secrets.token_bytes(wstrust.KEY_SIZE)
        key = xmlsignature.p_sha1(wanted.entropy, entropy, wstrust.KEY_SIZE)
    if wanted.token_type == COMPACT_TOKEN:
        token = call.pool.tickets.compact(sip, expires)
    else:
        token = call.pool.tickets.assertion(sip, now, expires, key)
    answer = TokenResponse(
        wanted.context,
        wanted.token_type,
        token,
        wstrust.timestamp(now),
        wstrust.timestamp(expires),
        entropy,
    )
    return Response(200, [("Content-Type", XML)], answer.document())


def soap_fault(code: str, reason: str) -> Response:
    """A SOAP 1.1 fault, which is a 500."""
    return Response(500, [("Content-Type", XML)], wstrust.fault(code, reason))


def _by_windows(call: Call, _body: bytes) -> str | Response:
    return windows_challenge(call) or _enabled(call)


def _by_ntlm(call: Call, _body: bytes) -> str | Response:
    return windows_challenge(call, ("NTLM",)) or _enabled(call)


def _enabled(call: Call) -> str | Response:
    """The user that Windows authentication found, if Lync knows him."""
    user = call.pool.directory.by_principal(call.auth.principal or "")
    return user.sip if user else diagnostics(call, 403, 28000, "User is not SIP enabled.")


def _by_password(call: Call, body: bytes) -> str | Response:
    token = wstrust.parse_username_token(body)
    user = call.pool.directory.check_password(*token) if token else None
    return user.sip if user else soap_fault("FailedAuthentication", "User name or password is wrong.")


def _by_certificate(call: Call, body: bytes) -> str | Response:
    try:
        proof = certlogin.parse(body)
    except xmlsignature.SignatureError as error:
        return soap_fault("InvalidSecurity", str(error))
    sip = call.user_certificates.holder(proof, time.time())
    if sip is None or call.pool.directory.by_sip(sip) is None:
        return soap_fault("FailedAuthentication", "The certificate proves nobody.")
    return sip


def _by_conference_key(call: Call, body: bytes) -> str | Response:
    claims = dict(wstrust.parse_token_request(body).claims)
    guest = meetings.admit(
        call.pool.directory, claims.get(wstrust.URI_CLAIM, ""), claims.get(CONFERENCE_KEY_CLAIM, "")
    )
    return guest or soap_fault("FailedAuthentication", "No such conference, or another key.")
