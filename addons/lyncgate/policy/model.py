"""The shape of rules.yaml: every key with its meaning, default and unit.

These classes are what the JSON Schema, docs/rules.md and the shape errors are made from. They hold what
the operator wrote with defaults filled in; `compile` turns them into the immutable Policy, and `checks`
and `lyncbreakers` say what does not fit together. Defaults are the Policy's own, never a second copy.

Some keys have one right value only (`host: keep`, `http2: false`): they are there because people who come
from other proxies write them, and must be told why Lync needs the one value (see `lyncbreakers`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lyncgate.policy import policy as compiled
from lyncgate.policy.policy import Affinity, Balance, Discover, Scheme
from lyncgate.policy.scalars import (
    METHODS,
    METHODS_ALLOWED,
    Bind,
    BindOrOff,
    CheckPath,
    Duration,
    DurationOrOff,
    FileName,
    HostKey,
    HostName,
    Method,
    Name,
    NetworkText,
    Off,
    PathPattern,
    Pin,
    Port,
    PortOrOff,
    PublicHost,
    Server,
    Size,
    SizeOrNone,
)

_TIMEOUTS = compiled.Timeouts()
_LIMITS = compiled.Limits()
_HEALTH = compiled.Health()
_BRIDGE = compiled.Bridge()
_ADMIN = compiled.Admin()

T = TypeVar("T")
Word = Annotated[T, Field(strict=False)]  # an enum, written as its text


class Section(BaseModel):
    """A mapping of rules.yaml: unknown keys are refused, values are never coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _short(key: str, kind: type | tuple[type, ...], also: Any) -> BeforeValidator:
    """Lets the commonest case be written as its one value: `cookie` for `{type: cookie}`."""

    def expand(value: object) -> object:
        return {key: value} if isinstance(value, kind) and not isinstance(value, bool) else value

    return BeforeValidator(expand, json_schema_input_type=also)


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
    redirect: Annotated[RedirectRules, _short("to", str, Literal["https"] | RedirectRules)] | None = Field(
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
    http2: bool = Field(default=False, description="Only `false`: NTLM is bound to the connection.")


# ── pools ───────────────────────────────────────────────────────────────────────────────────────────


class MemberRules(Section):
    """One front end. Its host alone is enough."""

    host: Server = Field(description="Host name or IP address; the ports are the bridge's.")
    name: Name | None = Field(default=None, description="What metrics and logs call it. Default: its host.")
    drain: bool = Field(default=False, description="`true`: nothing new is sent to it, what it has may end.")


class BridgeTarget(Section):
    """Where one public scheme leads. The port alone, or `off`, is enough."""

    port: PortOrOff = Field(description="Port of the pool members, or `off`: this scheme is not published.")
    protocol: Word[Scheme] | None = Field(
        default=None, description="Only the public scheme itself, which is the default: TLS stays TLS."
    )


Target = Annotated[BridgeTarget, _short("port", (int, str), int | Off | BridgeTarget)]


class BridgeRules(Section):
    """Upstream port by public scheme: the port tells the pool that a request comes from outside."""

    http: Target = Field(
        default=BridgeTarget(port=_BRIDGE.http or "off"), description="Where requests on port 80 go."
    )
    https: Target = Field(
        default=BridgeTarget(port=_BRIDGE.https or "off"), description="Where requests on port 443 go."
    )


class BridgeOverride(Section):
    """Upstream port by public scheme, where it is not the pool's."""

    http: Target | None = Field(default=None, description="Where requests on port 80 go.")
    https: Target | None = Field(default=None, description="Where requests on port 443 go.")

    def over(self, pool: BridgeRules) -> BridgeRules:
        """What holds for the publication: its own where it has any."""
        return BridgeRules(http=self.http or pool.http, https=self.https or pool.https)


class UpstreamTlsRules(Section):
    """How members prove who they are."""

    ca: FileName | None = Field(
        default=None, description="PEM file of the authorities to trust. Default: the system's."
    )
    name: HostName | None = Field(
        default=None, description="Name that the members' certificates carry. Default: the member's host."
    )
    pins: list[Pin] = Field(
        default=[], description="Fingerprints of acceptable certificates; the chain must be right as well."
    )
    verify: bool = Field(default=True, description="Only `true`: verification can be pinned, not turned off.")


class AffinityRules(Section):
    """How a client finds the same member again. The type alone is enough."""

    type: Word[Affinity] = Field(
        description="`none` (2013 and later need no more), `source` (client address), "
        "`cookie` (Lync 2010 pools)."
    )
    name: str = Field(default="MS-WSMAN", description="Of the cookie; only MS-WSMAN.")
    http_only: bool = Field(
        default=False, description="Of the cookie; only `false`: the clients' scripts read it."
    )
    expires: str = Field(
        default="never", description="Of the cookie; only `never`: it lives as long as the client."
    )


class HealthRules(Section):
    """Active checks of each member; each may be off."""

    tcp: PortOrOff = Field(
        default=_HEALTH.tcp or "off",
        description="Port that must accept connections; 5061 falls when the SIP service does.",
    )
    https: CheckPath = Field(
        default=_HEALTH.https or "off",
        description="Path that is asked for on the bridge's https port with a public Host; "
        "a status under 500 is alive.",
    )
    every: Duration = Field(default=_HEALTH.every, description="Time from one check to the next.")
    timeout: Duration = Field(default=_HEALTH.timeout, description="How long one check may take.")
    fall: int = Field(
        default=_HEALTH.fall, ge=1, le=100, description="Failed checks in a row that take a member out."
    )
    rise: int = Field(
        default=_HEALTH.rise, ge=1, le=100, description="Good checks in a row that bring it back."
    )
    slow_start: Duration = Field(
        default=_HEALTH.slow_start, description="Time over which a member that came back gets its full share."
    )


class PoolRules(Section):
    """Equal front ends behind one name."""

    members: list[Annotated[MemberRules, _short("host", str, str | MemberRules)]] = Field(
        description="The front ends: a host, or a mapping."
    )
    bridge: BridgeRules = Field(
        default=BridgeRules(), description="Upstream ports; those of the external web site."
    )
    tls: UpstreamTlsRules = Field(default=UpstreamTlsRules(), description="How members prove who they are.")
    affinity: Annotated[AffinityRules, _short("type", str, Affinity | AffinityRules)] = Field(
        default=AffinityRules(type=Affinity.NONE), description="How a client finds the same member again."
    )
    balance: Word[Balance] = Field(
        default=Balance.LEAST_CONNECTIONS, description="How a member is chosen when affinity does not say."
    )
    health: HealthRules = Field(default=HealthRules(), description="How members are checked.")


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


class TimeoutRules(Section):
    """How long is waited."""

    handshake: Duration = Field(default=_TIMEOUTS.handshake, description="For a client's TLS handshake.")
    head: Duration = Field(
        default=_TIMEOUTS.head, description="From the first byte of a request head to its last."
    )
    connect: Duration = Field(default=_TIMEOUTS.connect, description="For TCP and for TLS to a member, each.")
    idle: Duration = Field(
        default=_TIMEOUTS.idle,
        description="For the next request on a kept connection, and the next bytes of a body that a client "
        "sends.",
    )
    poll: Duration = Field(
        default=_TIMEOUTS.poll,
        description="For a member that is silent while a request waits for it; UCWA polls last 30 minutes.",
    )
    drain: Duration = Field(
        default=_TIMEOUTS.drain, description="How long a stopping edge lets requests end before it cuts them."
    )


class AccessLogRules(Section):
    """One line a request."""

    path: str = Field(default="-", min_length=1, description="File; `-` for standard output, `off` for none.")
    format: Literal["json", "line"] = Field(default="json", description="`json` or `line`.")


class AdminRules(Section):
    """Where /metrics, /healthz and /readyz are served."""

    bind: BindOrOff = Field(
        default=compiled.Admin().bind or "off",
        description="IP address and port, or `off`.",
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
    admin: AdminRules = Field(default=AdminRules(), description="Where metrics and health are served.")
    tests: list[RouteTest] = Field(default=[], description="Requests and the decisions they must get.")


class TestFile(Section):
    """rules.tests.yaml, beside rules.yaml: route tests only."""

    tests: list[RouteTest] = Field(description="Requests and the decisions they must get.")
