"""The shape of rules.yaml: every key with its meaning, default and unit.

These classes are what the JSON Schema, docs/rules.md and the shape errors are made from. They hold what
the operator wrote with defaults filled in; `compile` turns them into the immutable Policy, and `checks`
and `lyncbreakers` say what does not fit together. Defaults are the Policy's own, never a second copy.

Some keys have one right value only (`host: keep`, `http2: false`): they are there because people who come
from other proxies write them, and must be told why Lync needs the one value (see `lyncbreakers`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lyncgate.policy import policy as compiled
from lyncgate.policy.journalmodel import JournalRules
from lyncgate.policy.policy import Discover, Scheme
from lyncgate.policy.poolmodel import BridgeOverride, PoolRules
from lyncgate.policy.scalars import (
    METHODS,
    METHODS_ALLOWED,
    Bind,
    BindOrOff,
    CountOrAuto,
    DurationOrOff,
    FileName,
    HostKey,
    HostName,
    Method,
    Name,
    NetworkText,
    PathPattern,
    Port,
    PublicHost,
    Size,
    SizeOrNone,
)
from lyncgate.policy.section import Section, Word, short
from lyncgate.policy.timeoutmodel import ListenerTimeoutRules, PublicationTimeoutRules, TimeoutRules

_LIMITS = compiled.Limits()


# ── lync ────────────────────────────────────────────────────────────────────────────────────────────


class LyncdiscoverRules(Section):
    """How `lyncdiscover.<domain>` is answered, by the scheme of the request."""

    http: Word[Discover] = Field(
        default=Discover.ANSWER,
        description="On port 80. `answer`: the edge serves the root document with its Redirect token; "
        "`forward`: to the pool's autodiscover service; `redirect`: an HTTP redirect, which many "
        "clients do not follow.",
    )
    https: Word[Discover] = Field(
        default=Discover.FORWARD,
        description="On port 443; the same three words. The pool itself answers best.",
    )


class DomainRules(Section):
    """A SIP domain: what stands after the @ of its users' addresses."""

    web_services: HostName = Field(
        description="External web services name of the pool that its users are sent to."
    )
    pool: Name = Field(description="The pool that answers for the domain: a name under `pools`.")
    lyncdiscover: LyncdiscoverRules = Field(
        default=LyncdiscoverRules(), description="How lyncdiscover.<domain> is answered."
    )


class UserRules(Section):
    """Users homed elsewhere than their domain says. The first match wins, and wins over the domain."""

    match: str = Field(
        description="SIP address without `sip:`; `*` stands for any characters, e.g. *@emea.contoso.example."
    )
    web_services: HostName = Field(description="External web services name of the users' own pool.")
    pool: Name = Field(description="The users' own pool: a name under `pools`.")


class LyncRules(Section):
    """SIP domains and where their users are."""

    domains: dict[HostKey, DomainRules] = Field(default={}, description="SIP domains by name.")
    users: list[UserRules] = Field(default=[], description="Exceptions from the domains, tried in order.")


# ── listeners ───────────────────────────────────────────────────────────────────────────────────────


class CertificateRules(Section):
    """A certificate that a listener shows. Which one is chosen by the name that the client asks for."""

    cert: FileName = Field(
        description="PEM file: the certificate first, then its intermediates (phones fetch none)."
    )
    key: FileName = Field(description="PEM file of its private key, without a pass phrase.")
    root: FileName | None = Field(
        default=None,
        description="PEM file of the authority that signed it, for a private one. Only used to check that "
        "the chain is complete; it is not sent.",
    )


class RedirectRules(Section):
    """Sends published names to HTTPS; host, path and query stay."""

    to: Literal["https"] = Field(default="https", description="The only target.")
    status: Literal[301, 302, 307, 308] = Field(
        default=307, description="For GET and HEAD. Other methods always get 308, which keeps their body."
    )


class ListenerRules(Section):
    """Addresses with what is spoken there."""

    bind: list[Bind] = Field(
        min_length=1, description="IP addresses with port; port 0 lets the system choose one."
    )
    protocol: Word[Scheme] = Field(description="`http` or `https`.")
    redirect: Annotated[RedirectRules, short("to", str, Literal["https"] | RedirectRules)] | None = Field(
        default=None,
        description="`https`: published names are sent to HTTPS, for http listeners. lyncdiscover is "
        "answered by its own rule first.",
    )
    certificates: list[CertificateRules] = Field(
        default=[], description="For https listeners. Every public name must be covered by one."
    )
    hsts: DurationOrOff = Field(
        default="off", description="max-age of the Strict-Transport-Security header, or `off`."
    )
    trusted_proxies: list[NetworkText] = Field(
        default=[], description="Peers whose X-Forwarded-* are believed; everyone else's are dropped."
    )
    timeouts: ListenerTimeoutRules = Field(
        default=ListenerTimeoutRules(), description="Instead of the general ones."
    )
    http2: bool = Field(default=False, description="Only `false`: NTLM is bound to the connection.")


# ── publications ────────────────────────────────────────────────────────────────────────────────────


class PublicationRules(Section):
    """Public names and paths that lead to a pool. Tried in order, the first match wins."""

    name: Name = Field(description="What logs and metrics call it.")
    hosts: list[PublicHost] = Field(
        min_length=1, description="Public names; *.contoso.example stands for exactly one more label."
    )
    paths: list[PathPattern] = Field(
        default=["/*"],
        min_length=1,
        description="Paths with all below them, in any case (IIS does not tell case apart).",
    )
    except_: list[PathPattern] = Field(
        default=[], alias="except", description="Paths with all below them that are not published."
    )
    pool: Name = Field(description="Where it leads: a name under `pools`.")
    methods: list[Method] = Field(
        default=list(METHODS), min_length=1, description=f"Out of {METHODS_ALLOWED}."
    )
    sources: list[NetworkText] = Field(default=[], description="Clients that may use it. Default: everyone.")
    bridge: BridgeOverride = Field(
        default=BridgeOverride(),
        description="Instead of the pool's: Office Web Apps is published with http: 80, https: 443.",
    )
    body_limit: SizeOrNone = Field(
        default="none", description="Bytes that a request body may have; Lync's uploads have no useful limit."
    )
    timeouts: PublicationTimeoutRules = Field(
        default=PublicationTimeoutRules(), description="Instead of the listener's or the general ones."
    )
    host: str = Field(
        default="keep", description="Only `keep`: the pool chooses the site by the public name."
    )
    authentication: str = Field(
        default="pass-through", description="Only `pass-through`: the pool authenticates."
    )


# ── the edge itself ─────────────────────────────────────────────────────────────────────────────────


class LimitRules(Section):
    """What a request head may cost. Kerberos tokens and MS-WSMAN cookies are long."""

    head: Size = Field(default=_LIMITS.head, description="Bytes of request line and header fields together.")
    headers: int = Field(default=_LIMITS.headers, ge=10, le=1000, description="Number of header fields.")
    url: Size = Field(default=_LIMITS.url, description="Bytes of path and query.")


class AccessLogRules(Section):
    """One line a request."""

    path: str = Field(default="-", min_length=1, description="File; `-` for standard output, `off` for none.")
    format: Literal["json", "line"] = Field(default="json", description="`json` or `line`.")


class AdminRules(Section):
    """Where /metrics, /healthz, /readyz and the pages about sign-ins are served."""

    bind: BindOrOff = Field(
        default=compiled.Admin().bind or "off",
        description="IP address and port, or `off`.",
    )
    hosts: list[HostName] = Field(
        default=[],
        description="Names under which browsers may ask for the pages, beside IP addresses and `localhost`. "
        "Others are refused, so that no web site can read them by a name of its own (DNS rebinding).",
    )


class ExpectRules(Section):
    """The decision that a request must get. One of the first four keys; the rest is compared if given."""

    forward: str | None = Field(default=None, description="Forwarded to this pool.")
    redirect: str | None = Field(default=None, description="Sent to this URL.")
    answer: str | None = Field(
        default=None, description="Answered by the edge with a root document that has this token."
    )
    deny: int | None = Field(default=None, description="Denied with this status.")
    target: str | None = Field(
        default=None, description="Path and query that a forwarded request has upstream."
    )
    port: Port | None = Field(default=None, description="Port of the pool members that it is forwarded to.")
    status: int | None = Field(default=None, description="Status of the redirect.")
    reason: str | None = Field(
        default=None, description="Why it is denied: one of the words that metrics use."
    )
    rule: str | None = Field(
        default=None, description="The rule that decides, as `lyncgate explain` prints it."
    )
    publication: str | None = Field(default=None, description="The publication, as metrics name it.")


class RouteTest(Section):
    """A request and the decision it must get. Rules whose tests fail are not served."""

    url: str = Field(description="http:// or https:// URL that the client asks for.")
    method: str = Field(default="GET", min_length=1, description="Request method.")
    source: str = Field(default="127.0.0.1", alias="from", description="IP address of the client.")
    user: str | None = Field(default=None, description="SIP address, where the URL does not say it.")
    expect: ExpectRules = Field(description="What must be decided.")


class Rules(Section):
    """All of rules.yaml."""

    version: Literal[1] = Field(description="The number 1: version of this format.")
    lync: LyncRules = Field(default=LyncRules(), description="SIP domains and where their users are.")
    workers: CountOrAuto = Field(
        default=compiled.WORKERS,
        description="Processes that serve, 1 to 256, or `auto`: one for each CPU core.",
    )
    listeners: dict[Name, ListenerRules] = Field(
        default={}, description="Addresses with what is spoken there."
    )
    pools: dict[Name, PoolRules] = Field(default={}, description="Front-end pools by name.")
    publications: list[PublicationRules] = Field(
        default=[], description="What is published, in the order in which it is tried."
    )
    limits: LimitRules = Field(default=LimitRules(), description="What a request head may cost.")
    timeouts: TimeoutRules = Field(default=TimeoutRules(), description="How long is waited.")
    access_log: AccessLogRules = Field(default=AccessLogRules(), description="One line a request.")
    admin: AdminRules = Field(default=AdminRules(), description="Where metrics, health and pages are served.")
    journal: JournalRules = Field(default=JournalRules(), description="What is kept of sign-ins.")
    tests: list[RouteTest] = Field(default=[], description="Requests and the decisions they must get.")


class TestFile(Section):
    """rules.tests.yaml, beside rules.yaml: route tests only."""

    tests: list[RouteTest] = Field(description="Requests and the decisions they must get.")
