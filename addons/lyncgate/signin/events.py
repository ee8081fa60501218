"""Events: what was seen of sign-ins, by whom and when. The edge's exchanges, DNS queries, handshakes,
SIP messages, trace lines; from a live edge, a capture, a HAR or a front end's trace, it is all the same.

Every event has `id`, `started` (Unix seconds by the clock of who saw it), `origin`, `keys` and
`seconds` (how long it took; None: not known, or not over). No event holds a secret.

`origin` says who saw it: `edge`, `capture`, `har`, `flows`, `probe`, `dns`, or `trace:<server>`.
Two events with the same id are the same event, told twice: the later telling wins, if it is complete.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Literal

import msgspec

from lyncgate.signin.exchange import Exchange
from lyncgate.signin.keys import NONE, Keys

TEXT_LIMIT = 512  # characters of any text taken from outside


class DnsQuery(msgspec.Struct, tag_field="type", tag="dns", frozen=True, kw_only=True, omit_defaults=True):
    """A question to a DNS server and its answer."""

    id: str
    started: float
    origin: str = "dns"
    keys: Keys = NONE
    seconds: float | None = None
    name: str  # lower case, no final dot
    kind: str  # A, AAAA, SRV, CNAME …
    rcode: str | None  # NOERROR, NXDOMAIN, SERVFAIL …; None: no answer came
    answers: tuple[str, ...] = ()  # `CNAME lyncweb.contoso.example`, `A 192.0.2.1`
    view: str | None = None  # which of the server's views, if it has several: internal, external
    type: ClassVar[Literal["dns"]] = "dns"


class HandshakeOutcome(enum.StrEnum):
    """How far a connection came before HTTP, or instead of it."""

    OK = "ok"
    REFUSED = "refused"  # TCP refused
    UNREACHABLE = "unreachable"  # no route, or no answer to TCP in time
    ALERT = "alert"  # one side sent a TLS alert
    CLOSED = "closed"  # closed in the middle of the handshake, or right after it
    UNTRUSTED = "untrusted"  # our side found the certificate wanting: see `certificate_problem`
    NOT_TLS = "not_tls"  # the other side's bytes are no TLS
    NOT_HTTP = "not_http"  # TLS was fine, and what came then is no HTTP: see `first_words`


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the server showed. Names as they stand in it, bounded to 40."""

    names: tuple[str, ...]
    issuer: str
    not_before: float  # Unix seconds
    not_after: float
    chain: int  # certificates sent, the server's own among them
    complete: bool | None = None  # the chain leads to a self-signed or known root; None: not checked


class Handshake(
    msgspec.Struct, tag_field="type", tag="handshake", frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A connection's making, as far as it is news: it failed, or it was looked at closely."""

    id: str
    started: float
    origin: str
    keys: Keys = NONE
    seconds: float | None = None
    side: Literal["client", "upstream"] = "client"  # client: between client and who saw it
    address: str | None = None  # `host:port` that was connected to
    scheme: Literal["http", "https"] | None = None  # what is spoken there; None: not known, or by the port
    server_name: str | None = None  # SNI
    outcome: HandshakeOutcome
    detail: str = ""  # alert name, error text, for a person
    versions: tuple[str, ...] = ()  # TLS versions that the client offers: `TLSv1`, `TLSv1.2` …
    version: str | None = None  # what was agreed on
    certificate: Certificate | None = None
    certificate_problem: Literal["name", "expired", "not_yet", "chain", "self_signed"] | None = None
    first_words: str | None = None  # `sip` when a SIP message came where HTTP is spoken, else `other`
    type: ClassVar[Literal["handshake"]] = "handshake"

    @property
    def is_clients(self) -> bool:
        """Whether it is the client's own way in: upstream, a capture stands in its place."""
        return self.side == "client" or self.origin == "capture"

    @property
    def is_gone_on_with(self) -> bool:
        """A capture takes whatever certificate a server has, so that the rest is seen; a phone may not."""
        return self.side == "upstream" and self.outcome is HandshakeOutcome.UNTRUSTED


class SipMessage(msgspec.Struct, tag_field="type", tag="sip", frozen=True, kw_only=True, omit_defaults=True):
    """A protocol record of a front end's or Access Edge's trace."""

    id: str
    started: float
    origin: str  # trace:<server>
    keys: Keys = NONE
    seconds: float | None = None  # of a request whose answer is in the same trace: until that
    incoming: bool
    peer: str | None = None  # host:port
    method: str  # of the request, or of the one that a response answers (CSeq)
    status: int | None = None  # None: a request
    reason: str | None = None
    cseq: int | None = None
    package: str | None = None  # Event header
    contact: str | None = None  # host:port of Contact
    diagnostics: str | None = None  # ms-diagnostics
    settings: tuple[tuple[str, str], ...] = ()  # what provisioning said, see Facts.settings
    contacts: int | None = None  # how many, in a contact list
    type: ClassVar[Literal["sip"]] = "sip"


class TraceLine(msgspec.Struct, tag_field="type", tag="trace", frozen=True, kw_only=True, omit_defaults=True):
    """A component or diagnostic record of a trace: free text, secrets removed."""

    id: str
    started: float
    origin: str  # trace:<server>
    keys: Keys = NONE
    seconds: float | None = None
    level: str  # TL_INFO …
    component: str
    function: str
    text: str  # cut to TEXT_LIMIT
    result: str | None = None  # `0xC3E93C5E(SIPPROXY_E_ROUTING)`
    type: ClassVar[Literal["trace"]] = "trace"


type Event = Exchange | DnsQuery | Handshake | SipMessage | TraceLine


def is_complete(event: Event) -> bool:
    """Whether all of it was told. How long a line of a trace took is never known."""
    if isinstance(event, TraceLine):
        return True
    return (event.outcome if isinstance(event, Exchange) else event.seconds) is not None
