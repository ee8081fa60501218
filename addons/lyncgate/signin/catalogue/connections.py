"""Certificates, versions of TLS, ports: F03 … F06, F10, F11, F19."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.entry import Entry, Sighting, certain, likely, possible
from lyncgate.signin.catalogue.look import (
    DISCOVER,
    GONE,
    absent,
    broke,
    host_of,
    is_discovery_name,
    is_ours,
    lacks_name,
    lower,
    plain_http,
    saw,
    served,
    unreachable,
    within,
)
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.finding import Evidence, Fix, Grade

_OLD = ("SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1")
_REDIRECTS = (301, 302, 303, 307, 308)
_MEANWHILE = 60.0  # seconds
_DISTRUST = ("unknown_ca", "bad_certificate", "certificate_unknown", "unsupported_certificate")


def wrong_name(scene: Scene) -> list[Handshake]:
    """Handshakes for lyncdiscover whose certificate lacks that name."""
    return [h for h in scene.handshakes if lacks_name(h) and (h.server_name or "").startswith(DISCOVER)]


def by_http(scene: Scene) -> bool:
    """Discovery on port 80 works: an answer that is no HTTP redirect and no error."""
    return any(x.scheme == "http" and x.status == 200 and served(x) for x in scene.roots)


def _has_other_discovery_names(shake: Handshake) -> bool:
    return shake.certificate is not None and any(map(is_discovery_name, lower(shake.certificate.names)))


def _no_san(scene: Scene) -> Sighting | None:
    shakes = wrong_name(scene)
    if not shakes:
        return None
    shake = shakes[0]
    if not _has_other_discovery_names(shake) and by_http(scene):
        return None  # by design: port 80 stands in for the name
    if shake.certificate is None:
        return likely(saw(shake), host=shake.server_name)
    return certain(saw(shake), host=shake.server_name)


def _foreign_alias(scene: Scene) -> Sighting | None:
    for shake in wrong_name(scene):
        name = shake.server_name or ""
        domain = name.removeprefix(DISCOVER)
        for query in scene.answered(name):
            targets = [
                a.partition(" ")[2].rstrip(".").lower() for a in query.answers if a.startswith("CNAME ")
            ]
            if any(not within(target, domain) for target in targets):
                return certain(saw(query), saw(shake), host=name)
    return None


def _no_port_80(scene: Scene) -> Sighting | None:
    shakes = wrong_name(scene)
    if not shakes or by_http(scene):
        return None
    closed: list[Evidence] = [
        saw(x, "port 80") for x in scene.roots if x.scheme == "http" and x.outcome in GONE
    ]
    closed += [saw(h, "port 80") for h in scene.handshakes if unreachable(h) and plain_http(h)]
    if closed:
        return certain(closed[0], saw(shakes[0]), host=shakes[0].server_name)
    return _closed_to_others(scene, shakes[0])


def _closed_to_others(scene: Scene, shake: Handshake) -> Sighting | None:
    """Who does not get as far as a request names nobody: which of several clients behind one address was
    refused is a guess, and that others were says as much."""
    others = [e for other in scene.around for e in other.events]
    shut = [h for h in others if isinstance(h, Handshake) and unreachable(h) and plain_http(h)]
    shut = [h for h in shut if h.origin == shake.origin and h.keys.client == shake.keys.client]
    shut = [h for h in shut if abs(h.started - shake.started) < _MEANWHILE]
    if not shut:
        return None
    return likely(
        absent(f"{saw(shut[0], 'port 80').said}, by another from there"), saw(shake), host=shake.server_name
    )


def _off_domain(scene: Scene) -> Sighting | None:
    bad = {h.server_name for h in wrong_name(scene)}
    works = any(
        x.status == 200 and served(x) and not (x.scheme == "https" and x.host in bad) for x in scene.roots
    )
    for x in scene.roots:
        target = host_of(x.facts.redirect or "")
        if x.status not in _REDIRECTS or not target or works:
            continue
        if not within(target, scene.domain or x.host.partition(".")[2]):
            return certain(
                saw(x, f"leads to {target}, out of the domain"), *[saw(h) for h in wrong_name(scene)[:1]]
            )
        if x.scheme == "http" and not scene.found_services and target != x.host:
            return possible(saw(x, f"leads to {target}; some clients follow no redirect of HTTP"))
    return None


def _distrusted(scene: Scene) -> Sighting | None:
    for shake in scene.handshakes:
        if is_ours(shake) or shake.certificate_problem == "name":
            continue
        if shake.certificate_problem == "chain":
            alone = shake.certificate is not None and shake.certificate.chain == 1
            return certain(saw(shake)) if alone else likely(saw(shake))
        if shake.certificate_problem == "self_signed" and not is_internal(shake):
            return possible(saw(shake)) if scene.ok else likely(saw(shake))
        told = shake.detail.lower().replace(" ", "_")
        if shake.outcome is HandshakeOutcome.ALERT and any(word in told for word in _DISTRUST):
            if lacks_name(shake) or scene.ok:
                continue
            return likely(saw(shake)) if "unknown_ca" in told else possible(saw(shake))
    return None


def is_internal(shake: Handshake) -> bool:
    """For a name that is asked inside only."""
    return (shake.server_name or "").startswith("lyncdiscoverinternal.")


def _old_tls(scene: Scene) -> Sighting | None:
    for shake in scene.handshakes:
        if not broke(shake) or unreachable(shake):
            continue
        if shake.versions and all(version in _OLD for version in shake.versions):
            return certain(saw(shake, f"the client offers {', '.join(shake.versions)} only"))
        if "protocol_version" in shake.detail.lower().replace(" ", "_") and shake.versions:
            return likely(saw(shake, f"the client offers {', '.join(shake.versions)}"))
    return None


def _sip(scene: Scene) -> Sighting | None:
    for shake in scene.handshakes:
        if shake.outcome is HandshakeOutcome.NOT_HTTP and shake.first_words == "sip":
            return certain(saw(shake, "a SIP message, where HTTP is spoken"), host=shake.server_name)
    return None


_SAN = Fix(
    said="Put lyncdiscover of each SIP domain into the proxy's certificate (a wildcard may stand for it).",
    command="subjectAltName = DNS:{web}, DNS:lyncdiscover.{domain}",
)
_PORT_80 = Fix(
    said="Or publish port 80 of lyncdiscover to 8080 of the pool: it answers with a document that leads to "
    "HTTPS. In lyncgate this is a listener of scheme http and the lyncdiscover section of rules.yaml."
)

ENTRIES = (
    Entry(
        code="F03",
        title="the certificate lacks a SIP domain",
        stage=Stage.CONNECT,
        symptom="Users of one SIP domain fail, or get on only because port 80 is open.",
        looks="A handshake for lyncdiscover.<domain> that the client ends after the server's certificate, "
        "which has other names, and no HTTP after it. At the edge: no certificate for the name.",
        cause="The subject alternative names of the proxy's certificate don't have lyncdiscover of that "
        "domain.",
        sure="openssl s_client -connect lyncdiscover.<domain>:443 -servername lyncdiscover.<domain>, and "
        "look at the names.",
        fixes=(_SAN, _PORT_80),
        sources=((Grade.DOCUMENT, "Lync Server 2013 library, autodiscover service requirements"),),
        sees=_no_san,
        alike="F04, where DNS shows an alias into another domain; F11, where port 80 is closed as well.",
    ),
    Entry(
        code="F04",
        title="lyncdiscover is an alias into another domain",
        stage=Stage.CONNECT,
        symptom="As F03: users of one SIP domain fail by HTTPS.",
        looks="As F03, and the DNS answer has a CNAME into another domain.",
        cause="An alias does not change which name the certificate must have: the client asks for "
        "lyncdiscover.<domain> all the same. An alias into another domain is supported by HTTP only.",
        sure="Ask DNS for lyncdiscover.<domain>: is it an alias of a name in another domain?",
        fixes=(_SAN, _PORT_80),
        sources=(
            (Grade.DOCUMENT, "Lync Server 2013 library, technical requirements for mobility"),
            (Grade.FIELD, "TechNet NextHop, five FAQ on mobility (2012-08-14), read in part"),
        ),
        sees=_foreign_alias,
        explains=("F03",),
    ),
    Entry(
        code="F05",
        title="the proxy's certificate is not trusted: its chain is incomplete, or its root a private one",
        stage=Stage.CONNECT,
        symptom="iPhones say that they can't verify the certificate (E_SslError, E2-2-2, 0x22020002); "
        "Android and Windows Phone may be fine.",
        looks="A handshake with one certificate whose issuer is no known root, or an alert unknown_ca of the "
        "client's.",
        cause="The proxy does not send its intermediate certificate, or the certificate is of an authority "
        "that phones don't know. Some systems fetch or remember intermediates, iOS does not.",
        sure="openssl s_client -connect <name>:443 -showcerts: the chain has to lead to a public root.",
        fixes=(
            Fix(
                said="Let the proxy send its intermediates: the certificate file has to hold the whole chain."
            ),
            Fix(said="For a private root: install it on the phones, or use a public certificate."),
        ),
        sources=(
            (Grade.DOCUMENT, "Office support, server sign-in: cannot sign in, mobile client"),
            (Grade.FIELD, "blogs.bricomp.com, Lync Mobile iOS certificate errors"),
        ),
        sees=_distrusted,
    ),
    Entry(
        code="F06",
        title="the proxy has no TLS version that the client knows",
        stage=Stage.CONNECT,
        symptom="Old clients fail before anything is asked; browsers are fine. The Remote Connectivity "
        "Analyzer says that SSL negotiation wasn't successful.",
        looks="A ClientHello that offers nothing newer than TLS 1.0 or 1.1, and the connection ends.",
        cause="Old versions of TLS are off at the proxy, as they should be, and the client has nothing else. "
        "The reverse is a proxy without TLS 1.2, which iOS demands.",
        sure="The handshake's line shows the versions that the client offers.",
        fixes=(
            Fix(said="Update the client; Lync 2010 and 2013 on old systems have TLS 1.0 only."),
            Fix(said="Or allow the old version, if you can answer for it: lyncgate does not speak it."),
        ),
        sources=(
            (Grade.FIELD, "silbers.net, TLS 1.0 disabled on the reverse proxy (2016-06-22), read in part"),
            (Grade.DOCUMENT, "Lync Server 2013 library, hardware load balancer requirements, for iOS"),
        ),
        sees=_old_tls,
    ),
    Entry(
        code="F10",
        title="lyncdiscover is redirected to another domain by HTTP",
        stage=Stage.DISCOVER,
        symptom="No client gets beyond discovery.",
        looks="301 or 302 for http://lyncdiscover.<domain>/, with a Location in another domain.",
        cause="Something in front of the pool answers port 80 with a redirect of its own. Clients take one "
        "that leads out of the domain for a failure, and SIPE follows none at all; what leads to HTTPS is "
        "the pool's document, with the token Redirect.",
        sure="curl -i http://lyncdiscover.<domain>/ has to say 200 and show a document.",
        fixes=(
            Fix(
                said="Pass port 80 of lyncdiscover on to 8080 of the pool, and redirect other names only.",
                command="curl -i 'http://lyncdiscover.{domain}/?sipuri={user}'",
            ),
        ),
        sources=(
            (Grade.DOCUMENT, "UCWA documentation, RootURL"),
            (Grade.OBSERVED, "our own runs of SIPE"),
        ),
        sees=_off_domain,
        explains=("F03", "F11", "F15"),
    ),
    Entry(
        code="F11",
        title="port 80 is closed, and lyncdiscover not in the certificate",
        stage=Stage.CONNECT,
        symptom="The server can't be found from outside, by any client.",
        looks="Connections to port 80 are refused or get no answer, and the certificate of port 443 lacks "
        "lyncdiscover.<domain>.",
        cause="A client has two ways to lyncdiscover, HTTPS with its name in the certificate and HTTP. Here "
        "neither is open.",
        sure="curl -v http://lyncdiscover.<domain>/ and https://lyncdiscover.<domain>/",
        fixes=(_SAN, _PORT_80),
        sources=((Grade.DOCUMENT, "Lync Server 2013 library, port summary for reverse proxy"),),
        sees=_no_port_80,
        explains=("F03",),
    ),
    Entry(
        code="F19",
        title="the SIP names lead to the reverse proxy",
        stage=Stage.CONNECT,
        symptom="Desktop clients fail where discovery does not help them; phones never ask SIP.",
        looks="On port 443 of the proxy, after TLS for sip.<domain> or sipexternal.<domain>, comes REGISTER, "
        "which is no HTTP.",
        cause="A client that has found no other way tries the addresses sip.<domain> and "
        "sipexternal.<domain>. These point at the proxy, not at the Access Edge.",
        sure="Compare the addresses of sip.<domain> and sipexternal.<domain> with that of the Access Edge. "
        "Why the client came so far, that is, why discovery failed, may be a finding of its own.",
        fixes=(
            Fix(
                said="Point the names at the Access Edge, or remove them.",
                command="_sip._tls.{domain}. 3600 IN SRV 0 0 443 <Access Edge>.",
            ),
        ),
        sources=((Grade.OBSERVED, "our own runs of SIPE"),),
        sees=_sip,
    ),
)
