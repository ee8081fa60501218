"""Windows authentication that does not let the user in: F20 … F23, F32.

F21, F22 and F32 are the same on the wire, and F20 is too, seen from before the proxy that causes it: 401
after a whole handshake. What tells them apart is who else gets in, and what the user did before. Where that
is not known, each is named, and none is more than likely.
"""

from __future__ import annotations

from collections.abc import Iterable

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import absent, fqdn_of, issued_ticket, saw
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Fix, Grade
from lyncgate.signin.story import SignIn, SignInOutcome

_REFUSALS = ("invalid_grant", "FailedAuthentication")  # of oauthtoken, and of the ticket service's /Auth
_BY_PASSWORD = ("/webticket/oauthtoken", "/webticket/webticketservice.svc/auth")
_SEVERAL = 2  # other users refused: it is no longer somebody's password


def _handshakes(exchanges: Iterable[Exchange]) -> list[tuple[Exchange | None, Exchange]]:
    """(the answer with the challenge, the request that proves) of each NTLM log-on, in order."""
    challenges: dict[str, Exchange] = {}
    latest: Exchange | None = None
    found: list[tuple[Exchange | None, Exchange]] = []
    for x in exchanges:
        if x.facts.ntlm_challenge:
            challenges[x.connection] = latest = x
        elif x.facts.ntlm == 3:
            found.append((challenges.pop(x.connection, latest), x))
    return found


def _refused(exchanges: Iterable[Exchange]) -> Exchange | None:
    """The last proof that was refused, if nobody was let in after it."""
    refused: Exchange | None = None
    for x in exchanges:
        if (x.facts.ntlm == 3 and x.status == 401) or (
            x.stage == Stage.TICKET and x.facts.error in _REFUSALS and x.facts.diagnostics is None
        ):
            refused = x
        elif issued_ticket(x) or (x.facts.ntlm == 3 and x.status is not None):
            refused = None
    return refused


def _way(x: Exchange) -> tuple[str, str, str, str | None]:
    """By which way to which service: a capture knows the address it led to, an edge the pool."""
    return x.origin, x.listener, x.host, x.pool or x.member


def _others(scene: Scene, way: tuple[str, str, str, str | None]) -> tuple[set[str], set[str]]:
    """Other users who were (let in, refused) by the same way."""
    admitted: set[str] = set()
    refused: set[str] = set()
    for other in scene.around:
        user = _who(other)
        exchanges = [e for e in other.events if isinstance(e, Exchange) and _way(e) == way]
        if user is None or user == _who(scene.sign_in) or not exchanges:
            continue
        if any(issued_ticket(x) for x in exchanges):
            admitted.add(user)
        elif _refused(exchanges):
            refused.add(user)
    return admitted, refused


def _who(sign_in: SignIn) -> str | None:
    return sign_in.user or sign_in.account


def _account(sign_in: SignIn) -> str | None:
    """The user name that was given, lower case."""
    exchanges = [e for e in sign_in.events if isinstance(e, Exchange)]
    given = (x.keys.account or x.ntlm_user for x in exchanges if x.keys.account or x.ntlm_user)
    found = next(given, None) or sign_in.account
    return found.lower() if found else None


def _earlier(scene: Scene) -> list[SignIn]:
    """Sign-ins of the same user that went well."""
    user = scene.sign_in.user
    return [
        other
        for other in scene.around
        if user and other.user == user and other.outcome in (SignInOutcome.OK, SignInOutcome.OPEN)
        if other.started < scene.sign_in.started and _let_in(other)
    ]


def _let_in(sign_in: SignIn) -> bool:
    return any(isinstance(e, Exchange) and issued_ticket(e) for e in sign_in.events)


def _other_form(scene: Scene) -> SignIn | None:
    """An earlier sign-in of this user by another form of the user name."""
    now = _account(scene.sign_in)
    forms = ((earlier, _account(earlier)) for earlier in _earlier(scene))
    return next((earlier for earlier, form in forms if now and form and form != now), None)


def _whole_farm_refuses(scene: Scene, refused: Exchange) -> Sighting | None:
    """Nobody is let in: it is no password."""
    admitted, others = _others(scene, _way(refused))
    if admitted or len(others) < _SEVERAL:
        return None
    return likely(
        saw(refused, "after a whole handshake"),
        absent(f"{len(others)} other users were refused by the same way, and nobody was let in"),
    )


def _proved_otherwise(scene: Scene) -> Sighting | None:
    """NTLM was refused, and the same password taken where it is not bound to a connection."""
    proofs = [x for x in scene.exchanges if x.facts.ntlm == 3]
    granted = [x for x in scene.exchanges if issued_ticket(x) and x.facts.ntlm is None]
    by_password = [x for x in granted if x.path in _BY_PASSWORD]
    if proofs and by_password and all(x.status == 401 for x in proofs):
        return certain(
            saw(proofs[-1], "after a whole handshake"), saw(by_password[0], "the password is right")
        )
    return None


def _split(scene: Scene) -> Sighting | None:
    if proved := _proved_otherwise(scene):
        return proved
    refused = _refused(scene.exchanges)
    if refused is None or refused.facts.ntlm != 3:
        return None
    for challenge, proof in _handshakes(scene.exchanges):
        if challenge is None or proof.status != 401:
            continue
        pair = (saw(challenge, "the challenge"), saw(proof, "the proof"))
        if challenge.connection != proof.connection:
            return certain(*pair, absent("they came by two connections of the client's"))
        upstreams = challenge.facts.upstream, proof.facts.upstream
        if all(upstreams) and upstreams[0] != upstreams[1]:
            return certain(*pair, absent("they went by two connections to the pool"))
        servers = fqdn_of(challenge), fqdn_of(proof)
        if all(servers) and servers[0] != servers[1]:
            return certain(*pair, absent(f"{servers[0]} challenged, {servers[1]} was given the proof"))
    return _whole_farm_refuses(scene, refused)


def _wrong_password(scene: Scene) -> Sighting | None:
    refused = _refused(scene.exchanges)
    if refused is None or _split(scene):
        return None
    seen = saw(refused, "after a whole handshake" if refused.facts.ntlm == 3 else "the proof was refused")
    if _other_form(scene) or _newcomer(scene, refused):
        return possible(seen, rank=1)
    if earlier := _earlier(scene):
        signed = "sign-in" if len(earlier) == 1 else "sign-ins"
        return likely(seen, absent(f"the same user name was good before: {len(earlier)} {signed}"))
    return likely(seen)


def _other_name(scene: Scene) -> Sighting | None:
    refused = _refused(scene.exchanges)
    if refused is None or _split(scene):
        return None
    given, user = _account(scene.sign_in), scene.sign_in.user
    if earlier := _other_form(scene):
        return likely(
            saw(refused, f"as {given}"),
            absent(f"the same user was let in before as {_account(earlier)}"),
            account=_account(earlier),
        )
    if (given is None or given == user) and not _earlier(scene):
        return possible(saw(refused, "the SIP address was given as the user name"), rank=2)
    return None


def _newcomer(scene: Scene, refused: Exchange) -> bool:
    """Others are let in, and this user never was, as far as is known."""
    admitted, _ = _others(scene, _way(refused))
    return bool(admitted) and not _earlier(scene)


def _wrong_address(scene: Scene) -> Sighting | None:
    refused = _refused(scene.exchanges)
    if refused is None or _split(scene) or _earlier(scene):
        return None
    if _newcomer(scene, refused):
        return possible(
            saw(refused),
            absent("no earlier sign-in of this user is known, while others are let in"),
        )
    return possible(saw(refused), rank=3)


def _no_ntlm(scene: Scene) -> Sighting | None:
    if scene.has_ticket:
        return None
    offers = [x for x in scene.exchanges if x.status == 401 and "Negotiate" in x.facts.auth_offered]
    if not offers or any("NTLM" in x.facts.auth_offered for x in scene.exchanges):
        return None
    if any(x.facts.auth_used == "Negotiate" for x in scene.exchanges):
        return None  # the client can do it, and failed in another way
    return certain(saw(offers[-1], "offers Negotiate, and no NTLM"))


_ALIKE = (
    "F20, F21, F22 and F32 all end with 401 after a whole handshake. Others who are refused as well speak "
    "for F20; the same user name having been good before, for F21; another form of it, for F22; that the "
    "user was never seen while others are, for F32."
)

ENTRIES = (
    Entry(
        code="F20",
        title="the two halves of the NTLM log-on meet different connections",
        stage=Stage.TICKET,
        symptom="Everybody's password is refused, though it is right; it may work now and then.",
        looks="401, type 1, 401 with a challenge, type 3, 401 again, over and over. Where the connections or "
        "the front ends of challenge and proof can be seen, they differ; before a proxy that does it, only "
        "that nobody gets in.",
        cause="NTLM is bound to the connection. A proxy or load balancer that gives each request another "
        "upstream connection, shares connections, or closes them in between, breaks it.",
        sure="Sign in to a front end directly, past the proxy: there it works.",
        fixes=(
            Fix(
                said="Give each client connection an upstream connection of its own, with keep-alive and "
                "HTTP/1.1, and repeat nothing on another. lyncgate does this by itself."
            ),
            Fix(said="For nginx: proxy_http_version 1.1, an empty Connection header, keepalive."),
        ),
        sources=((Grade.OBSERVED, "our own runs of SIPE, curl and requests-ntlm"),),
        sees=_split,
        explains=("F21", "F22", "F32"),
        alike=_ALIKE,
    ),
    Entry(
        code="F21",
        title="the password is wrong",
        stage=Stage.TICKET,
        symptom="“Unauthorized with client negotiation scheme 'Ntlm'”, or: wrong user name or password.",
        looks="401 with Negotiate and NTLM after a whole handshake; other users are let in.",
        cause="The password was mistyped, has changed or expired, or the account is locked or disabled; or "
        "Windows authentication of the web services is set to something else (UseWindowsAuth).",
        sure="Sign in on another machine with the same name and password.",
        fixes=(
            Fix(
                said="Look at the account, and let the user type the password again.",
                command="Get-ADUser -LDAPFilter '(msRTCSIP-PrimaryUserAddress=sip:{user})' "
                "-Properties LockedOut, PasswordExpired, Enabled, PasswordLastSet",
            ),
            Fix(
                said="See how the web services authenticate.",
                command="Get-CsWebServiceConfiguration | Select-Object Identity, UseWindowsAuth",
            ),
        ),
        sources=((Grade.DOCUMENT, "Lync Server 2013 library, test mobile user access"),),
        sees=_wrong_password,
        alike=_ALIKE,
    ),
    Entry(
        code="F22",
        title="the SIP address is not the user name",
        stage=Stage.TICKET,
        symptom="As F21, with the right password; once the user name is given too, all is well.",
        looks="As F21. The account in the log-on is the SIP address.",
        cause="The user's SIP address differs from the user principal name, the field for the user name was "
        "left blank, and so the client logged on with the SIP address.",
        sure="Get-CsUser: are SipAddress and UserPrincipalName the same?",
        fixes=(
            Fix(
                said="Let the user give the user principal name or DOMAIN\\name; or make the two the same.",
                command="Get-CsUser -Identity 'sip:{user}' | Select-Object SipAddress, UserPrincipalName, "
                "SamAccountName",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Office support, server sign-in: issues, mobile client for Android"),
            (Grade.FIELD, "blogs.perficient.com, SIP address and UPN (2011/12/30)"),
        ),
        sees=_other_name,
        alike=_ALIKE,
    ),
    Entry(
        code="F23",
        title="only Negotiate is offered",
        stage=Stage.TICKET,
        symptom="Clients stop without ever asking for the password, or say that it can't be done.",
        looks="401 with WWW-Authenticate: Negotiate alone, and the client stops there.",
        cause="Windows authentication of the web ticket service lacks NTLM (UseWindowsAuth, or the providers "
        "in IIS), or a proxy has removed the line. A phone outside has no Kerberos.",
        sure="curl -i -X POST https://<web services>/WebTicket/WebTicketService.svc has to show both lines.",
        fixes=(
            Fix(
                said="Offer NTLM beside Negotiate.",
                command="Set-CsWebServiceConfiguration -Identity Global -UseWindowsAuth Negotiate",
            ),
            Fix(said="If that is so already, add NTLM to the providers of Windows authentication in IIS."),
        ),
        sources=(
            (Grade.OBSERVED, "our own runs of clients that know NTLM only"),
            (Grade.DOCUMENT, "Set-CsWebServiceConfiguration of the PowerShell reference, for the setting"),
        ),
        sees=_no_ntlm,
    ),
    Entry(
        code="F32",
        title="the address is wrong",
        stage=Stage.TICKET,
        symptom="“Can't sign in. Please check your account information.”",
        looks="As F21: the server is found, the account is not. No earlier sign-in of that user is known.",
        cause="The SIP address or the user name was mistyped, or the account does not exist any more.",
        sure="Get-CsUser: is there such an address?",
        fixes=(
            Fix(
                said="Compare the address with the directory's.",
                command="Get-CsUser -Identity 'sip:{user}'",
            ),
        ),
        sources=((Grade.DOCUMENT, "Office support, Skype server mobile devices: issues for Android"),),
        sees=_wrong_address,
        alike=_ALIKE,
    ),
)
