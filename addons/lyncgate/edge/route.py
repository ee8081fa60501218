"""Asks decide() once per request and begins its record. What follows carries the decision out."""

from __future__ import annotations

import ipaddress
import secrets
import time

from mitmproxy import connection
from mitmproxy.http import Headers, HTTPFlow

from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import names, stages
from lyncgate.policy import hosts, paths
from lyncgate.policy.decide import decide
from lyncgate.policy.decision import Answer, Decision, Deny, Forward, Reason, Redirect
from lyncgate.policy.policy import Listener, Network, Scheme
from lyncgate.policy.request import Request
from lyncgate.signin.exchange import Exchange, Kind, Phase

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
PATH_SHOWN = 256  # characters of a path that a record keeps
AGENT_SHOWN = 128

KIND_OF = {Redirect: "redirect", Answer: "answer", Forward: "forward", Deny: "deny"}


class Route:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge
        self._greeted: set[str] = set()  # connections that had a request: the handshake was the first's

    def requestheaders(self, flow: HTTPFlow) -> None:
        now = self.edge.clock()
        policy = self.edge.policy
        client = flow.client_conn
        listener = listener_of(client, self.edge)
        scheme = listener.scheme if listener else Scheme.HTTPS if client.tls else Scheme.HTTP
        source = client_address(client, flow.request.headers, listener)
        request = Request(
            listener=listener.name if listener else "",
            scheme=scheme,
            method=flow.request.data.method,
            host=first(flow.request.headers, b"host"),
            target=_target(flow),
            source=source,
        )
        if flow.error:  # mitmproxy found the request invalid and only lets us know
            decision: Decision = Deny("default", "_none", 400, Reason.BAD_TARGET)
        else:
            decision = decide(policy, request)
        begun = self.edge.heads.pop(client.id, now)
        exchange = _begin(flow, request, decision, begun=begun, now=now)
        transit = Transit(exchange=exchange, decision=decision, begun=begun)
        transit.trusted = bool(listener and _trusted(_peer(client), listener.trusted_proxies))
        transit.marks["head"] = now
        transit.phase(Phase.REQUEST_HEADERS, now - begun)
        if client.timestamp_tls_setup and client.id not in self._greeted:
            transit.phase(Phase.CLIENT_TLS, client.timestamp_tls_setup - client.timestamp_start)
        self._greeted.add(client.id)
        self.edge.transits[flow.id] = transit

    def client_disconnected(self, client: connection.Client) -> None:
        self.edge.heads.pop(client.id, None)
        self._greeted.discard(client.id)


def _begin(flow: HTTPFlow, request: Request, decision: Decision, *, begun: float, now: float) -> Exchange:
    path, _, query = request.target.partition(b"?")
    canonical = paths.canonical(path)
    host = hosts.parse(request.host)
    method = request.method.decode("ascii", "replace").upper()
    stage, poll = stages.classify(
        method,
        canonical,
        host is not None and names.lyncdiscover_domain(host) is not None,
        KIND_OF[type(decision)],
    )
    return Exchange(
        id=secrets.token_hex(8),
        listener=request.listener,
        scheme=request.scheme,
        source_ip=request.source,
        connection=flow.client_conn.id,
        started=time.time() - (now - begun),
        method=method if method in KNOWN_METHODS else "_other",
        host=host or "_other",
        path=canonical[:PATH_SHOWN],
        kind=Kind.POLL if poll else Kind.REQUEST,
        stage=stage,
        decision=KIND_OF[type(decision)],
        rule=decision.rule,
        publication=decision.publication,
        sip_user=names.sip_user_from_query(query),
        pool=decision.pool if isinstance(decision, Forward) else None,
        user_agent=first(flow.request.headers, b"user-agent").decode("latin-1")[:AGENT_SHOWN] or None,
    )


def _target(flow: HTTPFlow) -> bytes:
    """The request target as it came; mitmproxy has taken absolute and authority forms apart."""
    data = flow.request.data
    if data.authority:
        return data.scheme + b"://" + data.authority + data.path if data.scheme else data.authority
    return data.path


def first(headers: Headers, name: bytes) -> bytes:
    """The first value of a header field, b"" if there is none."""
    return next((value for key, value in headers.fields if key.lower() == name), b"")


def listener_of(client: connection.Client, edge: EdgeState) -> Listener | None:
    """The listener that a client came by. In a stock reverse mode there is none of ours: the first
    one that speaks the same stands for it."""
    listeners = edge.policy.listeners
    if client.proxy_mode.type_name == "edge":
        return listeners.get(client.proxy_mode.data)
    scheme = Scheme.HTTPS if client.tls else Scheme.HTTP
    return next((listener for listener in listeners.values() if listener.scheme is scheme), None)


def client_address(client: connection.Client, headers: Headers, listener: Listener | None) -> str:
    """The client's address: the peer's, or what trusted proxies in front say of it.

    X-Forwarded-For is read from the right; the first address that is not a trusted proxy is the
    client. What stands left of it is the client's own claim.
    """
    peer = _peer(client)
    if listener is None or not _trusted(peer, listener.trusted_proxies):
        return peer
    for value in reversed(",".join(headers.get_all("x-forwarded-for")).split(",")):
        address = value.strip()
        if not hosts.is_address(address):
            return peer
        if not _trusted(address, listener.trusted_proxies):
            return address
        peer = address
    return peer


def _peer(client: connection.Client) -> str:
    return client.peername[0] if client.peername else ""


def _trusted(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks or not hosts.is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
