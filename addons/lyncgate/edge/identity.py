"""Who we are to clients, and who members must prove to be.

Client side: one OpenSSL context per certificate, chosen by SNI among those of the listener. No
name, no context: the TLS layer answers with an alert. Nothing here can mint a certificate.

Upstream side: the member's certificate must chain to the pool's CA, carry the pool's name and,
where pins are given, be one of them. There is no way to turn this off.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import service_identity
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from mitmproxy.connection import Server
from mitmproxy.tls import TlsData
from OpenSSL import SSL
from service_identity.cryptography import extract_patterns
from service_identity.exceptions import CertificateError
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceMatch, verify_service_identity

from lyncgate.edge.state import EdgeState
from lyncgate.policy.certificates import der_blocks
from lyncgate.policy.hosts import fits, is_address
from lyncgate.policy.policy import CertificateFiles, Listener, Policy, UpstreamTls
from lyncgate.signin.events import Certificate
from lyncgate.signin.presented import Problem, presented

# What a certificate raises that OpenSSL takes and `cryptography` does not.
UNREADABLE = (ValueError, IndexError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

ALPN = b"http/1.1"  # NTLM is bound to the connection and undefined over HTTP/2


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class MemberConnection(Server):
    """An upstream connection. `pool`: whose member is connected to, by whose rules it must prove itself.
    `timed_out`: it was given up because the member took too long."""

    pool: str
    timed_out: bool = False


@dataclasses.dataclass(slots=True)
class _Expected:
    """What the verify callback compares a member's leaf with, and what it found wrong."""

    tls: UpstreamTls
    host: str
    problem: Problem | None = None


_PROBLEMS: dict[int, Problem] = {  # of OpenSSL's X509_V_ERR_…; all others are the chain's
    9: "not_yet",  # CERT_NOT_YET_VALID
    10: "expired",  # CERT_HAS_EXPIRED
    18: "self_signed",  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: "self_signed",  # SELF_SIGNED_CERT_IN_CHAIN
}


class Identity:
    """An addon: gives mitmproxy the upstream TLS connections; the listeners ask it for theirs."""

    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge
        self._by_listener: dict[str, list[_Ours]] = {}
        self._upstream: dict[UpstreamTls, SSL.Context] = {}

    def adopt(self, policy: Policy) -> None:
        """Read the policy's certificate and CA files anew.

        Raises OSError or OpenSSL.SSL.Error, in which case what was in force stays in force.
        """
        by_listener = {
            listener.name: [_ours(files) for files in listener.certificates]
            for listener in policy.listeners.values()
        }
        upstream = {pool.tls: _client_context(pool.tls) for pool in policy.pools.values()}
        self._by_listener, self._upstream = by_listener, upstream

    def for_client(self, listener: Listener, name: str | None) -> SSL.Connection | None:
        """The TLS connection for a client that asked for `name` (SNI); None if we are not that.

        Without a name the listener's first certificate serves: old phones send none. Some clients send
        an address there, which RFC 6066 §3 does not allow: that is no name either.
        """
        ours = self._chosen(listener, name)
        if ours is None:
            return None
        connection = SSL.Connection(ours.context)
        connection.set_accept_state()
        return connection

    def shown_to_client(self, listener: Listener, name: str | None) -> Certificate | None:
        """The certificate that a client sees who asks for `name`, as events have it."""
        ours = self._chosen(listener, name)
        return ours.shown if ours else None

    def _chosen(self, listener: Listener, name: str | None) -> _Ours | None:
        unnamed = name is None or is_address(name)
        for ours in self._by_listener.get(listener.name, []):
            if unnamed or name is None or fits(ours.names, name.lower().rstrip(".")):
                return ours
        return None

    def tls_start_server(self, data: TlsData) -> None:
        """mitmproxy asks how to open TLS to a member."""
        if not isinstance(data.conn, MemberConnection) or data.conn.address is None:
            return
        pool = self.edge.policy.pools.get(data.conn.pool)
        if pool is None:
            return  # a reload has removed it meanwhile: mitmproxy fails the connection
        host = data.conn.address[0]
        name = pool.tls.name or host
        connection = SSL.Connection(self._upstream[pool.tls])
        connection.set_app_data(_Expected(pool.tls, host))
        if not is_address(name):
            connection.set_tlsext_host_name(name.encode("ascii"))
            data.conn.sni = name
        connection.set_connect_state()
        data.ssl_conn = connection


@dataclasses.dataclass(frozen=True, slots=True)
class _Ours:
    """A certificate of a listener's, ready for use."""

    names: tuple[str, ...]
    context: SSL.Context
    shown: Certificate | None


def _ours(files: CertificateFiles) -> _Ours:
    chain = der_blocks(Path(files.cert).read_bytes())
    context = _server_context(files)
    return _Ours(files.names, context, described(chain))


def certificate_problem(connection: SSL.Connection) -> Problem | None:
    """What the edge found wrong with the certificate that a member showed."""
    expected = connection.get_app_data()
    return expected.problem if isinstance(expected, _Expected) else None


def verify_problem(code: int) -> Problem:
    """What OpenSSL's verification found wrong, in the words of an event. `code`: X509_V_ERR_…."""
    return _PROBLEMS.get(code, "chain")


def shown_by_member(connection: SSL.Connection) -> Certificate | None:
    """The certificate that a member showed, None: none came so far."""
    chain = connection.get_peer_cert_chain() or []
    return described([one.to_cryptography().public_bytes(Encoding.DER) for one in chain])


def described(chain: Sequence[bytes]) -> Certificate | None:
    """As events have it; None: it can't be read. Whether the chain is complete is seen when rules are
    checked, with all public authorities at hand."""
    try:
        shown = presented(chain, None, (), time.time()).certificate
    except UNREADABLE:
        return None
    return msgspec.structs.replace(shown, complete=None)


def _server_context(files: CertificateFiles) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.use_certificate_chain_file(files.cert)
    context.use_privatekey_file(files.key)
    context.check_privatekey()
    context.set_session_id(hashlib.sha256(files.cert.encode()).digest())
    context.set_alpn_select_callback(
        lambda _, offered: ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    return context


def _client_context(tls: UpstreamTls) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    if tls.ca:
        context.load_verify_locations(tls.ca)
    else:
        context.set_default_verify_paths()
    context.set_verify(SSL.VERIFY_PEER, _verify)
    return context


def _verify(connection: SSL.Connection, cert: object, error: int, depth: int, ok: int) -> bool:
    """OpenSSL has checked chain and dates; the leaf must also carry the name and match the pins."""
    expected = connection.get_app_data()
    if not isinstance(expected, _Expected):
        return False
    if not ok:
        expected.problem = verify_problem(error)
        return False
    if depth > 0:
        return True
    leaf: x509.Certificate = cert.to_cryptography()  # type: ignore[attr-defined]  # pyOpenSSL's X509
    if proves(leaf, expected.tls, expected.host):
        return True
    expected.problem = "name"
    return False


def proves(leaf: x509.Certificate, tls: UpstreamTls, host: str) -> bool:
    """Whether a member at `host` may show this certificate: pinned if there are pins, and its SAN carries
    the name wanted, a DNS name or an IP address (RFC 6125). Chain and dates are OpenSSL's business."""
    if tls.pins and leaf.fingerprint(SHA256()).hex() not in tls.pins:
        return False
    name = tls.name or host
    wanted = IPAddress_ID(name) if is_address(name) else DNS_ID(name)
    try:
        matches: list[ServiceMatch] = verify_service_identity(
            cert_patterns=extract_patterns(leaf), obligatory_ids=[wanted], optional_ids=[]
        )
    except (service_identity.VerificationError, CertificateError):
        return False
    except UNREADABLE:
        return False
    return bool(matches)
