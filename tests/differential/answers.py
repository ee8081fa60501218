"""Responses, read as strictly as requests are: what a client is given, and what an origin said."""

from __future__ import annotations

import re
from collections.abc import Iterable

from differential.messages import Response
from differential.reading import TOLERATED_CHUNK_LINE, NotHttp, Reader, Steps

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
TOLERATED_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\0]*)?")
SWITCHING = 101


class ResponseReader(Reader):
    """The answers to requests of these methods, in this order; GET after the last. `responses`: final ones.
    `interim`: with a status of 1xx. `partial`: the answer under way when the stream ended, without an end;
    what there is of its body is in it. `switched`: what came after a 101. `tolerant`: of what does not
    touch where messages begin and end: empty lines before the first, a reason without its space or in control
    bytes, and chunk extensions that are none."""

    def __init__(
        self, methods: Iterable[bytes] = (), *, switch: bool = False, tolerant: bool = False
    ) -> None:
        self.responses: list[Response] = []
        self.interim: list[Response] = []
        self.partial: Response | None = None
        self.switched: bytes | None = None
        self._methods = iter(methods)
        self._switch = switch
        self._tolerant = tolerant
        if tolerant:
            self._chunk_line = TOLERATED_CHUNK_LINE
        super().__init__()

    def _messages(self) -> Steps[None]:
        yield
        method = next(self._methods, b"GET")
        while True:
            if self._tolerant:
                self._buffer = self._buffer.lstrip(b"\r\n")
            if not self._buffer:
                if self._closed:
                    return
                yield
                continue
            self.begun = True
            version, head = yield from self._head()
            if head.status == SWITCHING:
                if not self._switch:
                    raise NotHttp("101 that nobody asked for")
                self.interim.append(head)
                self.switched = b""
                while True:
                    self.switched += bytes(self._buffer)
                    self._buffer.clear()
                    yield
            if head.status < 200:
                if version == b"0":
                    raise NotHttp("interim answer in HTTP/1.0")
                self.interim.append(head)
                self.begun = False
                continue
            yield from self._final(version, method, head)
            self.begun = False
            if head.closes or version == b"0" or self.ended:
                return
            method = next(self._methods, b"GET")

    def _head(self) -> Steps[tuple[bytes, Response]]:
        line = yield from self._line()
        match = (TOLERATED_STATUS_LINE if self._tolerant else STATUS_LINE).fullmatch(line)
        if not match:
            raise NotHttp("status line")
        return match[1], Response(int(match[2]), (yield from self._fields()))

    def _final(self, version: bytes, method: bytes, head: Response) -> Steps[None]:
        length = self._length(head.fields)
        if length is None and version == b"0":
            raise NotHttp("chunks in HTTP/1.0")
        if method == b"HEAD" or head.status in (204, 304):
            self.responses.append(head)
            return
        self.partial = Response(head.status, head.fields, whole=False)
        if length is None:
            body, trailers = yield from self._chunks()
        elif length >= 0:
            body, trailers = (yield from self._exactly(length)), []
        else:
            while not self._closed:
                yield
            body, trailers = bytes(self._buffer), []
            self._buffer.clear()
            self.ended = True
        self.partial = None
        self.responses.append(Response(head.status, head.fields, body, trailers))


def read_responses(
    data: bytes, method: bytes = b"GET", *, closed: bool, switch: bool = False, tolerant: bool = False
) -> ResponseReader:
    """What an origin said to one request. `closed`: and then it closed in order."""
    reader = ResponseReader([method], switch=switch, tolerant=tolerant)
    reader.feed(data)
    if closed:
        reader.close()
    return reader
