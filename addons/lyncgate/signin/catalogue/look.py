"""The vocabulary of symptoms: what can be asked of one event, in a word each.

An answer that carries X-MS-Server-Fqdn came from a server of the pool; an error that lacks it was made on
the way, by a proxy (protocol reference §10, an inference). Error pages of UCWA are JSON or XML, those of
proxies and of IIS HTML (§6.5).
"""

from __future__ import annotations

import functools
import re
import urllib.parse
from collections.abc import Sequence

from lyncgate.lync.names import AUTODISCOVER_ROOT
from lyncgate.lync.stages import Stage
from lyncgate.policy.hosts import fits
from lyncgate.signin.events import (
    TEXT_LIMIT,
    DnsQuery,
    Event,
    Handshake,
    HandshakeOutcome,
    SipMessage,
    TraceLine,
)
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Source
from lyncgate.signin.facts import Document
from lyncgate.signin.finding import Evidence

ROOT = AUTODISCOVER_ROOT.lower()
DISCOVER, DISCOVER_INTERNAL = "lyncdiscover.", "lyncdiscoverinternal."
REDIRECT = "Redirect"  # the token of a link that leads elsewhere
GONE = (Outcome.CONNECT_FAILED, Outcome.CONNECT_TIMEOUT)  # TCP led nowhere
KNOWN_URLS = 1024  # most documents hand out the same ones
_APPLICATION = re.compile(r"(/applications/)[^/]+")  # what follows names a session: nobody else's business

# -- names and URLs ---------------------------------------------------------------------------------


@functools.lru_cache(KNOWN_URLS)
def host_of(url: str) -> str:
    """The host of a URL, lower case; "" if it has none."""
    try:
        return urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return ""


@functools.lru_cache(KNOWN_URLS)
def path_of(url: str) -> str:
    """The path of a URL, lower case, at least `/`."""
    try:
        return urllib.parse.urlsplit(url).path.lower() or "/"
    except ValueError:
        return "/"


def within(host: str, domain: str | None) -> bool:
    """Whether `host` is `domain` or below it."""
    return bool(domain) and f".{host}".endswith(f".{domain}")


def is_discovery_name(host: str) -> bool:
    """lyncdiscover or lyncdiscoverinternal of some domain."""
    return host.startswith((DISCOVER, DISCOVER_INTERNAL))


# -- exchanges --------------------------------------------------------------------------------------


def asks_root(x: Exchange) -> bool:
    """A request for a root document."""
    return x.path.rstrip("/") == ROOT or (x.path in ("", "/") and is_discovery_name(x.host))


def served(x: Exchange) -> bool:
    """Answered as a service of the pool would, 401 among it; an HTML page with 200 is no service."""
    return x.status in (200, 201, 204, 401) and not (x.status == 200 and is_html(x))


def from_pool(x: Exchange) -> bool:
    """A server of the pool made the answer."""
    return x.server_fqdn is not None


def unasked(x: Exchange) -> bool:
    """The edge had no member to ask: the 503 is its own, and says nothing of the service."""
    return x.outcome is Outcome.NO_MEMBER


def fqdn_of(x: Exchange) -> str | None:
    """The server that answered."""
    return x.server_fqdn.lower() if x.server_fqdn else None


def is_html(x: Exchange) -> bool:
    """The answer was a page."""
    return x.facts.document is Document.HTML or x.facts.content_type == "text/html"


def is_poll(x: Exchange) -> bool:
    """A request that is meant to hang."""
    return x.kind is Kind.POLL or x.stage == Stage.NOTIFICATIONS


def issued_ticket(x: Exchange) -> bool:
    """A web ticket or token was handed out."""
    if x.facts.document is Document.TICKET:
        return True
    plain = x.facts.document in (None, Document.OTHER)
    return plain and x.status == 200 and x.method == "POST" and x.path.startswith("/webticket/")


def diagnosed(x: Exchange, *codes: int) -> bool:
    """X-Ms-diagnostics has one of these codes."""
    return x.facts.diagnostics in codes


def cookie_name(cookie: str) -> str:
    """`LB` of `LB=; path=/`."""
    return cookie.partition("=")[0].strip()


# -- connections ------------------------------------------------------------------------------------


def is_ours(shake: Handshake) -> bool:
    """Between a client and our own capture: what the client thinks of the certificate there says nothing of
    the estate's."""
    return shake.side == "client" and shake.origin in ("capture", "flows")


def broke(shake: Handshake) -> bool:
    """It ended before there was TLS."""
    return shake.outcome not in (HandshakeOutcome.OK, HandshakeOutcome.NOT_HTTP)


def plain_http(shake: Handshake) -> bool:
    """It was for port 80, or what stands for it."""
    return shake.scheme == "http" or (shake.scheme is None and (shake.address or "").endswith(":80"))


def unreachable(shake: Handshake) -> bool:
    """TCP led nowhere."""
    return shake.outcome in (HandshakeOutcome.REFUSED, HandshakeOutcome.UNREACHABLE)


def lacks_name(shake: Handshake) -> bool:
    """The certificate is good for other names than the one asked for, or there is none for it."""
    if is_ours(shake) or not shake.server_name:
        return False
    if shake.certificate_problem == "name":
        return True
    if shake.certificate_problem is None and shake.certificate is not None and shake.certificate.names:
        return broke(shake) and not fits(lower(shake.certificate.names), shake.server_name.lower())
    return shake.outcome is HandshakeOutcome.ALERT and "unrecognized_name" in shake.detail.replace(" ", "_")


def lower(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names as they are compared."""
    return tuple(name.lower() for name in names)


# -- saying what was seen ---------------------------------------------------------------------------


def saw(event: Event, but: str = "") -> Evidence:
    """The event in a line; `but`: what is remarkable about it."""
    match event:
        case Exchange():
            said = _said_exchange(event)
        case Handshake():
            said = _said_handshake(event)
        case DnsQuery():
            found = ", ".join(event.answers) or "no records"
            view = f" ({event.view} view)" if event.view else ""
            said = f"DNS: {event.name} {event.kind} {event.rcode or 'no answer'}{view}: {found}"
        case SipMessage():
            answer = f"answered {event.status} {event.reason or ''}".rstrip() if event.status else "sent"
            said = f"SIP: {event.method} {answer}" + (f" ({event.diagnostics})" if event.diagnostics else "")
        case TraceLine():
            said = f"trace: {event.component} {event.text}"
    return Evidence(said=(f"{said}: {but}" if but else said)[:TEXT_LIMIT], event=event.id)


def firsts(*groups: Sequence[Event]) -> tuple[Evidence, ...]:
    """The first event of each group that has one."""
    return tuple(saw(group[0]) for group in groups if group)


def absent(said: str) -> Evidence:
    """Something that should have been there."""
    return Evidence(said=said[:TEXT_LIMIT])


def _said_exchange(x: Exchange) -> str:
    path = _APPLICATION.sub(r"\1…", x.path)
    if x.status is None:
        answer = f"no answer ({x.outcome or 'still open'})"
    elif x.server_fqdn:
        answer = f"answered {x.status} by {x.server_fqdn}"
    elif x.ended_by is Source.PROXY and x.origin == "edge":
        answer = f"answered {x.status} by the edge ({x.reason or x.outcome or x.decision})"
    else:
        answer = f"answered {x.status}, by no server of the pool (no X-MS-Server-Fqdn)"
    kind = f", {x.facts.content_type}" if x.facts.content_type else ""
    return f"{x.method} {x.scheme}://{x.host}{path} {answer}{kind}"


def _said_handshake(shake: Handshake) -> str:
    who = shake.server_name or shake.address or "unknown"
    said = f"connection to {who}: {shake.outcome}"
    said += f" ({shake.detail})" if shake.detail else ""
    if shake.certificate and not is_ours(shake):
        said += f"; the certificate is for {', '.join(shake.certificate.names[:6]) or 'no name'}"
        said += "…" if shake.certificate.names[6:] else ""
    return said
