"""The first documents, spoiled on the way or missing: F07 … F09, F12, F13, F33."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import (
    DISCOVER,
    DISCOVER_INTERNAL,
    firsts,
    from_pool,
    host_of,
    is_html,
    path_of,
    saw,
    within,
)
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Fix, Grade

_GOOD_TYPES = ("application/json", "application/xml")  # and those of autodiscover itself
_AUTODISCOVER_TYPE = "application/vnd.microsoft.rtc.autodiscover"
_SIMPLE = ("meet.", "dialin.")


def _discovering(scene: Scene) -> list[Exchange]:
    """Requests for a root document outside."""
    return [x for x in scene.roots if not x.host.startswith(DISCOVER_INTERNAL)]


def _inside(scene: Scene) -> bool:
    """The phone is inside: lyncdiscoverinternal answered it."""
    return any(x.host.startswith(DISCOVER_INTERNAL) and x.status == 200 for x in scene.roots)


def _internal_site(scene: Scene) -> Sighting | None:
    if _inside(scene):
        return None
    for x in scene.exchanges:
        if x.facts.access_location == "Internal" and x.host.startswith(DISCOVER):
            return certain(saw(x, "AccessLocation is Internal"), *firsts(_misses(scene, x)))
    if not scene.dns:
        return None
    for token, url, x in scene.links:  # the UCWA form does not say where it is from
        if token.lower() == "user" and (missing := scene.missing(host_of(url))):
            return likely(saw(x, f"hands out {url}"), saw(missing[0]))
    return None


def _misses(scene: Scene, root: Exchange) -> list[DnsQuery]:
    """Look-ups, in vain, of what was handed out after `root`."""
    hosts = [host_of(url) for _, url, x in scene.links if x.started >= root.started]
    return [query for host in hosts for query in scene.missing(host)]


def _host_rewritten(scene: Scene) -> Sighting | None:
    lost = [x for x in _discovering(scene) if x.status == 404 and from_pool(x) and x.path in ("", "/")]
    lost += [x for x in scene.exchanges if x.status == 404 and from_pool(x) and x.host.startswith(_SIMPLE)]
    if not lost or any(x.status == 200 and x.path in ("", "/") for x in _discovering(scene)):
        return None
    if all(x.origin == "edge" for x in lost):
        return possible(saw(lost[0], "this edge keeps Host: look at what stands behind it"))
    return likely(saw(lost[0], "the pool does not know the name by which it is asked"))


def _logon_page(scene: Scene) -> Sighting | None:
    if any(x.status == 200 and not is_html(x) for x in _discovering(scene)):
        return None
    for x in _discovering(scene):
        if from_pool(x):
            continue
        if x.status == 200 and is_html(x):
            before = [r for r in scene.exchanges if r.status in (302, 303, 307) and r.started < x.started]
            return certain(*[saw(r) for r in before[-1:]], saw(x, "a page in place of a document"))
        if x.status == 401 and {"Basic", "Digest"} & set(x.facts.auth_offered):
            return certain(saw(x, f"offers {', '.join(x.facts.auth_offered)}"))
        if x.status in (302, 303, 307) and _to_a_page(x, scene.domain):
            pages = [p for p in scene.exchanges if p.status == 200 and is_html(p) and not from_pool(p)]
            leads = saw(x, f"leads to {x.facts.redirect}")
            return certain(leads, saw(pages[0])) if pages else likely(leads)
    return None


def _to_a_page(x: Exchange, domain: str | None) -> bool:
    """A redirect within the domain to something that is no discovery, and not just to HTTPS."""
    target = x.facts.redirect or ""
    host, path = host_of(target) or x.host, path_of(target)
    same = host == x.host and path.rstrip("/") == x.path.rstrip("/")
    return bool(target) and within(host, domain) and not same and "autodiscover" not in path


def _spoiled(scene: Scene) -> Sighting | None:
    for x in scene.roots:
        if x.status != 200 or is_html(x) or scene.ok:
            continue
        kind = x.facts.content_type or ""
        wrong = bool(kind) and not kind.startswith(_AUTODISCOVER_TYPE) and kind not in _GOOD_TYPES
        if not wrong and x.facts.framing != "close":
            continue
        said = [f"Content-Type {kind}"] if wrong else []
        said += ["a body that ends with the connection"] if x.facts.framing == "close" else []
        seen = saw(x, " and ".join(said))
        return likely(seen) if scene.found_services else certain(seen)
    return None


def _no_root(scene: Scene) -> Sighting | None:
    roots = _discovering(scene)
    if any(x.status == 200 for x in roots):
        return None
    lost = [x for x in roots if x.status == 404]
    denied = [x for x in roots if x.decision == "deny" and x.origin == "edge"]
    if denied:
        return certain(saw(denied[0], f"by {denied[0].rule}"))
    if proxied := [x for x in lost if not from_pool(x)]:
        return certain(saw(proxied[0]))
    if lost:
        named = lost[0].path.rstrip("/") not in ("",)
        return likely(saw(lost[0])) if named else possible(saw(lost[0]))
    return None


def _forward_proxy(scene: Scene) -> Sighting | None:
    for x in scene.exchanges:
        if x.status == 407:
            return certain(saw(x, f"offers {', '.join(x.facts.auth_offered) or 'nothing'}"))
    return None


ENTRIES = (
    Entry(
        code="F07",
        title="the proxy bridges to the internal web site",
        stage=Stage.DISCOVER,
        symptom="lyncdiscover answers, and phones outside then fail to find anything.",
        looks="The root document's AccessLocation is Internal, its links have the pool's internal name, and "
        "that name does not exist outside (stage dns_web).",
        cause="The port by which a request comes tells the pool whether it is from inside or outside. The "
        "proxy sends 443 to 443 and 80 to 80, where the internal site listens.",
        sure="curl -s https://lyncdiscover.<domain>/ has to say External.",
        fixes=(
            Fix(
                said="Bridge 443 to 4443 and 80 to 8080. In lyncgate: `external: {https: 4443, http: 8080}` "
                "of the pool, which is the default.",
                command="curl -s -H 'Accept: application/vnd.microsoft.rtc.autodiscover+xml;v=1' "
                "https://lyncdiscover.{domain}/",
            ),
        ),
        sources=(
            (
                Grade.INFERRED,
                "from the Lync Server 2013 library, port summary for reverse proxy, and lynclog.com, reverse "
                "proxy and Lync (2015/06)",
            ),
        ),
        sees=_internal_site,
        explains=("F15", "F46"),
    ),
    Entry(
        code="F08",
        title="the proxy rewrites Host",
        stage=Stage.DISCOVER,
        symptom="lyncdiscover, meet and dialin are not found or show the wrong page; the web services name "
        "works.",
        looks="404 for / of lyncdiscover with X-MS-Server-Fqdn on it: the pool was asked, and by another "
        "name.",
        cause="The pool tells simple URLs and lyncdiscover by the Host header. A proxy that puts the front "
        "end's own name there asks for something else than the client did.",
        sure="Compare https://lyncdiscover.<domain>/ (404) with "
        "https://<web services>/Autodiscover/AutodiscoverService.svc/root (200).",
        fixes=(Fix(said="Forward the original Host header. lyncgate does, and can't be told otherwise."),),
        sources=(
            (Grade.FIELD, "confusedamused.com, Lync reverse proxy and friendly meeting URLs"),
            (Grade.DOCUMENT, "Lync Server 2013 library, scenarios for reverse proxy"),
        ),
        sees=_host_rewritten,
        alike="F13, when the pool has no autodiscover: then the web services name does not answer either.",
    ),
    Entry(
        code="F09",
        title="the proxy wants a log-on of its own",
        stage=Stage.DISCOVER,
        symptom="No phone signs in; a browser sees a log-on page.",
        looks="302 to a log-on page, 200 with HTML, or 401 Basic, where the root document should be, and no "
        "X-MS-Server-Fqdn on it.",
        cause="Pre-authentication: forms, Basic or client certificates at the proxy. Clients of Lync "
        "authenticate at the pool and can't do it anywhere else.",
        sure="curl -i https://lyncdiscover.<domain>/ has to show a document, without any log-on.",
        fixes=(
            Fix(
                said="Turn pre-authentication off for these names: pass-through (WAP), no authentication and "
                "“no delegation, but client may authenticate directly” (TMG)."
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, web publishing rules"),
            (Grade.FIELD, "blog.kloud.com.au on WAP (2013/07/15) and UAG (2013/05/06)"),
        ),
        sees=_logon_page,
        explains=("F08", "F12", "F13"),
    ),
    Entry(
        code="F12",
        title="the proxy spoils the root document",
        stage=Stage.DISCOVER,
        symptom="lyncdiscover answers 200, and the client goes on as if it did not.",
        looks="200 with Content-Type text/xml, or a body without a length that ends with the connection.",
        cause="A proxy has changed the answer: its Content-Type, by which clients tell the document, or how "
        "its end is told.",
        sure="Compare the headers by the proxy with those that the front end sends on 4443.",
        fixes=(
            Fix(
                said="Turn off whatever rewrites bodies or headers there: compression, link translation, "
                "content inspection."
            ),
        ),
        sources=((Grade.OBSERVED, "our own runs of SIPE"),),
        sees=_spoiled,
    ),
    Entry(
        code="F13",
        title="/ of lyncdiscover is not published",
        stage=Stage.DISCOVER,
        symptom="The server is not found, though lyncdiscover exists and answers.",
        looks="404 for / of lyncdiscover. Without X-MS-Server-Fqdn the proxy says it, with it a server that "
        "has no autodiscover.",
        cause="The proxy's rule for lyncdiscover has paths, and / is not among them, or has no such name; "
        "or it leads to a server without the service. 404 counts as no discovery at all.",
        sure="lyncgate explain https://lyncdiscover.<domain>/ says what becomes of it.",
        fixes=(
            Fix(
                said="Publish all paths of lyncdiscover. In lyncgate: the domain in the section "
                "lyncdiscover of rules.yaml.",
                command="lyncgate explain 'https://lyncdiscover.{domain}/?sipuri={user}'",
            ),
        ),
        sources=((Grade.DOCUMENT, "UCWA documentation, RootURL (404 is a failed stage)"),),
        sees=_no_root,
    ),
    Entry(
        code="F33",
        title="a forward proxy on the phone's network wants a log-on",
        stage=Stage.DISCOVER,
        symptom="Signing in fails on the office Wi-Fi only; on the mobile network all is well.",
        looks="407 with Proxy-Authenticate, by a capture on that Wi-Fi. Nothing arrives at the edge.",
        cause="The network has a forward proxy with authentication, and the phone's client can't do NTLM or "
        "SPNEGO with a proxy.",
        sure="Switch the phone's Wi-Fi off, and sign in.",
        fixes=(Fix(said="Let the names of Lync pass without that proxy, or without authentication at it."),),
        sources=((Grade.DOCUMENT, "Office support, Skype server mobile devices: issues for Android"),),
        sees=_forward_proxy,
        explains=("F09", "F10", "F11", "F13", "F14"),
    ),
)
