"""Certificates for the tests of loading, made on the fly (EC keys: fast), and a `read` that serves them.

They are made relative to NOW, which is what the tests hand to load() as the time, so that messages with
dates in them can be pinned.
"""

from __future__ import annotations

import datetime
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86400.0

type Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
type Issuer = tuple[x509.Certificate, Key]

NAMES = ("lyncweb.contoso.example", "meet.contoso.example", "lyncdiscover.contoso.example")


def make(
    subject: str,
    issuer: Issuer | None,
    *,
    names: tuple[str, ...] = NAMES,
    days: tuple[float, float] = (-30, 365),
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    key: Key | None = None,
    authority: bool = False,
) -> Issuer:
    """A certificate and its key. `days`: validity from NOW. Without an issuer it signs itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    begin, end = (datetime.datetime.fromtimestamp(NOW + day * DAY, datetime.UTC) for day in days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@functools.cache
def files() -> dict[str, bytes]:
    """Every certificate that the tests name, by file name."""
    root = make("Contoso Root", None, names=(), usages=(), authority=True)
    middle = make("Contoso Issuing CA", root, names=(), usages=(), authority=True)
    chain = (middle[0], root[0])
    leaves = {
        "good": make("edge", middle),
        "expired": make("edge", middle, days=(-400, -1)),
        "not-yet-valid": make("edge", middle, days=(1, 365)),
        "expires-soon": make("edge", middle, days=(-300, 12.5)),
        "no-names": make("edge", middle, names=()),
        "no-usage": make("edge", middle, usages=()),
        "not-for-servers": make("edge", middle, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        "weak": make("edge", middle, key=rsa.generate_private_key(65537, 1024)),
    }
    made = {}
    for name, (certificate, key) in leaves.items():
        made[f"{name}.pem"] = pem(certificate, *chain)
        made[f"{name}.key"] = key_pem(key)
    lone, lone_key = make("edge", middle)
    made |= {"no-chain.pem": pem(lone), "no-chain.key": key_pem(lone_key)}
    made |= {"middle.pem": pem(lone, middle[0]), "middle.key": key_pem(lone_key), "root.pem": pem(root[0])}
    selfish, selfish_key = make("edge", None)
    made |= {"self-signed.pem": pem(selfish), "self-signed.key": key_pem(selfish_key)}
    made["encrypted.key"] = key_pem(leaves["good"][1], b"secret")
    return made


def read(name: str) -> bytes:
    """As the shell's `read`, from memory."""
    content = files().get(name)
    if content is None:
        raise FileNotFoundError(2, "No such file or directory", name)
    return content
