"""mitmproxy's layer for one exchange, as the lane hands exchanges to it: hooks, bodies, websockets.

The lane has framed and judged the messages, and says where they go: so of mitmproxy's beginnings only the
hook and the choice whether a body streams are left. What streams has its second hook before its head is
passed on, so that what addons change there counts; mitmproxy calls it behind the body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mitmproxy import options
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
)
from mitmproxy.proxy.layers.http._hooks import (
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHook,
)
from mitmproxy.proxy.layers.websocket import WebsocketLayer

STREAM = 1  # its number: a connection of HTTP/1 has one at a time
FRAME = 100  # bytes of memory for each frame


class ExchangeLayer(HttpStream):
    """`flow` may have an answer from the beginning."""

    def __init__(self, flow: HTTPFlow, settings: options.Options) -> None:
        context = Context(flow.client_conn, settings)
        context.server = flow.server_conn
        super().__init__(context, STREAM)
        self.flow = flow
        self._coming: deque[events.Event] = deque([events.Start()])

    # Driven.

    def tell(self, event: events.Event) -> None:
        self._coming.append(event)

    def completed(self, event: events.CommandCompleted) -> None:
        """What a command was waited for. It comes before all that has happened since."""
        self._coming.appendleft(event)

    def commands(self) -> Iterator[commands.Command]:
        """What it wants done, until it waits for something."""
        while self._coming:
            yield from self.handle_event(self._coming.popleft())

    @property
    def request_whole(self) -> bool:
        """Whether all of it is here. So it is when a head is passed on whose body was collected."""
        return bool(self.client_state == self.state_done)

    @property
    def answer_whole(self) -> bool:
        return bool(self.server_state == self.state_done)

    @property
    def unfinished(self) -> int:
        """Bytes kept of a websocket message that is not whole yet, and what its frames cost."""
        websocket = self.child_layer
        if not isinstance(websocket, WebsocketLayer):
            return 0
        kept = [side.frame_buf for side in (websocket.client_ws, websocket.server_ws)]
        return max(sum(map(len, frames)) + FRAME * len(frames) for frames in kept)

    # As mitmproxy's, but for what the lane has done.

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        self.flow.request = event.request
        if not event.end_stream and (yield from self.check_body_size(True)):
            return
        yield HttpRequestHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        self.server_state = self.state_wait_for_response_headers
        if self.flow.request.stream and not event.end_stream and not self.flow.response:
            yield from self.start_request_stream()
        else:
            self.client_state = self.state_consume_request_body

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        if not self.context.options.store_streamed_bodies:
            yield HttpRequestHook(self.flow)
            if (yield from self.check_killed(True)):
                return
        if self.flow.response:  # the body is for nobody
            self.client_state = self.state_consume_request_body
            return
        yield from super().start_request_stream()

    def state_consume_request_body(
        self, event: RequestData | RequestTrailers | RequestEndOfMessage
    ) -> layer.CommandGenerator[None]:
        if self.flow.response and not isinstance(event, RequestEndOfMessage):
            return
        yield from super().state_consume_request_body(event)

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        if not self.context.options.store_streamed_bodies:
            yield HttpResponseHook(self.flow)
            if (yield from self.check_killed(False)):
                return
        yield from super().start_response_stream()

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:
        """The lane has judged what came, by rules that refuse more."""
        yield from ()
        return False
