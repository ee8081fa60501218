"""Request lines and line ends: methods, targets, versions, forms, other protocols."""

from __future__ import annotations

from collections.abc import Iterator

from differential.streams import HOST, WEB, Need, Stream, malicious, odd, valid

END = HOST + b"\r\n"
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
RARE = (
    b"PROPFIND",
    b"MKCOL",
    b"REPORT",
    b"SUBSCRIBE",
    b"M-SEARCH",
    b"SEARCH",
    b"QUERY",
    b"TRACE",
    b"BREW",
    b"G",
)


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return line + b"\r\n" + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def streams() -> Iterator[Stream]:
    yield from methods()
    yield from targets()
    yield from forms()
    yield from versions()
    yield from line_ends()
    yield from other_protocols()


def methods() -> Iterator[Stream]:
    for method in METHODS:
        yield valid(f"method {method.decode()}", request(method + b" /m HTTP/1.1"))
    for method in RARE:
        yield valid(f"method {method.decode()}", request(method + b" /m HTTP/1.1"), Need.METHODS)
    for method in (b"get", b"Get", b"GeT", b"gET", b"post", b"!#$%&'*+-.^_`|~", b"GET1", b"GETT", b"X" * 300):
        yield odd(f"method {method.decode()[:20]}", request(method + b" /m HTTP/1.1"))
    for method in (
        b"G@T",
        b"GE(T",
        b"GET:",
        b"GET,",
        b'"GET"',
        b"<GET>",
        b"GET/",
        b"GE\tT",
        b"GE\x00T",
        b"G\xc9T",
    ):
        yield malicious(f"method {method!r}", request(method + b" /m HTTP/1.1"))
    yield malicious("no method", request(b" /m HTTP/1.1"))
    yield malicious("only a target", request(b"/m HTTP/1.1"))
    yield malicious("CONNECT", b"CONNECT " + WEB + b":443 HTTP/1.1\r\nHost: " + WEB + b":443\r\n\r\n")
    yield malicious(
        "CONNECT, and a request inside", request(b"CONNECT a:1 HTTP/1.1") + request(b"GET /in HTTP/1.1")
    )
    yield malicious("CONNECT with a path", request(b"CONNECT /m HTTP/1.1"))


def targets() -> Iterator[Stream]:
    good = (
        b"/ /a /a/ /a//b //a ///a /a?b=c /a?b=c?d /?a=b&c=d /a;b=c /%41 /a%20b /a%2Fb /(S(abc))/a /~a /a'b /a!b"
        b" /a+b /a,b /a:b /a@b /a=b /$metadata /a*b /a&b /?/../ /?http://other/ /?%00 /Reach/sip.svc/mex"
    ).split()
    for target in good:
        yield valid(f"target {target.decode()}", request(b"GET " + target + b" HTTP/1.1"))
    strange = (
        rb"/a/./b /a/../b /../a /%2e%2e/a /..%2fa /a%00b /a%0d%0ab /a%zz /% /%u0041 /a\b /\a /a|b /a^b /a`b /{a} /<a>"
        rb' /"a" /[a] /a%5cb /.%2e/a /%252e%252e/a /a/..;/b /;/a //.. /%c0%ae/a'
    ).split()
    for target in strange:
        yield odd(f"target {target.decode()}", request(b"GET " + target + b" HTTP/1.1"))
    for target in (b"a", b"a/b", b"?a=b", b"lyncweb.contoso.example", b"../a", b"\\a", b"@a/", b":80/"):
        yield malicious(f"target {target!r}", request(b"GET " + target + b" HTTP/1.1"))
    for target in (
        b"/a b",
        b"/a\tb",
        b"/a\x00b",
        b"/a\x0bb",
        b"/a\x0cb",
        b"/a\x7fb",
        b"/a\xc3\xa9",
        b"/a\xa0b",
        b"/a#b",
        b"/#",
        b"/?#",
        b"#",
    ):
        yield malicious(f"target {target!r}", request(b"GET " + target + b" HTTP/1.1"))
    for size in (1000, 4000, 8000):
        yield valid(f"target of {size}", request(b"GET /" + b"a" * size + b" HTTP/1.1"))
    for size in (9_000, 20_000, 70_000):
        yield valid(f"target of {size}", request(b"GET /" + b"a" * size + b" HTTP/1.1"), Need.LARGE)


def forms() -> Iterator[Stream]:
    for target in (
        b"http://" + WEB + b"/a",
        b"http://" + WEB + b"/a?b=c",
        b"http://" + WEB,
        b"http://" + WEB + b"/",
        b"HTTP://LYNCWEB.CONTOSO.EXAMPLE/a",
        b"http://" + WEB + b":80/a",
    ):
        yield valid(f"absolute {target.decode()}", request(b"GET " + target + b" HTTP/1.1"), Need.ABSOLUTE)
    post = request(b"POST http://" + WEB + b"/a HTTP/1.1", b"Content-Length: 2", body=b"hi")
    yield valid("absolute POST", post, Need.ABSOLUTE)
    for target in (
        b"http://other.example/a",
        b"http://meet.contoso.example/a",
        b"https://" + WEB + b"/a",
        b"http://" + WEB + b"?a=b",
        b"http://" + WEB + b":8080/a",
        b"http://" + WEB + b".evil.example/a",
        b"http://" + WEB + b"//a",
        b"http://[::1]/a",
        b"http://127.0.0.1/a",
    ):
        yield odd(f"absolute {target.decode()}", request(b"GET " + target + b" HTTP/1.1"))
    for target in (
        b"http://user@" + WEB + b"/a",
        b"http://other.example@" + WEB + b"/a",
        b"http:///a",
        b"http:/a",
        b"http:a",
        b"http://",
        b"ftp://" + WEB + b"/a",
        b"file:///etc/passwd",
        b"ws://" + WEB + b"/a",
        b"gopher://" + WEB + b"/a",
        b"//" + WEB,
        b"http://" + WEB + b" /a",
        b"http://" + WEB + b"\\@other.example/a",
        b"http://" + WEB + b"#@other.example/a",
    ):
        kind = odd if target.startswith(b"//") else malicious
        yield kind(f"absolute {target.decode()}", request(b"GET " + target + b" HTTP/1.1"))
    other = b"GET http://" + WEB + b"/a HTTP/1.1\r\nHost: %s\r\n\r\n"
    for host in (b"other.example", b"meet.contoso.example", b"", WEB + b":81"):
        yield odd(f"absolute, and Host {host.decode()}", other % host)
    yield malicious("absolute without Host", b"GET http://" + WEB + b"/a HTTP/1.1\r\n\r\n")
    yield valid("asterisk", request(b"OPTIONS * HTTP/1.1"), Need.ASTERISK)
    yield odd("asterisk, absolute", request(b"OPTIONS http://" + WEB + b" HTTP/1.1"))
    for target in (b"**", b"*/", b"*?a"):
        yield malicious(f"asterisk and more {target!r}", request(b"OPTIONS " + target + b" HTTP/1.1"))
    for method in (b"GET", b"POST", b"HEAD", b"DELETE"):
        yield odd(f"asterisk with {method!r}", request(method + b" * HTTP/1.1"))
    yield malicious("authority with GET", request(b"GET " + WEB + b":443 HTTP/1.1"))


def versions() -> Iterator[Stream]:
    known = b"HTTP/1.0 HTTP/0.9 HTTP/2.0 HTTP/2 HTTP/3 HTTP/1.2 HTTP/1.9 HTTP/1.10 HTTP/1.01 HTTP/01.1 HTTP/1 HTTP/11"
    strange = b"http/1.1 Http/1.1 HTTP1.1 HTTP-1.1 HTTP/1,1 HTTP/1.1x HTTP/x.y HTTP/-1.1 HTTP/+1.1 HTTP/1.1.1 HTTPS/1.1"
    more = (
        b"HTTP/ HTTP //1.1 HTTP/1.\xb9 ICE/1.0 RTSP/1.0 SIP/2.0 HTTP/99999999999.1 JUNK HTTP/1.1, HTTP/1.1;"
    )
    for version in (known + b" " + strange + b" " + more).split(b" "):
        yield malicious(f"version {version!r}", request(b"GET /v " + version))
    yield malicious("version twice", request(b"GET /v HTTP/1.1 HTTP/1.1"))
    yield malicious("no version", request(b"GET /v"))
    yield malicious("no version, a space", request(b"GET /v "))
    yield odd("HTTP/0.9", b"GET /\r\n")  # whoever has said so much may go on
    yield malicious("HTTP/0.9 of old", b"GET /\r\n\r\n")
    yield malicious("1.0 that keeps alive", request(b"GET /v HTTP/1.0", b"Connection: keep-alive") * 2)
    yield malicious(
        "1.0 in chunks", request(b"POST /v HTTP/1.0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")
    )
    yield malicious("1.0 without Host", b"GET /v HTTP/1.0\r\n\r\n")


def line_ends() -> Iterator[Stream]:
    plain = request(b"GET /e HTTP/1.1", b"X-A: b")
    places = [at for at in range(len(plain)) if plain[at : at + 2] == b"\r\n"]
    for number, at in enumerate(places):
        before, after = plain[:at], plain[at + 2 :]
        yield malicious(f"bare LF at line {number}", before + b"\n" + after)
        yield malicious(f"bare CR at line {number}", before + b"\r" + after + b"\r\n")
        yield malicious(f"LF CR at line {number}", before + b"\n\r" + after)
        yield malicious(f"CR CR LF at line {number}", before + b"\r\r\n" + after)
        if number < len(places) - 1:  # behind the last it is body, or the next request
            yield odd(f"CR LF LF at line {number}", before + b"\r\n\n" + after)
        yield malicious(f"vertical tab at line {number}", before + b"\x0b\r\n" + after)
        yield malicious(f"form feed at line {number}", before + b"\x0c\r\n" + after)
        yield odd(f"NEL at line {number}", before + b"\x85" + after + b"\n\r\n")
    yield malicious("all LF", plain.replace(b"\r\n", b"\n"))
    yield malicious("all CR", plain.replace(b"\r\n", b"\r") + b"\r\n")
    for count in (1, 2, 3, 5, 50):
        yield valid(f"{count} empty lines before", b"\r\n" * count + plain)
    for before in (
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\r\n",
        b" ",
        b"\t",
        b" \r\n",
        b"\x00",
        b"\x00\r\n",
        b"\xef\xbb\xbf",
        b"\x0b",
    ):
        yield odd(f"{before!r} before", before + plain)
    for line in (
        b"GET  /s HTTP/1.1",
        b"GET /s  HTTP/1.1",
        b"GET" + b" " * 50 + b"/s" + b" " * 50 + b"HTTP/1.1",
    ):
        yield odd(f"line {line!r}", request(line))
        yield odd(f"line {line!r}, and another request", request(line) + request(b"GET /other HTTP/1.1"))
    for line in (
        b" GET /s HTTP/1.1",
        b"GET /s HTTP/1.1 ",
        b"GET\t/s\tHTTP/1.1",
        b"GET\t/s HTTP/1.1",
        b"GET /s\tHTTP/1.1",
        b"GET /s HTTP/1.1\t",
        b"GET\x0b/s HTTP/1.1",
        b"GET\x0c/s HTTP/1.1",
        b"GET\xa0/s HTTP/1.1",
        b"GET /s x HTTP/1.1",
        b"GET /s HTTP/ 1.1",
        b"GET /s HTTP /1.1",
        b"GET /s HTTP/1 .1",
        b"GET /s HTTP/1.1\x00",
        b"GET\x00/s HTTP/1.1",
        b"GET HTTP/1.1",
        b"GET",
        b"GET ",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 GET /s",
    ):
        yield malicious(f"line {line!r}", request(line))


def other_protocols() -> Iterator[Stream]:
    yield malicious(
        "h2 prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    )
    yield malicious("h2 preface, cut", b"PRI * HTTP/2.0\r\n\r\n")
    yield malicious("TLS", bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" + bytes(64) + b"\n")
    yield odd("TLS, nothing like a line", bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" + bytes(64))
    yield malicious("SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
    yield malicious("SMTP", b"EHLO a\r\n")
    yield malicious("SIP", b"REGISTER sip:contoso.example SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1\r\n\r\n")
    yield malicious("RTSP", b"OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    yield malicious("PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request(b"GET / HTTP/1.1"))
    yield odd(
        "PROXY protocol 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + request(b"GET / HTTP/1.1")
    )
    yield malicious("FastCGI-like", bytes.fromhex("0101000100080000") + b"\r\n")
    yield odd("bytes above 127", bytes(range(128, 256)))
    yield odd("zeros", bytes(300))
    yield malicious("a line of noise", b"\x93\x11 \x01\x00\xff\r\n\r\n")
    yield malicious("JSON", b'{"jsonrpc": "2.0", "method": "eth_submitLogin"}\n')
    yield malicious("redis", b"*1\r\n$4\r\nPING\r\n")
