"""What origins answer: good, odd, ambiguous, unfinished, and too much."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from differential.corpus.answering import CHUNKED, EVIL, FIVE, HELLO, OK, PLAIN, bad, good, odd
from differential.corpus.broken import broken
from differential.corpus.generated import SEED, TOKEN, VALUE
from differential.drive import byte_by_byte, cut_at
from differential.origin import Script
from differential.streams import Answered, Kind, Need


def answers() -> Iterator[Answered]:
    by_hand = [
        *plain(),
        *interim(),
        *without_body(),
        *in_chunks(),
        *until_the_end(),
        *early(),
        *old(),
        *broken(),
    ]
    yield from by_hand
    yield from made(200)
    yield from in_pieces(by_hand)
    yield from found_by_fuzzing()


def found_by_fuzzing() -> Iterator[Answered]:
    yield odd(  # llhttp reads on for them
        "103 with chunks and trailers",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n" + PLAIN,
        ending="keep",
    )


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
