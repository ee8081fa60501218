"""UCWA's batch: many requests in one POST (protocol reference §6.4; UCWA:BatchingRequests).

    POST …/batch, Content-Type: multipart/batching;boundary=B

    --B
    Content-Type: application/http; msgtype=request

    GET /ucwa/v1/applications/1a2b/me HTTP/1.1
    Host: lyncweb.contoso.example
    Accept: application/json

    --B--

The answer has a part for each, in the same order, `msgtype=response`, with a status line. A part may be
anything but another batch, a photo or an events request.
"""

from __future__ import annotations

import dataclasses
import http
import re
import secrets
from collections.abc import Iterable, Iterator

from lyncgate.lab.web import Response

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(rb"content-type\s*:\s*application/http\s*;\s*msgtype=request\s*", re.IGNORECASE)
_LINE = re.compile(rb"\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")


class BatchError(ValueError):
    """Not a batch."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch. `headers`: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def parse(content_type: str, body: bytes) -> list[Part]:
    """The requests of a batch, at least one. Raises BatchError."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None or not content_type.lower().startswith("multipart/batching"):
        raise BatchError("not multipart/batching with a boundary")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("latin-1")
    # The delimiter's line break belongs to it: the first one may do without.
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(delimiter), body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BatchError("the boundary does not end the body")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, request = _split(piece)
    if not any(_PART_TYPE.fullmatch(line) for line in _LINE.split(head)):
        raise BatchError("a part is not application/http; msgtype=request")
    lines, body = _split(request)
    first, *fields = _LINE.split(lines.strip())
    words = first.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BatchError(f"{first[:80]!r} is no request line")
    headers = {}
    for field in fields:
        name, colon, value = field.decode("latin-1").partition(":")
        if not colon:
            raise BatchError(f"{field[:80]!r} is no header field")
        headers[name.strip().lower()] = value.strip()
    return Part(words[0].upper(), words[1], headers, body)


def _split(message: bytes) -> tuple[bytes, bytes]:
    """Head and body. A request without a body may leave out its blank line."""
    parts = _BLANK.split(message, maxsplit=1)
    return parts[0], parts[1] if len(parts) == 2 else b""


def answer(responses: Iterable[Response]) -> Response:
    """The answer to a batch. Bodies have to be bytes."""
    boundary = secrets.token_hex(16)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in map(_answer_part, responses))
    content_type = f'multipart/batching; boundary="{boundary}"'
    return Response(200, [("Content-Type", content_type)], body + b"--%s--\r\n" % boundary.encode())


def _answer_part(response: Response) -> bytes:
    return b"\r\n".join(_answer_lines(response))


def _answer_lines(response: Response) -> Iterator[bytes]:
    yield b"Content-Type: application/http; msgtype=response"
    yield b""
    yield f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}".encode()
    for name, value in response.headers:
        yield f"{name}: {value}".encode("latin-1")
    yield b""
    if not isinstance(response.body, bytes):
        raise TypeError("a streamed body can't be part of a batch")
    yield response.body
