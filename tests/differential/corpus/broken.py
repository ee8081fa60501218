"""Answers that are broken: unfinished, ambiguous, malformed, too long."""

from __future__ import annotations

from collections.abc import Iterator

from differential.corpus.answering import CHUNKED, EVIL, FIVE, HELLO, OK, PLAIN, bad, odd
from differential.origin import Script
from differential.streams import Answered, Kind


def broken() -> Iterator[Answered]:
    yield from cut_off()
    yield from ambiguous()
    yield from malformed()
    yield from too_much()
    yield from probes()


def cut_off() -> Iterator[Answered]:
    for ending in ("fin", "rst"):
        for body in (b"", b"h", b"hell"):
            yield bad(f"{len(body)} of a length of 5, {ending}", OK + FIVE + b"\r\n" + body, ending)
        yield bad(
            f"half of a large body, {ending}", OK + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000, ending
        )
        head = OK + CHUNKED + b"\r\n"
        whole = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        for at in range(len(whole)):
            yield bad(f"chunks cut at {at}, {ending}", head + whole[:at], ending)
        yield bad(f"trailers cut off, {ending}", head + b"5\r\nhello\r\n0\r\nX: y\r\n", ending)
        for at in range(0, len(PLAIN) - 6, 3):
            yield bad(f"a head cut at {at}, {ending}", PLAIN[:at], ending)
        yield bad(f"a poll's head, {ending}", OK + b"Content-Length: 500\r\n\r\n", ending)


def ambiguous() -> Iterator[Answered]:
    """Two readers may differ about the end."""
    for name, fields in {
        "a length and chunks": FIVE + CHUNKED,
        "chunks and a length": CHUNKED + FIVE,
        "two lengths": FIVE + b"Content-Length: 6\r\n",
        "two lengths, a long one first": b"Content-Length: 6\r\n" + FIVE,
        "a list of lengths": b"Content-Length: 5, 6\r\n",
        "a negative length": b"Content-Length: -5\r\n",
        "a length with a sign": b"Content-Length: +5\r\n",
        "a length in hex": b"Content-Length: 0x5\r\n",
        "a length with letters": b"Content-Length: 5a\r\n",
        "an empty length": b"Content-Length:\r\n",
        "a length beyond 64 bits": b"Content-Length: 18446744073709551621\r\n",
        "a length beyond 63 bits": b"Content-Length: 9223372036854775813\r\n",
        "a space before the length's colon": b"Content-Length : 5\r\n",
        "a folded length": b"Content-Length:\r\n 5\r\n",
        "chunked twice": CHUNKED + CHUNKED,
        "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "gzip": b"Transfer-Encoding: gzip\r\n",
        "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "chunked, gzip": b"Transfer-Encoding: chunked, gzip\r\n",
        "identity, and chunked": b"Transfer-Encoding: identity\r\n" + CHUNKED,
        "an empty coding": b"Transfer-Encoding:\r\n",
        "a vertical tab before chunked": b"Transfer-Encoding: \x0bchunked\r\n",
        "a space before the coding's colon": b"Transfer-Encoding : chunked\r\n",
        "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n",
    }.items():
        yield bad(f"ambiguous: {name}, a body", OK + fields + b"\r\nhello")
        yield bad(f"ambiguous: {name}, chunks", OK + fields + b"\r\n" + HELLO)
        yield bad(f"ambiguous: {name}, kept open", OK + fields + b"\r\n" + HELLO + EVIL, "rst")
    # The same length twice has one meaning, and RFC 9110 §8.6 allows to take it so.
    for name, fields in {
        "two equal lengths": FIVE + FIVE,
        "a list of equal lengths": b"Content-Length: 5, 5\r\n",
    }.items():
        yield odd(name, OK + fields + b"\r\nhello", b"hello")


def malformed() -> Iterator[Answered]:
    for line in (
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 000 OK",
        b"HTTP/2.0 200 OK",
        b"HTTP/2 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/1.11 200 OK",
        b"http/1.1 200 OK",
        b"HTTP 200 OK",
        b"ICY 200 OK",
        b" HTTP/1.1 200 OK",
        b"GET / HTTP/1.1",
        b"HTTP/1.1\x00200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 2OO OK",
        b"<html>",
    ):
        yield bad(f"status line {line!r}", line + b"\r\n" + FIVE + b"\r\nhello")
    for line in (
        b"HTTP/1.1 200",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200\tOK",
        b"HTTP/1.1 200  OK",
        b"HTTP/1.1 999 OK",
    ):
        yield odd(f"status line {line!r}", line + b"\r\n" + FIVE + b"\r\nhello", b"hello", ending="keep")
    yield bad("HTTP/0.9", b"hello")
    yield bad("nothing", b"")
    yield bad("nothing, reset", b"", "rst")
    yield bad("noise", bytes(range(128, 256)))
    yield bad("zeros", bytes(200))
    yield bad("TLS alert", bytes.fromhex("15030300020228"))
    yield bad("h2 frames", bytes.fromhex("000000040000000000"))
    yield odd("empty lines before", b"\r\n\r\n" + PLAIN, b"hello")
    # These have one meaning to those who take them at all; what the client is given must be clean.
    yield odd("bare LF everywhere", PLAIN.replace(b"\r\n", b"\n"), b"hello")
    yield odd("bare LF after the status", PLAIN.replace(b"\r\n", b"\n", 1), b"hello")
    yield odd("bare LF after a field", OK + b"X: y\n" + FIVE + b"\r\nhello", b"hello")
    yield odd("bare LF at the end of the head", OK + FIVE + b"\nhello", b"hello")
    yield odd("folded", OK + b"X: a\r\n b\r\n" + FIVE + b"\r\nhello", b"hello")
    yield odd("folded by a tab", OK + b"X: a\r\n\tb\r\n" + FIVE + b"\r\nhello", b"hello")
    for name in (b"X ", b" X", b"X\x00", b"X(", b"", b"X\xc3\xa9", b"X Y"):
        yield odd(f"name {name!r}", OK + name + b": y\r\n" + FIVE + b"\r\nhello", b"hello")
    yield odd("a line without a colon", OK + b"Name\r\n" + FIVE + b"\r\nhello", b"hello")
    for byte in [*range(0x09), 0x0B, 0x0C, 0x0D, *range(0x0E, 0x20), 0x7F]:
        yield odd(
            f"value with {byte:#04x}", OK + b"X: a" + bytes([byte]) + b"b\r\n" + FIVE + b"\r\nhello", b"hello"
        )


def too_much() -> Iterator[Answered]:
    """An answer, and bytes behind it: they belong to nobody."""
    for rest in (
        b"x",
        b"\r\n",
        b"\n",
        b"0\r\n\r\n",
        EVIL,
        EVIL * 3,
        EVIL[:10],
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"x" * 70_000,
    ):
        for ending in ("keep", "fin"):
            for name, head in {
                "a length": PLAIN,
                "chunks": OK + CHUNKED + b"\r\n" + HELLO,
                "no body": OK + b"Content-Length: 0\r\n\r\n",
            }.items():
                yield odd(f"{name}, and {rest[:12]!r} ({len(rest)}), {ending}", head + rest, ending=ending)
    later = [PLAIN, EVIL]
    yield Answered("a second answer of its own", Script(tuple(later)), Kind.ODD)
    yield Answered(
        "two, and 408",
        Script((PLAIN, b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"), "fin"),
        Kind.ODD,
    )


def probes() -> Iterator[Answered]:
    """Bytes that some reader takes for others, where they decide how long a body is."""
    for byte in (0x00, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x2C, 0x30, 0x3B, 0x7F, 0x80, 0x85, 0xA0, 0xFF):
        it = bytes([byte])
        for name, data in {
            "behind a length": OK + b"Content-Length: 5" + it + b"\r\n\r\nhello",
            "before a length": OK + b"Content-Length:" + it + b"5\r\n\r\nhello",
            "behind the name of a length": OK + b"Content-Length" + it + b": 5\r\n\r\nhello",
            "behind a coding": OK + b"Transfer-Encoding: chunked" + it + b"\r\n\r\n" + HELLO,
            "before a coding": OK + b"Transfer-Encoding:" + it + b"chunked\r\n\r\n" + HELLO,
            "behind the name of a coding": OK + b"Transfer-Encoding" + it + b": chunked\r\n\r\n" + HELLO,
            "behind a chunk's size": OK + CHUNKED + b"\r\n5" + it + b"\r\nhello\r\n0\r\n\r\n",
            "before a chunk's size": OK + CHUNKED + b"\r\n" + it + b"5\r\nhello\r\n0\r\n\r\n",
            "behind a chunk": OK + CHUNKED + b"\r\n5\r\nhello" + it + b"\r\n0\r\n\r\n",
        }.items():
            # White space and bare LF that somebody may take; an extension without a name.
            tolerated = (
                (b"hello",) if it in b"\n\t " or (it == b";" and name == "behind a chunk's size") else ()
            )
            yield odd(f"{byte:#04x} {name}", data, *tolerated)
