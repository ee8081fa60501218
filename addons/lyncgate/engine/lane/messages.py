"""A websocket whose messages addons want: mitmproxy's layer takes its frames apart and makes them anew.

Pings and pongs pass. A message is kept until it is whole, and goes on when its hook has said so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitmproxy import options
from mitmproxy.http import Response
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)

from lyncgate.engine.exchange_layer import STREAM
from lyncgate.engine.lane.demoted import DemotedRelay
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.requests import Incoming
from lyncgate.engine.lane.stream import HIGH
from lyncgate.signin.exchange import Outcome

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.scripts import Scripts

MESSAGE = 8 * 1024 * 1024  # bytes of a message
MESSAGES = 32  # of them that a flow keeps


class MessagesRelay(DemotedRelay):
    """`_framed`: the member has agreed to a websocket. `_parted`: its last frames have been given out."""

    __slots__ = ("_ahead", "_framed", "_parted")

    def __init__(
        self,
        lane: Lane,
        client: ClientConnection,
        incoming: Incoming,
        scripts: Scripts,
        settings: options.Options,
    ) -> None:
        super().__init__(lane, client, incoming, scripts, settings)
        self._framed = self._parted = False
        self._ahead = 0  # bytes that came while a hook was waited for

    # What mitmproxy's layer says.

    def _run(self) -> None:
        super()._run()
        if not self._parted or self.over or self._task is not None:
            return
        upstream = self.upstream
        if upstream is None or upstream.stream is None or not upstream.stream.waiting:
            self._part()

    def _asked_addons(self, hook: commands.StartHook) -> None:
        self._ahead = 0
        if hook.name == "websocket_message" and self._flow.websocket is not None:
            del self._flow.websocket.messages[:-MESSAGES]
        super()._asked_addons(hook)

    def _pass_on(self, event: HttpEvent) -> None:
        if not self.tunnel:
            super()._pass_on(event)
        elif isinstance(event, RequestData):
            Relay.from_client(self, event.data)
        elif isinstance(event, ResponseData):
            Relay.from_member(self, event.data)
        elif isinstance(event, ResponseProtocolError):
            self._parted = True

    def _answer_goes(self, response: Response) -> None:
        super()._answer_goes(response)
        head = self.upstream.reader.head if self.upstream is not None else None
        self._framed = head is not None and head.status == 101 and self._flow.websocket is not None

    # What comes.

    def from_client(self, data: bytes) -> None:
        if self._framed:
            if self._task is not None:  # go on reading, to hear when it leaves, but not for long
                self._ahead += len(data)
                if self._ahead > HIGH:
                    self._client.pause()
            self._message(RequestData(STREAM, data))
        else:
            super().from_client(data)

    def from_member(self, data: bytes) -> None:
        if self._framed:
            self._message(ResponseData(STREAM, data))
        else:
            super().from_member(data)

    def _message(self, event: HttpEvent) -> None:
        self._layer.tell(event)
        self._run()
        if not self.over and self._layer.unfinished > MESSAGE:
            self.fail(Outcome.BODY_TOO_LARGE)

    def _part(self) -> None:
        """Both sides have had the last frame."""
        self.over = True
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.empty()
        self._client.finished(self)

    def client_gone(self) -> None:
        if self._parted and not self.over:  # it has had its last frame, and the member has not
            self.over = True
            upstream, self.upstream = self.upstream, None
            if upstream is not None:
                upstream.empty()
            self.end()
        else:
            super().client_gone()

    def member_drained(self) -> None:
        if self._parted:
            self._run()
        elif self._task is None:
            super().member_drained()

    # Ends.

    def fail(self, failure: Outcome, status: int | None = None, *, silent: bool = False) -> None:
        if not self._framed or self.over:
            super().fail(failure, status, silent=silent)
            return
        self._erred = True  # a websocket that ends is no error
        hook, websocket = self._pending, self._flow.websocket
        if self._task is not None and hook is not None and hook.name != "websocket_end":
            self._task.cancel()
            if websocket is not None and websocket.messages:
                websocket.messages[-1].drop()  # for nobody has said what becomes of it
            self._layer.completed(events.HookCompleted(hook))
        self._layer.tell(RequestEndOfMessage(STREAM))
        self._drive()
        self._task = None  # who is told of the end is not cut short
        super().fail(failure, status, silent=silent)

    def broken(self, failure: Outcome) -> None:
        if self.tunnel and self._framed and not self.over:
            self._layer.tell(ResponseEndOfMessage(STREAM))
            self._drive()
        super().broken(failure)
