"""mitmproxy's HTTP/1 layer, made fit for an edge.

Three subclasses through mitmproxy's own seams (no patching):

- `EdgeHttp1Server`, the client side: strict framing and head limits before mitmproxy's parser,
  time-outs for heads, idle connections and silent upstreams, error answers without a body.
- `EdgeHttpStream`, one exchange: fails over to another member while nothing has been sent, and
  never after; drops a body that nobody will read; keeps body limits.
- `EdgeHttpLayer` puts them together and forgets upstream connections that are closed.
"""

from __future__ import annotations

import time

from mitmproxy import connection, flow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HTTPMode, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    RequestTrailers,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.http._http1 import Http1Server

from lyncgate.edge import framing, outcomes
from lyncgate.edge.framing import Fault, Framing, Rejection
from lyncgate.edge.hooks import EdgeConnectFailedHook, EdgeRejectedHook
from lyncgate.edge.state import EdgeState
from lyncgate.policy.policy import Listener
from lyncgate.signin.exchange import Outcome

# The transparent mode wants an address before a request is routed. This one can't be connected to,
# so a request that no addon routed fails instead of going somewhere.
UNROUTED = ("unrouted.invalid", 0)


class EdgeHttpLayer(HttpLayer):
    """HTTP/1.1 of one client connection."""

    def __init__(self, context: Context, edge: EdgeState, listener: Listener) -> None:
        context.server.address = UNROUTED
        super().__init__(context, HTTPMode.transparent)
        self.edge = edge
        self.connections[context.client] = EdgeHttp1Server(context.fork(), edge, listener)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = EdgeHttpStream(self.context.fork(), stream_id, self.edge)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        # mitmproxy remembers a failed connect for as long as the client stays. A member that was
        # down for a moment must be reachable again on a kept-alive connection.
        for conn in self.connections:
            if isinstance(conn, connection.Server) and conn.state is connection.ConnectionState.CLOSED:
                conn.error = None
        yield from super().get_connection(event, reuse=reuse)


class EdgeHttpStream(HttpStream):
    """One request and its response."""

    def __init__(self, context: Context, stream_id: int, edge: EdgeState) -> None:
        super().__init__(context, stream_id)
        self.edge = edge
        self._received = 0  # bytes of a streamed request body

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Connect to the member that the addons chose, or to the next while nothing was sent."""
        transit = self.edge.transits.get(self.flow.id)
        while True:
            conn, err = yield GetHttpConnection(
                (self.flow.request.host, self.flow.request.port),
                self.flow.request.scheme == "https",
                None,
            )
            if not err:
                self.context.server = self.flow.server_conn = conn
                if transit:
                    transit.marks["connected"] = self.edge.clock()
                return True
            failed = self.flow.request.host
            yield EdgeConnectFailedHook(self.flow)
            if self.flow.request.host != failed:
                continue  # an addon chose another member
            outcome = (transit and transit.exchange.outcome) or Outcome.CONNECT_FAILED
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, str(outcome), ErrorCode.CONNECT_FAILED)
            )
            return False

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        transit = self.edge.transits.get(self.flow.id)
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
            transit = self.edge.transits.get(self.flow.id)
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
    if event.message in outcomes.STATUS:
        return Outcome(event.message)
    if isinstance(event, RequestProtocolError):
        return Outcome.CLIENT_GONE
    invalid = event.code is ErrorCode.RESPONSE_VALIDATION_FAILED or "HTTP/1 protocol error" in event.message
    return Outcome.UPSTREAM_INVALID if invalid else Outcome.UPSTREAM_RESET


class EdgeHttp1Server(Http1Server):
    """The client side of a connection. All its time-outs share one deadline (see `_deadline`)."""

    def __init__(self, context: Context, edge: EdgeState, listener: Listener) -> None:
        super().__init__(context)
        self.edge = edge
        self.listener = listener
        self.timeouts = edge.policy.timeouts
        self.limits = edge.policy.limits
        self.framing = Framing(self.limits)
        self._closing = False
        self._head_begun: float | None = None
        self._active = time.monotonic()  # when a byte last moved, or the last exchange ended
        self._timers: dict[commands.Command, float] = {}  # wake-ups under way and when they are due

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            self._timers.pop(event.command, None)
            if not self._closing:
                yield from self._check_deadline()
            return
        if isinstance(event, events.DataReceived) and not self._closing:
            if fault := self._examine(event.data):
                yield from self._reject(fault)
                return
        elif isinstance(event, events.DataReceived):
            return
        if not isinstance(event, events.Start):
            self._active = time.monotonic()
        yield from super()._handle_event(event)
        if self._reading_head and not self.buf:
            self._head_begun = None
        yield from self._arm()

    @property
    def _reading_head(self) -> bool:
        return self.state == self.read_headers

    def _examine(self, data: bytes) -> Fault | None:
        if self._reading_head and self._head_begun is None:
            self._head_begun = time.monotonic()
            self.edge.heads[self.conn.id] = self._head_begun
        if fault := self.framing.feed(data):
            return fault
        if self.state == self.wait and len(self.buf) + len(data) > self.limits.head:
            return Fault.PIPELINE
        return None

    def _reject(self, fault: Fault) -> layer.CommandGenerator[None]:
        """Say why in one status, count it, and close. While an answer is under way, just close:
        its bytes must not be mixed with ours."""
        self._closing = True
        peer = self.conn.peername
        yield EdgeRejectedHook(
            Rejection(
                listener=self.listener.name,
                scheme=self.listener.scheme,
                source_ip=peer[0] if peer else "",
                connection=self.conn.id,
                fault=fault,
            )
        )
        if self.request is None:
            yield commands.SendData(self.conn, outcomes.empty_response(framing.STATUS[fault]))
        else:
            yield ReceiveHttp(
                RequestProtocolError(self.stream_id, str(fault), ErrorCode.GENERIC_CLIENT_ERROR)
            )
        yield commands.CloseConnection(self.conn)

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        """As mitmproxy does, but errors of ours have no body and name no product."""
        if not isinstance(event, ResponseProtocolError):
            yield from super().send(event)
            return
        self._closing = True
        if not self.conn.state & connection.ConnectionState.CAN_WRITE:
            return
        status = event.code.http_status_code()
        if event.message in outcomes.STATUS:
            status = outcomes.STATUS[Outcome(event.message)]
        if self.response is None and status is not None:
            yield commands.SendData(self.conn, outcomes.empty_response(status))
        yield commands.CloseConnection(self.conn)

    def mark_done(self, *, request: bool = False, response: bool = False) -> layer.CommandGenerator[None]:
        yield from super().mark_done(request=request, response=response)
        if self.request is None:  # the exchange is over
            self._active = time.monotonic()
            self._head_begun = self._active if self.buf else None

    # Time-outs. mitmproxy's wake-ups can't be cancelled, so one that comes early only sets the next.

    def _deadline(self) -> float:
        """When this connection has waited long enough, in monotonic seconds."""
        if self._reading_head and self._head_begun is not None:
            return self._head_begun + self.timeouts.head
        if self._reading_head:
            return self._active + self.timeouts.idle
        return self._active + self.timeouts.poll

    def _arm(self) -> layer.CommandGenerator[None]:
        if self._closing or self.state == self.done:
            return
        deadline = self._deadline()
        if all(deadline < due for due in self._timers.values()):
            wakeup = commands.RequestWakeup(max(0.0, deadline - time.monotonic()))
            self._timers[wakeup] = deadline
            yield wakeup

    def _check_deadline(self) -> layer.CommandGenerator[None]:
        if time.monotonic() < self._deadline():
            yield from self._arm()
            return
        if self._reading_head:
            if self._head_begun is not None:
                yield from self._reject(Fault.HEAD_TIMEOUT)
            else:
                self._closing = True
                yield commands.CloseConnection(self.conn)
            return
        self._closing = True
        answered = self.response is not None
        yield ReceiveHttp(
            RequestProtocolError(
                self.stream_id, str(Outcome.UPSTREAM_TIMEOUT), ErrorCode.GENERIC_CLIENT_ERROR
            )
        )
        if not answered:
            status = outcomes.STATUS[Outcome.UPSTREAM_TIMEOUT]
            yield commands.SendData(self.conn, outcomes.empty_response(status))
        yield commands.CloseConnection(self.conn)
