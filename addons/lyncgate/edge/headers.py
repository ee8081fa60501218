"""Header fields on their way through: what an edge adds, what it must not pass on.

Upstream: hop-by-hop fields go (RFC 9110 §7.6.1), X-Forwarded-* say who the client is, and what a
client said itself there goes unless the peer is a trusted proxy. Downstream: no product or version,
optional HSTS. Everything else passes unharmed, field by field: X-MS-*, Accept, and separate
WWW-Authenticate lines, which must not be merged (protocol reference §2.4).
"""

from __future__ import annotations

from mitmproxy.http import Headers, HTTPFlow

from lyncgate.edge.route import listener_of
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import ntlm
from lyncgate.policy.decision import Forward
from lyncgate.policy.forwarded import forwarded_fields
from lyncgate.policy.policy import Scheme
from lyncgate.signin.exchange import Phase

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"}
    | {b"te", b"trailer", b"upgrade"}
)  # Transfer-Encoding frames the body and is kept in step with it by mitmproxy
FORWARDED = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip"}
    | {b"x-request-id"}
)
DISCLOSING = frozenset({b"server", b"x-powered-by", b"x-aspnet-version", b"x-aspnetmvc-version", b"via"})


class HeaderFields:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or flow.response or flow.error or not isinstance(transit.decision, Forward):
            return
        headers = flow.request.headers
        transit.exchange.ntlm_user = ntlm.user(headers.fields)
        chain = headers.get_all("x-forwarded-for") if transit.trusted else []
        unwanted = frozenset() if transit.trusted else FORWARDED
        drop(headers, HOP_BY_HOP | unwanted | named_by_connection(headers))
        peer = flow.client_conn.peername[0] if flow.client_conn.peername else ""
        for name, value in forwarded_fields(peer, transit.exchange.scheme, transit.exchange.host):
            headers.setdefault(name, value)  # what a trusted proxy said of scheme and host stands
        headers["X-Forwarded-For"] = ", ".join([*chain, peer])
        headers["X-Request-Id"] = transit.exchange.id
        transit.phase(Phase.ROUTE, self.edge.clock() - transit.marks["head"])

    def responseheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or flow.response is None:
            return
        headers = flow.response.headers
        drop(headers, HOP_BY_HOP | DISCLOSING | named_by_connection(headers))
        if isinstance(transit.decision, Forward):
            _frame(flow, headers)
        listener = listener_of(flow.client_conn, self.edge)
        if listener and listener.hsts is not None and listener.scheme is Scheme.HTTPS:
            headers["Strict-Transport-Security"] = f"max-age={listener.hsts}"
        if self.edge.draining:
            headers["Connection"] = "close"
        _stream(flow, transit)


def named_by_connection(headers: Headers) -> frozenset[bytes]:
    """The fields that Connection declares hop-by-hop. Host and what frames the body can't be:
    a client could else strip them on the way to the pool."""
    listed = b",".join(value for name, value in headers.fields if name.lower() == b"connection")
    named = frozenset(token.strip().lower() for token in listed.split(b","))
    return named - {b"", b"close", b"host", b"content-length", b"transfer-encoding", b"authorization"}


def drop(headers: Headers, names: frozenset[bytes]) -> None:
    """Remove fields by lower-case name. `Connection: close` is passed on all the same, so that both
    sides of an NTLM exchange live equally long."""
    close = any(
        token.strip().lower() == b"close"
        for name, value in headers.fields
        if name.lower() == b"connection"
        for token in value.split(b",")
    )
    headers.fields = tuple(field for field in headers.fields if field[0].lower() not in names)
    if close:
        headers["Connection"] = "close"


def _frame(flow: HTTPFlow, headers: Headers) -> None:
    """A body that ends with the connection is sent on in chunks: SIPE takes a close-delimited one
    for an error (protocol reference §9)."""
    if flow.response is None or flow.request.method == "HEAD":
        return
    if flow.response.status_code < 200 or flow.response.status_code in (204, 304):
        return
    if "content-length" not in headers and "transfer-encoding" not in headers:
        headers["Transfer-Encoding"] = "chunked"
        flow.response.http_version = "HTTP/1.1"


def _stream(flow: HTTPFlow, transit: Transit) -> None:
    """Bodies are never kept: chunks are counted and go on. Of some the first bytes are looked at."""
    head = transit.passing.response_body if transit.passing else None

    def count(chunk: bytes) -> bytes:
        transit.exchange.response_bytes += len(chunk)
        if head is not None:
            head.take(chunk)
        return chunk

    if flow.response is not None and isinstance(transit.decision, Forward):
        flow.response.stream = count
