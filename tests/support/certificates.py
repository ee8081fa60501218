"""Certificates for the tests' listeners and members, made once a process, as files."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lyncgate.lab.authority import Authority, write_private
from lyncgate.policy.policy import CertificateFiles

POOL_NAME = "pool01.contoso.local"
EDGE_NAMES = ("lyncweb.contoso.example", "lyncdiscover.contoso.example", "meet.contoso.example")


@functools.cache
def directory() -> Path:
    """Where the files are."""
    kept = tempfile.TemporaryDirectory(prefix="lyncgate-tests-")
    _kept.append(kept)
    return Path(kept.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


@functools.cache
def authority(name: str = "ca") -> Authority:
    """A root of that name; its file is `<name>.pem`."""
    made = Authority()
    write_private(directory() / f"{name}.pem", made.pem)
    return made


def ca_file(name: str = "ca") -> str:
    authority(name)
    return str(directory() / f"{name}.pem")


@functools.cache
def issued(*names: str, by: str = "ca") -> CertificateFiles:
    """A certificate for DNS `names`."""
    return _written(f"{by}-{names[0]}", names, *authority(by).issue(names))


@functools.cache
def self_signed(*names: str, days: tuple[int, int] = (-1, 30), beside: bytes = b"") -> CertificateFiles:
    """A certificate that is its own authority, valid for `days` from now. Names may be IP addresses.
    `beside`: another one, in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    begin, end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(day) for day in days)
    carried: x509.ExtensionType = x509.SubjectAlternativeName([_general(name) for name in names])
    if beside:
        der = carried.public_bytes()[2:] + beside  # short enough for a length of one byte
        carried = x509.UnrecognizedExtension(carried.oid, bytes((0x30, len(der))) + der)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(carried, critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _written(
        f"self-{names[0]}{days[1]}{beside.hex()}",
        names,
        certificate.public_bytes(serialization.Encoding.PEM),
        key_pem,
    )


def fingerprint(files: CertificateFiles) -> str:
    """As a pin: SHA-256 of the certificate, lower-case hex."""
    loaded = x509.load_pem_x509_certificate(Path(files.cert).read_bytes())
    return loaded.fingerprint(hashes.SHA256()).hex()


def server(files: CertificateFiles) -> ssl.SSLContext:
    """TLS for a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    return context


def client() -> ssl.SSLContext:
    """TLS for a client that trusts the authority `ca`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file())
    return context


def careless() -> ssl.SSLContext:
    """TLS for a client that takes whatever it is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _written(stem: str, names: tuple[str, ...], certificate: bytes, key: bytes) -> CertificateFiles:
    stem = f"{stem}-{len(names)}"
    cert_file, key_file = directory() / f"{stem}.crt", directory() / f"{stem}.key"
    write_private(cert_file, certificate)
    write_private(key_file, key)
    return CertificateFiles(str(cert_file), str(key_file), names)
