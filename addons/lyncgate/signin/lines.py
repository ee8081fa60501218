"""An event as people read it: a line, and below it the facts worth reading, with no secret in either.

line(event) -> Line      `GET https://lyncdiscover.contoso.example/` → `200`, and its facts by name
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lyncgate.signin.events import DnsQuery, Event, Handshake, HandshakeOutcome, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase
from lyncgate.signin.facts import Facts
from lyncgate.signin.shown import duration, moment, shown

PHASE_WORDS = {
    Phase.CLIENT_TLS: "TLS with the client",
    Phase.REQUEST_HEADERS: "request head",
    Phase.REQUEST_BODY: "request body",
    Phase.ROUTE: "rules",
    Phase.QUEUE: "queue for the member",
    Phase.CONNECT: "connect to the member",
    Phase.UPSTREAM_TLS: "TLS with the member",
    Phase.WAIT: "the member's answer",
    Phase.RESPONSE_BODY: "response body",
}
_OUTCOMES = {outcome: outcome.value.replace("_", " ") for outcome in Outcome}
_BAD_HANDSHAKES = frozenset(HandshakeOutcome) - {HandshakeOutcome.OK}


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """`said`: what was asked; `result`: what came of it; `alarming`: it ended as nothing in a sign-in should
    (a 401 does not); `waits`: meant to hang; `facts`: (name, value); `phases`: (phase, seconds), None: never
    ended."""

    id: str
    origin: str
    said: str
    result: str
    alarming: bool
    waits: bool
    started: float
    seconds: float | None
    facts: tuple[tuple[str, str], ...]
    phases: tuple[tuple[Phase, float | None], ...] = ()


def line(event: Event) -> Line:
    """`started` is by the clock of who saw it."""
    match event:
        case Exchange():
            said, result, alarming, facts = _exchange(event)
        case DnsQuery():
            said, result, alarming, facts = _dns(event)
        case Handshake():
            said, result, alarming, facts = _handshake(event)
        case SipMessage():
            said, result, alarming, facts = _sip(event)
        case TraceLine():
            said, result, alarming, facts = _trace(event)
    exchange = event if isinstance(event, Exchange) else None
    return Line(
        id=event.id,
        origin=shown(event.origin, 64),
        said=shown(said),
        result=shown(result, 160),
        alarming=alarming,
        waits=exchange is not None and exchange.kind is Kind.POLL,
        started=event.started,
        seconds=event.seconds,
        facts=tuple((shown(name, 64), shown(value)) for name, value in facts if value),
        phases=_phases(exchange) if exchange else (),
    )


type _Told = tuple[str, str, bool, list[tuple[str, str]]]


def _exchange(event: Exchange) -> _Told:
    if event.outcome is None:
        result = "waiting" if event.kind is Kind.POLL else "under way"
    elif event.status is None:
        result = _OUTCOMES[event.outcome]
    elif event.outcome in (Outcome.OK, Outcome.DENIED):
        result = str(event.status)
    else:
        result = f"{event.status}, {_OUTCOMES[event.outcome]}"
    alarming = (event.status or 0) >= 500 or event.outcome not in (None, Outcome.OK, Outcome.CLIENT_GONE)
    said = f"{event.method} {event.scheme}://{event.host}{event.path}"
    return said, result, alarming, list(_exchange_facts(event))


def _exchange_facts(event: Exchange) -> Iterator[tuple[str, str]]:
    facts = event.facts
    yield "operation", facts.operation or ""
    yield "answer", facts.document.value if facts.document else ""
    yield from _answer(facts)
    yield from _authentication(event, facts)
    if event.decision == "forward":
        member = f"{event.pool} · {event.member}" if event.member else f"{event.pool}: none"
        tried = f", {event.attempts} tried" if event.attempts > 1 else ""
        yield "member", f"{member}{tried}" if event.pool else (event.member or "")
    elif event.origin == "edge":
        yield "decision", f"{event.decision} by the edge{f', {event.reason}' if event.reason else ''}"
    yield "X-MS-Server-Fqdn", event.server_fqdn or ""
    if event.reused is not None:
        yield "connection to the member", "used before" if event.reused else "new"
    yield "upstream connection", facts.upstream or ""
    yield "rule", event.rule if event.rule != "default" else ""
    yield "listener", event.listener
    yield "client connection", event.connection
    bodies = ((event.request_bytes, "asked"), (event.response_bytes, "answered"))
    yield "body", ", ".join(f"{size:,} bytes {what}" for size, what in bodies if size)
    yield "ended by", event.ended_by.value if event.outcome not in (None, Outcome.OK) else ""


def _answer(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "AccessLocation", facts.access_location or ""
    yield "redirect", facts.redirect or ""
    for token, url in facts.links:
        yield f"link {token}", url
    yield "content type", facts.content_type or ""
    yield "framing", facts.framing if facts.framing and facts.framing != "length" else ""
    yield "error", ": ".join(said for said in (facts.error, facts.error_text) if said)
    yield "page", facts.title or ""
    if facts.diagnostics is not None:
        yield "X-Ms-diagnostics", f"{facts.diagnostics} {facts.diagnostics_text or ''}".strip()
    yield "warning", facts.warning or ""
    yield from facts.settings
    yield "contacts", str(facts.contacts) if facts.contacts is not None else ""
    yield "cookies set", "; ".join(facts.cookies)
    yield "Server", facts.header_server or ""


def _authentication(event: Exchange, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "authentication offered", ", ".join(facts.auth_offered)
    used = facts.auth_used or ""
    yield "authentication used", f"{used}, message {facts.ntlm}" if used and facts.ntlm else used
    yield "NTLM", "the answer is a challenge" if facts.ntlm_challenge else ""
    yield "account", event.ntlm_user or event.keys.account or ""
    yield "tickets are had at", ", ".join(facts.authentication_urls)
    yield "cookies sent", ", ".join(facts.cookies_sent)
    yield "origin", "sent: a web application's request" if facts.origin_sent else ""


def _phases(event: Exchange) -> tuple[tuple[Phase, float | None], ...]:
    return tuple((phase, event.phases[phase]) for phase in PHASE_WORDS if phase in event.phases)


def _dns(event: DnsQuery) -> _Told:
    result = event.rcode or "no answer"
    facts = [("answer", answer) for answer in event.answers] + [("view", event.view or "")]
    facts.append(("asked by", event.keys.client or ""))
    alarming = event.rcode not in ("NOERROR", "NXDOMAIN")
    if event.answers:
        result = ", ".join(answer.partition(" ")[2] or answer for answer in event.answers)
    return f"{event.kind} {event.name}", result, alarming, facts


def _handshake(event: Handshake) -> _Told:
    where = event.server_name or event.address or "the server"
    result = event.outcome.value.replace("_", " ")
    facts = [("with", "the client" if event.side == "client" else "the member")]
    facts += [("detail", event.detail), ("address", event.address or "")]
    facts.append(("TLS offered", ", ".join(event.versions)))
    facts.append(("TLS agreed on", event.version or ""))
    facts.append(("certificate", _PROBLEMS.get(event.certificate_problem or "", "")))
    if shown := event.certificate:
        facts.append(("names", ", ".join(shown.names)))
        facts.append(("issuer", shown.issuer))
        facts.append(("valid", f"{moment(shown.not_before)} to {moment(shown.not_after)}"))
        facts.append(("certificates sent", str(shown.chain)))
    facts.append(("first words", event.first_words or ""))
    return f"TLS {where}", result, event.outcome in _BAD_HANDSHAKES, facts


_PROBLEMS = {
    "name": "does not have this name",
    "expired": "has expired",
    "not_yet": "is not valid yet",
    "chain": "does not lead to a known authority",
    "self_signed": "is signed by itself",
}


def _sip(event: SipMessage) -> _Told:
    package = f" {event.package}" if event.package else ""
    peer = f" {'from' if event.incoming else 'to'} {event.peer}" if event.peer else ""
    said = f"{event.method}{package}{peer}"
    result = "request" if event.status is None else f"{event.status} {event.reason or ''}".strip()
    facts = [("contact", event.contact or ""), ("ms-diagnostics", event.diagnostics or "")]
    facts += list(event.settings)
    facts.append(("contacts", str(event.contacts) if event.contacts is not None else ""))
    facts.append(("Call-ID", event.keys.dialog or ""))
    facts.append(("CSeq", str(event.cseq) if event.cseq is not None else ""))
    return said, result, (event.status or 0) >= 500, facts


def _trace(event: TraceLine) -> _Told:
    facts = [("component", event.component), ("function", event.function), ("result", event.result or "")]
    return event.text, event.level, event.level in ("TL_ERROR", "TL_WARN") or bool(event.result), facts


def took(seconds: float | None) -> str:
    """How long, or a dash: it is not known, or not over."""
    return "–" if seconds is None else duration(seconds)
