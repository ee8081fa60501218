"""Web tickets and tokens that are refused, or not to be had: F24 … F31."""

from __future__ import annotations

from collections.abc import Callable

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely
from lyncgate.signin.catalogue.look import (
    absent,
    diagnosed,
    fqdn_of,
    from_pool,
    issued_ticket,
    path_of,
    saw,
    unasked,
)
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.finding import Fix, Grade

_NO_SIP, _INTERNAL, _NO_TOKEN, _NOT_ALLOWED, _BAD_TICKET, _BAD_TOKEN = (
    28000,
    28001,
    28020,
    28029,
    28032,
    28055,
)
_CROSS_DOMAIN = "cross domain"  # of the page that says so
_PASSIVE = "/passiveauth"


def _code(number: int) -> Callable[[Scene], Sighting | None]:
    """X-Ms-diagnostics says so, and no ticket was had after it."""

    def sees(scene: Scene) -> Sighting | None:
        for x in scene.exchanges:
            if diagnosed(x, number):
                later = (e for e in scene.exchanges if e.started > x.started)
                if not any(issued_ticket(e) for e in later):
                    return certain(
                        saw(x, f"X-Ms-diagnostics {number} {x.facts.diagnostics_text or ''}".strip())
                    )
        return None

    return sees


def _foreign_ticket(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if not diagnosed(x, _BAD_TICKET):
            continue
        seen = saw(x, f"X-Ms-diagnostics {_BAD_TICKET}")
        issuers = [e for e in scene.exchanges if issued_ticket(e) and e.started <= x.started]
        if not issuers:
            return likely(seen)
        if any(e.started > x.started for e in scene.exchanges if issued_ticket(e)) and scene.ok:
            return None
        by = fqdn_of(issuers[-1])
        if by and fqdn_of(x) and by != fqdn_of(x):
            return certain(seen, saw(issuers[-1], "the ticket is from there"))
        return likely(seen, saw(issuers[-1], "the ticket is from there"))
    return None


def _passive(scene: Scene) -> Sighting | None:
    told = [
        x
        for x in scene.exchanges
        if diagnosed(x, _NO_TOKEN) or _points_to_passive(x.facts.authentication_urls)
    ]
    told = [x for x in told if x.status == 400]
    if not told or scene.has_ticket:
        return None
    page = [x for x in scene.under(_PASSIVE) if x.status != 200]
    if page:
        return certain(saw(told[0]), saw(page[0]))
    return likely(saw(told[0]))


def _points_to_passive(urls: tuple[str, ...]) -> bool:
    return any(path_of(url).startswith(_PASSIVE) for url in urls)


def _grant_off(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if diagnosed(x, _NOT_ALLOWED) or x.facts.error == "unsupported_grant_type":
            return None if scene.has_ticket else certain(saw(x))
    return None


def _service_down(scene: Scene) -> Sighting | None:
    service = [x for x in scene.under("/webticket") if x.path != "/webticket/oauthtoken"]
    down = [x for x in service if x.status in (404, 500, 503) and not x.facts.diagnostics]
    down = [x for x in down if (x.status != 500 or x.path.endswith("/mex")) and not unasked(x)]
    if not down or any(x.status in (200, 401) for x in service):
        return None
    if from_pool(down[0]):
        return certain(saw(down[0]), *[saw(x) for x in down[1:2]])
    return likely(saw(down[0], "or the proxy does not publish /WebTicket"))


def _foreign_origin(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if x.status != 403 or x.facts.diagnostics:
            continue
        if _CROSS_DOMAIN in (x.facts.title or "").lower().replace("-", " "):
            return certain(saw(x, "the answer says that the origin is not allowed"))
        if x.facts.origin_sent and from_pool(x) and not _also_without_origin(scene):
            return likely(saw(x, "the request names an Origin"))
    return None


def _also_without_origin(scene: Scene) -> bool:
    return any(x.status == 403 and not x.facts.origin_sent for x in scene.exchanges)


def _bad_token(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if diagnosed(x, _BAD_TOKEN) or (x.status == 403 and "InvalidToken" in (x.facts.warning or "")):
            warning = [absent(f"Warning: {x.facts.warning}")] if x.facts.warning else []
            return None if scene.ok else certain(saw(x, "the token is refused"), *warning)
    return None


ENTRIES = (
    Entry(
        code="F24",
        title="the user is not enabled for SIP",
        stage=Stage.TICKET,
        symptom="Name and password are right, and the user is refused.",
        looks="403 with X-Ms-diagnostics 28000 after a good handshake.",
        cause="The account exists in the directory, and the pool's database has no such user.",
        sure="Get-CsUser -Identity <user>: Enabled has to be True, RegistrarPool has to be set.",
        fixes=(
            Fix(
                said="Enable the user.",
                command="Enable-CsUser -Identity '{account}' -RegistrarPool '{pool}' -SipAddress "
                "'sip:{user}'",
            ),
        ),
        sources=((Grade.DOCUMENT, "MS-OCAUTHWS 3.2.4.1"),),
        sees=_code(_NO_SIP),
    ),
    Entry(
        code="F25",
        title="the front end fails while it authenticates",
        stage=Stage.TICKET,
        symptom="No ticket, whoever asks; other front ends may be fine.",
        looks="500 with X-Ms-diagnostics 28001.",
        cause="An internal error while the server processes Windows authentication: it can't reach a domain "
        "controller or its database, or worse.",
        sure="The event log of the front end that the answer names (X-MS-Server-Fqdn).",
        fixes=(
            Fix(
                said="Look at that server's event log, and at whether it reaches its domain controllers.",
                command="Get-EventLog -ComputerName '{server}' -LogName 'Lync Server' -EntryType Error "
                "-Newest 50",
            ),
        ),
        sources=((Grade.DOCUMENT, "MS-OCAUTHWS 3.2.4.1"),),
        sees=_code(_INTERNAL),
    ),
    Entry(
        code="F26",
        title="a ticket of one pool is used at another",
        stage=Stage.REGISTER,
        symptom="The log-on works, and what follows fails at once.",
        looks="500 with X-Ms-diagnostics 28032; the server that says it is not of the pool that issued the "
        "ticket.",
        cause="A web ticket is good at the pool that issued it and nowhere else. Paths of one name lead to "
        "different pools, or a client goes on to another name with the old ticket. Field reports know it of "
        "a wrong form of the user name as well.",
        sure="X-MS-Server-Fqdn of the ticket and of the refusal: are both servers of one pool?",
        fixes=(
            Fix(
                said="Let all paths of one web services name lead to one pool.",
                command="lyncgate explain https://{web}/ucwa/v1/applications",
            ),
        ),
        sources=(
            (Grade.FIELD, "christophertart.net, UCWA with Directors or multiple pools, read in part"),
            (Grade.FIELD, "GitHub mattermost-plugin-skype4business issue 9, for the user name"),
        ),
        sees=_foreign_ticket,
    ),
    Entry(
        code="F27",
        title="the OAuth token is refused",
        stage=Stage.REGISTER,
        symptom="Applications that bring a token fail; phones have web tickets, and don't notice.",
        looks='403 with X-Ms-diagnostics 28055 and Warning: 120 … "InvalidToken".',
        cause="The token has expired, or the pool does not trust who issued it.",
        sure="Sign the application out and in again; if that does not help, it is the trust.",
        fixes=(
            Fix(said="Authenticate again, for a new token."),
            Fix(
                said="Compare the issuer with what the pool trusts.",
                command="Get-CsOAuthConfiguration; Get-CsOAuthServer",
            ),
        ),
        sources=((Grade.FIELD, "GitHub OfficeDev/skype-docs issue 347"),),
        sees=_bad_token,
    ),
    Entry(
        code="F28",
        title="passive authentication is on, and can't be reached",
        stage=Stage.TICKET,
        symptom="Applications are sent to a log-on page that does not open.",
        looks="400 with X-Ms-diagnostics 28020 and ms_rtc_passiveauthuri; that URL does not answer 200.",
        cause="Passive (ADFS) authentication is on, and /PassiveAuth or the ADFS server is not published.",
        sure="Open the URL that the answer gives, from outside.",
        fixes=(
            Fix(
                said="Publish /PassiveAuth of the web services, and the ADFS server.",
                command="lyncgate explain https://{web}/PassiveAuth/PassiveAuth.aspx",
            ),
            Fix(said="Or turn passive authentication off, if nobody needs it."),
        ),
        sources=((Grade.DOCUMENT, "UCWA documentation, authentication in UCWA"),),
        sees=_passive,
    ),
    Entry(
        code="F29",
        title="the way to authenticate is turned off",
        stage=Stage.TICKET,
        symptom="An application can't get a token, whatever the password.",
        looks="400 unsupported_grant_type with X-Ms-diagnostics 28029.",
        cause="The grant type that the application uses is disabled on the pool.",
        sure="The 401 of the OAuth resources lists the grant types that are on (MsRtcOAuth, grant_type).",
        fixes=(
            Fix(
                said="Enable it, or let the application use one that is on.",
                command="Get-CsWebServiceConfiguration | Select-Object Identity, UseWindowsAuth, "
                "UseWsFedPassiveAuth",
            ),
        ),
        sources=((Grade.DOCUMENT, "UCWA documentation, authentication in UCWA"),),
        sees=_grant_off,
    ),
    Entry(
        code="F30",
        title="the web ticket service did not start",
        stage=Stage.TICKET,
        symptom="Nobody signs in; discovery works.",
        looks="404 or 503 for /WebTicket/WebTicketService.svc, its mex too.",
        cause="The service did not start, for example because MobilePreferredAuthType is one that the server "
        "does not support.",
        sure="Open …/WebTicket/WebTicketService.svc/mex: it answers without any log-on when it runs.",
        fixes=(
            Fix(
                said="Set the authentication type back, and restart IIS on the front ends.",
                command="Set-CsWebServiceConfiguration -Identity Global -MobilePreferredAuthType None; "
                "iisreset",
            ),
        ),
        sources=((Grade.DOCUMENT, "Set-CsWebServiceConfiguration of the PowerShell reference"),),
        sees=_service_down,
    ),
    Entry(
        code="F31",
        title="the origin is not allowed",
        stage=Stage.REGISTER,
        symptom="A web application fails in the browser; phones are fine.",
        looks="403 for a request with an Origin: “Service does not allow a cross domain request from this "
        "origin.”",
        cause="The application's origin is not in CrossDomainAuthorizationList, or a proxy has changed "
        "Origin or Referer.",
        sure="Get-CsWebServiceConfiguration | Select-Object -ExpandProperty CrossDomainAuthorizationList",
        fixes=(
            Fix(
                said="Add the origin.",
                command="$origin = New-CsWebOrigin -Url '<https://the.application>'; "
                "Set-CsWebServiceConfiguration -Identity Global -CrossDomainAuthorizationList "
                "@{{Add=$origin}}",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "UCWA documentation, configuring a topology"),
            (Grade.FIELD, "GitHub OfficeDev/skype-docs issue 260"),
        ),
        sees=_foreign_origin,
    ),
)
