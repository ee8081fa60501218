"""Connections that came to nothing before HTTP, as events: whose certificate or TLS version was refused, what
was said instead of HTTP, which member could not be connected to.

A client that opens TCP and goes, as health checks do, is no news. One that ends TLS right after the
handshake, without a request, is: some clients look at the certificate only then.
"""

from __future__ import annotations

import dataclasses
import time

from lyncgate.edge.client import Client, listener_of
from lyncgate.edge.framing import Fault
from lyncgate.edge.identity import Identity
from lyncgate.edge.ids import new_id
from lyncgate.edge.records import Sink
from lyncgate.edge.state import EdgeState
from lyncgate.signin.events import Certificate, Handshake, HandshakeOutcome
from lyncgate.signin.keys import Keys
from lyncgate.signin.plain import plain
from lyncgate.signin.presented import Problem

DETAIL_SHOWN = 128

OUTCOMES = {  # of bytes that were refused before there was a request; the other faults are HTTP's
    Fault.NOT_TLS: HandshakeOutcome.NOT_TLS,
    Fault.UNKNOWN_NAME: HandshakeOutcome.ALERT,
    Fault.HANDSHAKE_TIMEOUT: HandshakeOutcome.CLOSED,
    Fault.SIP: HandshakeOutcome.NOT_HTTP,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemberAttempt:
    """A connection to a member that did not come to be. `started`: Unix time; `address`: `host:port`;
    `detail`: what the system or OpenSSL calls it; `certificate`: that the member showed."""

    started: float
    address: str | None
    scheme: str
    server_name: str | None
    outcome: HandshakeOutcome
    detail: str
    certificate: Certificate | None = None
    problem: Problem | None = None


class Handshakes:
    """`sinks` get the events."""

    def __init__(self, edge: EdgeState, identity: Identity, *sinks: Sink) -> None:
        self.edge = edge
        self.identity = identity
        self.sinks = sinks

    def closed(self, client: Client) -> None:
        """All was well but for the request: none came."""
        if client.hello is not None and client.secured:
            self.failed(client, HandshakeOutcome.CLOSED, "no request followed")

    def failed(self, client: Client, outcome: HandshakeOutcome, detail: str) -> None:
        """TLS with a client ended before a request."""
        if client.hello is None:
            return  # no TLS, or `rejected` told it
        listener = listener_of(client, self.edge.policy)
        shown = self.identity.shown_to_client(listener, client.server_name) if listener else None
        self._tell(client, outcome, detail, certificate=shown, version=client.tls_version)
        client.hello = None  # told

    def rejected(self, client: Client, fault: Fault) -> None:
        outcome = OUTCOMES.get(fault)
        if fault is Fault.MALFORMED and client.hello is not None:  # there was no request before
            outcome = HandshakeOutcome.NOT_HTTP
        if outcome is None:
            return
        if fault is Fault.SIP and client.scheme == "https" and client.hello is None:
            outcome = HandshakeOutcome.NOT_TLS
        spoken = outcome in (HandshakeOutcome.NOT_HTTP, HandshakeOutcome.NOT_TLS)
        words = ("sip" if fault is Fault.SIP else "other") if spoken else None
        detail = "edge: unrecognized name" if outcome is HandshakeOutcome.ALERT else str(fault)
        self._tell(client, outcome, detail, first_words=words)
        client.hello = None

    def _tell(
        self,
        client: Client,
        outcome: HandshakeOutcome,
        detail: str,
        *,
        certificate: Certificate | None = None,
        version: str | None = None,
        first_words: str | None = None,
    ) -> None:
        self._send(
            Handshake(
                id=new_id(),
                started=client.started,
                origin="edge",
                keys=Keys(connection=client.id, client=client.peer or None),
                seconds=max(0.0, time.time() - client.started),
                address=client.address,
                # Plain HTTP has no handshake that could fail.
                scheme="https" if client.scheme == "https" else "http",
                server_name=client.server_name,
                outcome=outcome,
                detail=plain(detail, DETAIL_SHOWN),
                versions=client.hello() if client.hello else (),
                version=version,
                certificate=certificate,
                first_words=first_words,
            )
        )

    def member(self, client: Client, attempt: MemberAttempt) -> None:
        self._send(
            Handshake(
                id=new_id(),
                started=attempt.started,
                origin="edge",
                keys=Keys(connection=client.id, client=client.peer or None),
                seconds=max(0.0, time.time() - attempt.started),
                side="upstream",
                address=attempt.address,
                scheme="https" if attempt.scheme == "https" else "http",
                server_name=attempt.server_name,
                outcome=attempt.outcome,
                detail=plain(attempt.detail, DETAIL_SHOWN),
                certificate=attempt.certificate,
                certificate_problem=attempt.problem,
            )
        )

    def _send(self, event: Handshake) -> None:
        for sink in self.sinks:
            sink(event)
