"""Listening sockets that somebody else made: the supervisor before it forked, systemd, the edge before us.

By where rules.yaml puts them: listener, host and port as written (port 0 where it says so). There may be
several for one address, each with a queue of its own (SO_REUSEPORT); a worker listens on all that it gets.
"""

from __future__ import annotations

import asyncio
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


async def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address of `host`. Raises OSError; then none is left open."""
    loop = asyncio.get_running_loop()
    flags = socket.AI_PASSIVE
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            # The protocol matters: without it the loop does not know that these are TCP.
            sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets
