"""A request and its answer as they came over the wire, for `signin.reading`: a live edge, a capture, a HAR
and a flow file can all say this much.

They hold secrets. Nothing keeps them; what is kept is what reading makes of them.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

HEAD_LIMIT = 64 * 1024  # bytes of a body that are worth keeping for a reading
_INFLATED_LIMIT = 4 * HEAD_LIMIT  # bytes, of a compressed body
_WINDOW = zlib.MAX_WBITS | 32  # gzip, or deflate with zlib's header

type Headers = Sequence[tuple[bytes, bytes]]
type Fields = Mapping[bytes, Sequence[bytes]]  # values by name in lower case


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestSeen:
    """`path`: canonical, lower-case (`policy.paths.canonical`). `target`: as it came, with its query.
    `body`: its first bytes, as they came; `complete`: that is all of it."""

    method: str
    scheme: str
    host: str
    path: str
    target: bytes = dataclasses.field(default=b"", repr=False)
    headers: Headers = dataclasses.field(default=(), repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    complete: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSeen:
    """`body`, `complete`: as in RequestSeen. `upstream`: id of the connection that it came by, if known."""

    status: int
    headers: Headers = dataclasses.field(default=(), repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    complete: bool = True
    upstream: str | None = None


def fields_of(headers: Headers) -> Fields:
    """Header fields by name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def first(fields: Fields, name: bytes) -> bytes | None:
    """The first value of a header field; `name` in lower case."""
    values = fields.get(name)
    return values[0] if values else None


def media_type(fields: Fields) -> str | None:
    """Content-Type without its parameters, lower case."""
    value = first(fields, b"content-type")
    if value is None:
        return None
    return value.partition(b";")[0].strip().lower().decode("latin-1")


def content(headers: Headers, body: bytes) -> bytes:
    """The body without its Content-Encoding, as far as it goes; nothing of one that can't be read."""
    return decoded(fields_of(headers), body)


def decoded(fields: Fields, body: bytes) -> bytes:
    """The same, of headers by name."""
    encoding = (first(fields, b"content-encoding") or b"identity").strip().lower()
    if encoding in (b"identity", b""):
        return body[:_INFLATED_LIMIT]
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        return b""
    for window in (_WINDOW, -zlib.MAX_WBITS):  # some send deflate without zlib's header
        try:
            return zlib.decompressobj(window).decompress(body, _INFLATED_LIMIT)
        except zlib.error:
            continue
    return b""
