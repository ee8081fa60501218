"""Carries the edge's course on mitmproxy's flows and hooks, for stock tools and `--engine stock`.
Everything that decides is in the course; here heads are taken off flows and put back."""

from __future__ import annotations

import errno
import functools
import re
import time
from collections.abc import Callable

from mitmproxy import connection
from mitmproxy.http import Headers, HTTPFlow, Response
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import ClientHelloData, TlsData

from lyncgate.edge.client import Client, shown_address
from lyncgate.edge.clienthello import offered
from lyncgate.edge.course import Course
from lyncgate.edge.handshakes import MemberAttempt
from lyncgate.edge.heads import RequestHead, ResponseHead, lowered
from lyncgate.edge.hooks import Refused
from lyncgate.edge.identity import MemberConnection, certificate_problem, shown_by_member
from lyncgate.edge.state import Transit
from lyncgate.policy.decision import Forward
from lyncgate.policy.policy import Scheme
from lyncgate.signin.events import HandshakeOutcome
from lyncgate.signin.exchange import Outcome, Phase

REASON = re.compile(r", '([^',()]+)'\)\]")  # of OpenSSL's list of errors, the last
ALERT = re.compile(r"alert ([a-z ]+)")  # as OpenSSL words what came: `tlsv1 alert unknown ca`


class Flows:
    """`clients`: by mitmproxy's id of the connection; `transits`: by id of the flow."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.clients: dict[str, Client] = {}
        self.transits: dict[str, Transit] = {}
        self._latest: dict[str, Transit] = {}  # by client: whose connection to a member is being made

    # Connections.

    def client_connected(self, client: connection.Client) -> None:
        self.course.opened(self._client(client))

    def _client(self, client: connection.Connection) -> Client:
        known = self.clients.get(client.id)
        if known is None:
            if not isinstance(client, connection.Client):
                raise TypeError("a client's connection was expected")
            peer, mode = client.peername, client.proxy_mode
            known = self.clients[client.id] = Client(
                id=client.id,
                listener=mode.data if mode.type_name == "edge" else None,
                scheme=Scheme.HTTPS if client.tls else Scheme.HTTP,
                peer=peer[0] if peer else "",
                address=shown_address(client.sockname),
                started=client.timestamp_start or time.time(),
            )
            listener = self.course.edge.policy.listeners.get(known.listener or "")
            if listener is not None:
                known.scheme = listener.scheme
        return known

    def client_disconnected(self, client: connection.Client) -> None:
        self._latest.pop(client.id, None)
        if known := self.clients.pop(client.id, None):
            self.course.closed(known)

    def tls_clienthello(self, data: ClientHelloData) -> None:
        client = self._client(data.context.client)
        client.hello = functools.partial(offered, data.client_hello)
        client.server_name = data.client_hello.sni
        client.scheme = Scheme.HTTPS

    def tls_established_client(self, data: TlsData) -> None:
        client = self._client(data.context.client)
        client.secured = data.context.client.timestamp_tls_setup
        client.tls_version = data.context.client.tls_version

    def tls_failed_client(self, data: TlsData) -> None:
        client, error = self._client(data.context.client), data.context.client.error or ""
        client.tls_version = data.context.client.tls_version
        if alert := ALERT.search(error):
            self.course.handshakes.failed(client, HandshakeOutcome.ALERT, f"client: {alert[1].strip()}")
        elif "disconnected" in error or "closed" in error:
            self.course.handshakes.failed(client, HandshakeOutcome.CLOSED, "client closed")
        else:  # we refused, and OpenSSL has told the client by an alert
            self.course.handshakes.failed(client, HandshakeOutcome.ALERT, f"edge: {_reason(error)}")

    def edge_rejected(self, refused: Refused) -> None:
        self.course.rejected(self._client(refused.client), refused.fault)

    def head_begins(self, client: str, now: float) -> None:
        """The first byte of a head has come."""
        if known := self.clients.get(client):
            known.head_begun = now

    # A flow.

    def requestheaders(self, flow: HTTPFlow) -> None:
        data = flow.request.data
        fields = flow.request.headers.fields
        head = RequestHead(data.method, _target(flow), fields, lowered(fields), valid=flow.error is None)
        transit = self.course.begin(self._client(flow.client_conn), head)
        self.transits[flow.id] = self._latest[flow.client_conn.id] = transit
        if transit.answer is not None:
            flow.request.headers.pop("expect", None)
            flow.response = Response.make(transit.answer.status, transit.answer.body)
            flow.response.headers = Headers(transit.answer.fields)  # a HEAD's length is not its body's
        elif isinstance(transit.decision, Forward) and flow.error is None:
            # Only the upstream side of the request changes: `flow.request.host = …` would rewrite Host.
            data.headers.fields = tuple(head.fields)
            data.scheme = transit.decision.scheme.encode()
            data.port = transit.decision.port
            data.path = transit.decision.target
            self._point(flow, transit)
            flow.request.stream = _RequestBody(self.course, transit)

    def _point(self, flow: HTTPFlow, transit: Transit) -> None:
        if transit.member is not None:
            flow.request.data.host = transit.member.member.host

    def request(self, flow: HTTPFlow) -> None:
        transit = self.transits.get(flow.id)
        if transit is not None and (flow.response is None or transit.answer is not None):
            self.course.story.sent(transit)

    def responseheaders(self, flow: HTTPFlow) -> None:
        transit, response = self.transits.get(flow.id), flow.response
        if transit is None or response is None:
            return
        fields = response.headers.fields
        head = ResponseHead(response.status_code, fields, lowered(fields))
        self.course.answered(transit, head)
        response.headers.fields = tuple(head.fields)
        if transit.answer is None and isinstance(transit.decision, Forward):
            transit.upstream = flow.server_conn.id
            _frame(flow)
            response.stream = _response_body(transit)

    def response(self, flow: HTTPFlow) -> None:
        if transit := self.transits.pop(flow.id, None):
            self.course.end(transit)

    def error(self, flow: HTTPFlow) -> None:
        if transit := self.transits.pop(flow.id, None):
            self.course.end(transit, _failure(flow, transit))

    # Connections to members.

    def edge_connect_failed(self, flow: HTTPFlow) -> None:
        transit = self.transits.get(flow.id)
        if transit is not None and self.course.next_member(transit):
            self._point(flow, transit)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        transit, server = self._latest.get(data.client.id), data.server
        if transit and server.timestamp_start and server.timestamp_tcp_setup:
            taken = server.timestamp_tcp_setup - server.timestamp_start
            self.course.reached(transit, Phase.CONNECT, taken)

    def tls_established_server(self, data: TlsData) -> None:
        transit, server = self._latest.get(data.context.client.id), data.conn
        if transit and isinstance(server, MemberConnection) and server.timestamp_tcp_setup:
            taken = (server.timestamp_tls_setup or 0.0) - server.timestamp_tcp_setup
            self.course.reached(transit, Phase.UPSTREAM_TLS, taken)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        if isinstance(data.server, MemberConnection):
            refused = f"[Errno {errno.ECONNREFUSED}]" in (data.server.error or "")
            outcome = HandshakeOutcome.REFUSED if refused else HandshakeOutcome.UNREACHABLE
            self._unreached(data.client, data.server, Phase.CONNECT, outcome)

    def tls_failed_server(self, data: TlsData) -> None:
        if isinstance(data.conn, MemberConnection):
            self._unreached(data.context.client, data.conn, Phase.UPSTREAM_TLS, None, data)

    def _unreached(
        self,
        client: connection.Client,
        server: MemberConnection,
        phase: Phase,
        outcome: HandshakeOutcome | None,
        data: TlsData | None = None,
    ) -> None:
        transit = self._latest.get(client.id)
        if transit is None:
            return
        error = "timed out" if server.timed_out else server.error or ""
        problem = certificate_problem(data.ssl_conn) if data and data.ssl_conn else None
        if outcome is None:
            outcome = HandshakeOutcome.UNTRUSTED if problem else _outcome(error)
        attempt = MemberAttempt(
            started=server.timestamp_start or time.time(),
            address=shown_address(server.address),
            scheme="https" if server.tls else "http",
            server_name=server.sni,
            outcome=outcome,
            detail=_reason(error),
            certificate=shown_by_member(data.ssl_conn) if data and data.ssl_conn else None,
            problem=problem,
        )
        failure = Outcome.TLS_FAILED if phase is Phase.UPSTREAM_TLS else Outcome.CONNECT_FAILED
        failure = Outcome.CONNECT_TIMEOUT if server.timed_out else failure
        self.course.unreached(transit, phase, failure, attempt)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        client, server = self.clients.get(data.client.id), data.server
        if client and isinstance(server, MemberConnection) and server.address:
            self.course.publish.parted(client, server.pool, server.address[0])


class _RequestBody:
    """Passes a streamed request body through. mitmproxy calls it with b"" at the end."""

    def __init__(self, course: Course, transit: Transit) -> None:
        self.course, self.transit = course, transit

    def __call__(self, chunk: bytes) -> bytes:
        if self.transit not in self.course.edge.transits:
            return chunk  # answered before its body was through: the record is closed
        if chunk:
            self.transit.request_chunk(chunk)
        else:
            self.transit.request_end(self.course.edge.clock())
        return chunk


def _response_body(transit: Transit) -> Callable[[bytes], bytes]:
    """Passes a streamed answer through."""

    def count(chunk: bytes) -> bytes:
        transit.response_chunk(chunk)
        return chunk

    return count


def _target(flow: HTTPFlow) -> bytes:
    """The request target as it came; mitmproxy has taken absolute and authority forms apart."""
    data = flow.request.data
    if data.authority:
        return data.scheme + b"://" + data.authority + data.path if data.scheme else data.authority
    return data.path


def _frame(flow: HTTPFlow) -> None:
    """A body that ends with the connection is sent on in chunks: SIPE takes a close-delimited one
    for an error (protocol reference §9)."""
    response = flow.response
    if response is None or flow.request.method == "HEAD":
        return
    if response.status_code < 200 or response.status_code in (204, 304):
        return
    if "content-length" not in response.headers and "transfer-encoding" not in response.headers:
        response.headers["Transfer-Encoding"] = "chunked"
        response.http_version = "HTTP/1.1"


def _failure(flow: HTTPFlow, transit: Transit) -> Outcome:
    """The layers fail a flow with an outcome's word. Otherwise mitmproxy did: it holds an answer of the
    member that is invalid, or the client went away."""
    if flow.error and flow.error.msg in Outcome:
        return Outcome(flow.error.msg)
    invalid = flow.response is not None and isinstance(transit.decision, Forward)
    return Outcome.UPSTREAM_INVALID if invalid and transit.answered is None else Outcome.CLIENT_GONE


def _outcome(error: str) -> HandshakeOutcome:
    """How TLS with a member ended whose certificate was not the reason."""
    if "does not speak TLS" in error:
        return HandshakeOutcome.NOT_TLS
    closed = "closed" in error or "timed out" in error
    return HandshakeOutcome.CLOSED if closed else HandshakeOutcome.ALERT


def _reason(error: str) -> str:
    """What OpenSSL calls it, without what mitmproxy adds as advice to its own users."""
    if reason := REASON.search(error):
        return reason[1]
    return "no TLS version in common" if "agree on a TLS version" in error else error
