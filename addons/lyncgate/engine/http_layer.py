"""mitmproxy's HTTP layer, made fit for an edge.

Subclasses through mitmproxy's own seams (no patching):

- `EdgeHttp1Server` (client_side) and `EdgeHttp1Client` (upstream_side): the two sides' HTTP/1;
- `EdgeHttpStream`, one exchange: fails over to another member while nothing has been sent, and
  never after; drops a body that nobody will read; keeps body limits;
- `EdgeHttpLayer` puts them together and forgets upstream connections that are closed.
"""

from __future__ import annotations

import dataclasses

from mitmproxy import flow
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpLayer,
    HTTPMode,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.tls import ServerTLSLayer

from lyncgate.edge.flows import Flows
from lyncgate.edge.hooks import EdgeConnectFailedHook
from lyncgate.edge.identity import MemberConnection
from lyncgate.engine.client_side import EdgeHttp1Server
from lyncgate.engine.upstream_side import EdgeHttpClient
from lyncgate.signin.exchange import Outcome

# The transparent mode wants an address before a request is routed. This one can't be connected to,
# so a request that no addon routed fails instead of going somewhere.
UNROUTED = ("unrouted.invalid", 0)


@dataclasses.dataclass(eq=False)
class GetMemberConnection(GetHttpConnection):
    """`pool`: whose member is wanted. A connection made for one pool proves nothing to another."""

    pool: str = ""


class EdgeHttpLayer(HttpLayer):
    """HTTP/1.1 of one client connection."""

    def __init__(self, context: Context, flows: Flows) -> None:
        context.server.address = UNROUTED
        super().__init__(context, HTTPMode.transparent)
        self.flows = flows
        self.connections[context.client] = EdgeHttp1Server(context.fork(), flows)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = EdgeHttpStream(self.context.fork(), stream_id, self.flows)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        """The open connection to this member, or a new one. mitmproxy's own would remember a failed
        connect, and every closed connection, for as long as the client stays."""
        pool = event.pool if isinstance(event, GetMemberConnection) else ""
        members = [conn for conn in self.connections if isinstance(conn, MemberConnection)]
        for conn in members:
            if conn.connected and conn.pool == pool and event.connection_spec_matches(conn):
                stream = self.command_sources.pop(event)
                yield from self.event_to_child(stream, GetHttpConnectionCompleted(event, (conn, None)))
                return
            if conn.state is ConnectionState.CLOSED and (conn.timestamp_end or not conn.timestamp_tcp_setup):
                del self.connections[conn]  # no event of it can come any more
        context = self.context.fork()
        context.server = MemberConnection(address=event.address, pool=pool)
        stack = tunnel.LayerStack()
        if event.tls:
            stack /= ServerTLSLayer(context)
        stack /= EdgeHttpClient(context)
        self.connections[context.server] = stack[0]
        self.waiting_for_establishment[context.server].append(event)
        yield from self.event_to_child(stack[0], events.Start())


class EdgeHttpStream(HttpStream):
    """One request and its response."""

    def __init__(self, context: Context, stream_id: int, flows: Flows) -> None:
        super().__init__(context, stream_id)
        self.flows = flows
        self._received = 0  # bytes of a streamed request body

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        waits = event.request.headers.get("expect", "").lower() == "100-continue"
        yield from super().state_wait_for_request_headers(event)
        transit = self.flows.transits.get(self.flow.id)
        too_large = transit is not None and transit.exchange.outcome is Outcome.BODY_TOO_LARGE
        unfinished = not event.end_stream and self.client_state == self.state_consume_request_body
        if self.flow.response and unfinished and (waits or too_large):
            # Refused, and the body is still to come or never will: answer now. With a body that is under
            # way the answer waits for its end, so that the connection can be kept.
            self.flow.response.headers["Connection"] = "close"
            yield from self.state_consume_request_body(RequestEndOfMessage(self.stream_id))
            self.client_state = self.state_errored

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Connect to the member that the addons chose, or to the next while nothing was sent."""
        transit = self.flows.transits.get(self.flow.id)
        pool = transit.pool.pool.name if transit and transit.pool else ""
        while True:
            host = self.flow.request.host
            address = (host, self.flow.request.port)
            conn, err = yield GetMemberConnection(
                address, self.flow.request.scheme == "https", None, pool=pool
            )
            if not self.context.client.connected:
                failure = Outcome.CLIENT_GONE  # so nothing is sent, and no member is to blame
                break
            if not err:
                self.context.server = self.flow.server_conn = conn
                if transit:
                    self.flows.course.connected(transit, conn.id)
                return True
            yield EdgeConnectFailedHook(self.flow)
            if self.flow.request.host == host:  # no addon chose another member
                failure = transit.failure if transit else Outcome.CONNECT_FAILED
                break
        yield from self.handle_protocol_error(
            ResponseProtocolError(self.stream_id, str(failure), ErrorCode.CONNECT_FAILED)
        )
        return False

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        transit = self.flows.transits.get(self.flow.id)
        if transit and transit.exchange.outcome is None:
            transit.exchange.outcome = _outcome(event)
        yield from super().handle_protocol_error(event)

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestData) and self.flow.response:
            return  # answered already: the rest is read so that the answer arrives, but not kept
        yield from super().state_consume_request_body(event)

    def state_stream_request_body(
        self, event: RequestData | RequestTrailers | RequestEndOfMessage
    ) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestData):
            self._received += len(event.data)
            transit = self.flows.transits.get(self.flow.id)
            limit = getattr(transit.decision, "body_limit", None) if transit else None
            if limit is not None and self._received > limit:
                yield from self._fail(Outcome.BODY_TOO_LARGE, ErrorCode.REQUEST_TOO_LARGE)
                return
        yield from super().state_stream_request_body(event)

    def _fail(self, outcome: Outcome, code: ErrorCode) -> layer.CommandGenerator[None]:
        """End the exchange on both sides."""
        self.flow.error = flow.Error(str(outcome))
        yield HttpErrorHook(self.flow)
        yield SendHttp(RequestProtocolError(self.stream_id, str(outcome), code), self.context.server)
        yield SendHttp(ResponseProtocolError(self.stream_id, str(outcome), code), self.context.client)
        self.flow.live = False
        self.client_state = self.server_state = self.state_errored


def _outcome(event: RequestProtocolError | ResponseProtocolError) -> Outcome:
    """What went wrong, from mitmproxy's event: our own words, or whose side it was on."""
    if event.message in Outcome:
        return Outcome(event.message)
    if isinstance(event, RequestProtocolError):
        return Outcome.CLIENT_GONE
    garbled = event.message.startswith(("Cannot parse HTTP response", "HTTP/1 protocol error"))
    if garbled and "peer closed connection" not in event.message:
        return Outcome.UPSTREAM_INVALID
    return Outcome.UPSTREAM_RESET
