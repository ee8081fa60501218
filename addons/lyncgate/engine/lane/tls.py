"""TLS of the lane: contexts made of the same files as `edge.identity`'s, and what failed handshakes say.

The standard library's, because it reads and writes the socket by itself. As there: certificate by SNI among
those of the listener, an alert for names that are not ours, nothing can mint one; members must prove who
they are.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

from cryptography import x509

from lyncgate.edge.identity import ALPN, described, proves, verify_problem
from lyncgate.engine.tls.chains import show_what_is_given
from lyncgate.engine.tls.ciphersuites import prefer_light_suites
from lyncgate.engine.tls.secured import Secured
from lyncgate.engine.tls.ticketkeys import set_ticket_keys
from lyncgate.policy.hosts import fits, is_address
from lyncgate.policy.policy import CertificateFiles, Listener, Policy, Scheme, UpstreamTls
from lyncgate.signin.events import Certificate, HandshakeOutcome
from lyncgate.signin.presented import Problem

TICKETS = 1  # after a full handshake in TLS 1.3: each is made, encrypted and sent by itself
HELLO_LIMIT = 16 * 1024  # bytes of a ClientHello that we look at


NO_VERSION = ("unsupported protocol", "no protocols available", "version too low", "unknown protocol")


class Contexts:
    """Of one policy. Raises OSError (ssl.SSLError is one) if a file can't be used."""

    def __init__(self, policy: Policy) -> None:
        self.servers = {
            listener.name: _server(listener)
            for listener in policy.listeners.values()
            if listener.scheme is Scheme.HTTPS
        }
        self.members = {pool.tls: _member(pool.tls) for pool in policy.pools.values()}
        self._proven: set[tuple[UpstreamTls, str, bytes]] = set()

    def use_ticket_keys(self, keys: bytes) -> None:
        """Session tickets of all workers are made with the same keys, so that each can resume them."""
        for context in self.servers.values():
            set_ticket_keys(context, keys)

    def proven(self, tls: UpstreamTls, host: str, secured: Secured) -> bool:
        """Whether a member whose chain is good is the one that was wanted. Looking into a certificate takes
        longer than the handshake, so what was seen once is remembered."""
        der = secured.certificate() or b""
        seen = (tls, host, hashlib.sha256(der).digest())
        if seen in self._proven:
            return True
        if not proves(x509.load_der_x509_certificate(der), tls, host):
            return False
        self._proven.add(seen)
        return True


def _server(listener: Listener) -> ssl.SSLContext:
    """The context of a listener: its first certificate's, which turns to another one's by name."""
    chosen = [(files.names, _certificate(files)) for files in listener.certificates]

    def by_name(secured: Any, name: str | None, _: ssl.SSLContext) -> int | None:
        secured.asked = name
        if name is None or is_address(name):
            return None  # old phones send no name, some an address, which RFC 6066 §3 does not allow
        for names, context in chosen:
            if fits(names, name.lower().rstrip(".")):
                if context is not first:  # which it has by now; to give it one takes OpenSSL a while
                    secured.turn_to(context)
                return None
        secured.refused = True
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    first = chosen[0][1]
    first.sni_callback = by_name
    return first


def _certificate(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers("DEFAULT")  # Python's own choice leaves out what clients of Lync 2010 speak
    context.load_cert_chain(files.cert, files.key, password=_no_password)
    context.set_alpn_protocols([ALPN.decode("ascii")])
    context.num_tickets = TICKETS
    prefer_light_suites(context)
    show_what_is_given(context)
    return context


def _no_password() -> str:
    raise ssl.SSLError("the key is encrypted")


def _member(tls: UpstreamTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # `proves` does that, and pins
    context.set_ciphers("DEFAULT")
    prefer_light_suites(context)
    if tls.ca:
        context.load_verify_locations(tls.ca)
    else:
        context.set_default_verify_paths()
    return context


# What was said.


def length_of_hello(start: bytes) -> int | None:
    """How many bytes the record of the ClientHello has of which these are the first; None: it is none, or
    that can't be told yet (fewer than five bytes)."""
    if len(start) < 5 or start[0] != 22 or start[1] != 3:
        return None
    return 5 + int.from_bytes(start[3:5])


def reason(error: Exception) -> str:
    """What OpenSSL or the system calls it, in its own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate verify failed"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def client_failure(error: Exception | None) -> tuple[HandshakeOutcome, str]:
    """What ended a handshake with a client, and who: outcome and detail of the event."""
    if error is None or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return HandshakeOutcome.CLOSED, "client closed"
    said = reason(error)
    if said in NO_VERSION:
        said = "no TLS version in common"
    _, alert, what = said.partition("alert ")
    if alert:
        return HandshakeOutcome.ALERT, f"client: {what}"
    return HandshakeOutcome.ALERT, f"edge: {said}"


def member_failure(
    error: Exception | None, secured: Secured | None
) -> tuple[HandshakeOutcome, str, Certificate | None, Problem | None]:
    """What ended a handshake with a member: outcome, detail, the certificate that it showed, what is wrong
    with that."""
    if error is None or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return HandshakeOutcome.CLOSED, "connection closed", None, None
    if isinstance(error, ssl.SSLCertVerificationError):
        return HandshakeOutcome.UNTRUSTED, reason(error), shown(secured), verify_problem(error.verify_code)
    said = reason(error)
    if said in ("wrong version number", "http request", "packet length too long", "record layer failure"):
        return HandshakeOutcome.NOT_TLS, "does not speak TLS", None, None
    return HandshakeOutcome.ALERT, said, None, None


def shown(secured: Secured | None) -> Certificate | None:
    """The certificate that a member showed, as far as this Python can tell (3.13)."""
    try:
        chain = secured.chain() if secured is not None else None
        return described(chain) if chain is not None else None
    except (ssl.SSLError, ValueError, TypeError):
        return None
