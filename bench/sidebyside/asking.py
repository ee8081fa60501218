"""A client's connection: one request after another, each answer handed on."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Callable

import httptools

from sidebyside.sockets import Connection, Loop


@dataclasses.dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]  # names in lower case
    body: bytes
    last: bool = False  # nothing more may be asked on this connection
    anew: bool = False  # on another connection than what was asked before

    def header(self, name: bytes) -> bytes:
        """All values of the field, joined; names are lower case."""
        return b",".join(value for known, value in self.headers if known == name)


class Client(Connection):
    """`answered` gets each answer; `lost` why the connection ended, when it was not by `close`."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        name: str | None,
        answered: Callable[[Answer], None],
        lost: Callable[[str], None],
    ) -> None:
        self._answered = answered
        self._lost = lost
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        super().__init__(loop, sock, tls, name=name)

    def received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._lost(f"no answer of HTTP: {error}")

    def ended(self, why: str) -> None:
        self._lost(why)

    def on_message_begin(self) -> None:
        self._headers, self._body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        last = not self._parser.should_keep_alive()
        self._answered(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body), last))


def trusting() -> ssl.SSLContext:
    """TLS that believes anyone: checking the same certificate again costs the load's core only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
