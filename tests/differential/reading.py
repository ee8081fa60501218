"""HTTP/1.1 as strictly as RFC 9110 and 9112 let it be read. Written for the tests, on nothing: no parser that
an engine uses may judge itself.

A reader is fed bytes and keeps the messages they hold, one after the other, up to the first byte that is not
HTTP/1.1. `fault` says what that was. The strict origin reads with it what an engine sends; the judge reads
with it what a client sent, and so knows what the origin has to see.
"""

from __future__ import annotations

import re
from collections.abc import Generator

from differential.messages import Fields, Request, field_values, hosts_of

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
HOST = re.compile(rb"[0-9A-Za-z\-._~!$&'()*+,;=%]*(:\d*)?|\[[0-9A-Fa-f:.]+\](:\d*)?")
TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+")  # visible, without `#`: a fragment is never sent
ABSOLUTE = re.compile(rb"(?i)https?://([^/?]+)(.*)", re.DOTALL)
CHUNK_LINE = re.compile(
    rb"(0*[0-9A-Fa-f]{1,15})"
    rb'((?:[ \t]*;[ \t]*TOKEN(?:[ \t]*=[ \t]*(?:TOKEN|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]'
    rb'|\\[\t \x21-\x7e\x80-\xff])*"))?)*)'.replace(b"TOKEN", TOKEN.pattern)
)
LONGEST_LENGTH = 18  # digits: more is not believed by anybody with 64 bits

# What a trailer must not be (RFC 9110 §6.5.1): it frames, routes or authenticates.
NOT_A_TRAILER = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"authorization", b"connection", b"te", b"trailer"}
    | {b"cookie", b"set-cookie", b"expect", b"upgrade", b"content-type", b"content-encoding"}
    | {b"x-forwarded-for", b"www-authenticate", b"proxy-authorization", b"cache-control", b"range"}
)


# What llhttp lets pass in the place of extensions. They are never passed on, so it means the same.
TOLERATED_CHUNK_LINE = re.compile(rb"(0*[0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")


class NotHttp(Exception):  # noqa: N818 (it is what it says)
    """What is wrong, in a word or two."""


type Steps[T] = Generator[None, None, T]


class Reader:
    """What requests and responses have in common. Subclasses say in `_messages` what follows what; it waits
    for more bytes by `yield`."""

    _chunk_line = CHUNK_LINE

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.fault: str | None = None
        self.ended = False  # no further message may follow on this connection
        self.begun = False  # inside a message
        self._closed = False  # the other side has said that nothing follows
        self._steps = self._messages()
        next(self._steps)

    @property
    def rest(self) -> bytes:
        """What has not been read: after a fault, or behind the last message."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data
        self._go_on()

    def close(self) -> None:
        """The end of the stream."""
        self._closed = True
        self._go_on()

    def _go_on(self) -> None:
        if self.fault is None and not self.ended:
            try:
                self._steps.send(None)
            except NotHttp as fault:
                self.fault = str(fault)
            except StopIteration:
                self.ended = True

    def _messages(self) -> Steps[None]:
        raise NotImplementedError

    def _line(self) -> Steps[bytes]:
        """Up to CR LF, which goes. Neither may stand alone."""
        while True:
            end = self._buffer.find(b"\n")
            line = self._buffer[:end] if end >= 0 else self._buffer
            cr = line.find(b"\r")
            if 0 <= cr < len(line) - 1:
                raise NotHttp("bare CR")
            if end >= 0:
                if cr < 0:
                    raise NotHttp("bare LF")
                del self._buffer[: end + 1]
                return bytes(line[:-1])
            yield

    def _exactly(self, count: int) -> Steps[bytes]:
        while len(self._buffer) < count:
            yield
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _fields(self) -> Steps[Fields]:
        """Field lines up to the empty one."""
        fields: Fields = []
        while line := (yield from self._line()):
            if line[:1] in b" \t":
                raise NotHttp("folded line")
            name, colon, value = line.partition(b":")
            if not colon:
                raise NotHttp("no colon")
            if not TOKEN.fullmatch(name):
                raise NotHttp("field name")
            if not VALUE.fullmatch(value):
                raise NotHttp("field value")
            fields.append((name, value.strip(b" \t")))
        return fields

    def _length(self, fields: Fields) -> int | None:
        """The Content-Length; None: chunked; -1: neither."""
        lengths = field_values(fields, b"content-length")
        codings = field_values(fields, b"transfer-encoding")
        if codings:
            if lengths:
                raise NotHttp("length and coding")
            if len(codings) > 1 or codings[0].lower() != b"chunked":
                raise NotHttp("coding")
            return None
        if not lengths:
            return -1
        if len(lengths) > 1:
            raise NotHttp("two lengths")
        if not re.fullmatch(rb"[0-9]+", lengths[0]) or len(lengths[0].lstrip(b"0")) > LONGEST_LENGTH:
            raise NotHttp("length")
        return int(lengths[0])

    def _chunks(self) -> Steps[tuple[bytes, Fields]]:
        """A chunked body and its trailers."""
        body = bytearray()
        while True:
            line = yield from self._line()
            match = self._chunk_line.fullmatch(line)
            if not match:
                raise NotHttp("chunk size")
            size = int(match[1], 16)
            if size == 0:
                return bytes(body), (yield from self._fields())
            body += yield from self._exactly(size)
            for expected in b"\r\n":
                if (yield from self._exactly(1)) != bytes([expected]):
                    raise NotHttp("chunk end")


class RequestReader(Reader):
    """`requests`: whole ones. `head`: of the one that is under way, without its body. `strict_trailers`:
    refuse those that must not be trailers; else they are kept, for who must see that they go. `tolerant`: of
    what RFC 9112 lets a recipient repair, and what means the same with or without it: more than one space in
    the request line (§3), any CR and LF before it (§2.2), extensions that are none. And of a Host and an
    asterisk that make no sense: a request of its own, to be refused, behind which others may follow."""

    def __init__(self, *, strict_trailers: bool = True, tolerant: bool = False) -> None:
        self.requests: list[Request] = []
        self.head: Request | None = None
        self._strict_trailers = strict_trailers
        self._tolerant = tolerant
        if tolerant:
            self._chunk_line = TOLERATED_CHUNK_LINE
        super().__init__()

    def _messages(self) -> Steps[None]:
        yield
        while True:
            if self._tolerant:
                self._buffer = self._buffer.lstrip(b"\r\n")
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            if not self._buffer or self._buffer == b"\r":
                yield
                continue
            self.begun = True
            head = yield from self._head()
            self.head = head
            length = self._length(head.fields)
            if length is None:
                body, trailers = yield from self._chunks()
                if self._strict_trailers and any(name.lower() in NOT_A_TRAILER for name, _ in trailers):
                    raise NotHttp("trailer")
            else:
                body, trailers = (yield from self._exactly(max(length, 0))), []
            self.requests.append(Request(head.method, head.target, head.fields, body, trailers))
            self.head, self.begun = None, False
            if head.closes:
                return

    def _head(self) -> Steps[Request]:
        line = yield from self._line()
        if self._tolerant:
            line = re.sub(b" +", b" ", line)
        parts = line.split(b" ")
        if len(parts) != 3:
            raise NotHttp("request line")
        method, target, version = parts
        if version != b"HTTP/1.1":
            raise NotHttp("version")
        if not TOKEN.fullmatch(method):
            raise NotHttp("method")
        self._check_target(method, target)
        fields = yield from self._fields()
        hosts = hosts_of(fields)
        if len(hosts) != 1:
            raise NotHttp("hosts")
        if not HOST.fullmatch(hosts[0]) and not self._tolerant:
            raise NotHttp("host")
        return Request(method, target, fields)

    def _check_target(self, method: bytes, target: bytes) -> None:
        if not TARGET.fullmatch(target):
            raise NotHttp("target")
        if method == b"CONNECT":
            raise NotHttp("CONNECT to one that is no forward proxy")
        if target == b"*":
            if method != b"OPTIONS" and not self._tolerant:
                raise NotHttp("asterisk")
        elif match := ABSOLUTE.fullmatch(target):
            if not HOST.fullmatch(match[1]):
                raise NotHttp("authority")
        elif not target.startswith(b"/"):
            raise NotHttp("target form")


def read_requests(data: bytes, *, tolerant: bool = False) -> RequestReader:
    """What a client said with `data`. Trailers are as they came."""
    reader = RequestReader(strict_trailers=False, tolerant=tolerant)
    reader.feed(data)
    return reader
