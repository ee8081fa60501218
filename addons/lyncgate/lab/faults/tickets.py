"""Faults of web tickets and of who the user is (protocol reference §10, F20 … F33)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lyncgate.lab.call import Call, diagnostics
from lyncgate.lab.faults.badproxy import Proxy
from lyncgate.lab.faults.fault import Fault, People, Pools, Services, always
from lyncgate.lab.faults.steps import (
    MOBILITY,
    Asked,
    Serve,
    Step,
    afterwards,
    beforehand,
    error,
    instead,
    on,
    under,
    with_bearer,
)
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.scenario.users import User
from lyncgate.lab.web import Response
from lyncgate.lab.websettings import ANONYMOUS, PASSIVE
from lyncgate.lync.stages import Stage

TICKET = "/webticket/webticketservice.svc"


def _proves(call: Asked) -> bool:
    """Requests to the ticket service that answer a challenge."""
    return call.path.startswith(TICKET) and call.request.header("authorization") is not None


def _refused(status: int, number: int, reason: str, *headers: tuple[str, str]) -> Step[Call]:
    """An error with X-Ms-diagnostics in place of an answer that was good."""

    def change(call: Call, response: Response) -> Response:
        if response.status != 200:
            return response
        refusal = diagnostics(call, status, number, reason)
        refusal.headers += headers
        return refusal

    return afterwards(change)


def _negotiate_only(_call: Call, response: Response) -> Response:
    if any(name == "WWW-Authenticate" and value.startswith("NTLM") for name, value in response.headers):
        response.headers = [field for field in response.headers if field[0] != "WWW-Authenticate"]
        response.headers.append(("WWW-Authenticate", "Negotiate"))
    return response


def _new_password(user: User) -> User:
    return dataclasses.replace(user, password="N3w-alice")  # noqa: S106 (a lab's)


def _user(sip: str, change: Callable[[User], User | None]) -> People:
    """One user is another, or (None) not there at all."""

    def changed(scenario: Scenario) -> Scenario:
        users = (change(user) if user.sip == sip else user for user in scenario.users)
        return dataclasses.replace(scenario, users=tuple(user for user in users if user))

    return People(changed)


async def _invalid_token(call: Call, _serve: Serve[Call]) -> Response:
    refusal = diagnostics(call, 403, 28055, "The OAuth token is invalid.")
    refusal.headers.append(("Warning", f'120 {call.fqdn} "InvalidToken"'))
    return refusal


FAULTS = (
    Fault(
        "F20",
        "the proxy gives each request another upstream connection",
        "type 2 and type 3 of a handshake meet different connections of the front end",
        "401, type 1, 401 with a challenge, type 3, 401 again without one, and so on",
        "the password is refused, though it is right",
        Stage.TICKET,
        always(Proxy(steps=(beforehand(lambda c: dataclasses.replace(c, kept=False)),))),
    ),
    Fault(
        "F21",
        "the password is wrong",
        "alice's password was changed",
        "401 with Negotiate and NTLM after a whole handshake",
        "wrong user name or password",
        Stage.TICKET,
        always(_user("alice@contoso.example", _new_password)),
    ),
    Fault(
        "F22",
        "the SIP address is not the UPN",
        "alice's user principal name is alice.adams@contoso.example",
        "as F21, with the right password; with the UPN all is well",
        "as F21, until the user name is given too",
        Stage.TICKET,
        always(
            _user(
                "alice@contoso.example",
                lambda u: dataclasses.replace(u, account="alice.adams@contoso.example"),
            )
        ),
    ),
    Fault(
        "F23",
        "only Negotiate is offered",
        "the front ends have Windows authentication without NTLM",
        "401 with WWW-Authenticate: Negotiate alone; clients that know NTLM only stop there",
        "stops after the first 401",
        Stage.TICKET,
        always(Services(afterwards(_negotiate_only))),
    ),
    Fault(
        "F24",
        "the user is not enabled for SIP",
        "the directory has the account, the pool's database not the user",
        "403 with X-Ms-diagnostics 28000 after a good handshake",
        "authenticated, and refused",
        Stage.TICKET,
        always(Services(on(_proves, _refused(403, 28000, "User is not SIP enabled.")))),
    ),
    Fault(
        "F25",
        "the front end fails while it authenticates",
        "Windows authentication on the ticket service ends in an internal error",
        "500 with X-Ms-diagnostics 28001",
        "no ticket",
        Stage.TICKET,
        always(
            Services(
                on(
                    _proves,
                    _refused(
                        500,
                        28001,
                        "Internal error while processing Integrated Windows authentication or authorization.",
                    ),
                )
            )
        ),
    ),
    Fault(
        "F26",
        "the mobility paths lead to another pool",
        "the proxy sends /ucwa and /mcx of the first pool to the second",
        "500 with X-Ms-diagnostics 28032: the ticket is of another pool",
        "has a ticket, which is refused where it is used",
        Stage.REGISTER,
        always(
            Proxy(steps=(on(under(*MOBILITY), beforehand(lambda c: dataclasses.replace(c, member="fe21"))),))
        ),
    ),
    Fault(
        "F27",
        "OAuth tokens are refused",
        "the pool doesn't trust who issued the token",
        '403 with X-Ms-diagnostics 28055 and Warning: 120 … "InvalidToken"',
        "applications with tokens in Authorization fail; phones have theirs in X-MS-WebTicket",
        None,
        always(Services(on(with_bearer, _invalid_token))),
    ),
    Fault(
        "F28",
        "passive authentication is on, and not published",
        "oauthtoken sends everybody to /PassiveAuth, which nothing answers",
        "400 invalid_grant, 28020, with ms_rtc_passiveauthuri; 404 for that URL",
        "applications can't get a token; phones ask elsewhere",
        None,
        always(Pools(lambda pool: setattr(pool.web, "grants", (PASSIVE,)))),
    ),
    Fault(
        "F29",
        "the grant type is off",
        "oauthtoken takes guests of meetings only",
        "password and windows: 400 unsupported_grant_type, 28029",
        "as F28",
        None,
        always(Pools(lambda pool: setattr(pool.web, "grants", (ANONYMOUS,)))),
    ),
    Fault(
        "F30",
        "the web ticket service did not start",
        "as with a MobilePreferredAuthType that is not supported",
        "503 for /WebTicket, mex too",
        "doesn't even learn where tickets are had",
        Stage.TICKET,
        always(Services(on(under("/webticket"), instead(error(503, "Service Unavailable"))))),
    ),
    Fault(
        "F31",
        "the origin is not allowed",
        "CrossDomainAuthorizationList is empty",
        "403 Service does not allow a cross domain request from this origin.",
        "web applications fail; phones send no Origin",
        None,
        always(Pools(lambda pool: setattr(pool.web, "origins", frozenset()))),
    ),
    Fault(
        "F32",
        "the address is wrong",
        "there is no user50@contoso.example any more",
        "as F21: the server is found, the account is not",
        "Can't sign in. Please check your account information.",
        Stage.TICKET,
        always(_user("user50@contoso.example", lambda _u: None)),
        user="user50@contoso.example",
    ),
    Fault(
        "F33",
        "the office Wi-Fi has a forward proxy that wants a log-on",
        "port 80 is answered by a forward proxy, 443 is closed but through it",
        "407 with Proxy-Authenticate: NTLM, for CONNECT too",
        "can't do NTLM with a proxy; on the mobile network all is well",
        Stage.DISCOVER,
        always(
            Proxy(
                https=False,
                steps=(
                    instead(
                        lambda _c: Response(
                            407, [("Proxy-Authenticate", "Negotiate"), ("Proxy-Authenticate", "NTLM")]
                        )
                    ),
                ),
            )
        ),
    ),
)
