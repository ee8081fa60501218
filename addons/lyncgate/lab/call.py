"""What a web service of a front end is given, and the answers that several of them give."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence

from lyncgate.lab.inside.member import Inside
from lyncgate.lab.ntlm import CHALLENGES, AccountsUnavailableError, ConnectionAuth
from lyncgate.lab.pool import Pool
from lyncgate.lab.tickets import ExpiredTicketError, ForeignTokenError, InvalidTicketError
from lyncgate.lab.topology import AccessLocation
from lyncgate.lab.usercertificates import UserCertificates
from lyncgate.lab.web import Request, Response

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request at one web site. `path`: lower-case, as IIS compares it; `host`: lower-case, no port;
    `auth`: Windows authentication of the connection; `fqdn`: this server; `pools`: all, by name;
    `inside`: how the mobility services of this server sign users in; `user_certificates`: what
    certificate provisioning issues."""

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
    user_certificates: UserCertificates

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
    """An error page with X-Ms-diagnostics (protocol reference §3.6)."""
    return diagnosed(call, page(status, f"{status} - {reason}"), number, reason)


def diagnosed(call: Call, response: Response, number: int, reason: str, code: str = "") -> Response:
    """The response, with X-Ms-diagnostics. `code`: the fault code that some carry."""
    line = f'{number};source="{call.fqdn}";reason="{reason}"' + (f';faultcode="{code}"' if code else "")
    response.headers.append(("X-Ms-diagnostics", line))
    return response


def method_not_allowed(allowed: str) -> Response:
    """405."""
    return Response(405, [("Allow", allowed)])


def windows_challenge(call: Call, schemes: Sequence[str] = CHALLENGES) -> Response | None:
    """401 with the `schemes` on lines of their own, or the next step of a handshake; None when the
    connection is authenticated."""
    try:
        lines = call.auth.challenge(call.request.header("authorization"), schemes)
    except AccountsUnavailableError:
        reason = "Internal error while processing Integrated Windows authentication or authorization."
        return diagnostics(call, 500, 28001, reason)
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
            f'grant_type="{",".join(call.pool.web.grants)}"',
        ),
    )


def foreign_origin(call: Call) -> Response | None:
    """403 for a page of another site that is not listed to call this one; None for all other requests."""
    origin = call.request.header("origin")
    if origin is None or origin == f"https://{call.host}" or origin in call.pool.web.origins:
        return None
    return page(403, "Service does not allow a cross domain request from this origin.")


def ticket_holder(call: Call, *, oauth: bool) -> str | Response:
    """The SIP address that the request's web ticket proves, or the answer to give instead."""
    request = call.request
    try:
        sip = call.pool.tickets.holder(
            request.header("x-ms-webticket"), request.header("authorization"), time.time()
        )
    except InvalidTicketError:
        return diagnostics(call, 500, 28032, "The web ticket is invalid.")
    except ForeignTokenError:
        reason = "The OAuth token is invalid."
        response = page(403, f"403 - {reason}")
        response.headers.append(("Warning", f'120 {call.fqdn} "InvalidToken"'))
        return diagnosed(call, response, 28055, reason, "wsse:FailedAuthentication")
    except ExpiredTicketError:
        sip = None
    if sip is None:
        return oauth_challenge(call) if oauth else web_ticket_challenge(call)
    return sip
