"""Heads and bodies as bytes. Whatever a field says, it can't end its line: the last look before the wire."""

from __future__ import annotations

import http

from lyncgate.edge.heads import Fields

_PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
LAST_CHUNK = b"0\r\n\r\n"
# Numbers: of bytes that are looked for in bytes Python first thinks as one, and catches its own error.
CR, LF, NUL = b"\r\n\0"


class UnsafeFieldError(ValueError):
    """A field or target that would be read as more than that."""


def request_head(method: bytes, target: bytes, fields: Fields) -> bytes:
    """Raises UnsafeFieldError."""
    return _head(b"%b %b HTTP/1.1" % (method, target), fields)


def response_head(status: int, reason: bytes, fields: Fields) -> bytes:
    """`reason`: b"" for the usual phrase. Raises UnsafeFieldError."""
    return _head(b"HTTP/1.1 %d %b" % (status, reason or _PHRASES.get(status, b"")), fields)


def _head(line: bytes, fields: Fields) -> bytes:
    parts = [line]
    for name, value in fields:
        parts.append(b"\r\n")
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
    parts.append(b"\r\n\r\n")
    head = b"".join(parts)
    breaks = len(fields) + 2
    if head.count(LF) != breaks or head.count(CR) != breaks or NUL in head:
        raise UnsafeFieldError("a field holds a line break")
    return head


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; `data` is not empty, for that would end it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body. Raises UnsafeFieldError."""
    return b"0" + _head(b"", trailers) if trailers else LAST_CHUNK
