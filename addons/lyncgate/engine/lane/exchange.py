"""One exchange on the lane: a request relayed to a member and its answer back, or an answer of our own.

What becomes of it is the course's business; here bytes are framed and moved. Bodies stream: each side is read
only as fast as the other one takes it. Nothing is sent twice, but for a request that changes nothing and that
met a kept connection which the member had just closed (see `_may_ask_again`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncgate.edge import outcomes
from lyncgate.edge.handshakes import MemberAttempt
from lyncgate.edge.headers import CLOSE, DOWNWARDS, without
from lyncgate.edge.heads import OwnAnswer, RequestHead, ResponseHead, first, origin_form
from lyncgate.edge.timeouts import TimeLimit
from lyncgate.engine.lane import wire
from lyncgate.engine.lane.requests import Incoming
from lyncgate.engine.lane.responses import Head
from lyncgate.engine.lane.stream import HIGH
from lyncgate.engine.lane.upstream import Destination, Upstream
from lyncgate.lync import ntlm
from lyncgate.policy.decision import Forward
from lyncgate.policy.policy import Scheme, UpstreamTls
from lyncgate.signin.exchange import Kind, Outcome, Phase

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.lane import Lane

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})
CHUNKED = (b"Transfer-Encoding", b"chunked")


class Relay:
    """`answered`: a final head went to the client. `over`: nothing is left to do."""

    __slots__ = (
        "_again", "_asked", "_chunked", "_client", "_course", "_invited", "_lane", "_queued", "_sent",
        "_taken", "answer_whole", "answered", "closes", "incoming", "over", "times", "transit", "tunnel",
        "upstream",
    )  # fmt: skip

    def __init__(self, lane: Lane, client: ClientConnection, incoming: Incoming) -> None:
        self._lane = lane
        self._client = client
        self._course = lane.course
        self.incoming = incoming
        self.upstream: Upstream | None = None
        self.answered = self.answer_whole = self.over = self.tunnel = False
        self.closes = incoming.closes
        self._asked = False  # the head went to the member
        self._sent = False  # the request is through, or thrown away
        self._chunked = False  # how the answer's body goes to the client
        self._again = False  # it has been asked a second time
        self._taken = 0  # bytes of the body
        self._invited = not incoming.expects  # nobody told the client to go on with the body yet
        self._queued: Destination | None = None  # where it waits for a connection
        target = incoming.target
        if not target.startswith(b"/"):
            target = origin_form(incoming.method, target, first(incoming.fields, b"host"))
        head = RequestHead(
            incoming.method, target, incoming.fields, incoming.names, True, incoming.websocket, True
        )
        self.transit = self._course.begin(client.record, head)
        decision = self.transit.decision
        own = decision.timeouts if isinstance(decision, Forward) else None
        self.times = client.times if own is None else own.of(client.times)

    def start(self) -> None:
        if self.transit.answer is None:
            self._acquire()
        elif self.incoming.expects or self.transit.answer.status == 413:
            self.closes = True  # the body will never come, or is too much to wait for
            self._own(self.transit.answer)
        else:
            if self.transit.answer.status in (400, 414):
                self.closes = True  # who sends such a thing may mean something else by what follows
            self.proceed()

    @property
    def waits_for_client(self) -> bool:
        """Whether the client is the one that has to go on."""
        if self.incoming.complete or not (self._invited or self._taken):
            return False
        return self.transit.answer is not None or self._asked

    @property
    def patience(self) -> tuple[float, TimeLimit]:
        """How long the member may be silent now, and what that is called. A poll is meant to hang."""
        response = self.times.response
        if response is None or not self._sent or self.answered or self.transit.exchange.kind is Kind.POLL:
            return self.times.poll, TimeLimit.POLL
        return response, TimeLimit.RESPONSE

    # To the member.

    def _acquire(self) -> None:
        transit, client = self.transit, self._client
        decision, member = transit.decision, transit.member
        if not isinstance(decision, Forward) or member is None or transit.pool is None:
            self.fail(Outcome.NO_MEMBER)
            return
        pool = transit.pool.pool
        to = Destination(pool.name, member.member.host, decision.port, decision.scheme is Scheme.HTTPS)
        queues = self._lane.upstreams.queues
        if not self._again and (upstream := client.private.take(to)) is not None:
            self.use(upstream)
        elif not queues.limits or not queues.full(to):
            self._connect(to)
        elif self.times.queue > 0:
            self._queued = to
            self._course.queues(transit, queues.wait(self, to, self.times.queue))
        else:
            self.fail(Outcome.QUEUE_TIMEOUT)

    def _connect(self, to: Destination) -> None:
        # Who asks again has met a connection that was closed; the others may be as old.
        upstreams = self._lane.upstreams
        upstream = None
        if not self._again:
            upstream = upstreams.idle(to)
        if upstream is not None:
            self.use(upstream)
        else:
            tls = self.transit.pool.pool.tls if self.transit.pool is not None else UpstreamTls()
            self.upstream = upstreams.connect(to, tls, self, timeout=self.times.connect)

    def granted(self, to: Destination, others: int, seconds: float) -> None:
        """Its turn in the queue has come."""
        self._queued = None
        self._course.queued(self.transit, others, seconds)
        self._connect(to)
        self._client.resume()

    def waited_in_vain(self) -> None:
        self.fail(Outcome.QUEUE_TIMEOUT)

    def reached(self, phase: Phase, seconds: float) -> None:
        self._course.reached(self.transit, phase, seconds)

    def unreached(self, phase: Phase, failure: Outcome, attempt: MemberAttempt) -> None:
        """No connection to the member came to be, and nothing was sent."""
        self.upstream = None
        if self.over:
            return
        self._course.unreached(self.transit, phase, failure, attempt)
        if self._course.next_member(self.transit):
            self._acquire()
        else:
            self.fail(self.transit.failure)

    def use(self, upstream: Upstream) -> None:
        """There is a connection: ask."""
        self.upstream = upstream
        upstream.begin(self)
        if self.transit.request.login:
            upstream.claim(self._client)
        self._course.connected(self.transit, upstream.id)
        upstream.reader.expect(self.incoming.method, websocket=self.transit.request.websocket)
        self.proceed()

    def settle(self) -> None:
        """The client's connection goes on, or waits, as things are now: for the member, which was asked."""
        self._client.resume()

    def proceed(self) -> None:
        """Pass on what has come of the request."""
        incoming, transit, upstream = self.incoming, self.transit, self.upstream
        if self._sent or self.over:
            return
        if upstream is not None and not upstream.established:
            upstream = None
        if upstream is None and transit.answer is None and not self.answer_whole:
            return  # there will be a connection, or an end
        parts: list[bytes] = []
        if not self._asked and upstream is not None:
            self._asked = True
            decision = transit.decision
            target = decision.target if isinstance(decision, Forward) else incoming.target
            try:
                parts.append(wire.request_head(incoming.method, target, transit.request.fields))
            except wire.UnsafeFieldError:
                self.fail(Outcome.CLIENT_GONE, status=400)
                return
        if incoming.chunks:
            chunks, incoming.chunks = incoming.chunks, []
            if not self._take(chunks):
                return
            if incoming.chunked:
                parts.append(wire.chunk(chunks[0] if len(chunks) == 1 else b"".join(chunks)))
            else:
                parts.extend(chunks)
        if incoming.complete:
            self._sent = True
            if incoming.chunked:
                parts.append(wire.last_chunk(incoming.trailers))
        stream = upstream.stream if upstream is not None and not upstream.closed else None
        if parts and stream is not None:
            stream.write(parts[0] if len(parts) == 1 else b"".join(parts))
            if stream.waiting > HIGH:
                self._client.pause()
        if self._sent:
            self._course.sent(transit)
            if transit.answer is not None:
                self._own(transit.answer)
            elif self.answer_whole:
                self._finish()

    def _take(self, chunks: list[bytes]) -> bool:
        """Count them. False: that was too much."""
        transit = self.transit
        for chunk in chunks:
            self._taken += len(chunk)
            if transit.answer is None:
                transit.request_chunk(chunk)
        limit = getattr(transit.decision, "body_limit", None)
        if limit is not None and self._taken > limit and transit.answer is None:
            self.fail(Outcome.BODY_TOO_LARGE)
            return False
        return True

    def member_drained(self) -> None:
        """The member took what waited for it."""
        self._client.resume()

    # To the client.

    def answer(self) -> None:
        """Pass on what has come of the answer."""
        upstream, client = self.upstream, self._client
        if upstream is None or self.over or self.answer_whole:
            return
        reader = upstream.reader
        parts: list[bytes] = []
        try:
            if reader.interims:
                for interim in reader.interims:
                    fields, _ = without(interim.fields, interim.names, DOWNWARDS)
                    parts.append(wire.response_head(interim.status, interim.reason, fields))
                reader.interims = []
                if not self._invited:
                    self._invited = True
                    client.settle()  # the body is due from now on
            if reader.head is None:
                if parts:
                    client.send(b"".join(parts))
                return
            if not self.answered:
                parts.append(self._head(upstream))
            if body := reader.taken():
                self.transit.response_chunk(body)
                parts.append(wire.chunk(body) if self._chunked else body)
            if reader.complete:
                self.answer_whole = True
                if self._chunked:
                    parts.append(wire.last_chunk(reader.trailers if reader.head.chunked else ()))
        except wire.UnsafeFieldError:
            upstream.close()
            self.broken(Outcome.UPSTREAM_INVALID)
            return
        if parts:
            client.send(parts[0] if len(parts) == 1 else b"".join(parts))
        if reader.rest is not None:
            self._go_on_as_tunnel(upstream, reader.rest)
        elif self.answer_whole:
            if self._sent or self.closes:
                self._finish()
            else:
                client.settle()  # the rest of the request is for the member, or for nobody
        elif client.full and upstream.stream is not None:
            upstream.stream.pause()

    def _head(self, upstream: Upstream) -> bytes:
        """The final answer's head as it goes to the client. Raises wire.UnsafeFieldError."""
        came = upstream.reader.head
        if came is None:
            raise wire.UnsafeFieldError("no head")
        head = self._judged(upstream, came)
        fields = list(head.fields)
        self._chunked = came.chunked or came.until_close
        if came.until_close:
            fields.append(CHUNKED)
        if CLOSE in fields:
            self.closes = True
        elif self.closes and came.status != 101:
            fields.append(CLOSE)
        self.answered = True
        return wire.response_head(head.status, came.reason if head.status == came.status else b"", fields)

    def _judged(self, upstream: Upstream, came: Head) -> ResponseHead:
        """The course has its say on the final answer's head."""
        head = ResponseHead(came.status, came.fields, came.names)
        if b"www-authenticate" in came.names and ntlm.challenged(came.fields):
            upstream.claim(self._client)
        self._course.answered(self.transit, head)
        return head

    def client_drained(self) -> None:
        """The client took what waited for it."""
        if self.upstream is not None and self.upstream.stream is not None and not self.upstream.closed:
            self.upstream.stream.read()

    def _own(self, answer: OwnAnswer) -> None:
        """Answer ourselves."""
        self._sent = True
        self._say(self._course.own(self.transit, answer), answer.body)

    def _say(self, head: ResponseHead, body: bytes) -> None:
        fields = list(head.fields)
        if CLOSE in fields:
            self.closes = True
        elif self.closes:
            fields.append(CLOSE)
        self.answered = self.answer_whole = True
        self._client.send(wire.response_head(head.status, b"", fields) + body)
        self._finish()

    # Tunnels.

    def _go_on_as_tunnel(self, upstream: Upstream, rest: bytes) -> None:
        self.tunnel = self.closes = True
        self._course.switched(self.transit)
        if rest:
            self.from_member(rest)
        if self.incoming.rest:
            self.from_client(self.incoming.rest)

    def from_member(self, data: bytes) -> None:
        self.transit.response_chunk(data)
        self._client.send(data)
        if self._client.full and self.upstream is not None and self.upstream.stream is not None:
            self.upstream.stream.pause()

    def from_client(self, data: bytes) -> None:
        self.transit.request_chunk(data)
        stream = self.upstream.stream if self.upstream is not None else None
        if stream is not None:
            stream.write(data)
            if stream.waiting > HIGH:
                self._client.pause()

    # Ends.

    def _finish(self) -> None:
        """Both messages are whole."""
        if self.over:
            return
        self.over = True
        upstream, self.upstream = self.upstream, None
        if upstream is not None and not upstream.closed:
            head = upstream.reader.head
            bad = upstream.reader.spoiled or not self._sent or head is None or head.closes or head.until_close
            if bad:
                upstream.close()
            elif upstream.private:
                self._client.private.keep(upstream)
            elif upstream.stream is None or upstream.stream.waiting:
                upstream.close()  # it has answered without taking the request: nobody shall wait for that
            else:
                self._lane.upstreams.release(upstream)
        self._client.finished(self)

    @property
    def may_wait(self) -> bool:
        """Whether somebody who has said all there is to say may wait for the answer."""
        return self.incoming.complete and not self.tunnel and self.transit.exchange.kind is not Kind.POLL

    def end(self) -> None:
        """The answer has left for the client."""
        self._course.end(self.transit)

    def client_gone(self) -> None:
        """Nobody is there to be answered."""
        if self.over:  # the last of the answer had not left yet
            self._course.end(self.transit, Outcome.CLIENT_GONE)
        else:
            self.fail(Outcome.CLIENT_GONE)

    def broken(self, failure: Outcome) -> None:
        """The connection to the member is gone, or what came by it is no answer."""
        upstream, self.upstream = self.upstream, None
        if self.over:
            return
        if self.tunnel:
            self.over = True
            self._client.finished(self)
        elif self.answer_whole:
            if self._sent:
                self._finish()
            else:  # the rest of the body is thrown away until then
                self.proceed()
                self._client.settle()
        elif upstream is not None and failure is Outcome.UPSTREAM_RESET and self._may_ask_again(upstream):
            self._again, self._asked, self._sent = True, False, False
            self._acquire()
        else:
            self.fail(failure)

    def unanswered(self) -> None:
        """The network does not reach the member any more. Nobody knows what it has done."""
        self._course.timed_out(TimeLimit.LOST_MEMBER)
        self.broken(Outcome.UPSTREAM_TIMEOUT)

    def _may_ask_again(self, upstream: Upstream) -> bool:
        """A kept connection that ends without a byte of an answer was most likely closed before the request
        came. Asking again is right only where twice does what once does (RFC 9110 §9.2.2), and a poll is not
        that: its first answer may have been lost on the way."""
        return (
            upstream.uses > 1
            and not self._again
            and not self.answered
            and upstream.reader.untouched
            and self.incoming.method in IDEMPOTENT
            and self._taken == 0
            and self.incoming.complete
            and self.transit.exchange.kind is not Kind.POLL
        )

    def fail(self, failure: Outcome, status: int | None = None, *, silent: bool = False) -> None:
        """End it on both sides. The client gets a status if no answer has begun, else an abort: what it got
        must not look whole. `silent`: an abort in any case."""
        if self.over:
            return
        self.over = True
        if self._queued is not None:
            others = self._lane.upstreams.queues.leave(self, self._queued)
            self._queued = None
            self._course.queued(self.transit, others, None)
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.relay = None
            if self.tunnel and failure is Outcome.CLIENT_GONE:
                upstream.empty()
            else:
                upstream.close()
        transit = self.transit
        if transit.exchange.outcome is None:
            transit.exchange.outcome = failure
        status = status or outcomes.STATUS.get(transit.exchange.outcome)
        self._course.end(transit, failure)
        aborted = self.answered or silent
        self._client.failed(None if aborted else status, aborted=aborted)
