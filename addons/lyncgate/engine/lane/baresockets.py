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
EVERY = ("0.0.0.0", "::")  # noqa: S104 (to be known, not to listen at)


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
    """Takes connections of a listening socket, which hands down that they don't delay what is said."""

    __slots__ = ("_accept", "_at", "_family", "_handed", "_hands", "_protocol")

    def __init__(self, listening: socket.socket) -> None:
        self._hands = True
        try:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # a socket of systemd's that is no TCP's
            self._hands = False
        self._handed = False  # to all that are there: some may have been before us
        # What socket.accept calls; in every version that we run on.
        self._accept: Callable[[], tuple[int, tuple[Any, ...]]] = listening._accept  # type: ignore[attr-defined]
        self._family, self._protocol = int(listening.family), listening.proto
        # At one address all come to that one; at none in particular each has to be asked.
        self._at = listening.getsockname()
        if self._family not in (socket.AF_INET, socket.AF_INET6) or self._at[0] in EVERY:
            self._at = None

    def take(self) -> tuple[Socket, tuple[Any, ...], tuple[Any, ...]]:
        """One, which does not block, the address of its peer and its own. Raises OSError, BlockingIOError if
        there is none."""
        try:
            descriptor, peer = self._accept()
        except BlockingIOError:
            self._handed = self._hands
            raise
        sock = Socket(self._family, socket.SOCK_STREAM, self._protocol, descriptor)
        sock.setblocking(False)
        if not self._handed:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, peer, self._at or sock.getsockname()
