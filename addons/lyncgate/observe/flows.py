"""mitmproxy's flows as events: the same for a capture that runs and for a flow file of another day.

Times are mitmproxy's: wall clock, and the head of a request counts from its end.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable

import msgspec
from mitmproxy import connection, dns
from mitmproxy.http import Headers, HTTPFlow, Message
from mitmproxy.net.dns import domain_names, response_codes, types

from lyncgate.edge.heads import first
from lyncgate.edge.outcomes import ENDED_BY
from lyncgate.edge.route import AGENT_SHOWN, KNOWN_METHODS, PATH_SHOWN
from lyncgate.lync import names
from lyncgate.policy import hosts, paths
from lyncgate.signin.events import TEXT_LIMIT, DnsQuery
from lyncgate.signin.exchange import Exchange, Outcome, Phase, Phases, Source
from lyncgate.signin.keys import Hasher, Keys
from lyncgate.signin.reading import RequestSeen, ResponseSeen, read
from lyncgate.signin.seen import HEAD_LIMIT

ANSWERS = 24  # of a DNS message that an event keeps
# In a flow's metadata, of the request's and the response's body: how long it was, and whether it was cut.
SIZES = "lyncgate_body_bytes"
CUT = "lyncgate_body_cut"
CLIENT_GONE = "Client disconnected."  # mitmproxy's words


def new_id() -> str:
    """Of an event that is seen once: 16 hex digits."""
    return secrets.token_hex(8)


class Teller:
    """Makes events of flows. One for each source: it remembers whose handshakes were told.

    `new_id(flow)`: the event's id, 16 hex digits; the same for the same flow.
    """

    def __init__(self, hasher: Hasher, origin: str, new_id: Callable[[HTTPFlow | dns.DNSFlow], str]) -> None:
        self.hasher = hasher
        self.origin = origin
        self._new_id = new_id
        self._told: dict[str, str] = {}  # connection -> the flow whose exchange has its handshake

    def forget(self, conn: connection.Connection) -> None:
        """A connection is over: nothing more will come of it."""
        self._told.pop(conn.id, None)

    def exchange(self, flow: HTTPFlow, *, ended: bool = True) -> Exchange:
        """The exchange of a flow. `ended` False: the request is out, and what comes of it is not known."""
        request, client = flow.request, flow.client_conn
        seen = _request_seen(flow)
        answered = flow.response if ended else None
        source = client.peername[0] if client.peername else ""
        reading = read(
            self.hasher,
            seen,
            _response_seen(flow) if answered else None,
            connection=client.id,
            client=source or None,
        )
        exchange = Exchange(
            id=self._new_id(flow),
            listener=client.proxy_mode.type_name,
            scheme=seen.scheme,
            source_ip=source,
            connection=client.id,
            started=request.timestamp_start,
            method=seen.method,
            host=seen.host or "_other",
            path=seen.path[:PATH_SHOWN],
            kind=reading.kind,
            stage=reading.stage,
            decision="forward",
            rule=self.origin,
            sip_user=names.sip_user_from_query(seen.target.partition(b"?")[2]),
            ntlm_user=reading.keys.account if reading.facts.ntlm == 3 else None,
            member=_address(flow.server_conn),
            reused=self._reused(flow),
            request_bytes=_size(flow, request, 0),
            user_agent=first(request.headers.fields, b"user-agent").decode("latin-1")[:AGENT_SHOWN] or None,
            origin=self.origin,
            keys=reading.keys,
            facts=msgspec.structs.replace(reading.facts, upstream=flow.server_conn.id),
        )
        if answered:
            exchange.status = answered.status_code
            exchange.response_bytes = _size(flow, answered, 1)
            exchange.server_fqdn = _text(answered.headers, b"x-ms-server-fqdn")
        if ended:
            exchange.outcome = _outcome(flow)
            exchange.ended_by = ENDED_BY.get(exchange.outcome, Source.PROXY)
        exchange.phases = self._phases(flow, ended=ended)
        return exchange

    def _phases(self, flow: HTTPFlow, *, ended: bool) -> Phases:
        request, response, client, server = flow.request, flow.response, flow.client_conn, flow.server_conn
        phases: Phases = {}
        if client.timestamp_tls_setup and self._told.setdefault(client.id, flow.id) == flow.id:
            phases[Phase.CLIENT_TLS] = _span(client.timestamp_start, client.timestamp_tls_setup)
        if self._reused(flow) is False:
            phases[Phase.CONNECT] = _span(server.timestamp_start, server.timestamp_tcp_setup)
            if server.tls and server.timestamp_tcp_setup:
                phases[Phase.UPSTREAM_TLS] = _span(server.timestamp_tcp_setup, server.timestamp_tls_setup)
        phases[Phase.REQUEST_BODY] = _span(request.timestamp_start, request.timestamp_end)
        if not ended:
            return phases
        sent = request.timestamp_end or request.timestamp_start
        connected = server.timestamp_tls_setup or server.timestamp_tcp_setup
        if connected is not None:
            phases[Phase.WAIT] = _span(max(sent, connected), response.timestamp_start if response else None)
        end = flow.error.timestamp if flow.error else None
        if response:
            end = end or response.timestamp_end
            whole = None if flow.error else response.timestamp_end
            phases[Phase.RESPONSE_BODY] = _span(response.timestamp_start, whole)
        phases[Phase.TOTAL] = _span(request.timestamp_start, end)
        return phases

    def _reused(self, flow: HTTPFlow) -> bool | None:
        """Whether the connection upstream was there before; None: there is none."""
        server = flow.server_conn
        if not server.timestamp_tcp_setup:  # it was tried, and will not be again
            return False if server.timestamp_start else None
        return self._told.setdefault(server.id, flow.id) != flow.id

    def query(self, flow: dns.DNSFlow) -> DnsQuery:
        """The question and answer of a DNS flow."""
        request, response = flow.request, flow.response
        question = request.question
        return DnsQuery(
            id=self._new_id(flow),
            started=request.timestamp or flow.timestamp_created,
            origin=self.origin,
            keys=Keys(client=flow.client_conn.peername[0] if flow.client_conn.peername else None),
            seconds=_span(request.timestamp, response.timestamp) if response else None,
            name=question.name.lower().rstrip(".")[:TEXT_LIMIT] if question else "",
            kind=types.to_str(question.type) if question else "",
            rcode=response_codes.to_str(response.response_code) if response else None,
            answers=tuple(map(_record, response.answers[:ANSWERS])) if response else (),
        )


def _request_seen(flow: HTTPFlow) -> RequestSeen:
    request = flow.request
    target = request.data.path
    scheme = "https" if flow.client_conn.tls_established else request.scheme
    host = hosts.parse(
        first(request.headers.fields, b"host") or request.data.authority or request.host.encode()
    )
    body = request.data.content or b""
    method = request.method.upper()
    return RequestSeen(
        method=method if method in KNOWN_METHODS else "_other",
        scheme=scheme,
        host=host or "",
        path=paths.canonical(target.partition(b"?")[0]),
        target=target,
        headers=request.headers.fields,
        body=body[:HEAD_LIMIT],
        complete=not _cut(flow, 0) and len(body) <= HEAD_LIMIT,
    )


def _response_seen(flow: HTTPFlow) -> ResponseSeen:
    response = flow.response
    if response is None:
        raise ValueError("the flow has no response")
    body = response.data.content or b""
    return ResponseSeen(
        status=response.status_code,
        headers=response.headers.fields,
        body=body[:HEAD_LIMIT],
        complete=not _cut(flow, 1) and len(body) <= HEAD_LIMIT,
        upstream=flow.server_conn.id,
    )


def _size(flow: HTTPFlow, message: Message, which: int) -> int:
    sizes = flow.metadata.get(SIZES)
    return int(sizes[which]) if sizes else len(message.data.content or b"")


def _cut(flow: HTTPFlow, which: int) -> bool:
    cuts = flow.metadata.get(CUT)
    return bool(cuts[which]) if cuts else False


def _outcome(flow: HTTPFlow) -> Outcome:
    """mitmproxy says why in words; how far the connection upstream came says it more surely."""
    server = flow.server_conn
    if not flow.error:
        return Outcome.OK
    if flow.error.msg == CLIENT_GONE:
        return Outcome.CLIENT_GONE
    if server.timestamp_tcp_setup is None:
        return Outcome.CONNECT_FAILED
    if server.tls and server.timestamp_tls_setup is None:
        return Outcome.TLS_FAILED
    closed = "closed connection" in flow.error.msg or "EOF" in flow.error.msg
    return Outcome.UPSTREAM_RESET if closed else Outcome.UPSTREAM_INVALID


def _address(server: connection.Server) -> str | None:
    return "{}:{}".format(*(server.peername or server.address)[:2]) if server.address else None


def _text(headers: Headers, name: bytes) -> str | None:
    return first(headers.fields, name).decode("latin-1")[:AGENT_SHOWN] or None


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


def _record(record: dns.ResourceRecord) -> str:
    """As zone files have it: `CNAME lyncweb.contoso.example`, `SRV 0 0 443 sip.contoso.example`."""
    try:
        if record.type == types.SRV:
            name, _ = domain_names.unpack_from(record.data, 6)
            data = "{} {} {} ".format(*struct.unpack_from("!HHH", record.data)) + name
        else:
            data = str(record)
    except (ValueError, struct.error, UnicodeError):
        data = f"0x{record.data.hex()}"
    return f"{types.to_str(record.type)} {data}"[:TEXT_LIMIT]
