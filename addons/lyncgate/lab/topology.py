"""The fixed facts of the lab's world: pools, servers, SIP domains, their names and addresses.

Everything else in the lab derives from these tables. Names are those of documentation (`.example`,
RFC 2606) outside and `contoso.local` inside, as in a typical Active Directory forest of the time.

Each front end has a loopback address of its own, so that all members of a pool can have the *same*
port numbers, as a real pool has (a bridge in rules.yaml names ports per pool, not per member).
"""

from __future__ import annotations

import dataclasses
import enum

from lyncgate.lync.names import lyncdiscoverinternal_host

SIP_HOST = "sip.contoso.example"  # the Access Edge: where external SIP clients go, not through the proxy
REALM = "SIP Communications Service"
PUSH_HOST = "push.fabrikam.example"  # the push relay, at a federated partner: stands for push.lync.com
PUSH_ADDRESS = "127.0.0.71"


class AccessLocation(enum.StrEnum):
    """Which web site of a front end took the request; the port tells (protocol reference §2.1)."""

    INTERNAL = "Internal"
    EXTERNAL = "External"


class Role(enum.Enum):
    """What a server is. A Director authenticates and sends users on to their home pool; it homes nobody and
    has no mobility services (protocol reference §5.1)."""

    FRONT_END = "front end"
    DIRECTOR = "Director"
    ACCESS_EDGE = "Access Edge"
    OFFICE_WEB_APPS = "Office Web Apps server"


@dataclasses.dataclass(frozen=True, slots=True)
class PoolSpec:
    """A pool of front ends or of Directors: its internal name, its external web services name, members."""

    name: str
    fqdn: str
    web: str
    members: tuple[str, ...]
    role: Role = Role.FRONT_END


@dataclasses.dataclass(frozen=True, slots=True)
class MemberSpec:
    """A server. `pool` is None for those that are in no pool of front ends or Directors."""

    name: str
    fqdn: str
    address: str
    pool: str | None
    role: Role = Role.FRONT_END


@dataclasses.dataclass(frozen=True, slots=True)
class DomainSpec:
    """A SIP domain, its NetBIOS (NTLM) name, and the pool that discovery leads to by default."""

    name: str
    netbios: str
    pool: str


POOLS = {
    "pool01": PoolSpec("pool01", "pool01.contoso.local", "lyncweb.contoso.example", ("fe01", "fe02")),
    "pool02": PoolSpec("pool02", "pool02.contoso.local", "lyncweb-emea.contoso.example", ("fe21",)),
    "director": PoolSpec(
        "director", "director.contoso.local", "lyncweb-dir.contoso.example", ("dir01",), Role.DIRECTOR
    ),
}

MEMBERS = {
    "fe01": MemberSpec("fe01", "fe01.contoso.local", "127.0.0.11", "pool01"),
    "fe02": MemberSpec("fe02", "fe02.contoso.local", "127.0.0.12", "pool01"),
    "fe21": MemberSpec("fe21", "fe21.contoso.local", "127.0.0.21", "pool02"),
    "dir01": MemberSpec("dir01", "dir01.contoso.local", "127.0.0.41", "director", Role.DIRECTOR),
    "sip": MemberSpec("sip", SIP_HOST, "127.0.0.31", None, Role.ACCESS_EDGE),
    "owa01": MemberSpec("owa01", "owa01.contoso.local", "127.0.0.51", None, Role.OFFICE_WEB_APPS),
}

DOMAINS = {
    "contoso.example": DomainSpec("contoso.example", "CONTOSO", "pool01"),
    "fabrikam.example": DomainSpec("fabrikam.example", "FABRIKAM", "pool01"),
    "emea.contoso.example": DomainSpec("emea.contoso.example", "EMEA", "pool02"),
}

MEET_HOST = "meet.contoso.example"
DIALIN_HOST = "dialin.contoso.example"
OWA_HOST = "owa.contoso.example"  # shows presentations of meetings; on 443, not 4443, behind the proxy (§9.1)


def public_names() -> tuple[str, ...]:
    """Every name that phones use on the web, in the order in which a certificate lists them."""
    discover = tuple(f"lyncdiscover.{domain}" for domain in DOMAINS)
    return (*(pool.web for pool in POOLS.values()), *discover, MEET_HOST, DIALIN_HOST, OWA_HOST)


def pool_names(pool: PoolSpec) -> tuple[str, ...]:
    """Names in a pool's certificate: the pool, its members, where phones inside discover it, and the public
    names it answers to, as Microsoft has them in the internal certificate too (a request arrives with the
    public Host)."""
    inside = (lyncdiscoverinternal_host(domain) for domain in DOMAINS)
    return (pool.fqdn, *(MEMBERS[name].fqdn for name in pool.members), *inside, *public_names())
