"""What a client may send as HTTP/1.1: llhttp's strict framing, and the policy's limits on heads.

mitmproxy's own parser has no size limit and lets bare line feeds, folded lines and control bytes
through. Every byte passes llhttp here first; what it refuses never reaches mitmproxy. Where the two
could differ on how long a body is, only the plain form passes: a Content-Length without leading
zeros, a Transfer-Encoding of `chunked`. Sans-I/O: `feed()` says what is wrong, the connection
answers and closes.
"""

from __future__ import annotations

import enum
import re

import httptools

from lyncgate.edge.heads import stripped
from lyncgate.policy.policy import Limits


class Fault(enum.StrEnum):
    """Why bytes were refused. A closed list: it is a metric label."""

    MALFORMED = "malformed"
    HEAD_TOO_LARGE = "head_too_large"
    TOO_MANY_HEADERS = "too_many_headers"
    URL_TOO_LONG = "url_too_long"
    HOST = "host"  # none, or more than one
    VERSION = "version"  # not HTTP/1.1
    TRAILERS = "trailers"
    PIPELINE = "pipeline"  # too much sent ahead of an answer
    HEAD_TIMEOUT = "head_timeout"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    UNKNOWN_NAME = "unknown_name"  # TLS for a name that no certificate of the listener covers
    NOT_TLS = "not_tls"  # bytes on a TLS listener that are no ClientHello
    SIP = "sip"  # a SIP client fell through to this address (protocol reference F19)


STATUS: dict[Fault, int] = {
    Fault.MALFORMED: 400,
    Fault.HEAD_TOO_LARGE: 431,
    Fault.TOO_MANY_HEADERS: 431,
    Fault.URL_TOO_LONG: 414,
    Fault.HOST: 400,
    Fault.VERSION: 505,
    Fault.TRAILERS: 400,
    Fault.PIPELINE: 400,
    Fault.HEAD_TIMEOUT: 408,
    Fault.SIP: 400,
}


# What the length fields may say. llhttp lets more through, mitmproxy less. A length of 19 digits may be
# beyond a signed number of 64 bits, and so be a negative one to a server.
LENGTH_FIELDS = {
    b"content-length": re.compile(rb"0|[1-9]\d{0,17}"),
    b"transfer-encoding": re.compile(b"(?i)chunked"),
}

# What frames or routes a message, or says who asks, is never taken from behind its body (RFC 9110 §6.5.1).
NOT_IN_TRAILERS = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"upgrade",
        b"te",
        b"trailer",
        b"expect",
    }
    | {b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"www-authenticate", b"location"}
    | {b"content-type", b"content-encoding", b"content-range", b"range", b"via", b"cache-control", b"age"}
    | {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"}
)

# A number: of bytes that are looked for in bytes Python first thinks as one, and catches its own error.
HASH = ord("#")
REQUEST_LINE = len("  HTTP/1.1\r\n")  # bytes of a request line beside method and target
HEADER_LINE = len(": \r\n")
END_OF_HEAD = len("\r\n")

# A head like one that asked to upgrade, which does not ask.
STAND_IN = b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n"
LAST = b"\r\nConnection: close"


_NO_ONES = httptools.HttpRequestParser(None)  # tells nobody


class Framing:
    """Follows one client connection. After a fault it must not be fed again. A subclass hears of each message
    by `head`, `chunk` and `end`; `url` and `fields` are the message's in `head`, its trailers in `end`."""

    trailers_pass = False  # whether whoever carries the message can pass trailers on

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fault: Fault | None = None
        self._closes = False  # the latest request says that it is the last one
        self._shut = False  # it is over, and llhttp does not know that it was
        self._start()

    def _start(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = False
        self._in_body = False
        self._framed = b""  # the field that says how long the body is
        self._standing_in = False  # for the head of a request to upgrade whose body is still to come
        self._unfinished = 0  # bytes received of a head that has not ended

    def feed(self, data: bytes) -> Fault | None:
        """Take what the client sent; None if it is good so far."""
        if self._shut:
            return self._behind(data)
        self._shared = False  # whether `data` also holds the end of an earlier message
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # llhttp stops at a request to upgrade. What follows is its body, if it has one, which
                # httptools does not wait for, and then the next request, unless it goes on as something else.
                if self._fault:
                    return self._fault
                data, framed = data[upgrade.args[0] :], self._framed
                if not framed and self.upgraded(data):
                    break
                self._start()
                if framed:
                    self._standing_in = True
                    self._parser.feed_data(STAND_IN % (framed + LAST if self._closes else framed))
                elif self._closes:
                    self._shut = True
                    return self._behind(data)
                continue
            except httptools.HttpParserError:
                return self._fault or (Fault.SIP if b" SIP/2.0\r\n" in data else Fault.MALFORMED)
            break
        if self._fault is None and self._in_head and not self._shared:
            self._unfinished += len(data)
            if self._unfinished > self._limits.head:
                return Fault.HEAD_TOO_LARGE
        return self._fault

    def _behind(self, data: bytes) -> Fault | None:
        """What is behind the last request: nothing but empty lines."""
        return Fault.MALFORMED if data.strip(b"\r\n") else None

    def close(self) -> None:
        """Nothing follows: the parser, which holds this, goes."""
        self._parser = _NO_ONES

    # For whoever carries the message.

    def head(self, method: bytes) -> None:
        """The head is whole and good so far."""

    def chunk(self, data: bytes) -> None:
        """Some of the body."""

    def end(self) -> None:
        """The message is whole."""

    def upgraded(self, rest: bytes) -> bool:
        """Whether `rest`, which follows a request to upgrade, is kept until that is answered."""
        return False

    # llhttp's callbacks. They note a fault and go on: raising through C is slower and says less.

    def on_message_begin(self) -> None:
        if self._standing_in:
            return
        self._in_head, self._in_body = True, False
        self._framed = b""
        self._size = self._count = self._hosts = self._unfinished = 0
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.names: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        if self._standing_in:
            return
        self.url = self.url + url if self.url else url
        self._size += len(url)
        if len(self.url) > self._limits.url:
            self._note(Fault.URL_TOO_LONG)
            self.url = self.url[: self._limits.url]
        elif HASH in url or self._parser.get_method() == b"PRI":
            # No target has a fragment (RFC 9112 §3.2): servers differ on where its path ends. The other is no
            # method, but how the preface of HTTP/2 begins, of which llhttp takes the head for good.
            self._note(Fault.MALFORMED)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._standing_in:
            return
        value = stripped(value)
        if self._in_body:
            self._trailer(name, value)
            return
        self._count += 1
        self._size += len(name) + len(value) + HEADER_LINE
        lower = name.lower()
        if lower == b"host":
            self._hosts += 1
        elif lower in LENGTH_FIELDS:
            self._framed = name + b":" + value
            if not LENGTH_FIELDS[lower].fullmatch(value):
                self._note(Fault.MALFORMED)
        if self._count > self._limits.headers:
            self._note(Fault.TOO_MANY_HEADERS)
            return
        self.fields.append((name, value))
        self.names.append(lower)

    def _trailer(self, name: bytes, value: bytes) -> None:
        self._count += 1
        self._size += len(name) + len(value) + HEADER_LINE
        if not self.trailers_pass or name.lower() in NOT_IN_TRAILERS:
            self._note(Fault.TRAILERS)
        elif self._count > self._limits.headers:
            self._note(Fault.TOO_MANY_HEADERS)
        elif self._size > self._limits.head:
            self._note(Fault.HEAD_TOO_LARGE)
        else:
            self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._standing_in:
            self._standing_in, self._framed = False, b""
            self._in_body = True
            return
        self._in_head, self._in_body = False, True
        method = self._parser.get_method()
        self._size += len(method) + REQUEST_LINE + END_OF_HEAD
        if self._size > self._limits.head:
            self._note(Fault.HEAD_TOO_LARGE)
        if self._parser.get_http_version() != "1.1":
            self._note(Fault.VERSION)
        elif self._hosts != 1:
            self._note(Fault.HOST)
        elif method == b"CONNECT" and self._framed:  # to some it has a body, to others a tunnel follows
            self._note(Fault.MALFORMED)
        self._closes = not self._parser.should_keep_alive()
        self._skipped = bool(self._framed) and self._parser.should_upgrade()
        if self._fault is None:
            self.head(method)
            self.fields = []

    def on_body(self, data: bytes) -> None:
        if self._fault is None:
            self.chunk(data)

    def on_message_complete(self) -> None:
        if self._skipped:  # httptools passes over the body
            self._skipped = False
            return
        self._in_body = False
        self._shared = True
        if self._fault is None:
            self.end()

    def _note(self, fault: Fault) -> None:
        if self._fault is None:
            self._fault = fault
