"""Listening sockets that somebody else made: the supervisor before it forked, systemd, the edge before us.

By where rules.yaml puts them: listener, host and port as written (port 0 where it says so). There may be
several for one address, each with a queue of its own (SO_REUSEPORT); a worker listens on all that it gets.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence

from lyncgate.policy.policy import Policy

type Place = tuple[str, str, int]  # listener, host, port

BACKLOG = 4096  # connections the kernel queues for us: a pool's phones come back all at once


class Sockets:
    """Owns them. What listens takes copies, so that a listener can be closed and opened again."""

    def __init__(self, sockets: Mapping[Place, Sequence[socket.socket]] | None = None) -> None:
        self._sockets = {place: list(there) for place, there in (sockets or {}).items()}

    def __iter__(self) -> Iterator[Place]:
        return iter(self._sockets)

    def copies(self, listener: str, host: str, port: int) -> list[socket.socket]:
        """To listen on, and to close. Empty: nobody made any, so bind."""
        return [there.dup() for there in self._sockets.get((listener, host, port), ())]

    def close(self) -> None:
        """Whoever listens on a copy goes on."""
        for there in self._sockets.values():
            for one in there:
                with contextlib.suppress(OSError):
                    one.close()
        self._sockets.clear()


def places_of(policy: Policy) -> list[Place]:
    """Every address of every listener, in the order of rules.yaml."""
    return [
        (listener.name, host, port) for listener in policy.listeners.values() for host, port in listener.bind
    ]
