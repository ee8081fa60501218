"""What origins answer: good, odd, ambiguous, unfinished, and too much."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from differential.corpus.generated import SEED, TOKEN, VALUE
from differential.drive import byte_by_byte, cut_at
from differential.origin import Script
from differential.streams import Answered, Kind, Need

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
PLAIN = OK + FIVE + b"\r\nhello"
EVIL = b"HTTP/1.1 200 OK\r\nX-Evil: yes\r\nContent-Length: 4\r\n\r\nevil"


def good(name: str, data: bytes, *needs: Need, ending: str = "keep", method: bytes = b"GET") -> Answered:
    return Answered(name, Script((data,), ending), Kind.VALID, frozenset(needs), method)


def odd(name: str, data: bytes, *tolerated: bytes, ending: str = "fin", method: bytes = b"GET") -> Answered:
    return Answered(name, Script((data,), ending), Kind.ODD, method=method, tolerated=tolerated)


def bad(name: str, data: bytes, ending: str = "fin", method: bytes = b"GET") -> Answered:
    """Never to be taken for whole."""
    return Answered(name, Script((data,), ending), Kind.MALICIOUS, method=method)


def answers() -> Iterator[Answered]:
    by_hand = [
        *plain(),
        *interim(),
        *without_body(),
        *in_chunks(),
        *until_the_end(),
        *cut_off(),
        *ambiguous(),
        *malformed(),
        *too_much(),
        *early(),
        *old(),
        *probes(),
    ]
    yield from by_hand
    yield from made(200)
    yield from in_pieces(by_hand)


def plain() -> Iterator[Answered]:
    for status in (
        200,
        201,
        202,
        206,
        301,
        302,
        307,
        400,
        401,
        403,
        404,
        409,
        410,
        413,
        429,
        500,
        501,
        502,
        503,
        504,
        599,
    ):
        yield good(f"status {status}", b"HTTP/1.1 %d Word\r\n" % status + FIVE + b"\r\nhello")
    for reason in (b"", b"OK", b"Not Found At All", b"\xc3\xa9", b"(a) b: c", b"200"):
        yield good(f"reason {reason!r}", b"HTTP/1.1 200 " + reason + b"\r\n" + FIVE + b"\r\nhello")
    for size in (0, 1, 1000, 200_000):
        yield good(f"length {size}", OK + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
    for fields in (
        b"X-A: b\r\nX-A: c\r\n",
        b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n",
        b"Set-Cookie: a=b\r\nSet-Cookie: c=d, e\r\n",
        b"X-Empty:\r\n",
        b"X-High: \xc3\xa9\xff\r\n",
        b"Connection: close\r\n",
        b"Connection: x\r\nX: dropped or not\r\n",
        b"Keep-Alive: timeout=5\r\nConnection: Keep-Alive\r\n",
        b"Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\n",
        b"Upgrade: h2c\r\n",
        b"X-Large: " + b"y" * 30_000 + b"\r\n",
        b"X: y\r\n" * 80,
    ):
        ending = "fin" if b"close" in fields else "keep"
        yield good(f"fields {fields[:30]!r}", OK + fields + FIVE + b"\r\nhello", ending=ending)
    yield good("length in lower case", OK + b"content-length: 5\r\n\r\nhello")
    yield good("length and spaces", OK + b"Content-Length:   5 \t\r\n\r\nhello")
    yield odd("leading zeros", OK + b"Content-Length: 005\r\n\r\nhello", ending="keep")
    yield odd("a huge head", OK + b"X: " + b"y" * 300_000 + b"\r\n" + FIVE + b"\r\nhello", ending="keep")
    yield odd("a thousand fields", OK + b"X: y\r\n" * 1000 + FIVE + b"\r\nhello", ending="keep")


def interim() -> Iterator[Answered]:
    proceed, hints = (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
    )
    processing = b"HTTP/1.1 102 Processing\r\n\r\n"
    yield good("100 that nobody waited for", proceed + PLAIN)
    yield good("103", hints + PLAIN, Need.EARLY_HINTS)
    yield good("103 twice", hints * 2 + PLAIN, Need.EARLY_HINTS)
    yield good("100 and 103", proceed + hints + PLAIN, Need.EARLY_HINTS)
    yield good("102", processing + PLAIN, Need.EARLY_HINTS)
    yield good("103, then chunks", hints + OK + CHUNKED + b"\r\n" + HELLO, Need.EARLY_HINTS)
    yield good("103 to HEAD", hints + OK + FIVE + b"\r\n", Need.EARLY_HINTS, method=b"HEAD")
    yield good("103, then 304", hints + b"HTTP/1.1 304 Not Modified\r\n\r\n", Need.EARLY_HINTS)
    for count in (10, 100):
        yield odd(f"{count} times 100", proceed * count + PLAIN, ending="keep")
        yield odd(f"{count} times 103", hints * count + PLAIN, ending="keep")
    yield odd(
        "100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + PLAIN, ending="keep"
    )
    yield odd(
        "103 with chunks",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + PLAIN,
        ending="keep",
    )
    yield odd("199", b"HTTP/1.1 199 Word\r\n\r\n" + PLAIN, ending="keep")
    yield bad("only 100", proceed)
    yield bad("only 103", hints)
    yield bad("103 without an end", hints[:-2])
    yield bad("100, then noise", proceed + b"\x01\x02\x03\r\n\r\n")
    for name, head in {
        "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "101 to websocket": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "101 to h2c": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    }.items():
        yield bad(f"{name} unasked", head)
        yield bad(f"{name} unasked, then an answer", head + PLAIN)
        yield bad(f"{name} unasked, kept open", head + b"\x81\x05hello", ending="keep")


def without_body() -> Iterator[Answered]:
    for fields in (b"", FIVE, CHUNKED, b"Content-Length: 0\r\n"):
        yield good(f"HEAD, {fields!r}", OK + fields + b"\r\n", method=b"HEAD")
        yield good(f"304, {fields!r}", b"HTTP/1.1 304 Not Modified\r\n" + fields + b"\r\n")
    for fields in (b"", b"Content-Length: 0\r\n"):
        yield good(f"204, {fields!r}", b"HTTP/1.1 204 No Content\r\n" + fields + b"\r\n")
        yield good(
            f"HEAD, 204, {fields!r}", b"HTTP/1.1 204 No Content\r\n" + fields + b"\r\n", method=b"HEAD"
        )
    yield odd("204 with a length", b"HTTP/1.1 204 No Content\r\n" + FIVE + b"\r\n", ending="keep")
    yield odd("204 with chunks", b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n", ending="keep")
    yield odd("205", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", ending="keep")
    yield odd("HEAD with a length and chunks", OK + FIVE + CHUNKED + b"\r\n", ending="keep", method=b"HEAD")
    for method, head in (
        (b"HEAD", OK + FIVE),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n"),
    ):
        for rest in (b"hello", HELLO, EVIL, b"\r\n", b"\x00" * 50):
            yield odd(
                f"{method.decode()}, {head[9:12].decode()}, and {rest[:10]!r}",
                head + b"\r\n" + rest,
                ending="keep",
                method=method,
            )


def in_chunks() -> Iterator[Answered]:
    head = OK + CHUNKED + b"\r\n"
    for name, body in {
        "none": b"0\r\n\r\n",
        "one": HELLO,
        "many": b"1\r\nx\r\n" * 300 + b"0\r\n\r\n",
        "upper case": b"A\r\n0123456789\r\n0\r\n\r\n",
        "leading zeros": b"0005\r\nhello\r\n000\r\n\r\n",
        "large": b"10000\r\n" + b"x" * 65536 + b"\r\n0\r\n\r\n",
        "an answer for data": b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n",
    }.items():
        yield good(f"chunks: {name}", head + body)
    for extension in (b";a", b";a=b", b';a="b;c"', b";" + b"a" * 200):
        yield good(
            f"chunks: extension {extension[:9]!r}",
            head + b"5" + extension + b"\r\nhello\r\n0\r\n\r\n",
            Need.EXTENSIONS,
        )
    for trailer in (b"X-Trailer: y", b"X-A: 1\r\nX-B: 2", b"X-Empty:", b"Server-Timing: a;dur=1"):
        yield good(
            f"trailer {trailer[:12]!r}",
            head + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n",
            Need.ANSWER_TRAILERS,
        )
    for trailer in (
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Set-Cookie: a=b",
        b"Connection: close",
        b"Host: evil",
    ):
        yield odd(
            f"trailer {trailer!r}", head + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n", ending="keep"
        )
    for size in (
        b"x",
        b"0x5",
        b"-5",
        b"+5",
        b"5 5",
        b"",
        b" 5",
        b"g",
        b"10000000000000005",
        b"ffffffffffffffffff",
        b"5\x00",
        b"5,",
        b"5.0",
    ):
        yield bad(f"chunk size {size!r}", head + size + b"\r\nhello\r\n0\r\n\r\n")
    for name, body in {
        "LF after the size": b"5\nhello\r\n0\r\n\r\n",
        "LF after the data": b"5\r\nhello\n0\r\n\r\n",
        "none after the data": b"5\r\nhello0\r\n\r\n",
        "data longer": b"5\r\nhelloo\r\n0\r\n\r\n",
        "data shorter": b"5\r\nhell\r\n0\r\n\r\n",
        "CR after the size": b"5\rhello\r\n0\r\n\r\n",
        "LF in an extension": b"2;\nxx\r\n0\r\n\r\n",
        "CR in an extension": b"2;\rxx\r\n0\r\n\r\n",
        "no chunks at all": b"hello",
        "an answer": EVIL,
    }.items():
        yield bad(f"chunk: {name}", head + body)
    for trailer in (b"X : y", b"X", b": y", b"X: \x00", b"X: a\r\n b", b"X: a\rb", b"\x01: y"):
        yield bad(f"trailer {trailer!r}", head + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n")
    yield odd("a space after the size", head + b"5 \r\nhello\r\n0\r\n\r\n", b"hello")


def until_the_end() -> Iterator[Answered]:
    for body in (b"", b"hello", b"x" * 100_000, HELLO, EVIL, b"\r\n\r\n"):
        yield good(f"to the end of the connection: {body[:10]!r}", OK + b"\r\n" + body, ending="fin")
        close = OK + b"Connection: close\r\n\r\n" + body
        yield good(f"to the end, and close: {body[:10]!r}", close, ending="fin")
    for body in (b"", b"hello", b"x" * 100_000):
        yield bad(f"to the end, which is a reset: {len(body)}", OK + b"\r\n" + body, ending="rst")


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


def early() -> Iterator[Answered]:
    """Before the request is over."""
    for name, data in {
        "200": PLAIN,
        "413": b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "401": b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
        "chunks": OK + CHUNKED + b"\r\n" + HELLO,
    }.items():
        for ending in ("keep", "fin"):
            if b"close" in data and ending == "keep":
                continue
            script = Script((data,), ending, early=True)
            kind = Kind.VALID if ending == "keep" or b"close" in data else Kind.ODD
            yield Answered(
                f"early {name}, {ending}", script, kind, method=b"POST", body=b"12345", held=b"67890"
            )
            yield Answered(
                f"early {name}, {ending}, all sent", script, Kind.ODD, method=b"POST", body=b"1234567890"
            )
    cut = Script((OK + FIVE + b"\r\nhe",), "rst", early=True)
    yield Answered("early, and cut off", cut, Kind.MALICIOUS, method=b"POST", body=b"12345", held=b"67890")
    yield Answered(
        "reset before the body",
        Script((), "rst", early=True),
        Kind.MALICIOUS,
        method=b"POST",
        body=b"1",
        held=b"2",
    )


def old() -> Iterator[Answered]:
    ten = b"HTTP/1.0 200 OK\r\n"
    yield good("1.0 with a length", ten + FIVE + b"\r\nhello", ending="fin")
    yield good(
        "1.0 with a length, kept alive", ten + FIVE + b"Connection: keep-alive\r\n\r\nhello", ending="fin"
    )
    yield good("1.0 to the end", ten + b"\r\nhello", ending="fin")
    yield good("1.0 without a body", b"HTTP/1.0 304 Not Modified\r\n\r\n", ending="fin")
    yield bad("1.0 cut off", ten + FIVE + b"\r\nhe")
    yield bad("1.0 reset", ten + b"\r\nhello", "rst")
    yield odd("1.0 with chunks", ten + CHUNKED + b"\r\n" + HELLO, b"hello", HELLO)
    yield odd("1.0 with 100", b"HTTP/1.0 100 Continue\r\n\r\n" + PLAIN, b"hello")
    yield odd("1.0 with a length, left open", ten + FIVE + b"\r\nhello" + EVIL, ending="keep")


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


def made(count: int) -> Iterator[Answered]:
    dice = random.Random(SEED + 2)
    for number in range(count):
        status = dice.choice([200, 200, 200, 201, 302, 401, 404, 500, 503])
        fields = b""
        for _ in range(dice.randrange(8)):
            name = b"X-" + bytes(dice.choices(TOKEN, k=dice.randint(1, 10)))
            fields += name + b": " + bytes(dice.choices(VALUE, k=dice.randint(0, 20))).strip(b" \t") + b"\r\n"
        body = dice.randbytes(dice.choice([0, 1, 10, 1000, 20_000]))
        head = b"HTTP/1.1 %d Word\r\n" % status + fields
        match dice.randrange(3):
            case 0:
                yield good(f"made {number}", head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            case 1:
                cuts = sorted({0, len(body), *(dice.randint(0, len(body)) for _ in range(dice.randrange(5)))})
                chunks = b"".join(b"%x\r\n%s\r\n" % (b - a, body[a:b]) for a, b in itertools.pairwise(cuts))
                yield good(f"made {number}", head + CHUNKED + b"\r\n" + chunks + b"0\r\n\r\n")
            case 2:
                yield good(f"made {number}", head + b"\r\n" + body, ending="fin")


def in_pieces(answers: list[Answered]) -> Iterator[Answered]:
    """The short ones again, byte by byte, and cut somewhere. Nagle's algorithm is off, so a piece is a segment,
    as long as the engine keeps up."""
    dice = random.Random(SEED + 3)
    for it in answers:
        if len(it.script.pieces) != 1 or not 1 < len(it.data) < 300:
            continue
        at = dice.randrange(1, len(it.data))
        for how, pieces in (("byte by byte", byte_by_byte(it.data)), (f"cut at {at}", cut_at(it.data, at))):
            script = Script(tuple(pieces), it.script.ending, it.script.early)
            yield Answered(
                f"{it.name}, {how}", script, it.kind, it.needs, it.method, it.body, it.held, it.tolerated
            )
