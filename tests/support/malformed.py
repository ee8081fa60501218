"""Requests that an edge refuses, each with the word it must have for it."""

from __future__ import annotations

from lyncgate.edge.framing import Fault

HOST = b"Host: lyncweb.contoso.example\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED = {
    "bare LF": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF after a field": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "CR in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"X : a\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\n" + HOST + b": a\r\n\r\n",
    "bracket in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X(: a\r\n\r\n",
    "fragment in the target": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "control byte in the target": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "high byte in the target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "length with a zero before": POST + b"Content-Length: 03\r\n\r\nabc",
    "length in hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "length beyond 63 bits": POST + b"Content-Length: 9223372036854775808\r\n\r\n",
    "coding that is not chunked": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "coding before chunked": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "codings on two lines": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding in disguise": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding after a tab byte": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunk size that is none": CHUNKED + b"zz\r\n",
    "chunk with bare LF": CHUNKED + b"3\nabc\n0\n\n",
    "chunk longer than said": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    "bare LF behind the body of a request to upgrade": POST
    + b"Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 70\r\n\r\n"
    + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n".ljust(70, b"x")
    + b"GET / HTTP/1.1\nHost: a\n\n",
    "CONNECT with a body": b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "method in lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 preface, its head": b"PRI * HTTP/2.0\r\n\r\n",
    "HTTP/3.7": b"GET / HTTP/3.7\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "garbage": bytes(range(128, 256)),
    "data after Connection: close": b"GET / HTTP/1.1\r\nConnection: close\r\n"
    + HOST
    + b"\r\nGET / HTTP/1.1\r\n",
}

REFUSED = {name: (data, Fault.MALFORMED) for name, data in MALFORMED.items()} | {
    "two Hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", Fault.HOST),
    "two Hosts, one in upper case": (b"GET / HTTP/1.1\r\n" + HOST + b"HOST: b\r\n\r\n", Fault.HOST),
    "no Host": (b"GET / HTTP/1.1\r\nX: a\r\n\r\n", Fault.HOST),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", Fault.VERSION),
    "HTTP/0.9": (b"GET /\r\n\r\n", Fault.VERSION),
    "trailers": (
        CHUNKED + b"0\r\nHost: evil\r\n\r\n",
        Fault.TRAILERS,
    ),
    "SIP": (b"REGISTER sip:contoso.example SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1\r\n\r\n", Fault.SIP),
    "SIP OPTIONS": (b"OPTIONS sip:contoso.example SIP/2.0\r\nMax-Forwards: 70\r\n\r\n", Fault.SIP),
}  # fmt: skip
