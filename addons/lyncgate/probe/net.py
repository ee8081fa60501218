"""TCP and TLS, looked at closely: how a connection comes about, and what the server shows, whatever it is.

pyOpenSSL over asyncio's plain streams, because it tells the chain as it was sent and offers versions of TLS
that are out of use. Nothing is verified here and nothing but a handshake is sent; see `signin.presented`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import ssl
import time

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from lyncgate.client.names import Address
from lyncgate.signin.events import HandshakeOutcome

CHUNK = 16 * 1024
VERSIONS = {  # as handshakes name them
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_LOCAL = ("no protocols available", "no ciphers available")  # this machine's OpenSSL can't offer it
_NOT_TLS = ("wrong version number", "http request", "packet length too long", "bad record type")
_NO_ROUTE = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclasses.dataclass(frozen=True, slots=True)
class Met:
    """How it went. `chain`: certificates in DER, the server's own first; `offered` False: this machine could
    not even try."""

    outcome: HandshakeOutcome
    detail: str
    seconds: float
    version: str | None = None
    chain: tuple[bytes, ...] = ()
    offered: bool = True


async def reach(address: Address, seconds: float) -> Met:
    """A TCP connection, closed again."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(*address)
    except OSError as error:
        return _not_met(error, began, seconds)
    writer.close()
    return Met(HandshakeOutcome.OK, "", time.perf_counter() - began)


async def shake(address: Address, server_name: str, seconds: float, version: str | None = None) -> Met:
    """TCP and TLS, closed again. `version`: the only one that is offered; None: all that are in use."""
    began = time.perf_counter()
    connection = SSL.Connection(_context(version), None)
    connection.set_tlsext_host_name(server_name.encode("idna"))
    connection.set_connect_state()
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*address)
            try:
                await _handshake(connection, reader, writer)
            finally:
                writer.close()
    except SSL.Error as error:
        return _refused(error, began)
    except EOFError:
        return Met(HandshakeOutcome.CLOSED, "closed in the handshake", time.perf_counter() - began)
    except OSError as error:
        return _not_met(error, began, seconds)
    chain = connection.get_peer_cert_chain(as_cryptography=True) or []
    return Met(
        HandshakeOutcome.OK,
        "",
        time.perf_counter() - began,
        connection.get_protocol_version_name(),
        tuple(certificate.public_bytes(Encoding.DER) for certificate in chain),
    )


async def first_words(address: Address, server_name: str, message: bytes, seconds: float) -> str | None:
    """The first line that comes back for a message inside TLS; "": closed without one; None: no connection,
    or no answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=server_name)
            try:
                writer.write(message)
                return (await reader.readline())[:200].decode("latin-1").strip()
            finally:
                writer.transport.abort()
    except (OSError, ValueError):
        return None


def _context(version: str | None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    if version is not None:
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")  # what old versions need
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
    return context


async def _handshake(
    connection: SSL.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while True:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            await _flush(connection, writer)
            data = await reader.read(CHUNK)
            if not data:
                raise EOFError from None
            connection.bio_write(data)
        else:
            return await _flush(connection, writer)


async def _flush(connection: SSL.Connection, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(connection.bio_read(CHUNK))
    except SSL.WantReadError:
        await writer.drain()


def _refused(error: SSL.Error, began: float) -> Met:
    reasons = [str(entry[-1]) for entry in (error.args[0] if error.args else []) if entry]
    detail = reasons[0] if reasons else type(error).__name__
    outcome = HandshakeOutcome.NOT_TLS if any(r in detail for r in _NOT_TLS) else HandshakeOutcome.ALERT
    offered = not any(reason in detail for reason in _LOCAL)
    return Met(outcome, detail, time.perf_counter() - began, offered=offered)


def _not_met(error: OSError, began: float, seconds: float) -> Met:
    took = time.perf_counter() - began
    if isinstance(error, TimeoutError):
        return Met(HandshakeOutcome.UNREACHABLE, f"no answer in {seconds:g} s", took)
    if isinstance(error, ConnectionRefusedError):
        return Met(HandshakeOutcome.REFUSED, "refused", took)
    if isinstance(error, ConnectionError):
        return Met(HandshakeOutcome.CLOSED, "reset", took)
    why = error.strerror or str(error) or type(error).__name__
    return Met(HandshakeOutcome.UNREACHABLE, why.lower(), took, offered=error.errno not in _NO_ROUTE)
