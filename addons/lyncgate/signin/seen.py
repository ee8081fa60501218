"""A request and its answer as they came over the wire, for `signin.reading`: a live edge, a capture, a HAR
and a flow file can all say this much.

They hold secrets. Nothing keeps them; what is kept is what reading makes of them.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence

HEAD_LIMIT = 64 * 1024  # bytes of a body that are worth keeping for a reading
_INFLATED_LIMIT = 4 * HEAD_LIMIT  # bytes, of a compressed body
_WINDOW = zlib.MAX_WBITS | 32  # gzip, or deflate with zlib's header
_LONGEST_TYPE = 128  # bytes of a Content-Type that is remembered

type Headers = Sequence[tuple[bytes, bytes]]


class RequestSeen:
    """`path`: canonical, lower-case (`policy.paths.canonical`). `target`: as it came, with its query.
    `names`: of the headers, in lower case, from whoever has them. `body`: its first bytes, as they came;
    `complete`: that is all of it. Nobody changes it. Nothing prints it: a dataclass would."""

    __slots__ = ("body", "complete", "headers", "host", "method", "names", "path", "scheme", "target")

    def __init__(
        self,
        *,
        method: str,
        scheme: str,
        host: str,
        path: str,
        target: bytes = b"",
        headers: Headers = (),
        names: Sequence[bytes] | None = None,
        body: bytes = b"",
        complete: bool = True,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.host = host
        self.path = path
        self.target = target
        self.headers = headers
        self.names = names
        self.body = body
        self.complete = complete


class ResponseSeen:
    """`names`, `body`, `complete`: as in RequestSeen. `upstream`: id of the connection that it came by, if
    known."""

    __slots__ = ("body", "complete", "headers", "names", "status", "upstream")

    def __init__(
        self,
        *,
        status: int,
        headers: Headers = (),
        names: Sequence[bytes] | None = None,
        body: bytes = b"",
        complete: bool = True,
        upstream: str | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.names = names
        self.body = body
        self.complete = complete
        self.upstream = upstream


class Fields:
    """Header fields by name in lower case. `first`: the first value of each; what is no key there is not
    there at all."""

    __slots__ = ("_headers", "_names", "first")

    def __init__(self, headers: Headers, names: Sequence[bytes] | None = None) -> None:
        if names is None:
            names = [name.lower() for name, _ in headers]
        self._headers = headers
        self._names = names
        self.first: dict[bytes, bytes] = {}
        # Not strict: of the plain kind mypyc makes a loop, which takes half as long.
        for name, (_, value) in zip(names, headers):  # noqa: B905
            if name not in self.first:
                self.first[name] = value

    def all(self, name: bytes) -> list[bytes]:
        """All values of a field, in their order."""
        if name not in self.first:
            return []
        return [value for known, (_, value) in zip(self._names, self._headers, strict=True) if known == name]


def media_type(fields: Fields) -> str | None:
    """Content-Type without its parameters, lower case."""
    value = fields.first.get(b"content-type")
    if value is None:
        return None
    return _media_type(value) if len(value) > _LONGEST_TYPE else _remembered(value)


def _media_type(value: bytes) -> str:
    return value.partition(b";")[0].strip().lower().decode("latin-1")


_remembered = functools.lru_cache(maxsize=128)(_media_type)  # always the same few


def content(headers: Headers, body: bytes) -> bytes:
    """The body without its Content-Encoding, as far as it goes; nothing of one that can't be read."""
    return decoded(Fields(headers), body)


def decoded(fields: Fields, body: bytes) -> bytes:
    """The same, of headers by name."""
    encoding = fields.first.get(b"content-encoding")
    if encoding is None:
        return body[:_INFLATED_LIMIT]
    encoding = encoding.strip().lower()
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
