"""The upstream side of mitmproxy's HTTP/1 layer, made fit for an edge.

mitmproxy takes an interim answer (103) for the final one, would switch protocols on a 101 that nobody
asked for, stops at trailers with an exception, and keeps its half of a connection open whose body
ended with the connection. None of these may hang a client.
"""

from __future__ import annotations

import re

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import RegisterHttpConnection
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError
from mitmproxy.proxy.layers.http._http1 import Http1Client

from lyncgate.signin.exchange import Outcome

INTERIM = re.compile(rb"HTTP/1\.1 1\d\d")
SWITCHING = b"HTTP/1.1 101"


class EdgeHttpClient(layer.Layer):
    """Opens one upstream connection and speaks HTTP/1.1 on it."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        err: str | None = yield commands.OpenConnection(self.context.server)
        if not err:
            child = EdgeHttp1Client(self.context)
            self._handle_event = child.handle_event  # type: ignore[method-assign]  # as mitmproxy's does
            yield from child.handle_event(event)
        yield RegisterHttpConnection(self.context.server, err)


class EdgeHttp1Client(Http1Client):
    """One upstream connection, used for one exchange after the other."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if isinstance(event, events.ConnectionClosed) and self.conn.state & ConnectionState.CAN_WRITE:
            yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        while self.request and INTERIM.match(head := bytes(self.buf)):
            if head.startswith(SWITCHING):  # we never ask for that
                yield from self._invalid()
                return
            if self.buf.maybe_extract_lines() is None:
                break
        yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        try:
            yield from super().read_body(event)
        except NotImplementedError:  # trailers
            yield from self._invalid()

    def _invalid(self) -> layer.CommandGenerator[None]:
        """The member says what we can't pass on: end the exchange and the connection."""
        yield commands.CloseConnection(self.conn)
        if self.stream_id is not None:
            code = ErrorCode.GENERIC_SERVER_ERROR
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, str(Outcome.UPSTREAM_INVALID), code))
        self.state = self.done
