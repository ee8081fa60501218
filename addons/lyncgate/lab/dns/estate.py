"""The zones of the estate (protocol reference §1): what a public DNS and what the company's own says.

| name                               | external view                        | internal view |
| ---------------------------------- | ------------------------------------ | ------------- |
| lyncdiscoverinternal.<sip domain>  | does not exist                       | alias of the pool |
| lyncdiscover.<sip domain>          | alias of the web services name; an   | the same: inside phones too |
|                                    | address where that is another domain | go through the proxy (§9.8) |
| web services, meet, dialin         | the reverse proxy                    | the same |
| pools, front ends (contoso.local)  | do not exist                         | their addresses |
| sip, _sip._tls, _sipfederationtls  | the Access Edge                      | the same |
| _sipinternaltls._tcp               | does not exist                       | the pool, 5061 |

An alias into another domain would be right in DNS and wrong for phones: they expect a certificate for
`lyncdiscover.<sip domain>` all the same (§1.5).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from lyncgate.client.names import Address
from lyncgate.lab import topology
from lyncgate.lab.dns.zone import Record, Zone
from lyncgate.lab.ports import Ports
from lyncgate.lab.topology import Role
from lyncgate.lync.names import lyncdiscover_host, lyncdiscoverinternal_host

FOREST = "contoso.local"


class View(enum.StrEnum):
    """Who asks: a phone outside, or one in the company's network."""

    EXTERNAL = "external"
    INTERNAL = "internal"


def zone(view: View, proxy: str | None) -> Zone:
    """What the view's server holds. `proxy`: the address of the reverse proxy, as phones see it; None:
    there is none, and public names lead straight to the first member of each pool."""
    records = [*_public(proxy), *(_internal() if view is View.INTERNAL else ())]
    return Zone((*topology.DOMAINS, FOREST), records)


def ports(view: View, lab: Ports, proxy: tuple[Address, Address] | None) -> dict[Address, Address]:
    """(address, well-known port) → where that really is. `proxy`: its HTTP and HTTPS listeners."""
    http, https = lab.external_http, lab.external_https
    if view is View.INTERNAL:
        http, https = lab.internal_http, lab.internal_https
    found: dict[Address, Address] = {}
    for member in topology.MEMBERS.values():
        address = member.address
        found[address, 5061] = address, lab.sip
        if member.role is Role.ACCESS_EDGE:
            found[address, 443] = address, lab.sip
        else:
            found |= {(address, 80): (address, http), (address, 443): (address, https)}
    if proxy:
        found |= {(proxy[0][0], 80): proxy[0], (proxy[1][0], 443): proxy[1]}
    return found


def _public(proxy: str | None) -> Iterator[Record]:
    first = {name: topology.MEMBERS[pool.members[0]].address for name, pool in topology.POOLS.items()}
    for pool in topology.POOLS.values():
        yield Record(pool.web, "A", proxy or first[pool.name])
    for simple in (topology.MEET_HOST, topology.DIALIN_HOST):
        yield Record(simple, "A", proxy or first["pool01"])
    yield Record(topology.OWA_HOST, "A", proxy or topology.MEMBERS["owa01"].address)
    yield Record(topology.SIP_HOST, "A", topology.MEMBERS["sip"].address)
    for domain in topology.DOMAINS.values():
        web = topology.POOLS[domain.pool].web
        discover = lyncdiscover_host(domain.name)
        if _same_domain(web, domain.name):
            yield Record(discover, "CNAME", web)
        else:
            yield Record(discover, "A", proxy or first[domain.pool])
        yield Record(f"_sip._tls.{domain.name}", "SRV", f"0 0 443 {topology.SIP_HOST}")
        yield Record(f"_sipfederationtls._tcp.{domain.name}", "SRV", f"0 0 5061 {topology.SIP_HOST}")


def _internal() -> Iterator[Record]:
    for pool in topology.POOLS.values():
        for member in (topology.MEMBERS[name] for name in pool.members):
            yield Record(pool.fqdn, "A", member.address)
            yield Record(member.fqdn, "A", member.address)
    for domain in topology.DOMAINS.values():
        pool = topology.POOLS[domain.pool]
        yield Record(lyncdiscoverinternal_host(domain.name), "CNAME", pool.fqdn)
        yield Record(f"_sipinternaltls._tcp.{domain.name}", "SRV", f"0 0 5061 {pool.fqdn}")


def _same_domain(one: str, other: str) -> bool:
    """Whether both names are in one registered domain; in the lab that is the last two labels."""
    return one.split(".")[-2:] == other.split(".")[-2:]
