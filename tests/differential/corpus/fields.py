"""Header fields: Host, names that look alike, spaces, folding, control bytes, sizes."""

from __future__ import annotations

from collections.abc import Iterator

from differential.corpus.lines import request
from differential.streams import HOST, WEB, Need, Stream, malicious, odd, valid

GET = b"GET /f HTTP/1.1"


def headed(*fields: bytes) -> bytes:
    return request(GET, *fields)


def bare(*lines: bytes) -> bytes:
    """Without the Host that `headed` adds."""
    return GET + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def streams() -> Iterator[Stream]:
    yield from hosts()
    yield from names()
    yield from values()
    yield from folds()
    yield from sizes()
    yield from of_the_connection()
    yield from claims()


def hosts() -> Iterator[Stream]:
    one, other = b"Host: " + WEB, b"Host: other.example"
    yield malicious("no Host", bare(b"X: y"))
    yield malicious("no fields", bare())
    for name, lines in {
        "the same twice": (one, one),
        "two": (one, other),
        "two, the other first": (other, one),
        "two, apart": (one, b"X: y", other),
        "two, one empty": (one, b"Host:"),
        "two, an empty one first": (b"Host:", one),
        "two, upper case": (one, b"HOST: other.example"),
        "two, lower case": (one, b"host: other.example"),
        "three": (one, one, one),
        "two, one with a port": (one, one + b":80"),
    }.items():
        yield malicious(f"Host {name}", bare(*lines))
    for name, line in {
        "and a space before it": b" Host: other.example",
        "and a tab before it": b"\tHost: other.example",
        "and a space before its colon": b"Host : other.example",
        "and a tab before its colon": b"Host\t: other.example",
        "and a NUL in its name": b"Ho\x00st: other.example",
        "and a NUL before its colon": b"Host\x00: other.example",
        "and a vertical tab before its colon": b"Host\x0b: other.example",
        "and no-break space": b"Host\xa0: other.example",
    }.items():
        yield malicious(f"Host {name}", bare(one, line))
    for name, line in {
        "X-Host": b"X-Host: other.example",
        "Host_": b"Host_: other.example",
        "hosts": b"Hosts: a",
    }.items():
        yield valid(f"Host and {name}", bare(one, line))
    for value in (
        b":80",
        b":443",
        b":0",
        b":65536",
        b":",
        b".",
        b"..",
        b":80:80",
        b":abc",
        b"/",
        b"/a",
        b"?",
        b"#",
        b"@x",
    ):
        yield odd(f"Host with {value!r}", bare(one + value))
    for value in (
        b"",
        b" ",
        b"*",
        b"localhost",
        b"127.0.0.1",
        b"[::1]",
        b"[::1",
        b"a b",
        b"a,b",
        WEB + b"," + WEB,
        WEB + b" " + WEB,
        WEB + b"\tx",
        b"user@" + WEB,
        b"http://" + WEB,
        b"LYNCWEB.contoso.EXAMPLE",
        b"lyncweb%2econtoso.example",
        b"lyncweb.contoso.example%00",
        b"lyncweb\xe3\x80\x82contoso.example",
        b"-",
        b"a" * 5000,
    ):
        yield odd(f"Host {value[:40]!r}", bare(b"Host: " + value))
    yield malicious("Host with a NUL", bare(one + b"\x00.evil.example"))
    yield malicious("Host with a CR", bare(one + b"\r.evil.example"))
    yield malicious("Host of two values by LF", bare(one + b"\nX: y"))
    yield malicious("Host folded", bare(b"Host:", b" " + WEB))
    yield valid("Host last", bare(b"X: y", one))
    yield valid("Host without a space", bare(b"Host:" + WEB))
    yield valid("Host with tabs", bare(b"Host:\t" + WEB + b"\t"))


def names() -> Iterator[Stream]:
    for name in (
        b"X_Y",
        b"X.Y",
        b"1",
        b"!#$%&'*+-.^_`|~",
        b"x-y",
        b"-",
        b"a" * 200,
        b"Content_Length",
        b"Transfer_Encoding",
    ):
        yield valid(f"name {name.decode()[:30]}", headed(name + b": 5"))
    looks_alike = (
        b"Content-Lenght",
        b"Content-Length-",
        b"X-Content-Length",
        b"ContentLength",
        b"Content--Length",
    )
    for name in (
        *looks_alike,
        b"Transfer-Encodings",
        b"X-Transfer-Encoding",
        b"TransferEncoding",
        b"Transfer--Encoding",
    ):
        value = b"chunked" if b"ncod" in name else b"5"
        yield valid(f"name {name.decode()}", headed(name + b": " + value))
    for name in (b"Content-Length", b"Transfer-Encoding", b"Authorization", b"X"):
        value = b"chunked" if b"ncod" in name else b"5"
        for tail in (
            b" ",
            b"\t",
            b"\x00",
            b"\x0b",
            b"\x0c",
            b"\x7f",
            b"\xa0",
            b"\x85",
            b"\r",
            b"\n",
            b";",
            b",",
            b'"',
            b"\\",
            b"  ",
        ):
            yield malicious(f"name {name.decode()} and {tail!r}", headed(name + tail + b": " + value))
            yield malicious(f"{tail!r} and name {name.decode()}", headed(tail + name + b": " + value))
        middle = len(name) // 2
        for byte in (b" ", b"\x00", b"\x01", b"\xc3\xa9", b"(", b"["):
            made = name[:middle] + byte + name[middle:]
            yield malicious(f"{byte!r} in {name.decode()}", headed(made + b": " + value))
    yield malicious("empty name", headed(b": value"))
    yield malicious("only a colon", headed(b":"))
    yield malicious("no colon", headed(b"Name"))
    yield malicious("no colon, a space", headed(b"Name value"))
    yield malicious("a request for a field", headed(b"GET /evil HTTP/1.1"))
    yield malicious("colon first", headed(b":authority: a"))
    for number in range(2, 10):
        yield valid(
            f"the same name {number} times", headed(*(b"X-Same: %d" % turn for turn in range(number)))
        )
    yield valid("names in all cases", headed(b"x-case: a", b"X-CASE: b", b"X-Case: c"))


def values() -> Iterator[Stream]:
    for value in (
        b"",
        b" ",
        b"\t",
        b" \t ",
        b"a b",
        b"a\tb",
        b"  a  ",
        b":",
        b"a: b",
        b'"quoted, string"',
        b"\xc3\xa9",
        b"\xff\x80",
        b"a,,b",
        b", ,",
        b"%0d%0aX: y",
        b"\\r\\nX: y",
        b"=?utf-8?q?a?=",
        b"a" * 8000,
    ):
        yield valid(f"value {value[:20]!r}", headed(b"X-Value:" + value))
    for byte in [*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]:
        yield malicious(f"value with {byte:#x}", headed(b"X-Value: a" + bytes([byte]) + b"b"))
        yield malicious(f"value is {byte:#x}", headed(b"X-Value:" + bytes([byte])))
    yield malicious("CR and a field in a value", headed(b"X-Value: a\rHost: evil"))
    yield malicious("LF and a field in a value", headed(b"X-Value: a\nHost: evil"))
    yield malicious("CR at a value's end", headed(b"X-Value: a\r"))
    yield malicious("an end of the head in a value, by LF", headed(b"X-Value: a\n\nGET /evil HTTP/1.1"))
    yield malicious("an end of the head in a value, by CR", headed(b"X-Value: a\r\rGET /evil HTTP/1.1"))


def folds() -> Iterator[Stream]:
    for name, lines in {
        "a space": (b"X: a", b" b"),
        "a tab": (b"X: a", b"\tb"),
        "two lines": (b"X: a", b" b", b" c"),
        "an empty value": (b"X:", b" b"),
        "nothing": (b"X: a", b" "),
        "a colon": (b"X: a", b" Y: b"),
        "Content-Length": (b"X: a", b" Content-Length: 5"),
        "in Content-Length": (b"Content-Length:", b" 5"),
        "Transfer-Encoding": (b"X: a", b" Transfer-Encoding: chunked"),
        "in Transfer-Encoding": (b"Transfer-Encoding:", b" chunked"),
        "in Transfer-Encoding, by tab": (b"Transfer-Encoding:", b"\tchunked"),
        "behind a coding": (b"Transfer-Encoding: chunked", b" , identity"),
    }.items():
        yield malicious(f"folded: {name}", headed(*lines))
    yield malicious("the first line is folded", GET + b"\r\n Host: a\r\n" + HOST + b"\r\n")
    yield malicious("the first line is folded, empty", GET + b"\r\n \r\n" + HOST + b"\r\n")


def sizes() -> Iterator[Stream]:
    for count in (10, 50, 95):
        yield valid(f"{count} fields", headed(*(b"X-%d: y" % number for number in range(count))))
    for count in (101, 150, 1000):
        yield valid(f"{count} fields", headed(*(b"X-%d: y" % number for number in range(count))), Need.LARGE)
    for size in (1000, 16_000, 60_000):
        yield valid(f"a value of {size}", headed(b"X: " + b"y" * size))
    for size in (66_000, 200_000):
        yield valid(f"a value of {size}", headed(b"X: " + b"y" * size), Need.LARGE)
    yield valid("a name of 66000", headed(b"X" * 66_000 + b": y"), Need.LARGE)
    yield odd("a head without an end", GET + b"\r\n" + HOST + b"X: y\r\n" * 90)
    yield odd("a large head without an end", GET + b"\r\n" + HOST + b"X: " + b"y" * 80_000)
    yield odd("a large method", b"A" * 80_000)
    yield odd("a large target without an end", b"GET /" + b"a" * 80_000)
    yield odd("a large line of spaces", b"GET" + b" " * 80_000)
    yield odd("a large version", b"GET / HTTP/" + b"1" * 80_000)


def of_the_connection() -> Iterator[Stream]:
    for value in (
        b"keep-alive",
        b"Keep-Alive",
        b"close",
        b"CLOSE",
        b"x",
        b"x, y",
        b"",
        b"TE",
        b"host",
        b"content-length",
    ):
        yield valid(f"Connection {value.decode()}", headed(b"Connection: " + value, b"X: dropped or not"))
    yield valid(
        "Connection names Authorization", headed(b"Connection: authorization", b"Authorization: Basic YTpi")
    )
    yield odd("Connection of keep-alive and close", headed(b"Connection: keep-alive, close"))
    yield odd("Connection twice", headed(b"Connection: keep-alive", b"Connection: close"))
    body = b"Content-Length: 5"
    for value in (b"content-length", b"close, content-length", b"transfer-encoding", b"x, content-length"):
        data = request(b"POST /f HTTP/1.1", b"Connection: " + value, body, body=b"hello")
        yield valid(f"a body, and Connection {value.decode()}", data)
    chunked = request(
        b"POST /f HTTP/1.1",
        b"Connection: transfer-encoding",
        b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n",
    )
    yield valid("chunks, and Connection names the coding", chunked)
    for line in (
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Connection: close",
        b"TE: trailers",
    ):
        yield valid(f"{line.decode()}", headed(line))
    for line in (
        b"TE: gzip",
        b"TE: chunked",
        b"Trailer: X",
        b"Trailer: Content-Length",
        b"Proxy-Authorization: Basic YTpi",
    ):
        yield valid(f"{line.decode()}", headed(line))


def claims() -> Iterator[Stream]:
    """What a client says of itself, or of how the request came, and an edge says for it."""
    for line in (
        b"X-Forwarded-For: 192.0.2.1",
        b"X-Forwarded-For: 127.0.0.1, 10.0.0.1",
        b"X-Forwarded-Host: other.example",
        b"X-Forwarded-Proto: https",
        b"Forwarded: for=192.0.2.1;host=other.example",
        b"X-Real-IP: 10.0.0.1",
        b"X-Request-Id: mine",
        b"X-Original-URL: /evil",
        b"X-Rewrite-URL: /evil",
        b"X-HTTP-Method-Override: DELETE",
        b"X_Forwarded_For: 192.0.2.1",
        b"Via: 1.1 a",
        b"Max-Forwards: 0",
        b"Range: bytes=0-1",
        b"Authorization: NTLM TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAA=",
        b"Cookie: a=b; MS-WSMAN=x",
        b"HTTP2-Settings: AAMAAABkAAQAAP__",
        b"Content-Type: text/plain",
        b"Content-Encoding: gzip",
    ):
        yield valid(f"claim {line.decode()[:30]}", headed(line))
