"""The beginning of a client's TLS: its ClientHello is looked at before OpenSSL takes it. What it offers is
told if nothing comes of it, and what is none may be SIP, from a client that fell through to this address.
"""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING

from lyncgate.edge.clienthello import name_in, offered_in
from lyncgate.edge.framing import Fault
from lyncgate.engine.lane.tls import HELLO_LIMIT, client_failure, length_of_hello

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane


class Greeting:
    """There for as long as the handshake takes."""

    __slots__ = ("_client", "_hello", "_lane", "_peeked", "_whole")

    def __init__(self, lane: Lane, client: ClientConnection) -> None:
        self._lane = lane
        self._client = client
        self._peeked = 0  # bytes that were there at the last look
        self._whole = False  # we are woken only when all of it is there
        self._hello = b""

    def begin(self) -> None:
        """Look at once: most say hello as soon as they are connected."""
        self._look()

    def _wait(self) -> None:
        self._client.stream.watch(self._look)

    def _look(self) -> None:
        client = self._client
        sock = client.stream.socket
        try:
            data = sock.recv(HELLO_LIMIT, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError:
            data = b""
        if len(data) == self._peeked:  # it ended before there was one
            client.leaves()
            return
        self._peeked = len(data)
        if data[0] != 22:
            client.refuse(Fault.SIP if b" SIP/2.0\r\n" in data else Fault.NOT_TLS)
            return
        length = length_of_hello(data) if len(data) >= 5 else 5
        if length is not None and len(data) < min(length, HELLO_LIMIT):
            self._whole = True
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(length, HELLO_LIMIT))
            self._wait()
            return
        if length is None or int.from_bytes(data[6:9]) > HELLO_LIMIT:
            client.refuse(Fault.NOT_TLS)
            return
        if self._whole:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._hello = data[:length]
        client.record.hello = functools.partial(offered_in, self._hello)
        context = self._lane.contexts.servers.get(client.record.listener or "")
        try:
            if context is None:
                raise OSError("the listener is no more")
            client.stream.secure(context, server_side=True)
        except OSError:
            client.leaves()

    def failed(self, error: Exception | None) -> None:
        """Tell that nothing came of it, and why."""
        secured, record, course = self._client.stream.secured, self._client.record, self._lane.course
        record.server_name = name_in(self._hello) if self._hello else None
        if secured is not None and secured.refused:
            course.rejected(record, Fault.UNKNOWN_NAME)
            return
        if self._hello and record.hello is not None and not record.hello():
            record.hello = None
            course.rejected(record, Fault.NOT_TLS)
            return
        outcome, detail = client_failure(error)
        course.handshakes.failed(record, outcome, detail)
