"""The client side of mitmproxy's HTTP/1 layer, made fit for an edge: strict framing and head limits
before mitmproxy's parser, time-outs for heads, idle connections, stalled bodies and silent members,
and error answers with an empty body."""

from __future__ import annotations

import time

from mitmproxy import connection
from mitmproxy.http import Response
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestProtocolError, ResponseProtocolError
from mitmproxy.proxy.layers.http._http1 import Http1Server

from lyncgate.edge import framing, outcomes
from lyncgate.edge.flows import Flows
from lyncgate.edge.framing import Fault, Framing
from lyncgate.edge.hooks import EdgeRejectedHook, Refused
from lyncgate.edge.timeouts import TimeLimit
from lyncgate.signin.exchange import Outcome

# Seconds that we go on reading, and dropping, after our last word. Closing a socket with unread bytes
# resets it, and the reset overtakes what we said.
LINGER = 2.0


class EdgeHttp1Server(Http1Server):
    """The client side of a connection. All its time-outs share one deadline (see `_deadline`)."""

    def __init__(self, context: Context, flows: Flows) -> None:
        super().__init__(context)
        self.flows = flows
        mode = context.client.proxy_mode
        self.timeouts = flows.course.edge.policy.times(mode.data if mode.type_name == "edge" else None)
        self.limits = flows.course.edge.policy.limits
        self.framing = Framing(self.limits)
        self._closing: float | None = None  # when to close, once the last word is said
        self._head_begun: float | None = None
        self._active = time.monotonic()  # when a byte last moved, or the last exchange ended
        self._timers: dict[commands.Command, float] = {}  # wake-ups under way and when they are due

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            self._timers.pop(event.command, None)
            if self.conn.state is not connection.ConnectionState.CLOSED:
                yield from self._check_deadline()
            return
        if isinstance(event, events.DataReceived):
            data = event.data
            if self._reading_head and not self.buf:
                # Old clients send an empty line after a body (RFC 9112 §2.2). mitmproxy's parser would
                # stop there, and such lines are no sign of life.
                data = data.lstrip(b"\r\n")
            if not data or self._closing is not None:
                return
            if fault := self._examine(data):
                yield from self._reject(fault)
                return
            event = events.DataReceived(event.connection, data)
        if not isinstance(event, events.Start):
            self._active = time.monotonic()
        yield from super()._handle_event(event)
        yield from self._arm()

    @property
    def _reading_head(self) -> bool:
        return self.state == self.read_headers

    @property
    def _answered(self) -> bool:
        """Whether a final answer has begun: nothing of ours may be mixed with it."""
        return self.response is not None and self.response.status_code >= 200

    def _examine(self, data: bytes) -> Fault | None:
        if self._reading_head and self._head_begun is None:
            self._begin_head()
        if fault := self.framing.feed(data):
            return fault
        if self.state == self.wait and len(self.buf) + len(data) > self.limits.head:
            return Fault.PIPELINE
        return None

    def _begin_head(self) -> None:
        self._head_begun = time.monotonic()
        self.flows.head_begins(self.conn.id, self._head_begun)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        for command in super().read_headers(event):
            if isinstance(command, commands.SendData):
                # Framing let it pass, mitmproxy did not, and would now send a page about itself.
                self.request = None
                yield from self._reject(Fault.MALFORMED)
                return
            yield command

    def _reject(self, fault: Fault) -> layer.CommandGenerator[None]:
        """Say why in one status, count it, and close."""
        yield EdgeRejectedHook(Refused(self.conn, fault))
        yield from self._end(framing.STATUS[fault], str(fault))

    def _end(self, status: int, why: str) -> layer.CommandGenerator[None]:
        """Fail the exchange under way, if there is one, and hang up."""
        self._closing = time.monotonic() + LINGER
        if self.request is not None:
            yield ReceiveHttp(RequestProtocolError(self.stream_id, why, ErrorCode.GENERIC_CLIENT_ERROR))
        yield from self._hang_up(status)

    def _hang_up(self, status: int | None) -> layer.CommandGenerator[None]:
        """Close, with `status` for a last word if an answer can still be given."""
        self._closing = time.monotonic() + LINGER
        if status is not None and not self._answered:
            yield commands.SendData(self.conn, outcomes.empty_response(status))
        yield commands.CloseTcpConnection(self.conn, half_close=True)
        yield from self._arm()

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        """As mitmproxy does, but errors of ours have no body and name no product."""
        if self._closing is not None:
            return
        if not isinstance(event, ResponseProtocolError):
            yield from super().send(event)
        elif self.conn.state & connection.ConnectionState.CAN_WRITE:
            status = event.code.http_status_code()
            if event.message in outcomes.STATUS:
                status = outcomes.STATUS[Outcome(event.message)]
            yield from self._hang_up(status)

    def mark_done(self, *, request: bool = False, response: bool = False) -> layer.CommandGenerator[None]:
        self.request_done |= request
        self.response_done |= response
        if self.request_done and self.response_done:
            self._active = time.monotonic()
            self._head_begun = None
            if ahead := bytes(self.buf):  # the next request, and maybe an empty line before it
                self.buf.maybe_extract_at_most(len(ahead) - len(ahead.lstrip(b"\r\n")))
            if self.buf:
                self._begin_head()
        elif response and self.response and _closes(self.response):
            yield from self._hang_up(None)  # the rest of the request is not wanted
            return
        yield from super().mark_done()

    # Time-outs. mitmproxy's wake-ups can't be cancelled, so one that comes early only sets the next.

    def _deadline(self) -> float:
        """When this connection has waited long enough, in monotonic seconds."""
        if self._closing is not None:
            return self._closing
        if self._reading_head and self._head_begun is not None:
            return self._head_begun + self.timeouts.head
        if self._reading_head:
            return self._active + self.timeouts.idle
        if self.state == self.read_body:
            return self._active + self.timeouts.body  # any byte will do: the rate is the lane's alone
        return self._active + self.timeouts.poll

    def _arm(self) -> layer.CommandGenerator[None]:
        if self.conn.state is connection.ConnectionState.CLOSED:
            return
        deadline = self._deadline()
        if all(deadline < due for due in self._timers.values()):
            wakeup = commands.RequestWakeup(max(0.0, deadline - time.monotonic()))
            self._timers[wakeup] = deadline
            yield wakeup

    def _check_deadline(self) -> layer.CommandGenerator[None]:
        if time.monotonic() < self._deadline():
            yield from self._arm()
        elif self._closing is not None:
            yield commands.CloseConnection(self.conn)
        elif self._reading_head and self._head_begun is not None:
            yield from self._reject(Fault.HEAD_TIMEOUT)
        elif self._reading_head:
            self.flows.course.timed_out(TimeLimit.IDLE)
            yield from self._hang_up(None)
        elif self.state == self.read_body:
            self.flows.course.timed_out(TimeLimit.BODY)
            yield from self._end(408, str(Outcome.CLIENT_GONE))
        else:
            self.flows.course.timed_out(TimeLimit.POLL)
            outcome = Outcome.UPSTREAM_TIMEOUT
            yield from self._end(outcomes.STATUS[outcome], str(outcome))


def _closes(response: Response) -> bool:
    return bool(http1.connection_close(response.http_version, response.headers))
