"""Asks decide() once per request and begins its record. What follows carries the decision out."""

from __future__ import annotations

import dataclasses
import ipaddress
import time

from lyncgate.edge.client import Client, listener_of
from lyncgate.edge.heads import Fields, RequestHead, known, tokens, values
from lyncgate.edge.ids import new_id
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import names, stages
from lyncgate.lync.stages import Stage
from lyncgate.policy import hosts, paths
from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Reason, Redirect
from lyncgate.policy.policy import Listener, Network, Policy
from lyncgate.policy.request import Request
from lyncgate.signin.exchange import Exchange, Kind, Phase

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
PATH_SHOWN = 256  # characters of a path that a record keeps
AGENT_SHOWN = 128

KIND_OF = {Redirect: "redirect", Answer: "answer", Forward: "forward", Deny: "deny"}


REMEMBERED = 1024  # requests whose decision is known: phones ask for the same few targets
QUERY = ord("?")  # a number, which is found sooner in bytes
LONGEST = 256  # bytes of a target, and of a Host, that are remembered


@dataclasses.dataclass(slots=True)
class Judged:
    """A decision, and what the records of requests that it was taken for have in common."""

    decision: Decision
    kind: str
    method: str
    host: str
    path: str
    poll: bool
    stage: Stage | None
    user: str | None
    pool: str | None


class Route:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge
        self._known: dict[tuple[object, ...], Judged] = {}
        self._forget(edge.policy)
        edge.adopted.append(self._forget)

    def _forget(self, policy: Policy) -> None:
        self._known.clear()
        self._by_source = any(publication.sources for publication in policy.publications)

    def _judge(self, policy: Policy, request: Request) -> Judged:
        """decide() says the same of the same request for as long as a policy is in force. It looks at the
        client's address only where a publication does. What has a query, a user's name or the number of a
        poll, is not asked again soon: to remember it would push out what is."""
        target = request.target
        if self._by_source or len(target) > LONGEST or QUERY in target or len(request.host) > LONGEST:
            return _judged(request, decide(policy, request))
        key = (request.listener, request.scheme, request.method, request.host, target)
        judged = self._known.get(key)
        if judged is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            judged = self._known[key] = _judged(request, decide(policy, request))
        return judged

    def begin(self, client: Client, head: RequestHead) -> Transit:
        now = self.edge.clock()
        policy = self.edge.policy
        listener = listener_of(client, policy)
        request = Request(
            listener=listener.name if listener else "",
            scheme=listener.scheme if listener else client.scheme,
            method=head.method,
            host=known(head, b"host"),
            target=head.target,
            source=client_address(client, head.fields, listener),
        )
        if head.valid:
            judged = self._judge(policy, request)
        else:
            judged = _judged(request, Deny("default", "_none", 400, Reason.BAD_TARGET))
        begun = now if client.head_begun is None else client.head_begun
        client.head_begun = None
        transit = Transit(
            exchange=_begin(client, head, request, judged, time.time() - (now - begun)),
            decision=judged.decision,
            client=client,
            listener=listener,
            request=head,
            begun=begun,
            head=now,
            trusted=bool(listener and _trusted(client.peer, listener.trusted_proxies)),
        )
        transit.phase(Phase.REQUEST_HEADERS, now - begun)
        if client.secured is not None and not client.greeted:
            transit.phase(Phase.CLIENT_TLS, client.secured - client.started)
        client.greeted, client.hello = True, None
        self.edge.transits.add(transit)
        return transit


def _judged(request: Request, decision: Decision) -> Judged:
    path, _, query = request.target.partition(b"?")
    canonical = paths.canonical(path)
    host = hosts.parse(request.host)
    method = request.method.decode("ascii", "replace").upper()
    kind = KIND_OF[type(decision)]
    stage, poll = stages.classify(
        method, canonical, host is not None and names.lyncdiscover_domain(host) is not None, kind
    )
    return Judged(
        decision=decision,
        kind=kind,
        method=method if method in KNOWN_METHODS else "_other",
        host=host or "_other",
        path=canonical[:PATH_SHOWN],
        poll=poll,
        stage=stage,
        user=names.sip_user_from_query(query),
        pool=decision.pool if isinstance(decision, Forward) else None,
    )


def _begin(client: Client, head: RequestHead, request: Request, judged: Judged, started: float) -> Exchange:
    decision = judged.decision
    return Exchange(
        id=new_id(),
        listener=request.listener,
        scheme=request.scheme,
        source_ip=request.source,
        connection=client.id,
        started=started,
        method=judged.method,
        host=judged.host,
        path=judged.path,
        kind=Kind.POLL if judged.poll else Kind.REQUEST,
        stage=judged.stage,
        decision=judged.kind,
        rule=decision.rule,
        publication=decision.publication,
        sip_user=judged.user,
        pool=judged.pool,
        user_agent=known(head, b"user-agent").decode("latin-1")[:AGENT_SHOWN] or None,
    )


def client_address(client: Client, fields: Fields, listener: Listener | None) -> str:
    """The client's address: the peer's, or what trusted proxies in front say of it.

    X-Forwarded-For is read from the right; the first address that is not a trusted proxy is the
    client. What stands left of it is the client's own claim.
    """
    peer = client.peer
    if listener is None or not _trusted(peer, listener.trusted_proxies):
        return peer
    for word in reversed(tokens(values(fields, b"x-forwarded-for"))):
        address = word.decode("latin-1")
        if not hosts.is_address(address):
            return peer
        if not _trusted(address, listener.trusted_proxies):
            return address
        peer = address
    return peer


def _trusted(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks or not hosts.is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
