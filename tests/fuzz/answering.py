"""Answers of a member as the lane reads them, beside the strict reading.

An input is a byte that says into what pieces the rest is cut, one that says to what the answer is, and the
rest. What must hold, beside that only `InvalidAnswerError` is raised:

- an answer that is taken for whole is one to the strict reading, with the same status, fields, body and
  trailers;
- cutting changes none of that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from differential.answers import read_responses
from differential.messages import Fields
from lyncgate.engine.lane import wire
from lyncgate.engine.lane.responses import InvalidAnswerError, ResponseReader

HEAD, WEBSOCKET, CLOSED = (
    1,
    2,
    4,
)  # bits of the second byte: asked for; and the member closes after the answer


class Broken(Exception):  # noqa: N818 (it is what it says)
    """What must hold does not."""


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


@dataclasses.dataclass(frozen=True)
class Given:
    """What was made of it; None: nothing whole."""

    status: int
    fields: Fields
    body: bytes
    trailers: Fields


def read(pieces: Iterable[bytes], asked: int) -> Given | None:
    """As the lane does: what is complete stays so, whatever follows."""
    reader, body = ResponseReader(), b""
    reader.expect(b"HEAD" if asked & HEAD else b"GET", websocket=bool(asked & WEBSOCKET))
    try:
        for piece in pieces:
            reader.feed(piece)
            body += reader.taken()
            if reader.complete:
                break
        else:
            if asked & CLOSED:
                reader.eof()
    except InvalidAnswerError:
        return None
    head = reader.head
    if not reader.complete or head is None:
        return None
    try:
        for each in (*reader.interims, head):
            wire.response_head(each.status, each.reason, each.fields)
        wire.last_chunk(reader.trailers)
    except wire.UnsafeFieldError:
        return None
    return Given(head.status, head.fields, body, reader.trailers)


def meant(stream: bytes, asked: int) -> Given | None:
    """By the strict reading, which here lets pass what does not touch where an answer ends."""
    method = b"HEAD" if asked & HEAD else b"GET"
    closed, switch = bool(asked & CLOSED), bool(asked & WEBSOCKET)
    reader = read_responses(stream, method, closed=closed, switch=switch, tolerant=True)
    if reader.responses:  # what follows is nobody's, a 101 too
        first = reader.responses[0]
        return Given(first.status, first.fields, first.body, first.trailers)
    if reader.switched is not None:
        head = reader.interim[-1]
        return Given(head.status, head.fields, b"", [])
    return None


def check_answer(data: bytes) -> None:
    """One input."""
    if len(data) < 3:
        return
    size, asked, stream = data[0], data[1], data[2:]
    whole, in_pieces = read([stream], asked), read(pieces_of(stream, size), asked)
    if whole != in_pieces:
        raise Broken(f"whole: {whole}, in pieces of {size}: {in_pieces}: {stream!r}")
    strict = meant(stream, asked)
    if whole is not None and whole != strict:
        raise Broken(f"{whole} was taken, meant was {strict}: {stream!r}")
