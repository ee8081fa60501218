"""How long a body is: Content-Length and Transfer-Encoding, wherever two readers may differ."""

from __future__ import annotations

from collections.abc import Iterator

from differential.corpus.lines import request
from differential.streams import HOST, Need, Stream, malicious, odd, valid

POST = b"POST /l HTTP/1.1"
EVIL = b"GET /evil HTTP/1.1\r\n" + HOST + b"\r\n"
NOTHING = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked "
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def streams() -> Iterator[Stream]:
    yield from lengths()
    yield from codings()
    yield from both()
    yield from bodies()


def lengths() -> Iterator[Stream]:
    for size in (0, 1, 2, 10, 1000, 100_000):
        yield valid(f"length {size}", request(POST, b"Content-Length: %d" % size, body=b"x" * size))
    for name in (b"content-length", b"CONTENT-LENGTH", b"cOnTeNt-LeNgTh"):
        yield valid(f"length as {name.decode()}", request(POST, name + b": 5", body=b"hello"))
    for value in (b"5 ", b"  5", b"\t5", b"5\t", b" \t5\t "):
        yield valid(f"length {value!r}", request(POST, b"Content-Length:" + value, body=b"hello"))
        yield malicious(
            f"length {value!r} and chunks", request(POST, b"Content-Length:" + value, CHUNKED, body=HELLO)
        )
    for value in (b"05", b"005", b"0000000000000000000000000005", b"00"):
        body = b"hello" if b"5" in value else b""
        yield valid(
            f"length {value.decode()}",
            request(POST, b"Content-Length: " + value, body=body),
            Need.LENGTH_ZEROS,
        )
    bad = (
        b"+5 -5 -0 -1 +0 0x5 5.0 5e0 5,5 5;5 5_0 5L five 5a a5 5/5 '5' \"5\" \xb2 \xd9\xa5 5\x00 5\x0b 5\x0c \x0b5 \x0c5 5\x7f"
        b" 9223372036854775807 9223372036854775808 18446744073709551616 18446744073709551621 4294967301x 1e1 0b101 0o5 ~5 !5 %35 ,5 5,"
        b" 99999999999999999999999999 340282366920938463463374607431768211461"
    ).split(b" ")
    for value in bad:
        yield malicious(f"length {value!r}", request(POST, b"Content-Length: " + value, body=b"hello") + EVIL)
    for value in (b"", b" ", b"5 5", b"5, 5", b"5, 6", b"6, 5", b"5 6", b"5\t5", b"- 5", b"+ 5", b"5 ,5"):
        yield malicious(f"length {value!r}", request(POST, b"Content-Length: " + value, body=b"hello") + EVIL)
    for first, second in (
        (b"5", b"5"),
        (b"5", b"6"),
        (b"6", b"5"),
        (b"5", b"0"),
        (b"0", b"5"),
        (b"5", b""),
        (b"5", b"x"),
    ):
        lines = (b"Content-Length: " + first, b"Content-Length: " + second)
        yield malicious(f"lengths {first!r} and {second!r}", request(POST, *lines, body=b"hello") + EVIL)
        apart = (lines[0], b"X: y", lines[1].lower())
        yield malicious(
            f"lengths {first!r} and {second!r}, apart", request(POST, *apart, body=b"hello") + EVIL
        )
    yield malicious("three lengths", request(POST, *[b"Content-Length: 5"] * 3, body=b"hello"))
    for value in (b"6", b"100", b"99999999999999999", b"999999999999999999"):
        yield odd(
            f"a body that ends before its length {value.decode()}",
            request(POST, b"Content-Length: " + value, body=b"hello"),
        )
    yield odd("no body comes", request(POST, b"Content-Length: 5"))
    yield odd("a body beyond its length", request(POST, b"Content-Length: 3", body=b"hello"))
    yield odd("a body and no length", request(POST, body=b"hello"))
    yield odd("a request beyond no length", request(POST) + EVIL)


def codings() -> Iterator[Stream]:
    for value in (b"chunked", b"Chunked", b"CHUNKED", b"cHuNkEd", b" chunked", b"\tchunked", b"chunked "):
        yield valid(f"coding {value!r}", request(POST, b"Transfer-Encoding:" + value, body=HELLO))
    for name in (b"transfer-encoding", b"TRANSFER-ENCODING", b"tRANSFER-eNCODING"):
        yield valid(f"coding as {name.decode()}", request(POST, name + b": chunked", body=HELLO))
    yield odd(
        "coding, and a tab", request(POST, b"Transfer-Encoding: chunked\t", body=HELLO)
    )  # llhttp wants none
    for value in CODINGS:
        yield malicious(f"coding {value!r}", request(POST, b"Transfer-Encoding:" + value, body=HELLO) + EVIL)
    for first, second in (
        (b"chunked", b"chunked"),
        (b"chunked", b"identity"),
        (b"identity", b"chunked"),
        (b"chunked", b"x"),
        (b"x", b"chunked"),
        (b"chunked", b""),
        (b"", b"chunked"),
        (b"gzip", b"chunked"),
        (b"chunked", b"gzip"),
        (b"cow", b"cow"),
    ):
        lines = (b"Transfer-Encoding: " + first, b"Transfer-encoding: " + second)
        yield malicious(f"codings {first!r} and {second!r}", request(POST, *lines, body=HELLO) + EVIL)


CODINGS = [
    *(
        b" " + value
        for value in b"identity gzip deflate compress xchunked chunkedx chunke chunk hunked x 5 chunked;".split()
    ),
    *(
        b" " + value
        for value in b"'chunked' \"chunked\" chunked;q=1 chunked,chunked chunked,identity identity,chunked".split()
    ),
    *(
        b" " + value
        for value in b"gzip,chunked chunked,gzip ,chunked chunked, x,chunked chun\\ked [chunked] <chunked>".split()
    ),
    b"",
    b" ",
    b" chunked, identity",
    b" identity, chunked",
    b" gzip, chunked",
    b" chunked , chunked",
    b" chunked x",
    b" x chunked",
    b" chun ked",
    b"\x0bchunked",
    b" \x0bchunked",
    b"\x0cchunked",
    b" chunked\x0b",
    b" chunked\x0c",
    b" chunked\x00",
    b" \x00chunked",
    b" chunked\xa0",
    b"\xa0chunked",
    b" chunked\x7f",
    b" chunked\x1f",
    b" chunked\xff",
    b" \xe2\x80\x8bchunked",
    b" chun\xc2\xadked",
    b" chunked\r",
    b"\r chunked",
    b"\n chunked",
    b" chunked\n",
    b" \nchunked",
    b" chunKed\xc5\xbf",
    b" chun\xe2\x84\xaaed",
    b" chunked; foo=bar",
    b" chunked, x",
    b" trailers",
    b" chunked\\",
    b": chunked",
    b" : chunked",
    b"=chunked",
]


def both() -> Iterator[Stream]:
    shapes = {
        "a length and chunks": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "chunks and a length": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        "a length of 0 and chunks": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        "a long length and chunks": (b"Content-Length: 60", b"Transfer-Encoding: chunked"),
        "a bad length and chunks": (b"Content-Length: x", b"Transfer-Encoding: chunked"),
        "an empty length and chunks": (b"Content-Length:", b"Transfer-Encoding: chunked"),
        "a length and identity": (b"Content-Length: 5", b"Transfer-Encoding: identity"),
        "a length and an unknown coding": (b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
        "a length and an empty coding": (b"Content-Length: 5", b"Transfer-Encoding:"),
        "a length, and chunks in capitals": (b"Content-Length: 5", b"TRANSFER-ENCODING: CHUNKED"),
        "a length, chunks twice": (
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: chunked",
        ),
        "two lengths and chunks": (b"Content-Length: 5", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "Connection hides the length": (
            b"Connection: content-length",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
        ),
        "Connection hides the coding": (
            b"Connection: transfer-encoding",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
        ),
    }
    for name, lines in shapes.items():
        for method in (b"POST", b"GET", b"PUT"):
            for what, body in (
                ("chunks", HELLO),
                ("no chunk, and a request", NOTHING + EVIL),
                ("a body", b"hello" + EVIL),
            ):
                yield malicious(
                    f"{method.decode()}: {name}, {what}", request(method + b" /l HTTP/1.1", *lines, body=body)
                )


def bodies() -> Iterator[Stream]:
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
        line = method + b" /b HTTP/1.1"
        yield valid(
            f"{method.decode()} with a body",
            request(line, b"Content-Length: 5", body=b"hello"),
            Need.BODY_ANYWHERE,
        )
        yield valid(
            f"{method.decode()} with chunks",
            request(line, b"Transfer-Encoding: chunked", body=HELLO),
            Need.BODY_ANYWHERE,
        )
        smuggled = request(line, b"Content-Length: %d" % len(EVIL), body=EVIL)
        yield valid(f"{method.decode()} with a request for a body", smuggled, Need.BODY_ANYWHERE)
        yield odd(f"{method.decode()} with a body and no length", request(line, body=b"hello"))
        yield valid(f"{method.decode()} with length 0", request(line, b"Content-Length: 0"))
    for method in (b"POST", b"PUT", b"PATCH"):
        line = method + b" /b HTTP/1.1"
        data = request(line, b"Content-Length: %d" % len(EVIL), body=EVIL)
        yield valid(f"{method.decode()} with a request for a body", data)
        two = request(line, b"Content-Length: %d" % (2 * len(EVIL)), body=EVIL * 2)
        yield valid(f"{method.decode()} with two requests for a body", two)
        chunk = b"%x\r\n%s\r\n" % (len(EVIL), EVIL) + NOTHING
        yield valid(
            f"{method.decode()} with a request in a chunk",
            request(line, b"Transfer-Encoding: chunked", body=chunk),
        )
        yield valid(f"{method.decode()} without a body", request(line))
    for body in (
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\0" * 50,
        bytes(range(256)),
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ):
        data = request(POST, b"Content-Length: %d" % len(body), body=body)
        yield valid(f"body {body[:20]!r}", data)
        yield valid(f"body {body[:20]!r}, and another request", data + EVIL, Need.PIPELINE, count=2)
