"""Sockets of connections: CPython's own kind, on which socket.py's is built. That one adds files and enums,
which nobody here uses, and to make one takes a third of the time in which a connection is accepted.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

# Whether a socket blocks is said as it is made, where the system knows that.
_STREAM = int(socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0))
_TCP = int(socket.IPPROTO_TCP)


class Socket(socket.SocketType):
    """OpenSSL's side of CPython holds it by a weak reference, which the plain one does not allow."""

    __slots__ = ("__weakref__",)


def calling(family: int) -> Socket:
    """To connect with by TCP; it does not block. Raises OSError."""
    sock = Socket(family, _STREAM, _TCP)
    if sock.gettimeout() != 0:
        sock.setblocking(False)
    return sock


class Taker:
    """Takes connections of a listening socket, each with the address of its peer."""

    __slots__ = ("_accept", "_family", "_protocol")

    def __init__(self, listening: socket.socket) -> None:
        # What socket.accept calls; in every version that we run on.
        self._accept: Callable[[], tuple[int, tuple[Any, ...]]] = listening._accept  # type: ignore[attr-defined]
        self._family, self._protocol = int(listening.family), listening.proto

    def take(self) -> tuple[Socket, tuple[Any, ...]]:
        """It does not block. Raises OSError, BlockingIOError if there is none."""
        descriptor, peer = self._accept()
        sock = Socket(self._family, socket.SOCK_STREAM, self._protocol, descriptor)
        sock.setblocking(False)
        return sock, peer
