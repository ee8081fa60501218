"""lyncdiscover: which pool's discovery service a phone is led to, and how.

It comes before the publications and before any redirect to HTTPS: real clients follow no HTTP 3xx
here, and a 302 to another domain counts as failure (protocol reference §1.6, F10).

The host names the SIP domain, whose rule says how to answer on this scheme. Where to lead is up to
the user: the first `users` rule that fits, else the user's own domain if it is ours, else the host's.
"""

from __future__ import annotations

import functools
import re

from lyncgate.lync import autodiscover, names
from lyncgate.policy import paths
from lyncgate.policy.asked import Asked, https_url
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Reason, Redirect
from lyncgate.policy.policy import Discover, Policy, Scheme, SipDomain, UserRoute
from lyncgate.policy.request import Request
from lyncgate.policy.step import Step, Trace

_LABEL = "lyncdiscover"  # Decision.publication
_METHODS = ("GET", "HEAD", "OPTIONS")
_SERVICE = ("/autodiscover",)
_ROOT = frozenset((names.AUTODISCOVER_ROOT.lower(),))


def discover(policy: Policy, request: Request, asked: Asked, trace: Trace | None) -> Decision | None:
    """The decision for a discovery request of one of our SIP domains; None: it is not one."""
    domain = policy.domains.get(names.lyncdiscover_domain(asked.host) or "")
    if domain is None:
        if trace:
            ours = " or ".join(map(names.lyncdiscover_host, policy.domains)) or "a name of ours"
            trace(Step(_LABEL, False, f"host {asked.host} is not {ours}"))
        return None
    mode = domain.http if request.scheme == Scheme.HTTP else domain.https
    rule = f"lyncdiscover {domain.name} ({request.scheme})"
    covered = paths.under(_SERVICE, asked.readings)
    if asked.path != b"/":
        # Whoever answers for the pool has the root document only; all else is somebody else's.
        if not covered or (mode is Discover.ANSWER and asked.readings != _ROOT):
            if trace:
                served = names.AUTODISCOVER_ROOT if mode is Discover.ANSWER else "under /autodiscover"
                trace(Step(rule, False, f"path is neither / nor {served}"))
            return None
        if len(covered) < len(asked.readings):
            why = f"path can be read as {' or '.join(sorted(asked.readings))}"
            return _denied(rule, 400, Reason.AMBIGUOUS_PATH, why, trace)
    if request.method.decode("latin-1") not in _METHODS:
        if trace:
            trace(Step(rule, True, "discovery is asked with GET, HEAD or OPTIONS"))
        return Deny(rule, _LABEL, 405, Reason.METHOD, _METHODS)
    if request.user is None:
        user = names.sip_user_from_query(asked.query or b"")
    else:
        user = names.sip_address(request.user)
    return _led(policy, request, asked, _route(policy, domain, user, trace), mode, trace)


def _route(policy: Policy, domain: SipDomain, user: str | None, trace: Trace | None) -> SipDomain | UserRoute:
    for route in policy.users:
        matched = user is not None and _pattern(route.match).fullmatch(user) is not None
        if trace:
            why = f"{user or 'an unnamed user'} {'fits' if matched else 'does not fit'}"
            trace(Step(f'user "{route.match}"', matched, why))
        if matched:
            return route
    return policy.domains.get((user or "").rpartition("@")[2], domain)


@functools.lru_cache(maxsize=4096)
def _pattern(match: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, match.split("*"))), re.IGNORECASE)


def _led(
    policy: Policy,
    request: Request,
    asked: Asked,
    route: SipDomain | UserRoute,
    mode: Discover,
    trace: Trace | None,
) -> Decision:
    """Where `route` leads, in the way that `mode` says."""
    whose = f'user "{route.match}"' if isinstance(route, UserRoute) else route.name
    rule = f"lyncdiscover {whose} ({request.scheme})"
    target = request.target
    if asked.path == b"/":
        target = names.AUTODISCOVER_ROOT.encode() + target[1:]
    if mode is Discover.FORWARD:
        pool = policy.pools.get(route.pool)
        if pool is None:
            return _denied(rule, 404, Reason.NOT_PUBLISHED, f"there is no pool {route.pool}", trace)
        port = pool.bridge.port(request.scheme)
        if port is None:
            return _denied(rule, 404, Reason.NO_BRIDGE, f"pool {route.pool} has no {request.scheme}", trace)
        decision: Decision = Forward(rule, _LABEL, pool.name, request.scheme, port, target)
    elif mode is Discover.REDIRECT:
        decision = Redirect(rule, _LABEL, 307, https_url(route.web_services, target))
    elif request.scheme == Scheme.HTTP:
        links = autodiscover.redirect_links(https_url(route.web_services, target))
        decision = Answer(rule, _LABEL, links)
    else:
        decision = Answer(rule, _LABEL, autodiscover.service_links(route.web_services, asked.query))
    if trace:
        trace(Step(rule, True, f"{mode} for {route.web_services}, pool {route.pool}"))
    return decision


def _denied(rule: str, status: int, reason: Reason, why: str, trace: Trace | None) -> Deny:
    if trace:
        trace(Step(rule, True, why))
    return Deny(rule, _LABEL, status, reason)
