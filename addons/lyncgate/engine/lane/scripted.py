"""An exchange on the lane that operators' addons see: held while they are asked, with bodies if they want.

    head ─▶ requestheaders ─▶ (body) ─▶ request ─▶ member ─▶ responseheaders ─▶ (body) ─▶ response ─▶ client

A body streams by unseen, and both hooks of its message run before its head is passed on, so that what they
change counts. An addon that sets `flow.request.stream` or `flow.response.stream` to False in the first hook
gets it whole in the second, if it is no longer than INSPECTED.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mitmproxy.flow import Error

from lyncgate.edge.heads import OwnAnswer, ResponseHead, first
from lyncgate.engine.lane import flows, wire
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.requests import Incoming
from lyncgate.engine.lane.responses import Head
from lyncgate.engine.lane.upstream import Upstream
from lyncgate.signin.exchange import Outcome

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.scripts import Scripts

INSPECTED = 1024 * 1024  # bytes of a body that are kept for addons; longer ones stream by

FRAMING = "where a request goes, and how messages are framed, is the edge's to say"
UNSEEN = "this body streams: set flow.request.stream or flow.response.stream to False in the hook of its head"
TOO_LONG = f"a body is longer than {INSPECTED} bytes and streams by unseen"
NO_ANSWER = "what was set is no final answer"


class Stage(enum.Enum):
    HELD = enum.auto()  # the request waits for its hooks
    COLLECTING = enum.auto()  # and for its body
    GOES = enum.auto()
    ANSWER_HELD = enum.auto()
    ANSWER_COLLECTING = enum.auto()
    ANSWERS = enum.auto()


class ScriptedRelay(Relay):
    __slots__ = ("_body", "_flow", "_head_out", "_scripts", "_seen", "_size", "_stage", "_task", "_way")

    def __init__(self, lane: Lane, client: ClientConnection, incoming: Incoming, scripts: Scripts) -> None:
        super().__init__(lane, client, incoming)
        self._scripts = scripts
        self._stage = Stage.HELD
        self._task: asyncio.Task[None] | None = None
        self._body: list[bytes] = []  # of the request, collected
        self._size = 0
        self._seen: bytes | None = None  # the body that the hooks get; None: it streams
        self._head_out: ResponseHead | None = None
        self._flow = flows.of_request(self.transit, client.stream)
        self._way = flows.way(self._flow)

    # Hooks.

    def _hook(self, name: str, then: Callable[[], None]) -> None:
        """Go on with `then` once the addons have been asked."""
        task = self._scripts.run(name, self._flow)
        if task is None:
            self._hooked(then)
            return
        self._task = task
        if self.upstream is not None and self.upstream.stream is not None:
            self.upstream.stream.pause()
        task.add_done_callback(lambda _: self._waited(then))

    def _waited(self, then: Callable[[], None]) -> None:
        self._task = None
        if self.over:
            return
        upstream = self.upstream
        if upstream is not None and upstream.stream is not None:
            upstream.stream.read()
        self._hooked(then)
        self._client.settle()

    def _hooked(self, then: Callable[[], None]) -> None:
        if self._is_killed:
            exchange = self.transit.exchange
            exchange.outcome, exchange.reason = Outcome.DENIED, "script"
            self.fail(Outcome.DENIED, silent=True)
        else:
            then()

    @property
    def _is_killed(self) -> bool:
        return self._flow.error is not None and self._flow.error.msg == Error.KILLED_MESSAGE

    # The request.

    def start(self) -> None:
        self._hook("requestheaders", self._headed)

    def _headed(self) -> None:
        incoming, flow = self.incoming, self._flow
        self._take_request()
        if not self._has_body:
            flow.request.raw_content = self._seen = b""
        elif not flow.request.stream and self.transit.answer is None:
            self._stage = Stage.COLLECTING
            if incoming.expects:  # nobody else will ask for the body
                incoming.expects = False
                request = self.transit.request
                request.fields = [field for field in request.fields if field[0].lower() != b"expect"]
                self._client.send(wire.response_head(100, b"", ()))
            self._collect()
            return
        self._hook("request", self._requested)

    @property
    def _has_body(self) -> bool:
        return self.incoming.chunked or first(self.incoming.fields, b"content-length") not in (b"", b"0")

    def _collect(self) -> None:
        incoming = self.incoming
        chunks, incoming.chunks = incoming.chunks, []
        self._body += chunks
        self._size += sum(map(len, chunks))
        limit = getattr(self.transit.decision, "body_limit", None)
        if limit is not None and self._size > limit:
            self.fail(Outcome.BODY_TOO_LARGE)
        elif self._size > INSPECTED:
            self._stage = Stage.HELD
            self._scripts.tell(TOO_LONG)
            self._hook("request", self._requested)
        elif incoming.complete:
            self._stage = Stage.HELD
            self._seen = self._flow.request.raw_content = b"".join(self._body)
            self._flow.request.timestamp_end = time.time()
            self._hook("request", self._requested)

    def _requested(self) -> None:
        self._take_request()
        incoming, transit = self.incoming, self.transit
        content = self._flow.request.raw_content
        if self._seen is None:
            if content is not None:
                self._scripts.tell(UNSEEN)
        elif transit.answer is None and content != self._seen and content is not None:
            if incoming.websocket:
                self._scripts.tell(FRAMING)
            else:
                self._body = [content] if content else []
                if not incoming.chunked:
                    transit.request.fields = flows.with_length(transit.request.fields, len(content))
        incoming.chunks = self._body + incoming.chunks
        self._body = []
        self._stage = Stage.GOES
        super().start()

    def _take_request(self) -> None:
        """What the addons want of the request: their answer, or other fields."""
        flow, transit = self._flow, self.transit
        if flows.way(flow) != self._way:
            self._scripts.tell(FRAMING)
            flows.restore(flow, self._way)
        if flow.response is not None:
            self._take_answer()
        if transit.answer is not None:
            return
        request = transit.request
        request.fields, followed = flows.edited(request.fields, flow.request.headers.fields)
        if not followed:
            self._scripts.tell(FRAMING)

    def _take_answer(self) -> None:
        """The answer that stands in the flow is given, and nothing goes upstream."""
        transit, response = self.transit, self._flow.response
        was = transit.answer
        if response is None or (was is not None and flows.says(response, was)):
            return
        answer = flows.own_answer(response, self.incoming.method)
        if answer is None:
            self._scripts.tell(NO_ANSWER)
            answer = OwnAnswer(502)
        transit.answer = answer
        if transit.member is not None:
            self._course.publish.end(transit)
            transit.exchange.member, transit.exchange.attempts = None, 0

    def use(self, upstream: Upstream) -> None:
        self._flow.server_conn = flows.of_member(upstream)
        super().use(upstream)

    def proceed(self) -> None:
        if self._stage is Stage.COLLECTING:
            self._collect()
        elif self._stage is not Stage.HELD:
            super().proceed()

    @property
    def waits_for_client(self) -> bool:
        if self._stage is Stage.HELD:
            return False
        return self._stage is Stage.COLLECTING or super().waits_for_client

    # The answer.

    def answer(self) -> None:
        upstream = self.upstream
        head = upstream.reader.head if upstream is not None else None
        if upstream is None or head is None or self._stage is Stage.ANSWERS or self.over:
            super().answer()
        elif self._stage is Stage.GOES:
            self._answer_begins(upstream, head)
        elif self._stage is Stage.ANSWER_COLLECTING:
            self._collect_answer()

    def _answer_begins(self, upstream: Upstream, came: Head) -> None:
        self._stage = Stage.ANSWER_HELD
        head = self._head_out = super()._judged(upstream, came)
        bodyless = came.bodyless or first(came.fields, b"content-length") == b"0"
        self._seen = b"" if bodyless else None
        self._flow.response = flows.of_answer(came.status, came.reason, head.fields, self._seen)
        self._hook("responseheaders", self._answer_headed)

    def _answer_headed(self) -> None:
        response, came = self._flow.response, self._came
        streams = self._seen is not None or came is None or came.status == 101
        if streams or response is None or response.stream:
            self._hook("response", self._answer_seen)
        else:
            self._stage = Stage.ANSWER_COLLECTING
            self._collect_answer()

    @property
    def _came(self) -> Head | None:
        return self.upstream.reader.head if self.upstream is not None else None

    def _collect_answer(self) -> None:
        upstream, response = self.upstream, self._flow.response
        if upstream is None or response is None:
            return
        chunks = upstream.reader.chunks
        if sum(map(len, chunks)) > INSPECTED:
            self._scripts.tell(TOO_LONG)
        elif upstream.reader.complete:
            self._seen = response.raw_content = b"".join(chunks)
            response.timestamp_end = time.time()
        else:
            return
        self._stage = Stage.ANSWER_HELD
        self._hook("response", self._answer_seen)

    def _answer_seen(self) -> None:
        upstream, response, head, came = self.upstream, self._flow.response, self._head_out, self._came
        if upstream is not None and response is not None and head is not None and came is not None:
            if not flows.edit_answer(head, response):
                self._scripts.tell(FRAMING)
            content = response.raw_content
            if self._seen is None:
                if content is not None:
                    self._scripts.tell(UNSEEN)
            elif content != self._seen and content is not None:
                if came.bodyless:
                    self._scripts.tell(FRAMING)
                else:
                    upstream.reader.chunks = [content] if content else []
                    if not came.chunked and not came.until_close:
                        head.fields = flows.with_length(head.fields, len(content))
        self._stage = Stage.ANSWERS
        self.answer()

    def _judged(self, upstream: Upstream, came: Head) -> ResponseHead:
        return super()._judged(upstream, came) if self._head_out is None else self._head_out

    def _own(self, answer: OwnAnswer) -> None:
        """The edge's answer, or an addon's: as it goes to the client."""
        self._sent = True
        self._stage = Stage.ANSWER_HELD
        head = self._head_out = self._course.own(self.transit, answer)
        self._seen = answer.body
        self._flow.response = flows.of_answer(answer.status, b"", head.fields, answer.body)
        self._hook("responseheaders", lambda: self._hook("response", self._own_seen))

    def _own_seen(self) -> None:
        head, response, body = self._head_out, self._flow.response, self._seen or b""
        if head is None:
            return
        if response is not None:
            if not flows.edit_answer(head, response):
                self._scripts.tell(FRAMING)
            content = response.raw_content
            if content is not None and content != body:
                if self.incoming.method == b"HEAD" or head.status in flows.UNFRAMED:
                    self._scripts.tell(FRAMING)
                else:
                    body, head.fields = content, flows.with_length(head.fields, len(content))
        self._stage = Stage.ANSWERS
        self._say(head, body)

    def client_drained(self) -> None:
        if self._task is None:
            super().client_drained()

    # Ends.

    def broken(self, failure: Outcome) -> None:
        upstream = self.upstream
        if self._task is not None and upstream is not None and upstream.reader.complete:
            return  # all that is needed has come: the addons are being asked what they want of it
        super().broken(failure)

    def end(self) -> None:
        super().end()
        self._flow.live = False

    def fail(self, failure: Outcome, status: int | None = None, *, silent: bool = False) -> None:
        if self.over:
            return
        super().fail(failure, status, silent=silent)
        if self._task is not None:
            self._task.cancel()
        flow = self._flow
        flow.live = False
        if not self._is_killed:
            flow.error = Error(str(self.transit.exchange.outcome or failure))
        self._task = self._scripts.run("error", flow)
