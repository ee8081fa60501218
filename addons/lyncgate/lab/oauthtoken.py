"""`POST /WebTicket/oauthtoken`: a Bearer token for a grant (protocol reference §3.5).

| grant | proved by | else |
| --- | --- | --- |
| password | user name and password in the form | 400 invalid_grant |
| urn:microsoft.rtc:windows | Windows authentication of the connection | 401, then 403 and 28000 |
| urn:microsoft.rtc:anonmeeting | a conference and its key | 400 invalid_grant |
| urn:microsoft.rtc:passive | nothing: says where to sign in | 400 invalid_grant and 28020 |
| one that is switched off | | 400 unsupported_grant_type and 28029 |

Passive authentication goes on at an ADFS server, which the lab has not; it is off unless set.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Mapping

from lyncgate.lab import meetings, tickets, websettings
from lyncgate.lab.call import (
    Call,
    diagnosed,
    diagnostics,
    json_answer,
    method_not_allowed,
    windows_challenge,
)
from lyncgate.lab.web import Response

_INVALID_GRANT = {"error": "invalid_grant"}


async def oauth_token(call: Call) -> Response:
    """The whole service."""
    body = await call.request.read()
    if call.request.method != "POST":
        return method_not_allowed("POST")
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    grant = form.get("grant_type")
    if grant is None:
        return json_answer(400, {"error": "invalid_request"})
    if grant not in call.pool.web.grants:
        refusal = json_answer(400, {"error": "unsupported_grant_type"})
        return diagnosed(call, refusal, 28029, "Authentication type not allowed.")
    match grant:
        case websettings.PASSWORD:
            return _by_password(call, form)
        case websettings.WINDOWS:
            return _by_windows(call)
        case websettings.ANONYMOUS:
            return _for_a_meeting(call, form)
        case _:
            where = {"ms_rtc_passiveauthuri": call.url("/PassiveAuth/PassiveAuth.aspx")}
            answer = json_answer(400, _INVALID_GRANT | where)
            return diagnosed(call, answer, 28020, "No valid security token.")


def _by_password(call: Call, form: Mapping[str, str]) -> Response:
    user = call.pool.directory.check_password(form.get("username", ""), form.get("password", ""))
    return _token(call, user.sip, tickets.LIFETIME) if user else json_answer(400, _INVALID_GRANT)


def _by_windows(call: Call) -> Response:
    if challenge := windows_challenge(call):
        return challenge
    user = call.pool.directory.by_principal(call.auth.principal or "")
    if user is None:
        return diagnostics(call, 403, 28000, "User is not SIP enabled.")
    return _token(call, user.sip, tickets.LIFETIME)


def _for_a_meeting(call: Call, form: Mapping[str, str]) -> Response:
    guest = meetings.admit(
        call.pool.directory, form.get("ms_rtc_conferenceuri", ""), form.get("password", "")
    )
    return _token(call, guest, tickets.ANONYMOUS_LIFETIME) if guest else json_answer(400, _INVALID_GRANT)


def _token(call: Call, sip: str, lifetime: float) -> Response:
    return json_answer(
        200,
        {
            "access_token": call.pool.tickets.compact(sip, time.time() + lifetime),
            "expires_in": int(lifetime),
            "ms_rtc_identityscope": "local",
            "token_type": "Bearer",
        },
        ("Cache-Control", "no-store"),
    )
