"""What a web service of a front end is given, and the answers that several of them give."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping

from lyncgate.lab.inside.member import Inside
from lyncgate.lab.ntlm import ConnectionAuth
from lyncgate.lab.pool import Pool
from lyncgate.lab.tickets import ExpiredTicketError, InvalidTicketError
from lyncgate.lab.topology import AccessLocation
from lyncgate.lab.web import Request, Response

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request at one web site. `path`: lower-case, as IIS compares it; `host`: lower-case, no port;
    `auth`: Windows authentication of the connection; `fqdn`: this server; `pools`: all, by name;
    `inside`: how the mobility services of this server sign users in."""

    request: Request
    auth: ConnectionAuth
    location: AccessLocation
    secure: bool
    path: str
    host: str
    fqdn: str
    pool: Pool
    pools: Mapping[str, Pool]
    inside: Inside

    def url(self, path: str) -> str:
        """An absolute URL of this pool's web services, as this site hands it out."""
        return self.pool.web_url(self.location, path)


def page(status: int, title: str) -> Response:
    """A small HTML page."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(status, [("Content-Type", HTML)], text.encode())


def unauthorized(*headers: tuple[str, str]) -> Response:
    """401 with an HTML body, as IIS has it."""
    response = page(401, "401 - Unauthorized: Access is denied due to invalid credentials.")
    response.headers += headers
    return response


def json_answer(status: int, value: object, *headers: tuple[str, str]) -> Response:
    """A JSON body."""
    return Response(status, [("Content-Type", JSON), *headers], json.dumps(value).encode())


def diagnostics(call: Call, status: int, number: int, reason: str) -> Response:
    """An error with X-Ms-diagnostics (protocol reference §3.6)."""
    response = page(status, f"{status} - {reason}")
    response.headers.append(("X-Ms-diagnostics", f'{number};source="{call.fqdn}";reason="{reason}"'))
    return response


def method_not_allowed(allowed: str) -> Response:
    """405."""
    return Response(405, [("Allow", allowed)])


def windows_challenge(call: Call) -> Response | None:
    """401 with Negotiate and NTLM on lines of their own, or the next step of a handshake; None when the
    connection is authenticated."""
    lines = call.auth.challenge(call.request.header("authorization"))
    return unauthorized(*(("WWW-Authenticate", line) for line in lines)) if lines else None


def web_ticket_challenge(call: Call) -> Response:
    """401 that says where tickets are had. The value of X-MS-WebTicketSupported is from memory."""
    return unauthorized(
        ("X-MS-WebTicketURL", call.url("/WebTicket/WebTicketService.svc")),
        ("X-MS-WebTicketSupported", "cwt,saml"),
    )


def oauth_challenge(call: Call) -> Response:
    """401 of the OAuth resources: two WWW-Authenticate lines, one with commas inside quotes."""
    realm = call.pool.spec.fqdn.partition(".")[2]
    return unauthorized(
        (
            "WWW-Authenticate",
            f'Bearer trusted_issuers="00000002-0000-0ff1-ce00-000000000000@{realm}", '
            'client_id="00000004-0000-0ff1-ce00-000000000000"',
        ),
        (
            "WWW-Authenticate",
            f'MsRtcOAuth href="{call.url("/WebTicket/oauthtoken")}",'
            'grant_type="urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting,password"',
        ),
    )


def ticket_holder(call: Call, *, oauth: bool) -> str | Response:
    """The SIP address that the request's web ticket proves, or the answer to give instead."""
    request = call.request
    try:
        sip = call.pool.tickets.holder(
            request.header("x-ms-webticket"), request.header("authorization"), time.time()
        )
    except InvalidTicketError:
        return diagnostics(call, 500, 28032, "The web ticket is invalid.")
    except ExpiredTicketError:
        sip = None
    if sip is None:
        return oauth_challenge(call) if oauth else web_ticket_challenge(call)
    return sip
