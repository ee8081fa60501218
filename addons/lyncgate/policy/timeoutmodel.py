"""The shape of the three `timeouts` in rules.yaml: everywhere, of a listener, of a publication."""

from __future__ import annotations

from pydantic import Field

from lyncgate.policy import policy as compiled
from lyncgate.policy.scalars import Duration, Size
from lyncgate.policy.section import Section

_TIMEOUTS = compiled.Timeouts()

_HANDSHAKE = "For a client's TLS handshake."
_HEAD = "From the first byte of a request head to its last."
_BODY = "A client that sends a body must keep to `rate` on the average of such a time."
_WRITE = (
    "A client must take what waits for it at `rate` on the average of such a time. Where nothing waits, as "
    "while a poll hangs, nothing is judged."
)
_RATE = "Bytes a second for `body` and `write`; `0B`: any byte in such a time will do."
_IDLE = "For the next request on a kept connection."
_CONNECT = "For TCP and for TLS to a member, each."
_QUEUE = "For a connection to a member that has its pool's `max_connections`; `0s`: no waiting."
_RESPONSE = (
    "For the first byte of the answer to a request that is no poll, once it was sent. Default: as `poll`."
)
_POLL = "For a member that is silent while a request waits for it; UCWA polls last 30 minutes."

_LOST_MEMBER = (
    "For a member that acknowledges nothing, neither bytes nor the probes that a silent one is sent: its "
    "power is gone, or the network between. `0s`: as the system does, in hours."
)
_LOST_CLIENT = "The same for a client that is sent nothing. It is probed seldom, as a probe wakes a phone."


class TimeoutRules(Section):
    """How long is waited. What ran out is counted in lyncgate_timeouts_total."""

    handshake: Duration = Field(default=_TIMEOUTS.handshake, description=_HANDSHAKE)
    head: Duration = Field(default=_TIMEOUTS.head, description=_HEAD)
    body: Duration = Field(default=_TIMEOUTS.body, description=_BODY)
    write: Duration = Field(default=_TIMEOUTS.write, description=_WRITE)
    rate: Size = Field(default=_TIMEOUTS.rate, description=_RATE)
    idle: Duration = Field(default=_TIMEOUTS.idle, description=_IDLE)
    connect: Duration = Field(default=_TIMEOUTS.connect, description=_CONNECT)
    queue: Duration = Field(default=_TIMEOUTS.queue, description=_QUEUE)
    response: Duration | None = Field(default=None, description=_RESPONSE)
    poll: Duration = Field(default=_TIMEOUTS.poll, description=_POLL)
    lost_member: Duration = Field(default=_TIMEOUTS.lost_member, description=_LOST_MEMBER)
    lost_client: Duration = Field(default=_TIMEOUTS.lost_client, description=_LOST_CLIENT)
    drain: Duration = Field(
        default=_TIMEOUTS.drain, description="How long a stopping edge lets requests end before it cuts them."
    )


class ListenerTimeoutRules(Section):
    """Time limits of a listener's connections, where they are not the general ones."""

    handshake: Duration | None = Field(default=None, description=_HANDSHAKE)
    head: Duration | None = Field(default=None, description=_HEAD)
    body: Duration | None = Field(default=None, description=_BODY)
    write: Duration | None = Field(default=None, description=_WRITE)
    rate: Size | None = Field(default=None, description=_RATE)
    idle: Duration | None = Field(default=None, description=_IDLE)


class PublicationTimeoutRules(Section):
    """Time limits of a publication's requests, where they are not the listener's or the general ones."""

    body: Duration | None = Field(default=None, description=_BODY)
    rate: Size | None = Field(default=None, description=_RATE)
    connect: Duration | None = Field(default=None, description=_CONNECT)
    queue: Duration | None = Field(default=None, description=_QUEUE)
    response: Duration | None = Field(default=None, description=_RESPONSE)
    poll: Duration | None = Field(default=None, description=_POLL)
