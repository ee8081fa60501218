"""Answers on one upstream connection, as llhttp frames them and HTTP/1.1 defines them.

Sans-I/O: `feed` and `eof` leave what came in `interims`, `head`, `chunks` and `complete`. Where members and
intermediaries could differ on how long a body is, the answer is refused (`InvalidAnswerError`).
"""

from __future__ import annotations

import re

import httptools

from lyncgate.edge.heads import Field, connection, stripped, values

HEAD_LIMIT = 256 * 1024  # bytes: cookies and challenges of a large organisation stay far below
INTERIMS = 32  # 1xx answers before the final one; more are no conversation
_DIGITS = re.compile(rb"\d{1,18}")


class InvalidAnswerError(Exception):
    """The member's bytes are no HTTP/1.1 answer to what was asked."""


class Head:
    """`names`: of the fields, in lower case. `chunked`: how the body came; `until_close`: it ends with the
    connection; `bodyless`: there is none, whatever the fields say; `closes`: the member will close the
    connection."""

    __slots__ = ("bodyless", "chunked", "closes", "fields", "names", "reason", "status", "until_close")

    def __init__(
        self,
        status: int,
        reason: bytes,
        fields: list[Field],
        names: list[bytes],
        chunked: bool,
        until_close: bool,
        bodyless: bool,
        closes: bool,
    ) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.names = names
        self.chunked = chunked
        self.until_close = until_close
        self.bodyless = bodyless
        self.closes = closes


_NO_ONES = httptools.HttpResponseParser(None)  # tells nobody


class ResponseReader:
    def __init__(self) -> None:
        self._renew = True
        self.expect(b"GET")
        self._awaiting = False

    def expect(self, method: bytes, *, websocket: bool = False) -> None:
        """A request of this method was sent: the next answer is to that."""
        if self._renew:
            self._parser = httptools.HttpResponseParser(self)
            self._renew = False
        self._method = method
        self._websocket = websocket
        self._awaiting = True
        self.untouched = True  # not a byte of the answer has come
        self._version = ""  # of the next head; to ask llhttp takes longer than to look at most heads
        self._reason = b""
        self._fields: list[Field] = []
        self._names: list[bytes] = []
        self._size = 0
        self._problem: str | None = None
        self.interims: list[Head] = []
        self._interim_count = 0
        self._length: int | None = None  # of the body, where its head says it
        self._got = 0  # bytes of it that have come
        self._left = 0  # bytes of it that llhttp need not look at
        self.head: Head | None = None
        self.chunks: list[bytes] = []
        self.trailers: list[Field] = []
        self.complete = False
        self.spoiled = False  # this answer is good, the connection is not: more came than was asked for
        self.rest: bytes | None = None  # what follows a 101

    def feed(self, data: bytes) -> None:
        """Raises InvalidAnswerError."""
        if self._left:
            data = self._pass(data)
            if not data:
                return
        if not self._awaiting:
            raise InvalidAnswerError("bytes that nobody asked for")
        if self.untouched:
            self.untouched = False
            if data.startswith(b"HTTP/1.1 "):
                self._version = "1.1"
        if self.head is None:
            self._size += len(data)
            if self._size > HEAD_LIMIT + 65536:
                raise InvalidAnswerError("a head without an end")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.head is None or self.head.status != 101:
                self._problem = self._problem or "an upgrade that nobody asked for"
            else:
                self.rest = data[upgrade.args[0] :]
                self.complete = True
        except httptools.HttpParserError as error:
            self._problem = self._problem or str(error)
        if self._problem is None:
            if self._length is not None and not self.complete:
                self._left = self._length - self._got
        elif not self.complete:
            raise InvalidAnswerError(self._problem)
        else:
            self.spoiled = True

    def _pass(self, data: bytes) -> bytes:
        """Take what belongs to a body whose length is known, without llhttp, which would copy it. What is
        behind it comes back: there should be nothing."""
        left = self._left
        self.chunks.append(data if len(data) <= left else data[:left])
        self._left = max(0, left - len(data))
        if self._left:
            return b""
        self._renew = True  # llhttp still waits for it
        self._over()
        if len(data) > left:
            self.spoiled = True
        return b""

    def eof(self) -> bool:
        """The member has closed. Whether that makes the answer whole."""
        if self.head is not None and self.head.until_close and not self.complete:
            self.complete = True
            self._awaiting = False
        return self.complete

    def close(self) -> None:
        """Nothing follows. What has come stays; the parser, which holds this reader, goes."""
        self._parser = _NO_ONES

    def taken(self) -> bytes:
        """What has come of the body since the last call."""
        chunks = self.chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.chunks = []
        return data

    # llhttp's callbacks.

    def on_message_begin(self) -> None:
        self._fields, self._names = [], []
        self._reason = b""
        if self.complete:
            self._problem = "more than one answer"

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, stripped(value)))
        self._names.append(name.lower())

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        fields, names = self._fields, self._names
        lengths: list[bytes] = []
        codings: list[bytes] = []
        closes = False
        if b"content-length" in names:
            lengths = values(fields, b"content-length")
        if b"transfer-encoding" in names:
            codings = [value.lower() for value in values(fields, b"transfer-encoding")]
        if b"connection" in names:
            closes = b"close" in connection(tuple(values(fields, b"connection")))
        version, self._version = self._version or self._parser.get_http_version(), ""
        if version not in ("1.1", "1.0"):
            self._problem = "another version"
        interim = 100 <= status < 200
        bodyless = interim or self._method == b"HEAD" or status in (204, 304)
        if codings and (codings != [b"chunked"] or lengths or version == "1.0"):
            self._problem = "a transfer coding that has two readings"
        if len(lengths) > 1 or (lengths and not _DIGITS.fullmatch(lengths[0])):
            self._problem = "a length that has two readings"
        if interim and (codings or lengths not in ([], [b"0"])):
            self._problem = "an interim answer with a body"  # RFC 9112 §6.1; to llhttp it may have one
        if status < 100 or (status == 101 and not self._websocket):
            self._problem = "a status that nobody asked for"
        if self._problem:
            return
        head = Head(
            status,
            self._reason,
            fields,
            names,
            bool(codings) and not bodyless,
            not bodyless and not codings and not lengths,
            bodyless,
            closes or version == "1.0",
        )
        self._fields, self._names = [], []
        if interim and status != 101:
            self._interim_count += 1
            self.interims.append(head)
            if self._interim_count > INTERIMS:
                self._problem = "interim answers without an end"
            return
        self.head = head
        if lengths and not bodyless:
            self._length = int(lengths[0])
        if self._method == b"HEAD":  # llhttp would wait for the body that the fields tell of
            self._renew = True
            self._over()

    def on_body(self, data: bytes) -> None:
        if self.complete or self.head is None or self.head.bodyless:
            self._problem = "a body where there can be none"
            return
        self._got += len(data)
        self.chunks.append(data)

    def on_message_complete(self) -> None:
        if self.complete or self.head is None or self.head.status == 101 or self.head.until_close:
            return  # the first was an interim answer; the others end otherwise
        self.trailers, self._fields = self._fields, []
        self._names = []
        if not self._parser.should_keep_alive():  # by a field that only llhttp heeds, as in trailers
            self.spoiled = True
        self._over()

    def _over(self) -> None:
        self.complete = True
        self._awaiting = False
