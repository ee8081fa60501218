"""One client's connection: its TLS, its requests one after the other, its time limits.

All time limits share one deadline (`_due`). After the last word the connection lingers: closing a socket with
unread bytes resets it, and the reset overtakes what was said.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lyncgate.edge import outcomes
from lyncgate.edge.client import Client, shown_address
from lyncgate.edge.framing import STATUS, Fault
from lyncgate.edge.ids import new_id
from lyncgate.edge.timeouts import TimeLimit
from lyncgate.engine.lane.baresockets import Socket
from lyncgate.engine.lane.deadline import Deadline
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.greeting import Greeting
from lyncgate.engine.lane.lost import unanswered
from lyncgate.engine.lane.pace import Pace
from lyncgate.engine.lane.private import Private
from lyncgate.engine.lane.requests import RequestReader
from lyncgate.engine.lane.stream import HIGH, Stream
from lyncgate.policy.policy import Listener, Scheme
from lyncgate.signin.exchange import Outcome

if TYPE_CHECKING:
    from lyncgate.engine.lane.lane import Lane
    from lyncgate.engine.lane.upstream import Upstream

LINGER = 2.0  # seconds that we go on reading, and dropping, after our last word
NEWCOMER = 2.0  # seconds that a connection without a request yet is let be when the edge stops
RECENT = 1.0  # and one on which something has just been: its next request may be on its way
MOMENT = 0.1  # seconds in which what has come is read
HALF_CLOSED = 3.0  # seconds that a client which sends no more may wait for its answer: most such have left
READ_AHEAD = 256 * 1024  # bytes of a body taken from a client while its member is connected to


class ClientConnection:
    """`record`: what the edge's concerns know of it. `relay`: the exchange under way. `private`: connections
    to members that are its own. `open`: until its end has been told."""

    __slots__ = (
        "_active", "_advancing", "_ahead", "_closing", "_deadline", "_ended", "_fault", "_greeting", "_lane",
        "_pace", "_policy", "_reader", "open", "private", "record", "relay", "stream", "times",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, listener: Listener, sock: Socket, peer: tuple[Any, ...], own: tuple[Any, ...]
    ) -> None:
        """`peer`, `own`: addresses."""
        self._policy = policy = lane.edge.policy
        self._lane = lane
        self.times = policy.times(listener.name)
        self.record = Client(
            id=new_id(),
            listener=listener.name,
            scheme=listener.scheme,
            peer=peer[0],
            address=shown_address(own),
            started=time.time(),
        )
        self.relay: Relay | None = None
        self.open = True
        self.stream = Stream(lane.watch, sock, self)
        self._reader = RequestReader(policy.limits)
        self.private = Private()
        self._fault: Fault | None = None
        self._closing = self._ended = self._advancing = self._ahead = False
        self._greeting = Greeting(lane, self) if listener.scheme is Scheme.HTTPS else None
        self._active = time.monotonic()
        self._pace: Pace | None = None  # while bytes are due
        self._deadline = Deadline(lane.deadlines, self._too_late)
        lane.course.opened(self.record)
        if self._greeting is None:
            self.stream.read()
        else:
            self._greeting.begin()
        if not self.stream.closed:
            self._deadline.set(self._due())

    # TLS.

    def ready(self) -> None:
        """TLS is established."""
        self._greeting = None
        self._active = time.monotonic()
        record, secured = self.record, self.stream.secured
        record.secured = time.time()
        if secured is not None:
            record.server_name, record.tls_version = secured.asked, secured.version()
        self.stream.read()
        self._deadline.set(self._due())

    def leaves(self) -> None:
        """It has, or must: nothing came of it."""
        self.stream.close()
        self.lost(None)

    def refuse(self, fault: Fault) -> None:
        """It is no TLS, or took too long: nothing that we could say would be understood."""
        self._lane.course.rejected(self.record, fault)
        self.stream.discard()
        self.stream.close()
        self._gone()

    # Requests.

    def received(self, data: bytes) -> None:
        relay, reader = self.relay, self._reader
        if self._closing or self._fault is not None:
            return
        if relay is None and not reader.midway:
            # Old clients send an empty line after a body (RFC 9112 §2.2): no request, and no sign of life.
            data = data.lstrip(b"\r\n")
            if not data:
                return
        self._active = reader.now = time.monotonic()
        if relay is not None and relay.tunnel:
            relay.from_client(data)
            return
        self._fault = reader.feed(data)
        if self._fault is not None:
            self._faulty(self._fault)
            return
        if relay is not None and (relay.incoming.chunks or relay.incoming.complete):
            relay.proceed()
        self._advance()
        self.settle()

    def _advance(self) -> None:
        """Begin what is next, as often as that is over at once."""
        if self._advancing:
            return
        self._advancing = True
        queue = self._reader.queue
        try:
            while self.relay is None and queue and not self._closing and not self.stream.closed:
                incoming = queue.popleft()
                if self._policy is not self._lane.edge.policy:  # rules were reloaded
                    self._policy = self._lane.edge.policy
                    self.times = self._policy.times(self.record.listener)
                self.record.head_begun = incoming.begun
                scripts = self._lane.scripts
                if scripts is None:
                    relay = self.relay = Relay(self._lane, self, incoming)
                else:
                    relay = self.relay = scripts.relay(self._lane, self, incoming)
                relay.closes = relay.closes or (self._ended and not self._reader.more)
                relay.start()
        finally:
            self._advancing = False

    def _faulty(self, fault: Fault) -> None:
        """Refuse what came. Whoever sends such bytes may mean something else by those before: what is not
        answered yet won't be."""
        relay = self.relay
        self._reader.queue.clear()
        self._lane.course.rejected(self.record, fault)
        if relay is None:
            self._hang_up(STATUS.get(fault))
        elif relay.over:
            relay.closes = True  # its answer is on its way
        else:
            relay.fail(Outcome.CLIENT_GONE, status=STATUS.get(fault))

    def settle(self) -> None:
        """Read, or not, and until when, as things are now."""
        if self.stream.closed:
            return
        relay = self.relay
        if relay is None and self.stream.reading and not self._reader.queue:
            self._deadline.set(self._due())
            return
        ahead = bool(self._reader.queue)
        if relay is not None and relay.incoming.chunks:
            ahead = ahead or sum(map(len, relay.incoming.chunks)) > READ_AHEAD
        self._ahead = ahead
        if ahead and not self._closing:
            self.stream.pause()
        elif not self.stream.reading and not self._ended and self._greeting is None and not self._held:
            self.stream.read()
        self._deadline.set(self._due())

    @property
    def _held(self) -> bool:
        """Whether the member has to take what it was sent before more is read."""
        upstream = self.relay.upstream if self.relay is not None and not self._closing else None
        return upstream is not None and upstream.stream is not None and upstream.stream.waiting > HIGH

    # What a relay asks for.

    def send(self, data: bytes) -> None:
        self._active = time.monotonic()
        self.stream.write(data)
        if self.stream.waiting and (self._pace is None or self._pace.limit is not TimeLimit.WRITE):
            self._deadline.set(self._due())

    @property
    def full(self) -> bool:
        return self.stream.waiting > HIGH

    def pause(self) -> None:
        self.stream.pause()

    def resume(self) -> None:
        self._active = time.monotonic()
        self.settle()

    def parted(self, upstream: Upstream) -> None:
        """A connection that it had logged on to has ended."""
        self.private.forget(upstream)
        pool, host = upstream.to.pool, upstream.to.host
        if not self.private.reaches(pool, host):
            self._lane.course.publish.parted(self.record, pool, host)

    def finished(self, relay: Relay) -> None:
        """Both messages are whole; the answer may not have left yet."""
        if not self.stream.waiting:
            self._over(relay)

    def _over(self, relay: Relay) -> None:
        relay.end()
        self.relay = self._pace = None
        self._active = time.monotonic()
        if relay.closes or (self._ended and not self._reader.more):
            self._hang_up(None)
            return
        if relay.incoming.websocket:
            self._fault = self._reader.resume()
            if self._fault is not None:
                self._faulty(self._fault)
                return
        if self._reader.queue:
            self._advance()
        self.settle()

    def failed(self, status: int | None, *, aborted: bool) -> None:
        """The exchange came to nothing. `status`: to say so; `aborted`: an answer has begun that must not
        look whole."""
        self.relay = None
        if self.stream.closed:
            return
        if aborted:
            self._closing = True
            self.stream.abort()
            self._gone()
        else:
            self._hang_up(status)

    # Ends.

    def _hang_up(self, status: int | None) -> None:
        """Close, with `status` for a last word if there is one."""
        if self._closing or self.stream.closed:
            return
        if status is not None:
            self.stream.write(outcomes.empty_response(status))
        self._closing = True
        self._active = time.monotonic()
        if not self.stream.waiting:
            self.stream.finish()
        if self._ended and not self.stream.waiting:
            self.stream.close()
            self._gone()
            return
        if not self._ended:
            self.stream.read()
        self._deadline.set(self._due())

    def drained(self) -> None:
        """Whatever waited for the client has gone."""
        self._active = time.monotonic()
        self._pace = None
        relay = self.relay
        if self._closing:
            self.stream.finish()
            if self._ended:
                self.stream.close()
                self._gone()
        elif relay is not None and relay.over:
            self._over(relay)
        elif relay is not None:
            relay.client_drained()
            self._deadline.set(self._due())

    def ended(self) -> None:
        """The client sends no more. It may wait for its answer, but not for long: one that has left looks the
        same. In TLS it has left, for TLS 1.2 has no half of a connection."""
        self._ended = True
        relay = self.relay
        if self._closing and not self.stream.waiting:
            self.stream.close()
            self._gone()
        elif relay is not None and relay.over:
            relay.closes = True  # its answer is on its way
        elif relay is not None and relay.may_wait and not self.stream.tls:
            relay.closes = relay.closes or not self._reader.more  # those sent ahead are answered, too
            self._active = time.monotonic()
            self._deadline.set(self._due())
        else:
            self.leaves()

    def lost(self, error: Exception | None) -> None:
        if unanswered(error):
            self._lane.course.timed_out(TimeLimit.LOST_CLIENT)
        if self._greeting is not None:
            self._greeting.failed(error)
            self._greeting = None
        relay = self.relay
        if relay is not None:
            relay.client_gone()
        self._gone()

    def _gone(self) -> None:
        self._greeting = self.relay = None
        self._deadline.end()
        self._reader.close()
        self.private.close()
        if self._lane.forget(self):
            self._lane.course.closed(self.record)

    @property
    def idle(self) -> bool:
        """Whether it has nothing to say and nothing is owed to it."""
        reader = self._reader
        return self.relay is None and not (self.stream.waiting or reader.queue or reader.midway)

    def leave(self) -> None:
        """Close it if it is idle: the edge stops. Whoever has just come, or asks at this very moment, is
        answered yet, and told with the answer that it is the last one: a request that meets a closed
        connection is lost, and is as likely as not when there was one a moment ago."""
        if self._closing:
            return
        if time.monotonic() - self._active < (RECENT if self.record.greeted else NEWCOMER):
            return
        if self._greeting is not None:
            self.cut()
        elif self.idle and not self.stream.heard():
            self._hang_up(None)

    def cut(self) -> None:
        """Close it, whatever is under way."""
        if self.relay is not None:
            self.stream.abort()
        else:
            self.stream.close()
        self.lost(None)

    # Time limits.

    def _due(self) -> float:
        """When this connection has waited long enough, in monotonic seconds."""
        times, relay = self.times, self.relay
        if self._closing:
            return self._active + LINGER
        if self._greeting is not None:
            return self._active + times.handshake
        if relay is None:
            if self._reader.midway:
                return self._reader.began + times.head
            return self._active + times.idle
        if self.stream.waiting:
            return self._paced(TimeLimit.WRITE).due(relay.times)
        if self._ended:
            self._pace = None
            return self._active + HALF_CLOSED
        if relay.waits_for_client and self.stream.reading:
            return self._paced(TimeLimit.BODY).due(relay.times)
        self._pace = None
        return self._active + relay.patience[0]

    def _paced(self, limit: TimeLimit) -> Pace:
        if self._pace is None or self._pace.limit is not limit:
            self._pace = Pace(limit, self.stream)
        return self._pace

    def _too_late(self) -> None:
        due = self._due()
        if time.monotonic() < due:
            self._deadline.set(due)
        elif self._closing:
            self.stream.close()
            self._gone()
        elif self._greeting is not None:
            self.refuse(Fault.HANDSHAKE_TIMEOUT)
        elif self.relay is not None:
            self._exchange_too_late(self.relay)
        elif self._reader.midway:
            self._fault = Fault.HEAD_TIMEOUT
            self._faulty(Fault.HEAD_TIMEOUT)
        elif self.stream.heard():  # its next request comes at this very moment
            self._deadline.set(time.monotonic() + MOMENT)
        else:
            self._lane.course.timed_out(TimeLimit.IDLE)
            self._hang_up(None)

    def _exchange_too_late(self, relay: Relay) -> None:
        pace = self._pace
        if self._ended and pace is None:
            self.leaves()
        elif pace is not None and pace.kept(relay.times):
            self._pace = None  # the next stretch
            self._deadline.set(self._due())
        elif pace is None:
            self._lane.course.timed_out(relay.patience[1])
            relay.fail(Outcome.UPSTREAM_TIMEOUT)
        else:
            self._lane.course.timed_out(pace.limit)
            if pace.limit is TimeLimit.BODY:
                relay.fail(Outcome.CLIENT_GONE, status=408)
            else:
                self.stream.abort()
                self.lost(None)
