"""Chunked bodies: sizes, extensions, ends, trailers."""

from __future__ import annotations

from collections.abc import Iterator

from differential.corpus.lengths import EVIL
from differential.corpus.lines import request
from differential.streams import Need, Stream, malicious, odd, valid

POST = b"POST /c HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"


def sent(body: bytes, *fields: bytes) -> bytes:
    return request(POST, CHUNKED, *fields, body=body)


def streams() -> Iterator[Stream]:
    yield from sizes()
    yield from extensions()
    yield from ends()
    yield from trailers()


def sizes() -> Iterator[Stream]:
    for name, body in {
        "none": LAST,
        "one": b"5\r\nhello\r\n" + LAST,
        "many": b"1\r\nh\r\n" * 200 + LAST,
        "upper case": b"A\r\n0123456789\r\n" + LAST,
        "lower case": b"a\r\n0123456789\r\n" + LAST,
        "leading zero": b"05\r\nhello\r\n" + LAST,
        "leading zeros": b"0000000005\r\nhello\r\n" + LAST,
        "many zeros at the end": b"5\r\nhello\r\n0000\r\n\r\n",
        "large": b"10000\r\n" + b"x" * 65536 + b"\r\n" + LAST,
        "large and small": b"1\r\nx\r\n4000\r\n" + b"y" * 16384 + b"\r\n1\r\nz\r\n" + LAST,
        "line ends for data": b"4\r\n\r\n\r\n\r\n" + LAST,
        "chunks for data": b"a\r\n5\r\nhello\r\n\r\n" + LAST,
        "a last chunk for data": b"5\r\n0\r\n\r\n\r\n" + LAST,
    }.items():
        yield valid(f"chunks: {name}", sent(body))
        yield valid(f"chunks: {name}, and another request", sent(body) + EVIL, Need.PIPELINE, count=2)
    for size in (
        b"0x5 0X5 x5 5h h5 5g g -5 +5 -0 +0 5.0 5, ,5 5:5 '5' \"5\" 5_0 _5 0_5 \xb2 \xd9\xa5 5\x00 \x005 5\x0b \x0b5 5\x0c 5\x7f 5\xa0"
        b" 10000000000000005 100000000000000000005 fffffffffffffffff ffffffffffffffffffffffff 5/5 {5} (5) 5= =5 5! 5? 5% %35 G 5\\"
    ).split(b" "):
        yield malicious(f"chunk size {size!r}", sent(size + b"\r\nhello\r\n" + LAST) + EVIL)
    for size in (b"", b" ", b" 5", b"\t5", b"5 5", b"5 x", b"  5  ", b"- 5", b"0 x5"):
        yield malicious(f"chunk size {size!r}", sent(size + b"\r\nhello\r\n" + LAST) + EVIL)
    for size in (b"5 ", b"5\t", b"5   "):  # BWS without an extension: the grammar has none there
        yield malicious(f"chunk size {size!r}", sent(size + b"\r\nhello\r\n" + LAST) + EVIL)
    for size in (
        b"ffffffffffffffff",
        b"8000000000000000",
        b"7fffffffffffffff",
        b"ffffffff",
        b"80000000",
        b"100000005",
        b"5" * 15,
    ):
        yield odd(f"chunk size {size!r}", sent(size + b"\r\nhello\r\n" + LAST) + EVIL)
    for zeros in (20, 100, 5000):
        yield odd(f"chunk size with {zeros} zeros", sent(b"0" * zeros + b"5\r\nhello\r\n" + LAST))
    for size in (b"00x0", b"0 0", b"0;\x00", b"-0", b"0x0", b"0,0", b"0\x0b", b"00 "):
        yield malicious(f"last chunk {size!r}", sent(b"5\r\nhello\r\n" + size + b"\r\n\r\n") + EVIL)


def extensions() -> Iterator[Stream]:
    for extension in (
        b";a",
        b";a=b",
        b";a=b;c=d",
        b";a;b;c",
        b';a="b"',
        b';a="b;c"',
        b';a="b\\"c"',
        b';a=""',
        b";a=b" * 10,
        b";" + b"a" * 100,
    ):
        for where, body in {
            "chunk": b"5" + extension + b"\r\nhello\r\n" + LAST,
            "last": b"0" + extension + b"\r\n\r\n",
        }.items():
            yield valid(f"extension of the {where} {extension.decode()[:20]}", sent(body), Need.EXTENSIONS)
    for extension in (b";=b", b";a=", b" ;a", b"; a", b" ; a = b", b"\t;a", b";a =b", b";a= b"):
        yield odd(f"strange extension {extension!r}", sent(b"5" + extension + b"\r\nhello\r\n" + LAST))
    for size in (1000, 5000, 20_000, 100_000):
        yield odd(f"extension of {size}", sent(b"5;a=" + b"b" * size + b"\r\nhello\r\n" + LAST))
        yield odd(
            f"extension of {size}, on many chunks",
            sent((b"1;" + b"a" * (size // 50) + b"\r\nx\r\n") * 50 + LAST),
        )
        yield odd(f"extension of {size} without an end", sent(b"5;a=" + b"b" * size))
    for extension in (
        b";",
        b";;",
        b";a;",
        b';a="',
        b';a="b',
        b';a="b"c',
        b";a=b=c",
        b";a b",
        b";a\x00",
        b";a\x0b",
        b";a\x7f",
        b";\x01=b",
        b';a="\x00"',
        b";a=(b)",
        b",a",
        b" a",
    ):
        yield malicious(f"extension {extension!r}", sent(b"5" + extension + b"\r\nhello\r\n" + LAST) + EVIL)
    # A size line that one reader ends at LF, and another reads on to CR LF.
    hidden = b"0\r\n\r\n" + EVIL
    for extension in (
        b";\n",
        b";a\n",
        b";a=b\n",
        b"\n",
        b";a\r",
        b"\r",
        b';a="\n',
        b';a="\r\n"',
        b";\r",
        b";a\rb",
        b";\nxx",
        b";a\n\r",
    ):
        yield malicious(
            f"extension with a line end {extension!r}", sent(b"2" + extension + b"\r\nxx\r\n" + LAST) + EVIL
        )
        yield malicious(f"extension that hides {extension!r}", sent(b"5" + extension + b"xxxxx\r\n" + hidden))


def ends() -> Iterator[Stream]:
    for name, body in {
        "LF after the size": b"5\nhello\r\n" + LAST,
        "LF after the data": b"5\r\nhello\n" + LAST,
        "CR after the size": b"5\rhello\r\n" + LAST,
        "CR after the data": b"5\r\nhello\r" + LAST,
        "LF CR after the data": b"5\r\nhello\n\r" + LAST,
        "two line ends after the data": b"5\r\nhello\r\n\r\n" + LAST,
        "CR CR LF after the data": b"5\r\nhello\r\r\n" + LAST,
        "none after the data": b"5\r\nhello" + LAST,
        "two other bytes after the data": b"5\r\nhelloXX" + LAST,
        "a space after the data": b"5\r\nhello \r\n" + LAST,
        "data longer": b"5\r\nhelloo\r\n" + LAST,
        "data shorter": b"5\r\nhell\r\n" + LAST,
        "LF after the last": b"5\r\nhello\r\n0\n\r\n",
        "LF at the end": b"5\r\nhello\r\n0\r\n\n",
        "LF LF at the end": b"5\r\nhello\r\n0\n\n",
        "CR at the end": b"5\r\nhello\r\n0\r\n\rX",
        "CR CR LF at the end": b"5\r\nhello\r\n0\r\n\r\r\n",
        "LF before the first": b"\n5\r\nhello\r\n" + LAST,
        "an empty line before the first": b"\r\n5\r\nhello\r\n" + LAST,
        "a space before the first": b" 5\r\nhello\r\n" + LAST,
        "all LF": b"5\nhello\n0\n\n",
        "a request in its place": EVIL,
        "a request in the place of the last": b"5\r\nhello\r\n" + EVIL,
        "the end's first line is a request": b"5\r\nhello\r\n0\r\nGET /evil HTTP/1.1\r\n\r\n",
    }.items():
        yield malicious(f"chunk: {name}", sent(body) + EVIL)
    for name, body in {
        "nothing": b"",
        "half a size": b"1",
        "a size": b"5\r\n",
        "half a line end": b"5\r",
        "half of the data": b"5\r\nhel",
        "data": b"5\r\nhello",
        "half its end": b"5\r\nhello\r",
        "a chunk": b"5\r\nhello\r\n",
        "a zero": b"5\r\nhello\r\n0",
        "the last's line": b"5\r\nhello\r\n0\r\n",
        "half the end": b"5\r\nhello\r\n0\r\n\r",
        "half a trailer": b"5\r\nhello\r\n0\r\nX: ",
        "a trailer": b"5\r\nhello\r\n0\r\nX: y\r\n",
    }.items():
        yield odd(f"chunks end early: {name}", sent(body))


def trailers() -> Iterator[Stream]:
    good = (
        b"X-Trailer: y",
        b"X-A: 1\r\nX-B: 2",
        b"X-Empty:",
        b"Digest: sha-256=x",
        b"X: " + b"y" * 1000,
        b"Server-Timing: a",
    )
    for lines in good:
        data = sent(b"5\r\nhello\r\n0\r\n" + lines + b"\r\n\r\n", b"Trailer: X-Trailer")
        yield valid(f"trailer {lines.decode()[:30]}", data, Need.TRAILERS)
        yield valid(
            f"trailer {lines.decode()[:30]}, and another request",
            data + EVIL,
            Need.TRAILERS,
            Need.PIPELINE,
            count=2,
        )
    for line in FORBIDDEN:
        yield odd(f"trailer {line.decode()}", sent(b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n"))
        yield odd(f"trailer {line.decode()}, and another request", sent(b"0\r\n" + line + b"\r\n\r\n") + EVIL)
    for line in (
        b"X : y",
        b" X: y",
        b"X: a\r\n b",
        b": y",
        b"X",
        b"X: \x00",
        b"X: a\rb",
        b"X: a\nb",
        b"X\x00: y",
        b"X: y\n",
        b"X: y\r",
        b"\x01: y",
        b"GET /evil HTTP/1.1",
        b"Content-Length : 5",
        b"X: a\r\n\tb",
    ):
        yield malicious(f"trailer {line!r}", sent(b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n") + EVIL)
    yield odd("200 trailers", sent(b"0\r\n" + b"X: y\r\n" * 200 + b"\r\n"))
    yield odd("large trailers", sent(b"0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"))
    yield odd("trailers without an end", sent(b"0\r\nX: " + b"y" * 100_000))


FORBIDDEN = (
    b"Host: evil",
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Authorization: Basic YTpi",
    b"Cookie: a=b",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"TE: trailers",
    b"Trailer: X",
    b"Content-Type: text/html",
    b"Content-Encoding: gzip",
    b"X-Forwarded-For: 192.0.2.1",
    b"host: evil",
    b"CONTENT-LENGTH: 5",
)
