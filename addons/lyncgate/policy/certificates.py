"""What is wrong with a certificate, before a phone finds out.

Pure: bytes and the time come in, findings go out. Most Lync reverse-proxy trouble is here: a chain
without its intermediate works in every browser that fetches it and in no iOS client (protocol reference
F05), a name that is missing ends discovery before its first byte of HTTP (F03).
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import re
from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

DAY = 86400.0  # seconds
EXPIRES_SOON = 30 * DAY
_LEAST_RSA = 2048  # bits; phones and browsers refuse less
_WEAK_HASHES = ("md5", "sha1")
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)-----END CERTIFICATE-----", re.DOTALL)
_LONGEST_CHAIN = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """`part`: "cert", "key" or "root", whichever file is to be mended."""

    part: str
    message: str
    fatal: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """`names`: DNS names in lower case. `not_after`: Unix time, 0 if the certificate can't be read."""

    names: tuple[str, ...]
    not_after: float
    findings: tuple[Finding, ...]


def inspect(
    cert: bytes, key: bytes | None, *, root: bytes | None, anchors: Sequence[bytes], now: float
) -> Inspection:
    """Check a PEM chain and its key. `key` None: unreadable, which was said elsewhere. `root`: the private
    authority's PEM. `anchors`: the public authorities, in DER."""
    try:
        chain = x509.load_pem_x509_certificates(cert)
    except ValueError:
        allowed = "a PEM certificate followed by its intermediates"
        return Inspection((), 0.0, (Finding("cert", f"found no PEM certificate; allowed: {allowed}"),))
    leaf = chain[0]
    roots = der_blocks(root or b"")
    findings = [
        *_validity(leaf, now),
        *_strength(leaf),
        *_purpose(leaf),
        *(_key(leaf, key) if key is not None else ()),
        *(
            [Finding("root", "found no PEM certificate; allowed: the authority's")]
            if root and not roots
            else ()
        ),
        *_chain(chain, [*roots, *anchors]),
    ]
    names = dns_names(leaf)
    if not names:
        findings.append(
            Finding("cert", "found no DNS name in it; allowed: its public names as subject alternatives")
        )
    return Inspection(names, leaf.not_valid_after_utc.timestamp(), tuple(findings))


def der_blocks(pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM bundle in DER, not looked into: system bundles hold odd old ones."""
    ders = []
    for block in _BLOCK.findall(pem):
        try:
            ders.append(base64.b64decode(block))
        except ValueError:
            continue
    return tuple(ders)


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Subject alternative names of type DNS, in lower case. Common names count for no client."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


def covers(names: Iterable[str], host: str) -> bool:
    """Whether a certificate with these names is good for `host`, which may itself be `*.x`."""
    wildcard = "*." + host.partition(".")[2]
    return any(name in (host, wildcard) for name in names)


def _validity(leaf: x509.Certificate, now: float) -> list[Finding]:
    begin, end = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    if now < begin:
        return [Finding("cert", f"valid only from {_day(begin)}; allowed: a certificate that is valid now")]
    if now >= end:
        return [Finding("cert", f"expired on {_day(end)}; allowed: a certificate that is valid now")]
    if end - now < EXPIRES_SOON:
        days = int((end - now) // DAY)
        return [Finding("cert", f"expires on {_day(end)}, in {days} days", fatal=False)]
    return []


def _strength(leaf: x509.Certificate) -> list[Finding]:
    findings = []
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _LEAST_RSA:
        findings.append(
            Finding("cert", f"found an RSA key of {public.key_size} bits; allowed: {_LEAST_RSA} or more")
        )
    try:
        digest = leaf.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return findings
    if digest and digest.name in _WEAK_HASHES:
        findings.append(
            Finding("cert", f"found a {digest.name.upper()} signature; allowed: SHA-256 or better")
        )
    return findings


def _purpose(leaf: x509.Certificate) -> list[Finding]:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        # §9.4 of the protocol reference asks for it; without the extension most clients accept any purpose.
        return [Finding("cert", "names no extended key usage; better: serverAuth", fatal=False)]
    if ExtendedKeyUsageOID.SERVER_AUTH in usage:
        return []
    return [Finding("cert", "is not for servers; allowed: the extended key usage serverAuth")]


def _key(leaf: x509.Certificate, pem: bytes) -> list[Finding]:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:  # cryptography's way to say that a pass phrase is needed
        return [Finding("key", "needs a pass phrase; allowed: a PEM private key without one")]
    except (ValueError, UnsupportedAlgorithm):
        return [Finding("key", "found no PEM private key; allowed: a PEM private key without a pass phrase")]
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form):
        return []
    return [Finding("key", "does not belong to the certificate; allowed: its own private key")]


def _chain(chain: Sequence[x509.Certificate], anchors: Sequence[bytes]) -> list[Finding]:
    """Follow issuers from the first certificate to one that signed itself, in the file or trusted."""
    leaf = here = chain[0]
    for _ in range(_LONGEST_CHAIN):
        if here.public_bytes(serialization.Encoding.DER) in anchors:
            return []
        if here.issuer == here.subject:
            if here is leaf:
                return [Finding("cert", "signed itself; clients outside will not trust it", fatal=False)]
            return []
        issuer = next((c for c in (*chain, *named(here.issuer, anchors)) if issued(c, here)), None)
        if issuer is None:
            missing = here.issuer.rfc4514_string()
            return [Finding("cert", f"lacks its chain; allowed: followed by the certificate of {missing}")]
        here = issuer
    return [Finding("cert", f"found a chain of over {_LONGEST_CHAIN}; allowed: one that ends in its root")]


def named(subject: x509.Name, anchors: Sequence[bytes]) -> Iterator[x509.Certificate]:
    """The anchors that may have this name; only those are parsed."""
    name = subject.public_bytes()
    for der in anchors:
        if name in der:
            try:
                yield x509.load_der_x509_certificate(der)
            except ValueError:
                continue


def issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`, by name and by signature."""
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _day(time: float) -> str:
    return datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()
