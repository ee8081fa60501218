"""The lane as a whole: its listeners' sockets, clients' connections, connections to members."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from lyncgate.edge.course import Course
from lyncgate.edge.state import EdgeState
from lyncgate.engine.lane.baresockets import Socket, Taker
from lyncgate.engine.lane.client import ClientConnection
from lyncgate.engine.lane.deadline import Deadlines
from lyncgate.engine.lane.lost import probe
from lyncgate.engine.lane.tls import Contexts
from lyncgate.engine.lane.upstreams import Upstreams
from lyncgate.engine.lane.watch import Watch
from lyncgate.engine.tls.ticketkeys import TicketKeyRing
from lyncgate.policy.policy import Policy

if TYPE_CHECKING:
    from lyncgate.engine.lane.exchange import Relay
    from lyncgate.engine.lane.requests import Incoming

log = logging.getLogger(__name__)

ACCEPTS = 64  # connections taken in a row before others get their turn
BREATH = 0.1  # seconds without accepting when no file can be opened


class Scripted(Protocol):
    """Whoever has exchanges seen by others."""

    def relay(self, lane: Lane, client: ClientConnection, incoming: Incoming) -> Relay: ...


class Lane:
    """`edge`, `contexts`: of the policy in force. `scripts`: the operator's addons; None: there are none, and
    nothing of mitmproxy's is built."""

    def __init__(self, course: Course, loop: asyncio.AbstractEventLoop, tickets: TicketKeyRing) -> None:
        """Raises OSError if a certificate or CA file can't be used."""
        self.course = course
        self.edge: EdgeState = course.edge
        self.loop = loop
        self.contexts = Contexts(self.edge.policy)
        self.watch = Watch(loop)
        self.deadlines = Deadlines(loop)
        self.upstreams = Upstreams(self.watch, self.deadlines, self.contexts)
        self.upstreams.queues.adopt(self.edge.policy.pools)
        self.upstreams.lost = self.edge.policy.timeouts.lost_member
        self.acceptors: set[Acceptor] = set()
        self.clients: set[ClientConnection] = set()
        self.scripts: Scripted | None = None
        self._tickets = tickets
        tickets.on_ticket_keys(lambda keys: self.contexts.use_ticket_keys(keys))

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """Read the policy's files. Raises OSError; else what is returned puts them in use."""
        contexts = Contexts(policy)
        if self._tickets.current is not None:
            contexts.use_ticket_keys(self._tickets.current)

        def use() -> None:
            self.contexts = contexts
            self.upstreams.adopt(contexts)
            self.upstreams.queues.adopt(policy.pools)
            self.upstreams.lost = policy.timeouts.lost_member
            for acceptor in self.acceptors:
                acceptor.probe(policy.timeouts.lost_client)

        return use

    def listen(self, listener: str, sock: socket.socket) -> Acceptor:
        return Acceptor(self, listener, sock)

    def accepted(self, listener: str, sock: Socket, peer: tuple[Any, ...], own: tuple[Any, ...]) -> None:
        """`peer`, `own`: addresses."""
        rules = self.edge.policy.listeners.get(listener)
        if rules is None:  # it went with a reload while this connection was being accepted
            sock.close()
            return
        try:
            client = ClientConnection(self, rules, sock, peer, own)
        except OSError:  # it has gone already
            sock.close()
            return
        if not client.stream.closed:
            self.clients.add(client)

    def forget(self, client: ClientConnection) -> bool:
        """A client's connection is closed. False: that is known."""
        self.clients.discard(client)
        first, client.open = client.open, False
        return first

    def leave_idle(self) -> None:
        """Close the connections on which nothing is under way."""
        for client in tuple(self.clients):
            client.leave()

    def close(self) -> None:
        """Close everything."""
        for client in tuple(self.clients):
            client.cut()
        self.upstreams.close()
        self.watch.close()
        self.deadlines.close()


class Acceptor:
    """Takes connections of one listening socket, as an asyncio.Server would: `sockets`, `close`."""

    def __init__(self, lane: Lane, listener: str, sock: socket.socket) -> None:
        self._lane = lane
        self._listener = listener
        self._sock: socket.socket | None = sock
        self._taker = Taker(sock)
        sock.setblocking(False)
        self.probe(lane.edge.policy.timeouts.lost_client)
        lane.acceptors.add(self)
        lane.loop.add_reader(sock.fileno(), self._accept)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self._sock,) if self._sock is not None else ()

    def probe(self, seconds: float) -> None:
        """Of its clients, whoever is silent: see lost.py."""
        if self._sock is not None:
            with contextlib.suppress(OSError):  # a socket of systemd's that is no TCP's
                probe(self._sock, seconds)

    def close(self) -> None:
        self._lane.acceptors.discard(self)
        if self._sock is not None:
            self._lane.loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            if self._sock is None:
                return
            try:
                sock, peer, own = self._taker.take()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.error("no more connections can be taken for now: %s", error.strerror)
                    self._lane.loop.remove_reader(self._sock.fileno())
                    self._lane.loop.call_later(BREATH, self._again)
                return
            self._lane.accepted(self._listener, sock, peer, own)

    def _again(self) -> None:
        if self._sock is not None:
            self._lane.loop.add_reader(self._sock.fileno(), self._accept)
