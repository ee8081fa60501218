"""Where a user's home is, and the way there: F15 … F18."""

from __future__ import annotations

import difflib

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely
from lyncgate.signin.catalogue.look import (
    DISCOVER,
    GONE,
    REDIRECT,
    ROOT,
    broke,
    firsts,
    from_pool,
    host_of,
    is_ours,
    lacks_name,
    path_of,
    saw,
    served,
)
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Fix, Grade

_USER = (f"{ROOT}/user", f"{ROOT}/oauth/user")
_CIRCLE, _SPIN = 2, 10  # redirects that lead back; redirects at all, as a client of Microsoft's counts them
_ALIKE = 0.8  # of two paths, as difflib has it


def _redirects(scene: Scene) -> list[tuple[str, Exchange]]:
    """(where to, where it stood) of the Redirects in documents, in order."""
    return [(url, x) for token, url, x in scene.links if token == REDIRECT and x.status == 200]


def _unpublished_home(scene: Scene) -> Sighting | None:
    for url, x in _redirects(scene):
        host = host_of(url)
        if not host or host.startswith(DISCOVER) or host == x.host:
            continue
        told = saw(x, f"redirects to {host}")
        wrong = [h for h in scene.handshakes if h.server_name == host and lacks_name(h)]
        if wrong:
            return certain(told, saw(wrong[0]), host=host)
        asked = [e for e in scene.exchanges if e.host == host and e.started >= x.started]
        if any(served(e) for e in asked):
            continue
        refused = [e for e in asked if e.status in (403, 404, 421) and not from_pool(e)]
        refused += [e for e in asked if e.outcome in GONE]
        if refused:
            return certain(told, saw(refused[0]), host=host)
        shut = [h for h in scene.handshakes if h.server_name == host and broke(h) and not is_ours(h)]
        if nowhere := firsts(shut or scene.missing(host)):
            return likely(told, *nowhere, host=host)
    return None


def _misspelt(scene: Scene) -> Sighting | None:
    for url, x in _redirects(scene):
        path = path_of(url).rstrip("/")
        if path == ROOT or path.startswith(f"{ROOT}/"):
            continue
        if difflib.SequenceMatcher(None, path, ROOT).ratio() < _ALIKE:
            continue
        missed = [e for e in scene.exchanges if e.path.rstrip("/") == path and e.status != 200]
        told = saw(x, f"redirects to {url}")
        return certain(told, *[saw(e) for e in missed[:1]], host=host_of(url))
    return None


def _homeless(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if x.path in _USER and x.status == 404 and scene.has_ticket:
            if from_pool(x):
                return certain(saw(x, "with a web ticket"))
            if x.decision != "deny" and x.response_bytes == 0:
                return likely(saw(x, "with a web ticket"))
    return None


def _circle(scene: Scene) -> Sighting | None:
    redirects = _redirects(scene)
    if len(redirects) < _CIRCLE:
        return None
    asked: set[tuple[str, str, str]] = set()
    back: list[Exchange] = []
    for url, x in redirects:
        asked.add((x.scheme, x.host, x.path.rstrip("/")))
        if ("https", host_of(url), path_of(url).rstrip("/")) in asked:
            back.append(x)
    if len(back) >= _CIRCLE:
        return certain(saw(back[0], "leads back to what was asked before"), saw(back[-1]))
    if len(redirects) >= _SPIN:
        return likely(saw(redirects[-1][1], f"redirect number {len(redirects)}"))
    return None


ENTRIES = (
    Entry(
        code="F15",
        title="the home pool is not published",
        stage=Stage.CONNECT,
        symptom="Users of one pool fail, all others don't notice.",
        looks="A document redirects to a web services name; there the certificate lacks the name, or the "
        "proxy answers 404, or the name does not exist.",
        cause="The user is homed in another pool (or behind a Director), and the proxy has no rule or no "
        "certificate for that pool's external web services name.",
        sure="lyncgate explain https://<that name>/ and the names in the certificate.",
        fixes=(
            Fix(
                said="Publish each pool's and Director's external web services name, and put it into the "
                "certificate.",
                command="lyncgate explain https://{host}/Autodiscover/AutodiscoverService.svc/root",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, setting up reverse proxy servers"),
            (Grade.FIELD, "flinchbot.com, mobile discovery and authentication (2015/10/08), read in part"),
        ),
        sees=_unpublished_home,
    ),
    Entry(
        code="F16",
        title="the hosting provider's autodiscover URL has a typo",
        stage=Stage.LOCATE,
        symptom="Users who are homed at the hosting provider (Office 365) fail, all others don't notice.",
        looks="A Redirect whose path is almost that of autodiscover, and 404 there.",
        cause="Set-CsHostingProvider -AutodiscoverUrl was given a misspelt URL. Microsoft's own page has "
        "autodisccoverservice.svc.",
        sure="Get-CsHostingProvider | Select-Object Identity, AutodiscoverUrl",
        fixes=(
            Fix(
                said="Correct the URL.",
                command="Set-CsHostingProvider -Identity LyncOnline -AutodiscoverUrl "
                "https://webdir.online.lync.com/autodiscover/autodiscoverservice.svc/root",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, configuring autodiscover for hybrid deployments"),
        ),
        sees=_misspelt,
        explains=("F15", "F13"),
    ),
    Entry(
        code="F17",
        title="the user's home is unknown here",
        stage=Stage.LOCATE,
        symptom="The password is right, and still the phone finds no server.",
        looks="404 with an empty body for …/root/user, though a web ticket was issued.",
        cause="lyncdiscover leads to a forest or pool that does not have the user, nor knows who does.",
        sure="Get-CsUser on that pool: does it know the user, and which registrar pool does it name?",
        fixes=(
            Fix(
                said="Look where the user is homed, and let lyncdiscover of the domain lead there.",
                command="Get-CsUser -Identity 'sip:{user}' | Select-Object RegistrarPool, HostingProvider, "
                "Enabled",
            ),
        ),
        sources=((Grade.DOCUMENT, "MS-OCDISCWS 3.1.5.3"),),
        sees=_homeless,
    ),
    Entry(
        code="F18",
        title="the chain of redirects is a circle",
        stage=Stage.DISCOVER,
        symptom="The client spins, and is back at the log-on page. Some clients fail so and others don't.",
        looks="Root document after root document, each with a Redirect to where the client comes from.",
        cause="The redirect chain of autodiscover is broken at the proxy: it answers HTTPS with what is "
        "meant for HTTP, or leads two names to each other.",
        sure="Ask https://lyncdiscover.<domain>/ and then each href of token Redirect in turn: it has to "
        "end in a document with User.",
        fixes=(
            Fix(
                said="Let HTTPS of lyncdiscover reach 4443 of the pool, and only HTTP answer with a "
                "Redirect.",
                command="curl -s -H 'Accept: application/vnd.microsoft.rtc.autodiscover+xml;v=1' "
                "'https://lyncdiscover.{domain}/?sipuri={user}'",
            ),
        ),
        sources=((Grade.FIELD, "lynclog.com, F5 and the Windows Store app (2013/04)"),),
        sees=_circle,
        explains=("F15",),
    ),
)
