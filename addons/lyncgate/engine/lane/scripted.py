"""An exchange on the lane whose heads operators' addons see: held while they are asked.

    head ─▶ requestheaders ─▶ member ─▶ responseheaders ─▶ client

Bodies stream by. Addons that want more than heads have the exchange handed over, see `demoted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from mitmproxy.flow import Error
from mitmproxy.http import Response

from lyncgate.edge.heads import OwnAnswer, ResponseHead, first
from lyncgate.engine.lane import flows
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.requests import Incoming
from lyncgate.engine.lane.responses import Head
from lyncgate.engine.lane.upstream import Upstream
from lyncgate.signin.exchange import Outcome

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.scripts import Scripts

FRAMING = "where a request goes, and how messages are framed, is the edge's to say"
UNSEEN = "this body streams: set flow.request.stream or flow.response.stream to False in the hook of its head"
NO_ANSWER = "what was set is no final answer"


class ScriptedRelay(Relay):
    """`_head_out`: of the answer, as it will go to the client. `_asks`: the request may go on."""

    __slots__ = ("_asks", "_erred", "_flow", "_head_out", "_scripts", "_seen", "_task", "_way")

    def __init__(self, lane: Lane, client: ClientConnection, incoming: Incoming, scripts: Scripts) -> None:
        super().__init__(lane, client, incoming)
        self._scripts = scripts
        self._task: asyncio.Task[None] | None = None  # hooks that it waits for
        self._head_out: ResponseHead | None = None
        self._asks = self._seen = self._erred = False
        self._flow = flows.of_request(self.transit, client.stream)
        self._way = flows.way(self._flow)

    # Hooks.

    def _hook(self, name: str, then: Callable[[], None]) -> None:
        """Go on with `then` once the addons have been asked."""
        task = self._scripts.run(name, self._flow)
        if task is None:
            self._hooked(then)
        else:
            self._wait(task, then)

    def _wait(self, task: asyncio.Task[None], then: Callable[[], None]) -> None:
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
            self._kill()
        else:
            then()

    @property
    def _is_killed(self) -> bool:
        return self._flow.error is not None and self._flow.error.msg == Error.KILLED_MESSAGE

    def _kill(self) -> None:
        exchange = self.transit.exchange
        exchange.outcome, exchange.reason = Outcome.DENIED, "script"
        self.fail(Outcome.DENIED, silent=True)

    # The request.

    def start(self) -> None:
        self._hook("requestheaders", self._headed)

    def _headed(self) -> None:
        self._take_request()
        self._asks = True
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
        if self._asks:
            super().proceed()

    @property
    def waits_for_client(self) -> bool:
        return self._task is None and super().waits_for_client

    # The answer.

    def answer(self) -> None:
        upstream = self.upstream
        head = upstream.reader.head if upstream is not None else None
        if upstream is None or head is None or self._seen or self.over:
            super().answer()
        elif self._head_out is None:
            self._flow.response = self._answer_begins(upstream, head)
            self._hook("responseheaders", self._answer_seen)

    def _answer_begins(self, upstream: Upstream, came: Head) -> Response:
        """The answer for the flow: its head as it would go to the client."""
        head = self._head_out = super()._judged(upstream, came)
        bodyless = came.bodyless or first(came.fields, b"content-length") == b"0"
        return flows.of_answer(came.status, came.reason, head.fields, b"" if bodyless else None)

    def _answer_seen(self) -> None:
        response = self._flow.response
        if response is not None and self._head_out is not None:
            if not flows.edit_answer(self._head_out, response):
                self._scripts.tell(FRAMING)
            if response.raw_content:
                self._scripts.tell(UNSEEN)
        self._seen = True
        self.answer()

    def _judged(self, upstream: Upstream, came: Head) -> ResponseHead:
        return super()._judged(upstream, came) if self._head_out is None else self._head_out

    def _own(self, answer: OwnAnswer) -> None:
        """The edge's answer, or an addon's: as it goes to the client."""
        self._sent = True
        self._own_begins(answer)
        self._hook("responseheaders", self._own_seen)

    def _own_begins(self, answer: OwnAnswer) -> None:
        head = self._head_out = self._course.own(self.transit, answer)
        self._flow.response = flows.of_answer(answer.status, b"", head.fields, answer.body)

    def _own_seen(self) -> None:
        response = self._flow.response
        self._say_own(response, response.raw_content if response is not None else None)

    def _say_own(self, response: Response | None, content: bytes | None) -> None:
        """Give the answer as addons have left it."""
        head, was = self._head_out, self.transit.answer
        if head is None or was is None:
            return
        body = was.body
        if response is not None and not flows.edit_answer(head, response):
            self._scripts.tell(FRAMING)
        if content is not None and content != body:
            if self.incoming.method == b"HEAD" or head.status in flows.UNFRAMED:
                self._scripts.tell(FRAMING)
            else:
                body, head.fields = content, flows.with_length(head.fields, len(content))
                self.transit.answer = OwnAnswer(was.status, was.fields, body)  # as it is counted and told
        self._say(head, body)

    def client_drained(self) -> None:
        if self._task is None:
            super().client_drained()

    def _go_on_as_tunnel(self, upstream: Upstream, rest: bytes) -> None:
        super()._go_on_as_tunnel(upstream, rest)
        if upstream.closed and not self.over:  # while the addons were asked
            self.broken(Outcome.UPSTREAM_RESET)

    # Ends.

    def broken(self, failure: Outcome) -> None:
        upstream = self.upstream
        waits = self._task is not None and not self.tunnel
        if waits and upstream is not None and upstream.reader.complete:
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
        if self._erred:
            return
        self._erred = True
        if not self._is_killed:
            flow.error = Error(str(self.transit.exchange.outcome or failure))
        self._task = self._scripts.run("error", flow)
