"""The compiled policy: what the operator wrote, checked, immutable and ready to decide with.

`lyncgate.policy.load` makes a Policy from the text of rules.yaml; `decide()` reads it, as do the
lanes, `explain`, the metrics and the tests. Nothing here does I/O; nothing here can be changed
after it was made: a reload makes a new Policy and swaps the reference.

Units: durations are seconds (float), sizes are bytes (int).
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
from collections.abc import Mapping

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECONDS = 1.0
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
DAYS = 86400 * SECONDS
WORKERS = 1
MEMORY_JOURNAL = 32 * MIB  # the most that a journal without a file may hold


class Scheme(enum.StrEnum):
    """What a listener speaks, and what a bridge speaks upstream."""

    __hash__ = str.__hash__  # an Enum's own is Python, and these are keys in all that is counted

    HTTP = "http"
    HTTPS = "https"


class Affinity(enum.StrEnum):
    """How a client finds the same member again (protocol reference §9.7)."""

    NONE = "none"
    SOURCE = "source"
    COOKIE = "cookie"  # the MS-WSMAN cookie that Lync 2010 pools need


class Balance(enum.StrEnum):
    """How a member is chosen when no affinity says which."""

    LEAST_CONNECTIONS = "least-connections"
    ROUND_ROBIN = "round-robin"


class Discover(enum.StrEnum):
    """What becomes of a lyncdiscover request, per SIP domain and scheme."""

    ANSWER = "answer"  # the edge serves the root document
    FORWARD = "forward"  # to the pool's autodiscover service
    REDIRECT = "redirect"  # 307 to the external web services


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One front end of a pool. `name` is what metrics, logs and rules call it."""

    name: str
    host: str
    drain: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Bridge:
    """Upstream port for each public scheme; None: that scheme is not published to this pool."""

    http: int | None = 8080
    https: int | None = 4443

    def port(self, scheme: Scheme) -> int | None:
        """The upstream port for `scheme`."""
        return self.http if scheme == Scheme.HTTP else self.https


@dataclasses.dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How a member proves who it is. Verification can be narrowed to pins, never turned off.

    `ca`: PEM file of the authorities to trust (None: the system's). `name`: the name the
    certificate must carry (None: the member's host). `pins`: lower-case hex SHA-256 digests of
    acceptable leaf certificates in DER; when there are any, the leaf must be one of them as well.
    """

    ca: str | None = None
    name: str | None = None
    pins: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """Active checks of each member: TCP to the SIP port, as Microsoft asks (protocol reference
    §9.11), and HTTPS to the external site with the public Host. Either may be off (None)."""

    tcp: int | None = 5061
    https: str | None = "/"  # path that is asked for on bridge.https; any status under 500 is alive
    every: float = 5 * SECONDS
    timeout: float = 3 * SECONDS
    fall: int = 3
    rise: int = 2
    slow_start: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """A front-end pool: equal members behind one name."""

    name: str
    members: tuple[Member, ...]
    bridge: Bridge = Bridge()
    tls: UpstreamTls = UpstreamTls()
    affinity: Affinity = Affinity.NONE
    balance: Balance = Balance.LEAST_CONNECTIONS
    health: Health = Health()
    health_host: str | None = None  # Host that the HTTPS check sends; the loader picks a published one
    max_connections: int | None = None  # to each member, of one worker; None: no limit


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `poll`: how long an upstream may stay silent while a request waits for it: UCWA
    allows 1800 s (protocol reference §6.3), Microsoft asks for 960 s at least (§9.5). `response`: the
    same for the first byte of an answer to what is no poll; None: as `poll`."""

    handshake: float = 10 * SECONDS  # TLS handshake of a client
    head: float = 10 * SECONDS  # from the first byte of a request head to its last
    body: float = 30 * SECONDS  # over which a client that sends a body must keep to `rate`
    write: float = 30 * SECONDS  # over which a client for which bytes wait must keep to `rate`
    rate: int = 100  # bytes a second, on the average of such a time
    idle: float = 300 * SECONDS  # a kept-alive client connection without a request
    connect: float = 5 * SECONDS  # TCP and TLS to a member, each
    queue: float = 10 * SECONDS  # for a connection to a member that has `max_connections`
    response: float | None = None
    poll: float = 1860 * SECONDS
    lost_member: float = 60 * SECONDS  # that it acknowledges nothing
    lost_client: float = 900 * SECONDS
    drain: float = 30 * SECONDS  # how long a stopping edge lets exchanges end


@dataclasses.dataclass(frozen=True, slots=True)
class Instead:
    """Time limits of a listener or a publication; None: as they are without it."""

    handshake: float | None = None
    head: float | None = None
    body: float | None = None
    write: float | None = None
    rate: int | None = None
    idle: float | None = None
    connect: float | None = None
    queue: float | None = None
    response: float | None = None
    poll: float | None = None

    def of(self, times: Timeouts) -> Timeouts:
        """`times` with these instead."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(
            times, **{name: value for name, value in said.items() if value is not None}
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """Public names and paths that lead to a pool. Publications are tried in order, first match wins.

    `hosts`: lower-case names, or `*.` and a suffix for exactly one more label.
    `paths`, `excluded`: canonical lower-case path prefixes without a trailing `/` or `*`;
    the empty string is everything. A prefix matches at a segment border only.
    `bridge`: overrides the pool's (Office Web Apps goes to 443, not 4443).
    `body_limit`: bytes a request body may have; None: no limit.
    `timeouts`: of its requests, over the listener's; None: nothing of its own.
    """

    name: str
    hosts: tuple[str, ...]
    pool: str
    paths: tuple[str, ...] = ("",)
    excluded: tuple[str, ...] = ()
    methods: frozenset[str] = frozenset()
    sources: tuple[Network, ...] = ()
    bridge: Bridge | None = None
    body_limit: int | None = None
    timeouts: Instead | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SipDomain:
    """One SIP domain: where its users' web services are and how lyncdiscover is answered."""

    name: str
    web_services: str
    pool: str
    http: Discover = Discover.ANSWER
    https: Discover = Discover.FORWARD


@dataclasses.dataclass(frozen=True, slots=True)
class UserRoute:
    """Users homed elsewhere; wins over the domain. `match` is a lower-case address in which `*`
    stands for any characters, e.g. `*@emea.contoso.example`. First match wins."""

    match: str
    web_services: str
    pool: str


@dataclasses.dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with its chain, and its key: PEM files, absolute paths. `names` are the DNS
    names (lower-case, maybe `*.x`) that it covers, read when the policy was loaded;
    `not_after` is a Unix time."""

    cert: str
    key: str
    names: tuple[str, ...] = ()
    not_after: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Listener:
    """An address with what it speaks. `redirect`: this plain listener sends published names to
    HTTPS, with `redirect_status` for GET and HEAD (301, 302, 307 or 308) and 308 for the rest."""

    name: str
    scheme: Scheme
    bind: tuple[tuple[str, int], ...]
    redirect: bool = False
    redirect_status: int = 307
    certificates: tuple[CertificateFiles, ...] = ()
    hsts: int | None = None  # max-age in seconds of Strict-Transport-Security; None: not sent
    trusted_proxies: tuple[Network, ...] = ()  # peers whose X-Forwarded-* are believed
    timeouts: Instead | None = None  # of its connections, over the policy's; None: nothing of its own


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a request head may cost. Kerberos tokens and MS-WSMAN cookies are long, hence 64 KiB."""

    head: int = 64 * KIB  # bytes of request line and header fields together
    headers: int = 100  # number of header fields
    url: int = 8 * KIB  # bytes of the request target


@dataclasses.dataclass(frozen=True, slots=True)
class AccessLog:
    """`path`: file, or `-` for standard output; None: no access log."""

    path: str | None = "-"
    format: str = "json"  # json | line


@dataclasses.dataclass(frozen=True, slots=True)
class Admin:
    """Where /metrics, /healthz, /readyz and pages are served; None: nowhere. `hosts`: names under which pages
    may be asked for."""

    bind: tuple[str, int] | None = ("127.0.0.1", 9145)
    hosts: tuple[str, ...] = ()


class FollowedKind(enum.StrEnum):
    """What a file that others write holds."""

    DNS = "dns"
    TRACE = "trace"


@dataclasses.dataclass(frozen=True, slots=True)
class Followed:
    """A file that others write and the journal reads as it grows. `server`: whose trace it is."""

    kind: FollowedKind
    path: str
    server: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """What is kept of sign-ins. `path`: SQLite file; None: in memory, MEMORY_JOURNAL at most.
    `size` in bytes and `age` in seconds bound it. `pseudonyms`: of users only pseudonyms are kept."""

    path: str | None = None
    size: int = GIB
    age: float = 14 * DAYS
    pseudonyms: bool = False
    follow: tuple[Followed, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """All of rules.yaml. `version` is a hash of the text it was made of (12 hex digits). `workers`: how many
    processes serve; None: as many as there are CPU cores."""

    version: str
    domains: Mapping[str, SipDomain]
    users: tuple[UserRoute, ...]
    listeners: Mapping[str, Listener]
    pools: Mapping[str, Pool]
    publications: tuple[Publication, ...]
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    access_log: AccessLog = AccessLog()
    admin: Admin = Admin()
    journal: Journal = Journal()
    workers: int | None = WORKERS

    def times(self, listener: str | None) -> Timeouts:
        """The time limits of a connection to that listener."""
        found = self.listeners.get(listener or "")
        return self.timeouts if found is None or found.timeouts is None else found.timeouts.of(self.timeouts)
