"""One connection to a member: made, used for one exchange after the other, closed."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from lyncgate.edge.client import shown_address
from lyncgate.edge.handshakes import MemberAttempt
from lyncgate.edge.ids import new_id
from lyncgate.engine.lane.baresockets import calling
from lyncgate.engine.lane.deadline import Deadline
from lyncgate.engine.lane.lost import insist, probe, unanswered
from lyncgate.engine.lane.responses import InvalidAnswerError, ResponseReader
from lyncgate.engine.lane.stream import Stream
from lyncgate.engine.lane.tls import member_failure, reason, shown
from lyncgate.policy.hosts import is_address
from lyncgate.policy.policy import UpstreamTls
from lyncgate.signin.events import Certificate, HandshakeOutcome
from lyncgate.signin.exchange import Outcome, Phase
from lyncgate.signin.presented import Problem

if TYPE_CHECKING:
    from lyncgate.engine.lane.client import ClientConnection
    from lyncgate.engine.lane.exchange import Relay
    from lyncgate.engine.lane.upstreams import Upstreams


LAST_WORDS = 60.0  # seconds that a member may take over what a client said before it left, and to leave

type Address = tuple[int, str]  # family, textual address


class Destination(NamedTuple):
    """What makes two connections the same to whoever needs one: a connection made for one pool proves nothing
    to another. `secure`: by TLS."""

    pool: str
    host: str
    port: int
    secure: bool


class NotWhoWasWantedError(Exception):
    """The member's certificate chains to the right authority but has another name, or is not pinned."""


class Upstream:
    """`relay`: the exchange that it carries. `private`: it carried or was asked for NTLM, so it is its
    client's for good, who is its `holder` between exchanges. `uses`: exchanges that began on it. `_emptying`:
    what waits is sent yet, and then it is closed."""

    __slots__ = (
        "_deadline", "_emptying", "_others", "_phase_began", "_secure", "_started", "_timeout", "_upstreams",
        "closed", "established", "generation", "holder", "id", "private", "reader", "relay", "stream", "tls",
        "to", "uses",
    )  # fmt: skip

    def __init__(
        self, upstreams: Upstreams, to: Destination, tls: UpstreamTls, relay: Relay, timeout: float
    ) -> None:
        """`tls`: how the member proves itself. `timeout`: seconds that TCP may take, and TLS again."""
        self.id = new_id()
        self.to = to
        self.tls = tls
        self.relay: Relay | None = relay
        self.holder: ClientConnection | None = None
        self.generation = upstreams.generation
        self.private = self.closed = self.established = self._emptying = False
        self.uses = 0
        self.reader = ResponseReader()
        self.stream: Stream | None = None
        self._upstreams = upstreams
        self._secure = False
        self._others: list[Address] = []
        self._timeout = timeout
        self._deadline = Deadline(upstreams.deadlines, self._too_late)
        self._started = time.time()
        self._phase_began = time.monotonic()
        self._deadline.set(self._phase_began + timeout)

    # Made.

    def connect_to(self, addresses: list[Address]) -> None:
        """To the first of the member's addresses that takes it. They share one time limit."""
        (family, address), *self._others = addresses
        self._connect((address, self.to.port), family)

    def _connect(self, address: tuple[str, int], family: int) -> None:
        try:
            sock = calling(family)
        except OSError as error:  # no more files can be opened, or there is no IPv6
            self._upstreams.loop.call_soon(self.lost, error)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        probe(sock, self._upstreams.lost)
        insist(sock, self._upstreams.lost)
        self.stream = Stream(self._upstreams.watch, sock, self)
        self.stream.connect(address)

    def ready(self) -> None:
        relay, stream = self.relay, self.stream
        if relay is None or stream is None:  # whoever wanted it has left
            self.close()
            return
        now = time.monotonic()
        took, self._phase_began = now - self._phase_began, now
        if self.to.secure and not self._secure:
            relay.reached(Phase.CONNECT, took)
            self._deadline.set(now + self._timeout)
            self._begin_tls(stream)
            return
        if self._secure and not self._is_wanted(stream):
            self.lost(NotWhoWasWantedError())
            return
        relay.reached(Phase.UPSTREAM_TLS if self._secure else Phase.CONNECT, took)
        self._deadline.put_off()
        self.established = True
        stream.read()
        relay.use(self)
        relay.settle()

    def _begin_tls(self, stream: Stream) -> None:
        self._secure = True
        context = self._upstreams.contexts.members.get(self.tls)
        if context is None:  # a reload has removed the pool meanwhile
            self.lost(OSError("its pool is no more"))
            return
        known = self._upstreams.sessions.get(self.to)
        session = known.kept if known is not None and known.kept.context is context else None
        try:
            stream.secure(context, server_side=False, name=self._name(), session=session)
        except (OSError, ValueError) as error:
            self.lost(error)

    def _name(self) -> str | None:
        """SNI: a name, never an address."""
        name = self.tls.name or self.to.host
        return None if is_address(name) else name

    def _is_wanted(self, stream: Stream) -> bool:
        secured = stream.secured
        return secured is not None and self._upstreams.contexts.proven(self.tls, self.to.host, secured)

    def _too_late(self) -> None:
        if self.established:
            self.close()  # idle for long enough
        else:
            self.lost(TimeoutError("timed out"))

    def _unreached(self, error: Exception | None) -> None:
        """No connection came to be: the relay may try the next member."""
        relay, stream = self.relay, self.stream
        phase = Phase.UPSTREAM_TLS if self._secure else Phase.CONNECT
        failure = Outcome.TLS_FAILED if self._secure else Outcome.CONNECT_FAILED
        certificate: Certificate | None = None
        problem: Problem | None = None
        if isinstance(error, NotWhoWasWantedError):
            outcome, detail, problem = HandshakeOutcome.UNTRUSTED, "certificate verify failed", "name"
            certificate = shown(stream.secured) if stream else None
        elif isinstance(error, TimeoutError):
            outcome = HandshakeOutcome.CLOSED if self._secure else HandshakeOutcome.UNREACHABLE
            detail, failure = "timed out", Outcome.CONNECT_TIMEOUT
        elif self._secure:
            outcome, detail, certificate, problem = member_failure(error, stream.secured if stream else None)
        else:
            refused = isinstance(error, ConnectionRefusedError)
            outcome = HandshakeOutcome.REFUSED if refused else HandshakeOutcome.UNREACHABLE
            detail = reason(error) if error else "closed"
        attempt = MemberAttempt(
            started=self._started,
            address=shown_address((self.to.host, self.to.port)),
            scheme="https" if self.to.secure else "http",
            server_name=self._name() if self._secure else None,
            outcome=outcome,
            detail=detail,
            certificate=certificate,
            problem=problem,
        )
        self.close()
        if relay is not None:
            relay.unreached(phase, failure, attempt)

    # Used.

    def begin(self, relay: Relay) -> None:
        """An exchange begins on it."""
        self._deadline.put_off()
        self.relay = relay
        self.uses += 1

    def claim(self, client: ClientConnection) -> None:
        """It carries or was asked for NTLM: it is this client's from now on."""
        self.private = True
        self.holder = client

    def rest(self, until: float) -> None:
        """Nobody uses it; it is closed at `until`, in monotonic seconds."""
        self.relay = None
        self._deadline.set(until)

    def received(self, data: bytes) -> None:
        relay = self.relay
        if self._emptying:
            return  # nobody is there to hear it
        if relay is None:
            self.close()  # a word that nobody asked for: a 408, or what belongs to an answer long gone
            return
        if relay.tunnel:
            relay.from_member(data)
            return
        try:
            self.reader.feed(data)
        except InvalidAnswerError:
            self.close()
            relay.broken(Outcome.UPSTREAM_INVALID)
            return
        relay.answer()

    def ended(self) -> None:
        relay = self.relay
        whole = self.reader.eof()
        if relay is not None and whole and not relay.tunnel:
            relay.answer()
        if not self.closed:
            self.lost(None)

    def lost(self, error: Exception | None) -> None:
        if not self.established:
            if self._others and not (self._secure or self.closed or isinstance(error, TimeoutError)):
                self.connect_to(self._others)
            else:
                self._unreached(error)
            return
        relay = self.relay
        self.close()
        if relay is not None and unanswered(error):
            relay.unanswered()
        elif relay is not None:
            relay.broken(Outcome.UPSTREAM_RESET)

    def drained(self) -> None:
        if self.relay is not None:
            self.relay.member_drained()
        elif self._emptying and self.stream is not None:
            self.stream.finish()

    def empty(self) -> None:
        """Nobody uses it any more: what was said is for the member yet, and then it is closed. By the member,
        for some of it is in the kernel, which would lose it with a reset if a word came meanwhile."""
        self.relay = None
        if self.stream is None or self.closed:
            self.close()
            return
        self._emptying = True
        self._deadline.set(time.monotonic() + LAST_WORDS)
        self.stream.read()
        if not self.stream.waiting:
            self.stream.finish()

    def close(self) -> None:
        """For good."""
        if self.closed:
            return
        self.closed = True
        self._deadline.end()
        self.reader.close()
        if self.stream is not None:
            self.stream.close()
        self._upstreams.gone(self)
        self.relay = None
        if self.holder is not None:
            holder, self.holder = self.holder, None
            holder.parted(self)
