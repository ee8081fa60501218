"""Byte streams as clients send them, and as origins answer: what the corpus is made of."""

from __future__ import annotations

import dataclasses
import enum
import functools

from differential.answers import ResponseReader, read_responses
from differential.messages import Request, Response
from differential.origin import Script
from differential.reading import RequestReader, read_requests

WEB = b"lyncweb.contoso.example"
HOST = b"Host: " + WEB + b"\r\n"


class Kind(enum.StrEnum):
    VALID = "valid"  # good HTTP/1.1: has to be understood, as far as an engine says that it can
    ODD = "odd"  # refused or understood, as the engine likes, but never otherwise than it was meant
    MALICIOUS = "malicious"  # no HTTP/1.1, made to be read in two ways: has to be refused


class Need(enum.StrEnum):
    """What an engine has to be able to do to serve a stream."""

    PIPELINE = "pipeline"  # more than one request at once
    TRAILERS = "trailers"  # of a request
    ANSWER_TRAILERS = "answer trailers"
    EXTENSIONS = "chunk extensions"
    CONTINUE = "100-continue, from end to end"
    EARLY_HINTS = "103 relayed"
    UPGRADE = "101 leads to a tunnel"
    HALF_CLOSE = "answers a client that has closed its half"
    ABSOLUTE = "absolute form"
    ASTERISK = "OPTIONS *"
    METHODS = "methods beside those of RFC 9110"
    BODY_ANYWHERE = "a body with GET, HEAD or DELETE"
    LENGTH_ZEROS = "leading zeros in a length"
    EXPECT_LATE = "a body that does not wait for 100"
    AFTER_CLOSE = "ignores what follows Connection: close"
    LARGE = "heads beyond the edge's limits"


@dataclasses.dataclass(frozen=True)
class Stream:
    """What one client sends. `count`: for a valid one, how many requests that is. `told`: for one that was
    made of them, the requests. `half_close`: the client closes its half after its last byte."""

    name: str
    data: bytes
    kind: Kind
    needs: frozenset[Need] = frozenset()
    count: int | None = None
    told: tuple[Request, ...] = ()
    half_close: bool = False

    @functools.cached_property
    def reading(self) -> RequestReader:
        return read_requests(self.data)

    @functools.cached_property
    def tolerated(self) -> RequestReader:
        """For odd ones: how an engine may take it."""
        return read_requests(self.data, tolerant=True) if self.kind is Kind.ODD else self.reading

    @property
    def unfinished(self) -> bool:
        return self.reading.fault is None and (self.reading.begun or bool(self.reading.rest))


def valid(name: str, data: bytes, *needs: Need, count: int = 1, half_close: bool = False) -> Stream:
    return Stream(name, data, Kind.VALID, frozenset(needs), count, half_close=half_close)


def odd(name: str, data: bytes) -> Stream:
    return Stream(name, data, Kind.ODD)


def malicious(name: str, data: bytes) -> Stream:
    return Stream(name, data, Kind.MALICIOUS)


@dataclasses.dataclass(frozen=True)
class Answered:
    """What an origin answers to one request. For odd ones, `tolerated` are bodies that an engine may make of
    it where the strict reading finds a fault. `held`: of the request's body, sent once it is answered."""

    name: str
    script: Script
    kind: Kind
    needs: frozenset[Need] = frozenset()
    method: bytes = b"GET"
    body: bytes = b""
    held: bytes = b""
    tolerated: tuple[bytes, ...] = ()

    @property
    def data(self) -> bytes:
        return b"".join(self.script.pieces)

    @functools.cached_property
    def reading(self) -> ResponseReader:
        return read_responses(self.data, self.method, closed=self.script.ending == "fin")

    @property
    def whole(self) -> Response | None:
        """The answer, if it is one. What comes behind it is nobody's."""
        return self.reading.responses[0] if self.reading.responses else None

    @property
    def excess(self) -> bool:
        """Whether something is behind the answer, or nobody can say where that ends."""
        return bool(self.reading.fault or read_responses(self.data[:-1], self.method, closed=False).responses)
