"""The listening sockets: made by the supervisor, which keeps them open whatever becomes of a worker.

One socket for each address and worker (SO_REUSEPORT): each has a queue of its own in the kernel, which
deals connections out evenly. Who waits in a queue is served by the worker that takes a dead one's place.
Of an address there are never fewer sockets than there were: those of workers that are no more are listened on
by the rest, for to close one would reset who waits in its queue. An address that somebody else opened
(systemd) may have one socket only; then all workers listen on that.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping

from lyncgate.engine.master import StartError
from lyncgate.engine.sockets import BACKLOG, Place, places_of
from lyncgate.policy.policy import Policy

ADMIN = "admin"  # the admin listener's, among the listeners' names; theirs are kept apart by Place


def share(sockets: int, workers: int, worker: int) -> list[int]:
    """Which of an address's sockets a worker listens on: every socket by somebody, every worker on one."""
    if workers > sockets:
        return [worker % sockets]
    return list(range(worker, sockets, workers))


def open_socket(host: str, port: int, *, several: bool = False) -> socket.socket:
    """Bound and listening. `several`: others of ours may listen there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: asyncio and uvloop set TCP_NODELAY on sockets that say so themselves.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if several:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def open_first(host: str, port: int) -> socket.socket:
    """The first of several: nobody else's may be there. With SO_REUSEPORT the kernel would let a second edge
    of the same user in, and deal it half of the phones."""
    if port:
        open_socket(host, port).close()
    return open_socket(host, port, several=True)


class Bank:
    """`shared`: places whose sockets were opened by others, with an identity of theirs: no more are bound."""

    def __init__(
        self, sockets: Mapping[Place, list[socket.socket]] | None = None, shared: Iterable[Place] = ()
    ) -> None:
        self._sockets: dict[Place, list[socket.socket]] = dict(sockets or {})
        self._shared = set(shared)

    @property
    def shared(self) -> frozenset[Place]:
        return frozenset(self._shared)

    def __iter__(self) -> Iterator[tuple[Place, list[socket.socket]]]:
        return iter(self._sockets.items())

    def prepared(self, policy: Policy, workers: int) -> Bank:
        """What the bank must be for `policy`: sockets that there are stay, others are made.

        Raises StartError, with nothing changed and nothing left open.
        """
        new = Bank(shared=self._shared)
        made: list[socket.socket] = []
        try:
            for place in places_of(policy):
                there = list(self._sockets.get(place, ()))
                while len(there) < workers and not (there and place in self._shared):
                    if there:
                        more = open_socket(place[1], there[0].getsockname()[1], several=True)
                    else:
                        more = open_first(place[1], place[2])
                    there.append(more)
                    made.append(there[-1])
                new._sockets[place] = there
        except OSError as error:
            for one in made:
                one.close()
            raise StartError(f"listener {place[0]} on {place[1]}:{place[2]}: {error.strerror}") from error
        return new

    def of_worker(self, worker: int, workers: int) -> list[tuple[Place, socket.socket]]:
        """Those that it listens on."""
        return [
            (place, there[index])
            for place, there in self._sockets.items()
            for index in share(len(there), workers, worker)
        ]

    def close_but(self, other: Bank) -> None:
        """Close what the other one has not."""
        self.close_ids_but({id(one) for _, there in other for one in there})

    def close_ids_but(self, kept: set[int]) -> None:
        """Close those of another identity."""
        for there in self._sockets.values():
            for one in there:
                if id(one) not in kept:
                    one.close()

    def close(self) -> None:
        for there in self._sockets.values():
            for one in there:
                with contextlib.suppress(OSError):
                    one.close()
        self._sockets.clear()

    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Where each listener is: host and port, the real one where the rules say port 0."""
        bound: dict[str, list[tuple[str, int]]] = {}
        for (listener, _, _), there in self._sockets.items():
            host, port, *_ = there[0].getsockname()
            bound.setdefault(listener, []).append((host, port))
        return bound
