"""More than one request, and those that end early, wait, or want another protocol."""

from __future__ import annotations

from collections.abc import Iterator

from differential.corpus.lengths import EVIL
from differential.corpus.lines import request
from differential.streams import HOST, Need, Stream, malicious, odd, valid

HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def get(number: int, *fields: bytes) -> bytes:
    return request(b"GET /%d HTTP/1.1" % number, *fields)


def post(number: int, size: int = 5) -> bytes:
    return request(
        b"POST /%d HTTP/1.1" % number, b"Content-Length: %d" % size, body=b"%x" % (number % 16) * size
    )


def chunks(number: int) -> bytes:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (number, b"c" * number) if number else b"0\r\n\r\n"
    return request(b"POST /%d HTTP/1.1" % number, b"Transfer-Encoding: chunked", body=body)


def streams() -> Iterator[Stream]:
    yield from pipelines()
    yield from after_close()
    yield from expects()
    yield from upgrades()
    yield from cut_short()
    yield from half_closed()


def pipelines() -> Iterator[Stream]:
    for count in range(2, 21):
        for name, make in (("GET", get), ("POST", post), ("chunks", chunks)):
            data = b"".join(make(number) for number in range(count))
            yield valid(f"{count} {name}", data, Need.PIPELINE, count=count)
        makes = (get, post, chunks)
        mixed = b"".join(makes[number % 3](number) for number in range(count))
        yield valid(f"{count} mixed", mixed, Need.PIPELINE, count=count)
    yield valid("HEAD and GET", request(b"HEAD /1 HTTP/1.1") + get(2), Need.PIPELINE, count=2)
    yield valid("GET, HEAD, GET", get(1) + request(b"HEAD /2 HTTP/1.1") + get(3), Need.PIPELINE, count=3)
    yield valid(
        "empty lines between", get(1) + b"\r\n" + get(2) + b"\r\n\r\n" + post(3), Need.PIPELINE, count=3
    )
    yield valid("an empty line behind a body", post(1) + b"\r\n" + get(2), Need.PIPELINE, count=2)
    yield valid("two large bodies", post(1, 50_000) + post(2, 50_000), Need.PIPELINE, count=2)
    bad = {
        "two Hosts": request(b"GET /bad HTTP/1.1", b"Host: evil"),
        "a length and chunks": request(
            b"POST /bad HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=HELLO
        ),
        "noise": b"\x01\x02\x03\r\n\r\n",
        "HTTP/1.0": request(b"GET /bad HTTP/1.0"),
        "HTTP/0.9": b"GET /bad\r\n\r\n",
        "bare LF": get(9).replace(b"\r\n", b"\n"),
        "a space before the colon": request(b"GET /bad HTTP/1.1", b"X : y"),
        "the preface of h2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    }
    for name, data in bad.items():
        for count in (1, 2, 5):
            good = b"".join(get(number) for number in range(count))
            yield malicious(f"{count} good, then {name}", good + data)
            yield malicious(f"{count} good, then {name}, then good", good + data + get(99))
        yield malicious(f"POST, then {name}", post(1) + data)
        yield malicious(f"chunks, then {name}", chunks(1) + data)
        yield malicious(f"{name}, then good", data + get(1))


def after_close() -> Iterator[Stream]:
    close = b"Connection: close"
    for name, rest in {
        "a request": get(2),
        "noise": b"\x01\x02",
        "two": get(2) + get(3),
        "half a request": b"GET /2 HT",
    }.items():
        yield odd(f"close, then {name}", get(1, close) + rest)
        body = request(b"POST /1 HTTP/1.1", close, b"Content-Length: 5", body=b"hello")
        yield odd(f"close with a body, then {name}", body + rest)
    yield valid("close", get(1, close))
    yield valid("two, the second closes", get(1) + get(2, close), Need.PIPELINE, count=2)
    yield odd("close among others", get(1, b"Connection: x, Close ,y") + get(2))
    yield odd("keep-alive and close", get(1, b"Connection: keep-alive", close) + get(2))
    yield odd("closed is not close", get(1, b"Connection: closed") + get(2))


def expects() -> Iterator[Stream]:
    expect, length = b"Expect: 100-continue", b"Content-Length: 5"
    post = b"POST /x HTTP/1.1"
    yield valid(
        "expect, the body follows at once", request(post, expect, length, body=b"hello"), Need.EXPECT_LATE
    )
    chunked = request(post, expect, b"Transfer-Encoding: chunked", body=HELLO)
    yield valid("expect, chunks follow at once", chunked, Need.EXPECT_LATE)
    yield valid(
        "expect, then another",
        request(post, expect, length, body=b"hello") + get(2),
        Need.EXPECT_LATE,
        Need.PIPELINE,
        count=2,
    )
    yield valid(
        "expect in capitals", request(post, b"EXPECT: 100-CONTINUE", length, body=b"hello"), Need.EXPECT_LATE
    )
    yield odd("expect without a body", request(post, expect))
    yield odd("expect with length 0", request(post, expect, b"Content-Length: 0"))
    yield odd("expect with GET", get(1, expect))
    yield odd("expect with GET, then another", get(1, expect) + get(2))
    yield odd("expect, and no body comes", request(post, expect, length))
    for value in (
        b"",
        b"x",
        b"100",
        b"100-continue, x",
        b"200-ok",
        b"100-continue;q=1",
        b"100 -continue",
        b"100-continue x",
        b"y 100-continue",
    ):
        yield odd(f"expect {value.decode()!r}", request(post, b"Expect: " + value, length, body=b"hello"))
        yield odd(
            f"expect {value.decode()!r}, and a request for a body",
            request(post, b"Expect: " + value, b"Content-Length: %d" % len(EVIL), body=EVIL),
        )
    yield odd("expect twice", request(post, expect, expect, length, body=b"hello"))
    yield malicious(
        "expect, a length and chunks",
        request(post, expect, length, b"Transfer-Encoding: chunked", body=HELLO),
    )


def upgrades() -> Iterator[Stream]:
    key = (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")
    for name, fields in {
        "websocket": (b"Connection: Upgrade", b"Upgrade: websocket", *key),
        "h2c": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        "h2c without settings": (b"Connection: Upgrade", b"Upgrade: h2c"),
        "TLS": (b"Connection: Upgrade", b"Upgrade: TLS/1.2"),
        "two": (b"Connection: upgrade", b"Upgrade: h2c, websocket"),
        "nothing": (b"Connection: Upgrade",),
        "unsaid": (b"Upgrade: websocket",),
        "empty": (b"Connection: Upgrade", b"Upgrade:"),
        "twice": (b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c"),
    }.items():
        yield odd(f"upgrade to {name}", request(b"GET /u HTTP/1.1", *fields))
        yield odd(f"upgrade to {name}, then a request", request(b"GET /u HTTP/1.1", *fields) + EVIL)
        yield odd(
            f"upgrade to {name}, then frames",
            request(b"GET /u HTTP/1.1", *fields) + b"\x81\x85\x00\x00\x00\x00hello",
        )
        body = request(b"POST /u HTTP/1.1", *fields, b"Content-Length: 5", body=b"hello")
        yield odd(f"upgrade to {name} with a body", body)
        yield odd(f"upgrade to {name} with a body, then a request", body + EVIL)
        chunked = request(b"POST /u HTTP/1.1", *fields, b"Transfer-Encoding: chunked", body=HELLO)
        yield odd(f"upgrade to {name} with chunks, then a request", chunked + EVIL)
        last = (*fields, b"Connection: close")
        for what, data in {
            "": request(b"GET /u HTTP/1.1", *last),
            " with a body": request(b"POST /u HTTP/1.1", *last, b"Content-Length: 5", body=b"hello"),
            " with chunks": request(b"POST /u HTTP/1.1", *last, b"Transfer-Encoding: chunked", body=HELLO),
        }.items():
            yield odd(f"upgrade to {name} and close{what}, then a request", data + EVIL)
        both = request(
            b"POST /u HTTP/1.1", *fields, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=HELLO
        )
        yield malicious(f"upgrade to {name} with a length and chunks", both)
        smuggled = request(b"POST /u HTTP/1.1", *fields, b"Content-Length: %d" % len(EVIL), body=EVIL)
        yield odd(f"upgrade to {name} with a request for a body", smuggled)
        # Whoever takes the body for a request takes what follows, which is no HTTP, for that one's body.
        inner = b"POST /in HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n"
        outer = request(b"POST /u HTTP/1.1", *fields, b"Content-Length: %d" % len(inner), body=inner)
        behind = b"GET /behind HTTP/1.1\r\n" + HOST
        for what, rest in {
            "LF": b"X: a\nb: c\r\n\r\n",
            "NUL": b"X: a\0b\r\n\r\n",
            "two Hosts": HOST + b"\r\n",
        }.items():
            yield malicious(f"upgrade to {name} with a body that covers {what}", outer + behind + rest)


def cut_short() -> Iterator[Stream]:
    whole = request(b"POST /cut HTTP/1.1", b"X-A: b", b"Content-Length: 5", body=b"hello")
    for at in range(0, len(whole), 3):
        yield odd(f"cut at {at}", whole[:at])
        yield odd(f"a good one, then cut at {at}", get(1) + whole[:at])
    yield odd("only line ends", b"\r\n\r\n\r\n")
    yield odd("half a line end", b"\r")


def half_closed() -> Iterator[Stream]:
    for name, data in {"GET": get(1), "POST": post(1), "chunks": chunks(3)}.items():
        yield valid(f"{name}, then half closed", data, Need.HALF_CLOSE, half_close=True)
    yield valid(
        "three, then half closed",
        get(1) + post(2) + get(3),
        Need.HALF_CLOSE,
        Need.PIPELINE,
        count=3,
        half_close=True,
    )
    for name, data in {
        "nothing": b"",
        "half a head": b"GET / HTTP/1.1\r\n" + HOST,
        "half a body": post(1)[:-2],
    }.items():
        yield Stream(f"half closed after {name}", data, odd("", b"").kind, half_close=True)
