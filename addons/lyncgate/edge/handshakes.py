"""Connections that came to nothing before HTTP, as events: whose certificate or TLS version was refused, what
was said instead of HTTP, which member could not be connected to.

A client that opens TCP and goes, as health checks do, is no news. One that ends TLS right after the
handshake, without a request, is: some clients look at the certificate only then.
"""

from __future__ import annotations

import errno
import re
import secrets
import time

from mitmproxy import connection
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import ClientHello, ClientHelloData, TlsData

from lyncgate.edge.clienthello import offered
from lyncgate.edge.framing import Fault, Rejection
from lyncgate.edge.hooks import shown_address
from lyncgate.edge.identity import Identity, MemberConnection, certificate_problem, shown_by_member
from lyncgate.edge.records import Sink
from lyncgate.edge.route import listener_of
from lyncgate.edge.state import EdgeState
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.keys import Keys
from lyncgate.signin.plain import plain

DETAIL_SHOWN = 128
REASON = re.compile(r", '([^',()]+)'\)\]")  # of OpenSSL's list of errors, the last
ALERT = re.compile(r"alert ([a-z ]+)")  # as OpenSSL words what came: `tlsv1 alert unknown ca`

OUTCOMES = {  # of bytes that were refused before there was a request; the other faults are HTTP's
    Fault.NOT_TLS: HandshakeOutcome.NOT_TLS,
    Fault.UNKNOWN_NAME: HandshakeOutcome.ALERT,
    Fault.HANDSHAKE_TIMEOUT: HandshakeOutcome.CLOSED,
    Fault.SIP: HandshakeOutcome.NOT_HTTP,
}


class Handshakes:
    """`sinks` get the events."""

    def __init__(self, edge: EdgeState, identity: Identity, *sinks: Sink) -> None:
        self.edge = edge
        self.identity = identity
        self.sinks = sinks
        self._hellos: dict[str, ClientHello] = {}  # of connections without a request yet, by client

    def tls_clienthello(self, data: ClientHelloData) -> None:
        self._hellos[data.context.client.id] = data.client_hello

    def requestheaders(self, flow: HTTPFlow) -> None:
        self._hellos.pop(flow.client_conn.id, None)

    def client_disconnected(self, client: connection.Client) -> None:
        """All was well but for the request: none came."""
        hello = self._hellos.pop(client.id, None)
        if hello is not None and client.timestamp_tls_setup:
            self._client(client, HandshakeOutcome.CLOSED, "no request followed", hello)

    def tls_failed_client(self, data: TlsData) -> None:
        client = data.context.client
        if (hello := self._hellos.pop(client.id, None)) is None:
            return  # no TLS, or `edge_rejected` told it
        error = client.error or ""
        if alert := ALERT.search(error):
            self._client(client, HandshakeOutcome.ALERT, f"client: {alert[1].strip()}", hello)
        elif "disconnected" in error or "closed" in error:
            self._client(client, HandshakeOutcome.CLOSED, "client closed", hello)
        else:  # we refused, and OpenSSL has told the client by an alert
            self._client(client, HandshakeOutcome.ALERT, f"edge: {_reason(error)}", hello)

    def _client(
        self, client: connection.Client, outcome: HandshakeOutcome, detail: str, hello: ClientHello
    ) -> None:
        listener = listener_of(client, self.edge)
        peer = client.peername
        self._tell(
            Handshake(
                id=secrets.token_hex(8),
                started=client.timestamp_start,
                origin="edge",
                keys=Keys(connection=client.id, client=peer[0] if peer else None),
                seconds=max(0.0, time.time() - client.timestamp_start),
                address=shown_address(client.sockname),
                scheme="https",  # plain HTTP has no handshake that could fail
                server_name=client.sni,
                outcome=outcome,
                detail=plain(detail, DETAIL_SHOWN),
                versions=offered(hello),
                version=client.tls_version,
                certificate=self.identity.shown_to_client(listener, client.sni) if listener else None,
            )
        )

    def edge_rejected(self, rejection: Rejection) -> None:
        outcome = OUTCOMES.get(rejection.fault)
        hello = self._hellos.pop(rejection.connection, None)
        if rejection.fault is Fault.MALFORMED and hello is not None:  # there was no request before
            outcome = HandshakeOutcome.NOT_HTTP
        if outcome is None:
            return
        if rejection.fault is Fault.SIP and rejection.scheme == "https" and hello is None:
            outcome = HandshakeOutcome.NOT_TLS
        spoken = outcome in (HandshakeOutcome.NOT_HTTP, HandshakeOutcome.NOT_TLS)
        self._tell(
            Handshake(
                id=secrets.token_hex(8),
                started=rejection.began,
                origin="edge",
                keys=Keys(connection=rejection.connection, client=rejection.source_ip or None),
                seconds=max(0.0, time.time() - rejection.began),
                address=rejection.address,
                scheme="https" if rejection.scheme == "https" else "http",
                server_name=rejection.server_name,
                outcome=outcome,
                detail="edge: unrecognized name" if outcome is HandshakeOutcome.ALERT else rejection.fault,
                versions=offered(hello) if hello else (),
                first_words=("sip" if rejection.fault is Fault.SIP else "other") if spoken else None,
            )
        )

    # Members.

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        if isinstance(data.server, MemberConnection):
            refused = f"[Errno {errno.ECONNREFUSED}]" in (data.server.error or "")
            outcome = HandshakeOutcome.REFUSED if refused else HandshakeOutcome.UNREACHABLE
            self._member(data.client, data.server, outcome)

    def tls_failed_server(self, data: TlsData) -> None:
        if isinstance(data.conn, MemberConnection):
            self._member(data.context.client, data.conn, None, data)

    def _member(
        self,
        client: connection.Client,
        server: MemberConnection,
        outcome: HandshakeOutcome | None,
        data: TlsData | None = None,
    ) -> None:
        error = "timed out" if server.timed_out else server.error or ""
        problem = certificate_problem(data.ssl_conn) if data and data.ssl_conn else None
        if outcome is None:
            outcome = HandshakeOutcome.UNTRUSTED if problem else _outcome(error)
        peer, began = client.peername, server.timestamp_start or time.time()
        self._tell(
            Handshake(
                id=secrets.token_hex(8),
                started=began,
                origin="edge",
                keys=Keys(connection=client.id, client=peer[0] if peer else None),
                seconds=max(0.0, time.time() - began),
                side="upstream",
                address=shown_address(server.address),
                scheme="https" if server.tls else "http",
                server_name=server.sni,
                outcome=outcome,
                detail=plain(_reason(error), DETAIL_SHOWN),
                certificate=shown_by_member(data.ssl_conn) if data and data.ssl_conn else None,
                certificate_problem=problem,
            )
        )

    def _tell(self, event: Handshake) -> None:
        for sink in self.sinks:
            sink(event)


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
