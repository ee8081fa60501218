"""A test authority: a root and the certificates of the lab, new for each lab, EC P-256 (fast to make).

Files, all PEM, keys readable by their owner only:

    ca.pem                    the root that phones and the edge shall trust
    pool01.pem, pool01.key    what the members of a pool show
    edge.pem, edge.key        the public names, for the edge's listener
    sip.pem, sip.key          the Access Edge
    push.pem, push.key        the push relay
    owa01.pem, owa01.key      the Office Web Apps server

The root's private key is never written: nobody can sign with it after the lab was set up.
"""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lyncgate.lab import topology

CA_FILE = "ca.pem"
VALIDITY = datetime.timedelta(days=365)
BACKDATED = datetime.timedelta(days=1)  # a phone's clock may be behind


class Authority:
    """A root certificate and its key, in memory; or an intermediate one, when there is a `parent`."""

    def __init__(self, parent: Authority | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        kind, length = ("root", 1) if parent is None else ("intermediate", 0)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lyncgate lab {kind}")])
        issuer, key = (name, self._key) if parent is None else (parent._certificate.subject, parent._key)
        self._certificate: x509.Certificate = (
            _builder(name, issuer, self._key.public_key(), key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(_key_usage(cert_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str], *, mutual: bool = False) -> tuple[bytes, bytes]:
        """A server certificate for DNS `names` (the first is also the CN): (certificate PEM, key PEM).

        `mutual`: for a server that shows it as a client too, in mutual TLS with other servers. (In a real
        pool the server's usage is enough for both, as Schannel sees it; OpenSSL wants the client's named.)
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if mutual else [])]
        certificate = (
            _builder(subject, self._certificate.subject, key.public_key(), self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(cert_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def write_certificates(directory: Path, also: Callable[[Authority, Path], None] | None = None) -> None:
    """Make an authority and write everything the lab needs to `directory`; `also` may sign more, now."""
    authority = Authority()
    write_private(directory / CA_FILE, authority.pem)
    subjects = {name: topology.pool_names(pool) for name, pool in topology.POOLS.items()}
    owa = topology.MEMBERS["owa01"]
    subjects |= {
        "edge": topology.public_names(),
        "sip": (topology.SIP_HOST,),
        "push": (topology.PUSH_HOST,),
        "owa01": (owa.fqdn, topology.OWA_HOST),
    }
    for name, names in subjects.items():
        certificate, key = authority.issue(names, mutual=name != "edge")
        write_private(directory / f"{name}.pem", certificate)
        write_private(directory / f"{name}.key", key)
    if also:
        also(authority, directory)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def server_context(directory: Path, name: str) -> ssl.SSLContext:
    """TLS for a listener that shows the certificate `name` of `directory`. No ALPN: HTTP/1.1 is all
    there is, as on the IIS of the time, and NTLM could not live on anything else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return context


def client_context(directory: Path) -> ssl.SSLContext:
    """TLS for a client that trusts the lab's root and nothing else, and checks names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(directory / CA_FILE)
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
