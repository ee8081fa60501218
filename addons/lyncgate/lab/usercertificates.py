"""Certificates of users: what certificate provisioning issues, and a client proves itself with later.

As in a real pool they come from the servers' own authority, not from the one whose certificates servers
show; all pools know it, since a user's certificate is kept with the user. Its files, PEM, in the lab's
directory: `users.pem`, and `users.key`, readable by their owner only.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lyncgate.lab.authority import write_private
from lyncgate.lync.certlogin import CertificateProof
from lyncgate.lync.wstrust import unix_time
from lyncgate.lync.xmlsignature import SignatureError

NAME = "Communications Server"  # the issuer that real certificates of users name
VALIDITY = datetime.timedelta(hours=4320)  # DefaultValidityPeriodHours (protocol reference §4)
CLOCK_SKEW = datetime.timedelta(minutes=5)
SMALLEST_RSA = 1024  # bits


class BadRequestError(ValueError):
    """Not a PKCS#10 request that a certificate can be made of."""


def write_authority(directory: Path) -> None:
    """Make the authority of a new lab."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + 2 * VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(directory / "users.pem", certificate.public_bytes(serialization.Encoding.PEM))
    write_private(
        directory / "users.key",
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


class UserCertificates:
    """Issues and checks them. `directory`: the lab's."""

    def __init__(self, directory: Path) -> None:
        self._authority = x509.load_pem_x509_certificate((directory / "users.pem").read_bytes())
        key = serialization.load_pem_private_key((directory / "users.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("users.key is no elliptic curve key")
        self._key = key

    def issue(self, sip: str, request: bytes) -> bytes:
        """A client certificate in DER for the user, for the key of the PKCS#10 `request` in DER. The name in
        the request doesn't count. Raises BadRequestError."""
        now = datetime.datetime.now(datetime.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sip)])
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._authority.subject)
            .public_key(_requested_key(request))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + VALIDITY)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"sip:{sip}")]), critical=False
            )
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER)
        )

    def holder(self, proof: CertificateProof, now: float) -> str | None:
        """The SIP address that a signed time stamp proves; None: it proves nothing."""
        try:
            certificate = x509.load_der_x509_certificate(proof.certificate)
            certificate.verify_directly_issued_by(self._authority)
            created, expires = unix_time(proof.created), unix_time(proof.expires)
            proof.verify(lambda signed, value: _signed_by(certificate, signed, value))
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, SignatureError):
            return None
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
        skew = CLOCK_SKEW.total_seconds()
        if not certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc:
            return None
        if not created - skew <= now < expires:
            return None
        name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return name if isinstance(name, str) else None


def _requested_key(request: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    try:
        asked = x509.load_der_x509_csr(request)
        signed = asked.is_signature_valid
        key = asked.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadRequestError(f"not a PKCS#10 request: {error}") from error
    if not signed:
        raise BadRequestError("the request is not signed with its own key")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key
    raise BadRequestError("neither an RSA key that is large enough nor an elliptic curve key")


def _signed_by(certificate: x509.Certificate, signed: bytes, value: bytes) -> bool:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(value, signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 (the protocol's choice)
    except InvalidSignature:
        return False
    return True
