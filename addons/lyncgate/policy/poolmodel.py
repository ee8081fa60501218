"""The shape of `pools` in rules.yaml; the rest of the shape is in `model`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lyncgate.policy import policy as compiled
from lyncgate.policy.policy import Affinity, Balance, Scheme
from lyncgate.policy.scalars import (
    CheckPath,
    Duration,
    FileName,
    HostName,
    Name,
    Off,
    Pin,
    PortOrOff,
    Server,
)
from lyncgate.policy.section import Section, Word, short

_HEALTH = compiled.Health()
_BRIDGE = compiled.Bridge()


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


Target = Annotated[BridgeTarget, short("port", (int, str), int | Off | BridgeTarget)]


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

    members: list[Annotated[MemberRules, short("host", str, str | MemberRules)]] = Field(
        description="The front ends: a host, or a mapping."
    )
    bridge: BridgeRules = Field(
        default=BridgeRules(), description="Upstream ports; those of the external web site."
    )
    tls: UpstreamTlsRules = Field(default=UpstreamTlsRules(), description="How members prove who they are.")
    affinity: Annotated[AffinityRules, short("type", str, Affinity | AffinityRules)] = Field(
        default=AffinityRules(type=Affinity.NONE), description="How a client finds the same member again."
    )
    balance: Word[Balance] = Field(
        default=Balance.LEAST_CONNECTIONS, description="How a member is chosen when affinity does not say."
    )
    health: HealthRules = Field(default=HealthRules(), description="How members are checked.")
    max_connections: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Connections that one worker process may have to each member; requests beyond that "
        "wait, see `timeouts.queue`. Default: no limit. Not with `--engine stock`.",
    )
