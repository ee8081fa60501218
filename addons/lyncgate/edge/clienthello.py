"""What a ClientHello offers, beside what mitmproxy reads of it."""

from __future__ import annotations

from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello

VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}
_SUPPORTED_VERSIONS = 43  # TLS extension (RFC 8446 §4.2.1)


def offered(hello: ClientHello) -> tuple[str, ...]:
    """The TLS versions that a client offers, oldest first. Without the extension of TLS 1.3 it names its
    newest only; older ones down to TLS 1.0 are taken to be offered, as the protocol has it."""
    body = next((body for kind, body in hello.extensions if kind == _SUPPORTED_VERSIONS), None)
    if isinstance(body, bytes) and body:
        listed = {int.from_bytes(body[at : at + 2]) for at in range(1, len(body) - 1, 2)}
    else:
        newest = int.from_bytes(hello.raw_bytes(wrap_in_record=False)[:2])
        listed = {number for number in VERSIONS if 0x0301 <= number <= newest} or {newest}
    return tuple(name for number, name in VERSIONS.items() if number in listed)


def name_in(records: bytes) -> str | None:
    """The name that is asked for (SNI) in the bytes that a connection began with."""
    try:
        hello = parse_client_hello(records)
        return hello.sni if hello else None
    except (ValueError, EOFError):
        return None


def offered_in(records: bytes) -> tuple[str, ...]:
    """The same, of the bytes that a connection began with; nothing if they are no whole ClientHello."""
    try:
        hello = parse_client_hello(records)
        return offered(hello) if hello else ()
    except (ValueError, EOFError):
        return ()
