"""Publications: the first one that has the host and the path decides, for better or worse.

A path that one server reads as published here and another as something else is denied rather than
left to the next publication: else a disguise (`/scheduler;x`) would escape the sources, methods and
exclusions of its publication into a laxer one for the whole host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from lyncgate.policy import hosts, paths
from lyncgate.policy.asked import Asked
from lyncgate.policy.decision import Decision, Deny, Forward, Reason
from lyncgate.policy.policy import Network, Policy, Publication, Scheme
from lyncgate.policy.request import Request
from lyncgate.policy.step import Step, Trace


def publish(policy: Policy, request: Request, asked: Asked, scheme: Scheme, trace: Trace | None) -> Decision:
    """Forward or Deny. `scheme`: the one the client uses, or would after a redirect."""
    for publication in policy.publications:
        if not hosts.fits(publication.hosts, asked.host):
            if trace:
                rule = f'publication "{publication.name}"'
                trace(Step(rule, False, f"host {asked.host} is not {' or '.join(publication.hosts)}"))
            continue
        rule = f'publication "{publication.name}"'
        covered = paths.under(publication.paths, asked.readings)
        if not covered:
            if trace:
                trace(
                    Step(
                        rule,
                        False,
                        f"path {_listed(asked.readings)} is not under {_listed(publication.paths)}",
                    )
                )
            continue
        decision, why = _decided(policy, request, asked, scheme, rule, publication, covered)
        if trace:
            trace(Step(rule, True, why))
        return decision
    if trace:
        trace(Step("default", True, "nothing published matches"))
    return Deny("default", "_none", 404, Reason.NOT_PUBLISHED)


def _decided(
    policy: Policy,
    request: Request,
    asked: Asked,
    scheme: Scheme,
    rule: str,
    publication: Publication,
    covered: list[str],
) -> tuple[Decision, str]:
    """What `publication`, which has the host and the `covered` readings, makes of the request; why."""

    def denied(status: int, reason: Reason, why: str) -> tuple[Decision, str]:
        return Deny(rule, publication.name, status, reason), why

    if len(covered) < len(asked.readings):
        elsewhere = _listed(asked.readings.difference(covered))
        return denied(
            400, Reason.AMBIGUOUS_PATH, f"path can be read as {_listed(covered)} but also as {elsewhere}"
        )
    if excluded := paths.under(publication.excluded, asked.readings):
        return denied(404, Reason.EXCLUDED_PATH, f"path {_listed(excluded)} is excluded")
    if publication.sources and not _is_in(publication.sources, request.source):
        return denied(403, Reason.SOURCE, f"client {request.source} is not in {_listed(publication.sources)}")
    if publication.methods and request.method.decode("latin-1") not in publication.methods:
        refusal = Deny(rule, publication.name, 405, Reason.METHOD, tuple(sorted(publication.methods)))
        return refusal, f"method is not {_listed(publication.methods)}"
    pool = policy.pools.get(publication.pool)
    if pool is None:
        return denied(404, Reason.NOT_PUBLISHED, f"there is no pool {publication.pool}")
    port = (publication.bridge or pool.bridge).port(scheme)
    if port is None:
        return denied(404, Reason.NO_BRIDGE, f"pool {publication.pool} has no {scheme}")
    forward = Forward(
        rule,
        publication.name,
        pool.name,
        scheme,
        port,
        request.target,
        publication.body_limit,
        publication.timeouts,
    )
    return forward, "host and path match"


def _is_in(networks: Iterable[Network], source: str) -> bool:
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d; operators write IPv4 networks.
        address = address.ipv4_mapped or address
    return any(address in network for network in networks)


def _listed(things: Iterable[object]) -> str:
    return " or ".join(sorted(str(thing) or "/" for thing in things))
