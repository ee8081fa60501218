"""What one event proves of a sign-in's stages: that a step went well, that it failed, or that it was tried.

The meaning of an answer depends on the step. A 401 is how a client learns where tickets are had and how
NTLM begins, so it is a step and no failure; a page of HTML is no discovery document, whatever its status.
What several events mean together is for `signin.stages`.
"""

from __future__ import annotations

import dataclasses
import enum
import urllib.parse

from lyncgate.lync import names
from lyncgate.lync.stages import Stage
from lyncgate.signin.events import DnsQuery, Event, Handshake, HandshakeOutcome, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase
from lyncgate.signin.facts import Document

HELD = 1.0  # seconds: a poll that hung so long was up, however it ended

PROVISIONING_PACKAGE = "vnd-microsoft-provisioning-v2"
CONTACTS_PACKAGE = "vnd-microsoft-roaming-contacts"


class Verdict(enum.Enum):
    GOOD = enum.auto()
    BAD = enum.auto()
    STEP = enum.auto()  # on the way: says neither


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    stage: Stage
    verdict: Verdict
    said: str  # one line for a person
    seconds: float | None  # that the event took, as far as it counts for the stage


def proofs(event: Event) -> list[Proof]:
    """What `event` says of stages, itself alone. The stage `start` is never among them."""
    if isinstance(event, Exchange):
        return _exchange(event)
    if isinstance(event, DnsQuery):
        return _dns(event)
    if isinstance(event, Handshake):
        return _handshake(event)
    if isinstance(event, SipMessage):
        return _sip(event)
    return _trace_line(event)


# -- HTTP -----------------------------------------------------------------------------------------------

_NO_DOCUMENT = (Document.HTML, Document.OTHER)
_BEFORE_WAITING = (
    *(Phase.CLIENT_TLS, Phase.REQUEST_HEADERS, Phase.REQUEST_BODY),
    *(Phase.ROUTE, Phase.QUEUE, Phase.CONNECT, Phase.UPSTREAM_TLS),
)


_NOT_CONNECTED = (Outcome.CONNECT_FAILED, Outcome.CONNECT_TIMEOUT, Outcome.TLS_FAILED)


def connected(event: Exchange) -> bool:
    """Whether the client spoke HTTP with whom it meant to. In a capture, a flow file or a HAR a failed
    connect is the client's own, whatever was spoken with the proxy; behind an edge it is a member's."""
    return event.origin == "edge" or event.outcome not in _NOT_CONNECTED


def _exchange(event: Exchange) -> list[Proof]:
    found: list[Proof] = []
    said = said_of(event)
    if not connected(event) and event.kind is not Kind.POLL:  # with a poll news are what is missing
        return [Proof(Stage.CONNECT, Verdict.BAD, said, event.seconds)]
    if event.phases.get(Phase.CLIENT_TLS) is not None:
        words = f"{event.scheme.upper()} connection for {event.host}"
        found.append(Proof(Stage.CONNECT, Verdict.GOOD, words, event.phases[Phase.CLIENT_TLS]))
    stage = Stage(event.stage) if event.stage is not None else None
    if stage is None:
        return found
    stage, verdict = _judged(event, stage)
    seconds = event.seconds
    if event.kind is Kind.POLL:  # how long it hung says nothing of how long it took to be up
        parts = [event.phases.get(phase) for phase in _BEFORE_WAITING]
        seconds = sum(part for part in parts if part is not None) if any(parts) else None
    found.append(Proof(stage, verdict, said, seconds))
    if event.facts.settings and stage is Stage.REGISTER and verdict is Verdict.GOOD:
        settings = _some(event.facts.settings)
        found.append(Proof(Stage.MOBILITY_POLICY, Verdict.GOOD, f"with the session: {settings}", seconds))
    return found


def _judged(event: Exchange, stage: Stage) -> tuple[Stage, Verdict]:
    """The stage that it really belongs to, and how it went there."""
    status = event.status
    if event.kind is Kind.POLL:
        return stage, _poll(event)
    if stage in (Stage.DISCOVER, Stage.REDIRECT):
        return _discovery(event)
    if event.outcome is None or event.outcome is Outcome.CLIENT_GONE or status is None:
        undecided = event.outcome in (None, Outcome.OK, Outcome.CLIENT_GONE)
        return stage, Verdict.STEP if undecided else Verdict.BAD
    if stage is Stage.READY and status == 404:
        return stage, Verdict.STEP  # a photo or a card that there is not
    if stage is Stage.PROVISIONING and status == 403:
        return stage, Verdict.STEP  # call forwarding, for users without Enterprise Voice
    if status == 401 or 300 <= status < 400:
        return stage, Verdict.STEP
    if status >= 400 or event.facts.document is Document.FAULT:
        return stage, Verdict.BAD
    if stage is Stage.LOCATE and event.facts.document in _NO_DOCUMENT:
        return stage, Verdict.BAD
    # The descriptions of these services are had with GET; what they are for, with POST.
    asks = event.method in ("GET", "HEAD", "OPTIONS")
    if asks and stage in (Stage.TICKET, Stage.CERTIFICATE, Stage.REGISTER):
        return stage, Verdict.STEP
    return stage, Verdict.GOOD


def _poll(event: Exchange) -> Verdict:
    if event.outcome is None or (event.seconds or 0.0) >= HELD:
        return Verdict.GOOD
    if event.outcome is Outcome.CLIENT_GONE or event.status == 401:
        return Verdict.STEP
    good = event.status is not None and event.status < 300 and event.facts.document is not Document.FAULT
    return Verdict.GOOD if good else Verdict.BAD


def _discovery(event: Exchange) -> tuple[Stage, Verdict]:
    """The root of lyncdiscover. Over HTTP it is the redirect when it leads to HTTPS; clients take one into
    another domain for a failure, unless a document says so (protocol reference §2.2, F10)."""
    status, document = event.status, event.facts.document
    if status is None:
        undecided = event.outcome in (None, Outcome.CLIENT_GONE)
        return Stage.DISCOVER, Verdict.STEP if undecided else Verdict.BAD
    target = urllib.parse.urlsplit(event.facts.redirect or "")
    if 300 <= status < 400:
        if event.stage == Stage.REDIRECT and not event.facts.redirect:
            return Stage.REDIRECT, Verdict.GOOD
        domain = names.lyncdiscover_domain(event.host)
        inside = domain is None or f".{target.hostname or event.host}".endswith(f".{domain}")
        if not inside or target.path.lower().startswith("/cookieauth.dll"):
            return Stage.DISCOVER, Verdict.BAD
        if event.scheme == "http" and target.scheme == "https":
            return Stage.REDIRECT, Verdict.GOOD
        return Stage.DISCOVER, Verdict.STEP
    if status >= 400 or document in _NO_DOCUMENT or document is Document.FAULT:
        return Stage.DISCOVER, Verdict.BAD
    leads = target.scheme == "https" or (document is None and event.decision == "answer")
    if event.scheme == "http" and (event.stage == Stage.REDIRECT or leads):
        return Stage.REDIRECT, Verdict.GOOD
    return Stage.DISCOVER, Verdict.GOOD


def said_of(event: Exchange) -> str:
    """`GET lyncdiscover.contoso.example/ 200 from fe01`, and how it failed, if it did."""
    name = event.facts.operation or f"{event.method} {event.host}{event.path}"
    words = [name if len(name) <= 160 else name[:159] + "…"]
    if event.status is not None:
        words.append(str(event.status))
    whom = event.member or (event.server_fqdn or "").partition(".")[0]
    if whom:
        words.append(f"from {whom}")
    elif event.origin == "edge" and event.decision in ("answer", "redirect", "deny"):
        words.append("from the edge")
    if event.facts.error:
        words.append(f"({event.facts.error})")
    elif event.facts.diagnostics is not None:
        words.append(f"(ms-diagnostics {event.facts.diagnostics})")
    if event.outcome is None:
        words.append("is held" if event.kind is Kind.POLL else "is not over")
    elif event.outcome is not Outcome.OK:
        words.append(event.outcome.replace("_", " "))
    if event.kind is Kind.POLL and event.outcome is not None and (event.seconds or 0) >= HELD:
        words.append(f"after {event.seconds:.0f} s")
    return " ".join(words)


def _some(settings: tuple[tuple[str, str], ...]) -> str:
    shown = ", ".join(f"{name} {value}" for name, value in settings[:3])
    return f"{shown} …" if len(settings) > 3 else shown


# -- DNS, connections -----------------------------------------------------------------------------------


def _dns(event: DnsQuery) -> list[Proof]:
    """Of the name inside it is good that it does not exist; what it means that it does, diagnosis says."""
    answer = ", ".join(event.answers[:4]) or event.rcode or "no answer"
    said = f"{event.kind} {event.name}: {answer}"
    if event.name.startswith("lyncdiscoverinternal."):
        said += " (outside, as it should be)" if event.rcode == "NXDOMAIN" else ""
        return [Proof(Stage.DNS_INTERNAL, Verdict.GOOD, said, event.seconds)]
    if event.kind not in ("A", "AAAA", "CNAME"):
        return []
    stage = Stage.DNS_DISCOVER if names.is_lyncdiscover(event.name) else Stage.DNS_WEB
    if event.rcode == "NOERROR" and event.answers:
        return [Proof(stage, Verdict.GOOD, said, event.seconds)]
    empty = event.rcode == "NOERROR" and event.kind != "A"  # most names have no AAAA
    return [Proof(stage, Verdict.STEP if empty else Verdict.BAD, said, event.seconds)]


_ENDED = {
    HandshakeOutcome.OK: "connected",
    HandshakeOutcome.REFUSED: "TCP refused",
    HandshakeOutcome.UNREACHABLE: "no answer",
    HandshakeOutcome.ALERT: "TLS alert",
    HandshakeOutcome.CLOSED: "closed in the handshake",
    HandshakeOutcome.UNTRUSTED: "the certificate is not good",
    HandshakeOutcome.NOT_TLS: "not TLS",
    HandshakeOutcome.NOT_HTTP: "not HTTP",
}


def _handshake(event: Handshake) -> list[Proof]:
    if not event.is_clients:
        return []
    to = event.server_name or event.address or "a connection"
    said = f"{to}: {_ENDED[event.outcome]}" + (f", {event.detail}" if event.detail else "")
    verdict = {HandshakeOutcome.OK: Verdict.GOOD, HandshakeOutcome.NOT_HTTP: Verdict.STEP}
    judged = Verdict.STEP if event.is_gone_on_with else verdict.get(event.outcome, Verdict.BAD)
    return [Proof(Stage.CONNECT, judged, said, event.seconds)]


# -- traces ---------------------------------------------------------------------------------------------

_PACKAGES = {PROVISIONING_PACKAGE: Stage.PROVISIONING, CONTACTS_PACKAGE: Stage.READY}


def _sip(event: SipMessage) -> list[Proof]:
    what = event.method if event.package is None else f"{event.method} {event.package}"
    by = event.origin.removeprefix("trace:")
    stage: Stage | None = None
    if event.method == "REGISTER":
        stage = Stage.REGISTER
    elif event.method in ("SUBSCRIBE", "NOTIFY", "BENOTIFY"):
        stage = _PACKAGES.get((event.package or "").lower())
    elif event.method == "MESSAGE" and event.keys.user is None:
        stage = Stage.NOTIFICATIONS  # to the push service
    if stage is None:
        return []
    if event.status is None:
        brings = event.method in ("NOTIFY", "BENOTIFY") and bool(event.settings or event.contacts)
        contact = f", Contact {event.contact}" if event.contact else ""
        verdict = Verdict.GOOD if brings else Verdict.STEP
        return [Proof(stage, verdict, f"{what} at {by}{contact}", event.seconds)]
    said = f"{what} {event.status} {event.reason or ''}".rstrip() + f" from {by}"
    if event.settings:
        said += f": {_some(event.settings)}"
    if event.contacts is not None:
        said += f": {event.contacts} contacts"
    if 200 <= event.status < 300:
        verdict = Verdict.GOOD
    elif event.status < 200 or event.status in (401, 407) or event.method == "MESSAGE":
        verdict = Verdict.STEP
    else:
        verdict = Verdict.BAD
    return [Proof(stage, verdict, said, None)]


# What the mobility services write. The wording is the lab's own: nobody published the real one.
_LINES = (
    (" is enabled for mobility", Stage.MOBILITY_POLICY, Verdict.GOOD),
    (" for mobility.", Stage.MOBILITY_POLICY, Verdict.BAD),  # the policy does not enable …
    (" is registered", Stage.REGISTER, Verdict.GOOD),
    (" no registrar", Stage.REGISTER, Verdict.BAD),
    (" refused: ", Stage.REGISTER, Verdict.BAD),
    (" notified by ", Stage.NOTIFICATIONS, Verdict.STEP),
)


def _trace_line(event: TraceLine) -> list[Proof]:
    for words, stage, verdict in _LINES:
        if words in event.text:
            return [Proof(stage, verdict, event.text, event.seconds)]
    return []
