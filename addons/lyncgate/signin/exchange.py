"""The exchange: the record of one request, and the first kind of event.

Access log, metrics and sign-ins are all made from this record and nothing else. It holds no
secret: no header values but those named here, no query but the SIP user read from it.

Units: times are seconds; `started` is Unix time, phases are durations from a monotonic clock.
A phase that did not happen is absent; one that began and never ended is None (see `reason`).
"""

from __future__ import annotations

import enum
from typing import ClassVar, Literal

import msgspec

from lyncgate.signin.facts import NO_FACTS, Facts
from lyncgate.signin.keys import NONE, Keys

COMPLAINT = 400  # status from which on an answer says that something is wrong

type Phases = dict["Phase", float | None]


class Phase(enum.StrEnum):
    """Times inside one exchange, in the sense of HAProxy's timers and blackbox_exporter's phases."""

    __hash__ = str.__hash__  # an Enum's own is Python, and these are keys in all that is counted

    CLIENT_TLS = "client_tls"  # first request of a connection: accept to end of handshake
    REQUEST_HEADERS = "request_headers"  # first byte to end of the head
    REQUEST_BODY = "request_body"  # end of the head, or of the connect it had to wait for, to its last byte
    ROUTE = "route"  # rules and addons
    QUEUE = "queue"  # for a connection, where the member has all that it may have; absent when there was room
    CONNECT = "connect"  # TCP to the member, name resolution included; absent when reused
    UPSTREAM_TLS = "upstream_tls"  # absent when reused
    WAIT = "wait"  # request sent to first byte of the response
    RESPONSE_BODY = "response_body"  # first to last byte of the response
    TOTAL = "total"  # first byte of the request to the end of the exchange, however it ended


class Kind(enum.StrEnum):
    """A poll is meant to hang (UCWA events, Mcx poll): its own class, or quantiles mean nothing."""

    __hash__ = str.__hash__  # an Enum's own is Python, and these are keys in all that is counted

    REQUEST = "request"
    POLL = "poll"


class Source(enum.StrEnum):
    """Who made the answer, or who ended or failed the exchange."""

    __hash__ = str.__hash__  # an Enum's own is Python, and these are keys in all that is counted

    CLIENT = "client"
    PROXY = "proxy"
    UPSTREAM = "upstream"


class Outcome(enum.StrEnum):
    """How the exchange ended: one value of a closed list (`reason` of a decision comes beside it)."""

    __hash__ = str.__hash__  # an Enum's own is Python, and these are keys in all that is counted

    OK = "ok"  # a whole response reached the client's socket, whatever its status
    DENIED = "denied"  # by a rule or a limit
    CLIENT_GONE = "client_gone"  # the client left before the response was complete
    NO_MEMBER = "no_member"  # every member is down or draining
    QUEUE_TIMEOUT = "queue_timeout"  # no connection to the member was free in time
    CONNECT_FAILED = "connect_failed"  # TCP refused or unreachable, on every member tried
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_FAILED = "tls_failed"  # the member's certificate or handshake
    UPSTREAM_RESET = "upstream_reset"  # closed before a whole response came
    UPSTREAM_INVALID = "upstream_invalid"  # the member did not speak HTTP
    UPSTREAM_TIMEOUT = "upstream_timeout"  # silent for longer than a time limit, or not reached any more
    BODY_TOO_LARGE = "body_too_large"


class Exchange(msgspec.Struct, tag_field="type", tag="exchange", omit_defaults=True, gc=False):
    """One request. Filled as it goes by the edge's addons, complete when `outcome` is set."""

    id: str  # 16 hex digits, also sent upstream as X-Request-Id
    listener: str
    scheme: str
    source_ip: str
    connection: str  # id of the client connection
    started: float
    method: str  # one of the known methods, or `_other`
    host: str  # published name as the policy knows it, or `_other`
    path: str  # canonical path without the query, cut to 256 characters
    kind: Kind = Kind.REQUEST
    stage: str | None = None  # of a sign-in, see lyncgate.lync.stages
    decision: str = "deny"  # redirect | answer | forward | deny
    rule: str = "default"
    publication: str = "_none"
    sip_user: str | None = None  # from ?sipuri=
    ntlm_user: str | None = None
    pool: str | None = None
    member: str | None = None
    attempts: int = 0  # members tried
    reused: bool | None = None  # upstream connection was already open
    status: int | None = None
    request_bytes: int = 0  # body bytes received
    response_bytes: int = 0  # body bytes sent
    ended_by: Source = Source.PROXY
    outcome: Outcome | None = None
    reason: str | None = None  # decision reason or guard reason
    server_fqdn: str | None = None  # X-MS-Server-Fqdn of the answer
    user_agent: str | None = None  # cut to 128 characters
    phases: dict[Phase, float | None] = {}  # a new one for each, as msgspec has it
    origin: str = "edge"  # who saw it, see lyncgate.signin.events
    keys: Keys = NONE
    facts: Facts = NO_FACTS
    type: ClassVar[Literal["exchange"]] = "exchange"

    @property
    def went_well(self) -> bool:
        """A whole answer reached the client, and it is no complaint."""
        return self.outcome is Outcome.OK and (self.status or 0) < COMPLAINT

    @property
    def seconds(self) -> float | None:
        return self.phases.get(Phase.TOTAL)
