"""decide(): what becomes of a request. The only place where routing lives.

Pure, total and deterministic: any bytes get a decision, never an exception. In order:

1. the request itself: a target and a Host that can be judged (`asked`);
2. lyncdiscover: discovery for one of our SIP domains (`discover`);
3. publications: the first that has the host and the path decides (`publish`);
4. on a listener that redirects, what a publication would forward goes to HTTPS instead. What it
   would deny stays denied, so a redirect never leads to a name or path that is not published.

A listener, pool or domain that the policy does not have can't be routed to: it counts as not
published, though a loaded policy never contains one.
"""

from __future__ import annotations

from lyncgate.policy.asked import Asked, https_url, read
from lyncgate.policy.decision import Decision, Deny, Forward, Redirect
from lyncgate.policy.discover import discover
from lyncgate.policy.policy import Listener, Policy, Scheme
from lyncgate.policy.publish import publish
from lyncgate.policy.request import Request
from lyncgate.policy.step import Step, Trace


def decide(policy: Policy, request: Request, trace: Trace | None = None) -> Decision:
    """What becomes of `request` under `policy`. `trace` hears of each rule tried, in order."""
    asked = read(policy.limits, request)
    if isinstance(asked, Deny):
        if trace:
            trace(Step(asked.rule, True, f"refused: {asked.reason.replace('_', ' ')}"))
        return asked
    discovered = discover(policy, request, asked, trace)
    if discovered is not None:
        return discovered
    listener = policy.listeners.get(request.listener)
    if listener is None or not listener.redirect or request.scheme != Scheme.HTTP:
        return publish(policy, request, asked, request.scheme, trace)
    published = publish(policy, request, asked, Scheme.HTTPS, trace)
    return _to_https(listener, request, asked, trace) if isinstance(published, Forward) else published


def _to_https(listener: Listener, request: Request, asked: Asked, trace: Trace | None) -> Redirect:
    """The same URL over HTTPS. `asked.host` is published: the caller has seen to that."""
    rule = f"listener {listener.name} redirect"
    # 308 keeps method and body; the others may turn a POST into a GET (RFC 9110 §15.4).
    status = listener.redirect_status if request.method in (b"GET", b"HEAD") else 308
    if trace:
        trace(Step(rule, True, f"published, so redirected to HTTPS with {status}"))
    return Redirect(rule, "redirect", status, https_url(asked.host, request.target))
