"""A session that is lost, because requests reach servers that don't know it: F39, F42 … F44."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import absent, cookie_name, fqdn_of, saw
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Evidence, Fix, Grade

_LOST = ("ApplicationNotFound", "InactiveApplicationExpired", "SessionNotFound")
_SOON = 600.0  # seconds after it was made: too soon for having expired
_AFFINITY_COOKIE = "ms-wsman"  # the name that a pool's rules for a load balancer demand
_POOLS_OWN = ("cwt_ucwa", "asp.net_sessionid")  # cookies that are no affinity


def _lost(scene: Scene) -> tuple[Exchange, Exchange] | None:
    """(where the session was made, where it was not known), soon after."""
    made: Exchange | None = None
    for x in scene.exchanges:
        if x.facts.document is Document.APPLICATION and x.status in (200, 201):
            made = x
        elif made and x.facts.error in _LOST and x.started - made.started < _SOON:
            same = made.keys.application is None or x.keys.application in (None, made.keys.application)
            if same and not _ended_before(scene, x):
                return made, x
    return None


def _ended_before(scene: Scene, lost: Exchange) -> bool:
    """The client had ended the session itself: nothing is lost."""
    return any(
        e.started < lost.started
        and e.status in (200, 204)
        and e.keys.application == lost.keys.application
        and (e.method == "DELETE" or e.facts.operation == "TerminateSession")
        for e in scene.exchanges
    )


def _is_mcx(x: Exchange) -> bool:
    return (x.path + "/").startswith("/mcx/")


def _two_servers(made: Exchange, lost: Exchange) -> list[Evidence]:
    """That they differ, if they do."""
    if fqdn_of(made) and fqdn_of(lost) and fqdn_of(made) != fqdn_of(lost):
        return [absent(f"made on {fqdn_of(made)}, looked for on {fqdn_of(lost)}")]
    return []


def _scattered(scene: Scene, *, mcx: bool) -> Sighting | None:
    found = _lost(scene)
    if found is None or _is_mcx(found[1]) is not mcx:
        return None
    made, lost = found
    seen = saw(made), saw(lost, lost.facts.error or "")
    if apart := _two_servers(made, lost):
        return certain(*seen, *apart)
    return likely(*seen) if not mcx else possible(*seen)


def _ucwa_scattered(scene: Scene) -> Sighting | None:
    return _scattered(scene, mcx=False)


def _mcx_scattered(scene: Scene) -> Sighting | None:
    return _scattered(scene, mcx=True)


def _affinity_cookies(scene: Scene) -> list[tuple[Exchange, str]]:
    """Cookies for all paths that none of the pool's services is known to set, and who set them."""
    return [
        (x, cookie)
        for x in scene.exchanges
        for cookie in x.facts.cookies
        if cookie_name(cookie).lower() not in _POOLS_OWN and _for_all_paths(cookie)
    ]


def _for_all_paths(cookie: str) -> bool:
    attributes = [part.strip().lower() for part in cookie.split(";")[1:]]
    paths = [part.partition("=")[2] for part in attributes if part.startswith("path=")]
    return not paths or paths[-1] == "/"


def _wrongs(cookie: str) -> list[str]:
    """What is wrong with an affinity cookie (protocol reference §9.7)."""
    attributes = [part.strip().lower().partition("=")[0] for part in cookie.split(";")[1:]]
    wrongs = [] if cookie_name(cookie).lower() == _AFFINITY_COOKIE else ["it is not called MS-WSMAN"]
    wrongs += ["it is HttpOnly"] if "httponly" in attributes else []
    wrongs += ["it expires"] if {"expires", "max-age"} & set(attributes) else []
    return wrongs


def _cookie_not_sent(scene: Scene) -> Sighting | None:
    found = _lost(scene)
    if found is None:
        return None
    made, lost = found
    for setter, cookie in _affinity_cookies(scene):
        name = cookie_name(cookie)
        if _wrongs(cookie) or setter.started > lost.started or name in lost.facts.cookies_sent:
            continue
        apart = _two_servers(made, lost)
        seen = saw(setter, f"sets {name}"), saw(lost, f"without {name}: {lost.facts.error}")
        return certain(*seen, *apart) if apart else likely(*seen)
    return None


def _wrong_cookie(scene: Scene) -> Sighting | None:
    found = _lost(scene)
    if found is None:
        return None
    made, lost = found
    for setter, cookie in _affinity_cookies(scene):
        if (wrongs := _wrongs(cookie)) and setter.started <= lost.started:
            apart = _two_servers(made, lost)
            seen = saw(setter, f"sets {cookie}: {', '.join(wrongs)}"), saw(lost, lost.facts.error or "")
            return certain(*seen, *apart) if apart else likely(*seen)
    return None


_BY_SOURCE = Fix(
    said="Let the load balancer or proxy farm keep a client at a server by its source address; or give one "
    "application's requests to one server in another way that needs nothing of the client."
)

ENTRIES = (
    Entry(
        code="F39",
        title="requests of one application reach servers that don't know it",
        stage=Stage.NOTIFICATIONS,
        symptom="The phone signs in, loses its connection with the first poll, and begins anew.",
        looks="404 ApplicationNotFound or 410 InactiveApplicationExpired soon after 201; X-MS-Server-Fqdn "
        "alternates.",
        cause="Requests of one application go to another pool, or to front ends that don't pass them on to "
        "the one that has it.",
        sure="X-MS-Server-Fqdn of the 201 and of the 404.",
        fixes=(
            Fix(
                said="Let one web services name lead to one pool, all paths of it.",
                command="lyncgate explain https://{web}/ucwa/v1/applications",
            ),
            _BY_SOURCE,
        ),
        sources=(
            (Grade.DOCUMENT, "UCWA documentation, EventChannelDetails, for the errors"),
            (Grade.INFERRED, "that this is the cause"),
        ),
        sees=_ucwa_scattered,
    ),
    Entry(
        code="F42",
        title="proxies without affinity before a pool of 2010, which needs it",
        stage=Stage.NOTIFICATIONS,
        symptom="Lync 2010 on iPhone and Windows Phone loses its session at once; on Android it may work.",
        looks="SessionNotFound right after InitiateSession (the names are our guess of MCX); "
        "X-MS-Server-Fqdn alternates.",
        cause="A session of Lync 2010's mobility service lives on the front end that made it. A farm of "
        "proxies that can't set a cookie (TMG without forms authentication) spreads its requests.",
        sure="X-MS-Server-Fqdn of InitiateSession and of what follows; with one front end all is well.",
        fixes=(_BY_SOURCE,),
        sources=((Grade.FIELD, "confusedamused.com, notebook on TMG"),),
        sees=_mcx_scattered,
        explains=("F39",),
    ),
    Entry(
        code="F43",
        title="affinity by a cookie that the phone doesn't send back",
        stage=Stage.NOTIFICATIONS,
        symptom="iOS fails, Android and Windows are fine; with one front end only, all is well.",
        looks="Answers set MS-WSMAN, requests don't bring it, X-MS-Server-Fqdn alternates, and the session "
        "is not found.",
        cause="The load balancer keeps clients at a server by a cookie, and the client returns none.",
        sure="Does the request after Set-Cookie have the cookie? The page of the sign-in shows names of "
        "both.",
        fixes=(_BY_SOURCE,),
        sources=(
            (Grade.FIELD, "itbasedtelco.wordpress.com, iPhone and missing cookie (2015/09/20), read in part"),
        ),
        sees=_cookie_not_sent,
        explains=("F39", "F42"),
    ),
    Entry(
        code="F44",
        title="the affinity cookie is not as the pool demands",
        stage=Stage.NOTIFICATIONS,
        symptom="As F43, even with clients that keep cookies.",
        looks="Set-Cookie with another name than MS-WSMAN, HttpOnly, an expiry, or only once a connection; "
        "and the session is not found.",
        cause="Affinity by cookie works only if it is called MS-WSMAN, is not HttpOnly, does not expire, "
        "and is set in every response to a request without it.",
        sure="curl -i the root document twice on one connection, and look at Set-Cookie.",
        fixes=(
            Fix(said="Set the cookie as demanded: MS-WSMAN, no HttpOnly, no expiry, in every such response."),
            _BY_SOURCE,
        ),
        sources=((Grade.DOCUMENT, "Lync Server 2013 library, hardware load balancer requirements"),),
        sees=_wrong_cookie,
        explains=("F39", "F42", "F43"),
    ),
)
