"""Names that lead nowhere, or elsewhere: F01, F02, F14, F45, F46."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import (
    DISCOVER,
    DISCOVER_INTERNAL,
    GONE,
    absent,
    broke,
    firsts,
    from_pool,
    host_of,
    is_ours,
    lower,
    saw,
    unreachable,
    within,
)
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Outcome
from lyncgate.signin.finding import Fix, Grade

_CLOUD = "online.lync.com"
_LONG = 5.0  # seconds: nobody takes so long to be told that a name does not exist


def _addresses(query: DnsQuery) -> bool:
    return query.kind in ("A", "AAAA", "CNAME") and bool(query.answers)


def _no_name(scene: Scene) -> Sighting | None:
    asked = [q for q in scene.dns if q.name.startswith(DISCOVER) and q.kind in ("A", "AAAA", "CNAME")]
    if not asked or scene.roots or any(_addresses(q) for q in asked):
        return None
    if missing := [q for q in asked if q.rcode == "NXDOMAIN"]:
        return certain(saw(missing[0]), absent("no request followed"))
    if unanswered := [q for q in asked if q.rcode in (None, "SERVFAIL", "REFUSED")]:
        return likely(saw(unanswered[0]), absent("no request followed"))
    return None


def _internal_outside(scene: Scene) -> Sighting | None:
    found = [q for q in scene.dns if q.name.startswith(DISCOVER_INTERNAL) and _addresses(q)]
    if not found or all(q.view == "internal" for q in found):
        return None
    name = found[0].name
    if any(x.host == name and x.status is not None for x in scene.exchanges):
        return None  # it answers: a phone inside
    failed = [h for h in scene.handshakes if h.server_name == name and broke(h) and not is_ours(h)]
    failed_requests = [x for x in scene.exchanges if x.host == name and x.status is None]
    evidence = list(firsts(found, failed or failed_requests))
    if any(q.view == "external" for q in found):
        return certain(*evidence)
    later = [q.started for q in scene.dns if q.name.startswith(DISCOVER)]
    later += [x.started for x in scene.roots if x.host.startswith(DISCOVER)]
    delay = min(later, default=0.0) - found[0].started
    if len(evidence) > 1 or delay > _LONG:
        if delay > _LONG:
            evidence.append(absent(f"{delay:.0f} s went by before lyncdiscover was asked for"))
        return likely(*evidence)
    return None


def _cloud(scene: Scene) -> Sighting | None:
    shown = [
        h
        for h in scene.handshakes
        if h.certificate and (h.server_name or "").startswith(DISCOVER)
        if any(within(name.removeprefix("*."), _CLOUD) for name in lower(h.certificate.names))
    ]
    refused = [x for x in scene.roots if x.status == 403 and not from_pool(x) and x.decision != "deny"]
    alias = [
        q
        for q in scene.dns
        if q.name.startswith(DISCOVER) and any(_CLOUD in answer.lower() for answer in q.answers)
    ]
    if shown:
        return certain(*firsts(shown, refused, alias))
    if refused and alias:
        return likely(*firsts(refused, alias))
    if refused and not scene.found_services:
        return possible(saw(refused[0]))
    return None


def _no_hairpin(scene: Scene) -> Sighting | None:
    inside = [q for q in scene.dns if q.view == "internal"]
    inside += [q for q in scene.dns if q.name.startswith(DISCOVER_INTERNAL) and _addresses(q)]
    greeted = [x for x in scene.exchanges if x.host.startswith(DISCOVER_INTERNAL) and x.status == 200]
    blocked = [
        h
        for h in scene.handshakes
        if unreachable(h) and h.server_name and not h.server_name.startswith(DISCOVER_INTERNAL)
    ]
    stuck = [
        x
        for x in scene.exchanges
        if (x.outcome in GONE or x.outcome is Outcome.UPSTREAM_TIMEOUT)
        and x.origin != "edge"
        and not x.host.startswith(DISCOVER_INTERNAL)
    ]
    untrusted = [
        h
        for h in scene.handshakes
        if (h.server_name or "").startswith(DISCOVER_INTERNAL)
        and h.certificate_problem in ("chain", "self_signed")
    ]
    where = [q for q in inside if q.view == "internal" and q.answers]
    if blocked or stuck:
        evidence = firsts(blocked or stuck, where[-1:], greeted)
        if where:
            return certain(*evidence)
        if greeted:
            return likely(*evidence)
    if untrusted and not scene.ok:
        return likely(saw(untrusted[0]))
    return None


def _internal_mcx(scene: Scene) -> Sighting | None:
    links = {token: (url, x) for token, url, x in scene.links}
    if "External/Mcx" not in links:
        return None
    url, document = links["External/Mcx"]
    host = host_of(url)
    outside = {host_of(links[t][0]) for t in ("External/Ucwa", "External/Autodiscover", "Ucwa") if t in links}
    inside = {host_of(links[t][0]) for t in ("Internal/Ucwa", "Internal/Autodiscover") if t in links}
    if not outside or host in outside or (inside and host not in inside):
        return None
    if document.facts.access_location == "Internal":
        return None
    missing = scene.missing(host)
    if missing or (not scene.ok and not scene.at(Stage.REGISTER)):
        handed = saw(document, f"External/Mcx is {url}")
        return certain(handed, saw(missing[0])) if missing else likely(handed)
    return None


ENTRIES = (
    Entry(
        code="F01",
        title="lyncdiscover does not exist",
        stage=Stage.DNS_DISCOVER,
        symptom="The phone says: “Cannot connect to the server. It might be unavailable.” Nothing of it "
        "arrives at the edge.",
        looks="NXDOMAIN for lyncdiscover.<domain> at stage dns_discover, and no request after it. Without a "
        "DNS log or a capture there is nothing to be seen at all.",
        cause="There is no public DNS record lyncdiscover for the user's SIP domain, or it is wrong. Phones "
        "make that name from the domain of the SIP address and know no other way.",
        sure="Ask a public resolver for lyncdiscover.<domain>. Each SIP domain needs a record of its own.",
        fixes=(
            Fix(
                said="Add a record to the public zone: an alias of the external web services name, if that "
                "is in the same domain, or the proxy's address.",
                command="lyncdiscover.{domain}. 3600 IN CNAME {web}.",
            ),
        ),
        sources=(
            (
                Grade.DOCUMENT,
                "Office support, Skype server mobile devices: issues for Android; Lync Server 2013 library, "
                "DNS requirements for mobility",
            ),
        ),
        sees=_no_name,
    ),
    Entry(
        code="F02",
        title="lyncdiscoverinternal resolves outside",
        stage=Stage.DNS_INTERNAL,
        symptom="Signing in works, and takes very long: half a minute and more before anything happens.",
        looks="An address for lyncdiscoverinternal.<domain> at stage dns_internal, connections to it that "
        "lead nowhere, and a gap before lyncdiscover is asked for.",
        cause="Clients ask for lyncdiscoverinternal first, and go on to lyncdiscover when that name does not "
        "exist or can't be reached. Outside it has to fail at once; a public record, or a wildcard, makes it "
        "fail slowly.",
        sure="Ask a public resolver for lyncdiscoverinternal.<domain>: the answer has to be NXDOMAIN.",
        fixes=(
            Fix(
                said="Remove the name from public DNS; if a wildcard covers it, let that not cover it.",
                command="nslookup lyncdiscoverinternal.{domain} 8.8.8.8",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, DNS requirements for mobility"),
            (Grade.OBSERVED, "our own runs of SIPE"),
        ),
        sees=_internal_outside,
    ),
    Entry(
        code="F14",
        title="lyncdiscover leads to Office 365",
        stage=Stage.DISCOVER,
        symptom="Users of the pool on premises fail at once; users in the cloud don't.",
        looks="The certificate shown for lyncdiscover.<domain> is *.online.lync.com; by HTTP the answer is "
        "403. Nothing of it arrives at the edge: it takes a capture or a probe.",
        cause="lyncdiscover points to Office 365 while the user is homed on premises. In a hybrid deployment "
        "it has to point to the own servers, which refer users in the cloud to it.",
        sure="Compare what lyncdiscover.<domain> resolves to with the proxy's address.",
        fixes=(
            Fix(
                said="Let lyncdiscover lead to the proxy in front of the own pool.",
                command="lyncdiscover.{domain}. 3600 IN CNAME {web}.",
            ),
        ),
        sources=((Grade.FIELD, "GitHub OfficeDev/skype-docs issues 597 and 222"),),
        sees=_cloud,
        explains=("F03", "F04", "F09", "F11", "F13"),
    ),
    Entry(
        code="F45",
        title="the external names can't be reached from inside",
        stage=Stage.CONNECT,
        symptom="Signing in works on the mobile network, and not on the company's Wi-Fi.",
        looks="Inside, the web services name has an address and connections to it get no answer; or the "
        "certificate of lyncdiscoverinternal is not trusted. Seen by a capture or a probe inside.",
        cause="Phones inside use the external web services name as well, by way of the proxy. Either that "
        "way is blocked (no hairpin through the firewall), or lyncdiscoverinternal shows a certificate of "
        "an internal authority, which phones don't trust.",
        sure="From the Wi-Fi, open https://<external web services name>/ and lyncdiscoverinternal.<domain>.",
        fixes=(
            Fix(said="Let the Wi-Fi reach the proxy's public address, or give the names an address inside."),
            Fix(said="Install the internal root certificate on the phones, or use a public one inside."),
        ),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, technical requirements for mobility"),
            (Grade.FIELD, "shudnow.net, mobility on corporate Wi-Fi (2012/03), read in part"),
        ),
        sees=_no_hairpin,
        explains=("F11", "F15"),
    ),
    Entry(
        code="F46",
        title="the user document has the internal address of MCX",
        stage=Stage.DNS_WEB,
        symptom="Lync 2010 on phones fails outside; Lync 2013 is fine.",
        looks="The user document's External/Mcx has the pool's internal name; then NXDOMAIN for that, or "
        "nothing more.",
        cause="ExposedWebURL of the mobility service is Internal. It has to be External: all mobile traffic "
        "passes the proxy, that of phones inside too.",
        sure="Get-CsMcxConfiguration | Select-Object Identity, ExposedWebURL",
        fixes=(
            Fix(
                said="Hand out the external address.",
                command="Set-CsMcxConfiguration -Identity Global -ExposedWebURL External",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "New-CsMcxConfiguration of the PowerShell reference, for the setting"),
            (Grade.INFERRED, "that this is what a phone outside then does"),
        ),
        sees=_internal_mcx,
    ),
)
