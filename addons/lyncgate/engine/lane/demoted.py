"""An exchange handed over to mitmproxy's HTTP layer, whose addons want bodies or websocket messages.

    client ─▶ RequestReader ─▶ ┌ ExchangeLayer ┐ ─▶ wire ─▶ member, by the connection that the lane has for it
           ◀─          wire ◀─ └ hooks, bodies ┘ ◀─ ResponseReader ◀─

It is handed over at the boundary before it, when nothing of it has been forwarded, and for itself alone: what
frames, times, pools and records is the lane's before, in and behind it. So a connection that has logged on
with NTLM stays what it is, and the next exchange may be an ordinary one.

mitmproxy's layer is sans-I/O. What has come is told to it as events while it waits for nothing; what it says
in return is put where the lane's own relay looks for it, which passes it on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mitmproxy import options
from mitmproxy.http import Headers, Response
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import GetHttpConnection, GetHttpConnectionCompleted, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from lyncgate.edge.heads import Fields, OwnAnswer, first
from lyncgate.engine.exchange_layer import STREAM, ExchangeLayer
from lyncgate.engine.lane import flows, wire
from lyncgate.engine.lane.exchange import CHUNKED, Relay
from lyncgate.engine.lane.requests import Incoming
from lyncgate.engine.lane.scripted import FRAMING, UNSEEN, ScriptedRelay
from lyncgate.engine.lane.upstream import Upstream
from lyncgate.signin.exchange import Outcome

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.scripts import Scripts

COLLECTED = "8m"  # of a body that is kept for addons, as mitmproxy's stream_large_bodies says it

TOO_LONG = "a body is longer than the option stream_large_bodies says and streams by unseen"
ONCE = frozenset({"request", "response", "error"})  # mitmproxy's layer calls them behind bodies, too


class DemotedRelay(ScriptedRelay):
    """`_up`, `_down`: what is to be passed on of the two bodies. `_wants`: the connection that mitmproxy's
    layer waits for."""

    __slots__ = (
        "_answer_told", "_answering", "_collected", "_collects", "_down", "_giving", "_layer",
        "_mute", "_pending", "_ran", "_request_told", "_request_whole", "_up", "_wants",
    )  # fmt: skip

    def __init__(
        self,
        lane: Lane,
        client: ClientConnection,
        incoming: Incoming,
        scripts: Scripts,
        settings: options.Options,
    ) -> None:
        super().__init__(lane, client, incoming, scripts)
        self._layer = ExchangeLayer(self._flow, settings)
        self._ran: set[str] = set()
        self._pending: commands.StartHook | None = None  # what `_task` is for
        self._wants: GetHttpConnection | None = None
        self._up: list[bytes] = []
        self._down: list[bytes] = []
        self._collected = 0  # bytes of the request's body that have come
        self._collects = False  # an addon asked for it
        self._answering = False  # by the edge or an addon, and not by the member
        self._request_told = self._request_whole = False
        self._answer_told = self._giving = False
        self._mute = False  # a body where there can be none

    # mitmproxy's layer.

    def _drive(self) -> None:
        """Do what the layer says, until it waits for something."""
        for command in self._layer.commands():
            if self.over:
                return
            if isinstance(command, commands.StartHook):
                self._ask_addons(command)
            elif isinstance(command, SendHttp):
                self._pass_on(command.event)
            elif isinstance(command, GetHttpConnection):
                self._wants = command

    def _run(self) -> None:
        """Drive it, and see to what it waits for."""
        self._drive()
        if self.over or self._task is not None:
            return
        answer = self.transit.answer
        if self._wants is not None:
            self._acquire()
        elif answer is not None:
            if self._giving and not self.answered:
                self._say_own(self._flow.response, b"".join(self._down))
            elif not (self._answering or self._request_told):
                self._answering = True
                Relay.start(self)

    def _ask_addons(self, hook: commands.StartHook) -> None:
        name = hook.name
        if name in ONCE and name in self._ran:
            self._layer.completed(events.HookCompleted(hook))
            return
        self._ran.add(name)
        if name == "error":
            self._erred = True
        elif name == "responseheaders" and self.transit.answer is not None:
            if not self._sent:
                self._sent = True
                self._course.sent(self.transit)
            self._own_begins(self.transit.answer)
        elif name == "request" and self._collects and self._flow.request.stream:
            self._scripts.tell(TOO_LONG)
        task = self._scripts.run(name, self._flow)
        if task is None:
            self._asked_addons(hook)
        else:
            self._pending = hook
            self._wait(task, lambda: self._go_on(hook))

    def _asked_addons(self, hook: commands.StartHook) -> None:
        """Take what they have changed, and let the layer go on."""
        flow, name = self._flow, hook.name
        if name in ("requestheaders", "request") and not self._is_killed:
            self._take_request()
            answer = self.transit.answer
            if answer is not None and flow.response is None:  # a refusal stays one
                flow.response = flows.of_answer(answer.status, b"", answer.fields, answer.body)
        if name == "requestheaders":
            self._collects = self._has_body and not flow.request.stream and flow.response is None
            if self._collects and self.incoming.expects:
                self._invite()
        self._layer.completed(events.HookCompleted(hook))

    def _hooked(self, then: Callable[[], None]) -> None:
        then()  # the layer sees to what was killed

    def _go_on(self, hook: commands.StartHook) -> None:
        self._asked_addons(hook)
        self._run()
        if not self.over:
            self.proceed()
            self.answer()

    def _pass_on(self, event: HttpEvent) -> None:
        if isinstance(event, RequestHeaders):
            self._request_goes()
        elif isinstance(event, RequestData):
            if event.data and not self._mute:
                self._up.append(event.data)
        elif isinstance(event, RequestTrailers):
            self.incoming.trailers, _ = flows.edited((), event.trailers.fields)
        elif isinstance(event, RequestEndOfMessage):
            self._request_whole = True
        elif isinstance(event, ResponseHeaders):
            self._answer_goes(event.response)
        elif isinstance(event, ResponseData):
            if event.data and not self._mute:
                self._down.append(event.data)
        elif isinstance(event, ResponseTrailers):
            if self.upstream is not None:
                self.upstream.reader.trailers, _ = flows.edited((), event.trailers.fields)
        elif isinstance(event, ResponseProtocolError):
            self._refused(event.code)

    def _refused(self, code: ErrorCode) -> None:
        if code is ErrorCode.KILL:
            self._kill()
        else:  # the option body_size_limit
            large = code is ErrorCode.REQUEST_TOO_LARGE
            self.fail(Outcome.BODY_TOO_LARGE if large else Outcome.UPSTREAM_INVALID)

    # The request.

    def start(self) -> None:
        self._layer.tell(RequestHeaders(STREAM, self._flow.request, not self._has_body))
        self._run()
        if not self.over:
            self.proceed()

    @property
    def _has_body(self) -> bool:
        return self.incoming.chunked or first(self.incoming.fields, b"content-length") not in (b"", b"0")

    def _invite(self) -> None:
        """Nobody else will ask for the body."""
        self.incoming.expects = False
        request = self.transit.request
        request.fields = [field for field in request.fields if field[0].lower() != b"expect"]
        self._client.send(wire.response_head(100, b"", ()))

    def proceed(self) -> None:
        if self.over or self.tunnel:
            return
        if self._answering:
            Relay.proceed(self)
            return
        incoming = self.incoming
        while not (self.over or self._request_told or self._held) and (incoming.chunks or incoming.complete):
            if incoming.chunks:
                self._take_body()
            else:
                self._request_told = True
                if incoming.trailers:
                    self._layer.tell(RequestTrailers(STREAM, Headers(incoming.trailers)))
                self._layer.tell(RequestEndOfMessage(STREAM))
            self._run()
        if self._asks and not (self.over or self._held) and (self._request_whole or not incoming.complete):
            incoming.chunks, self._up = self._up, []
            super().proceed()

    @property
    def _held(self) -> bool:
        """Whether the layer waits: what comes meanwhile stays where the client feels that."""
        return self._task is not None or self._wants is not None or self._answering

    def _take_body(self) -> None:
        chunks, self.incoming.chunks = self.incoming.chunks, []
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._collected += len(data)
        limit = getattr(self.transit.decision, "body_limit", None)
        if limit is not None and self._collected > limit:
            self.fail(Outcome.BODY_TOO_LARGE)
        else:
            self._layer.tell(RequestData(STREAM, data))

    def use(self, upstream: Upstream) -> None:
        wants, self._wants = self._wants, None
        self._layer.context.server = self._flow.server_conn = flows.of_member(upstream)
        if wants is not None:
            self._layer.completed(GetHttpConnectionCompleted(wants, (self._flow.server_conn, None)))
            self._drive()
        if not self.over:
            Relay.use(self, upstream)

    def _request_goes(self) -> None:
        """The layer has said its head: see to the framing of what follows."""
        self._asks = True
        incoming, request, transit = self.incoming, self._flow.request, self.transit
        content = request.raw_content or b""
        if not self._layer.request_whole:
            if content:
                self._scripts.tell(UNSEEN)
            if callable(request.stream) and not incoming.chunked:  # its length is not known
                incoming.chunked = True
                transit.request.fields = _in_chunks(transit.request.fields)
        elif incoming.websocket:
            self._mute = bool(content)
            if content:
                self._scripts.tell(FRAMING)
        elif not incoming.chunked and len(content) != _declared(transit.request.fields):
            transit.request.fields = flows.with_length(transit.request.fields, len(content))

    @property
    def waits_for_client(self) -> bool:
        if self._wants is not None:
            return False
        if self._asks or self.transit.answer is not None:
            return super().waits_for_client
        return self._task is None and not self.incoming.complete

    # The answer.

    def answer(self) -> None:
        upstream = self.upstream
        head = upstream.reader.head if upstream is not None else None
        if upstream is None or head is None or self.over or self.answer_whole:
            Relay.answer(self)
            return
        reader = upstream.reader
        if self._head_out is None:
            response = self._answer_begins(upstream, head)
            self._layer.tell(ResponseHeaders(STREAM, response, response.raw_content is not None))
            self._run()
        while not (self.over or self._answer_told or self._task) and (reader.chunks or reader.complete):
            if data := reader.taken():
                self._layer.tell(ResponseData(STREAM, data))
                self._client.resume()  # it moves, though the client sees nothing of it yet
            else:
                self._answer_told = True
                if reader.trailers:
                    self._layer.tell(ResponseTrailers(STREAM, Headers(reader.trailers)))
                self._layer.tell(ResponseEndOfMessage(STREAM))
            self._run()
        if self.over or self._task is not None or not self._giving:
            return
        if self._layer.answer_whole if reader.complete else True:
            reader.chunks, self._down = self._down, []
            Relay.answer(self)

    def _answer_goes(self, response: Response) -> None:
        """The layer has said the head of the answer: take it, and see to the framing of what follows."""
        self._giving, self._mute = True, False
        head, upstream = self._head_out, self.upstream
        came = upstream.reader.head if upstream is not None else None
        if self.transit.answer is not None or head is None or upstream is None or came is None:
            return  # the edge's own: see `_say_own`
        if not flows.edit_answer(head, response):
            self._scripts.tell(FRAMING)
        content = response.raw_content or b""
        framed = came.chunked or came.until_close
        if came.bodyless:
            self._mute = bool(content)
            if content:
                self._scripts.tell(FRAMING)
        elif not self._layer.answer_whole:
            if content:
                self._scripts.tell(UNSEEN)
            if callable(response.stream) and not framed:
                came.chunked = True
                head.fields = _in_chunks(head.fields)
        elif not framed and len(content) != _declared(head.fields):
            head.fields = flows.with_length(head.fields, len(content))

    def _own(self, answer: OwnAnswer) -> None:
        self._sent = True
        if not self._request_told:
            self._request_told = True
            self._layer.tell(RequestEndOfMessage(STREAM))
            self._run()


def _in_chunks(fields: Fields) -> list[tuple[bytes, bytes]]:
    """These fields for a body that comes in chunks."""
    return [*(field for field in fields if field[0].lower() != b"content-length"), CHUNKED]


def _declared(fields: Fields) -> int:
    """The length that they say. They have been judged."""
    return int(first(fields, b"content-length") or 0)
