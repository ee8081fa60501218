"""Peers that are gone without a word: a power cut, or a network that drops what is sent. TCP by itself would
notice after two hours, or after a quarter of an hour if something was on its way.

A silent peer is asked whether it is there (keep-alive probes, which its kernel answers), so that a poll hangs
as long as it likes. Members are near and asked often. Clients are asked seldom, as each probe wakes a phone.
"""

from __future__ import annotations

import errno
import socket

PROBES = 3  # unanswered in a row, after which it is gone
# What the kernel says when probes or bytes stayed unanswered, by what the network said meanwhile.
UNANSWERED = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN})
_LINUX = hasattr(socket, "TCP_USER_TIMEOUT") and hasattr(socket, "TCP_KEEPIDLE")


def probe(sock: socket.SocketType, seconds: float) -> None:
    """Have a silent peer found out within `seconds`: half of that silent, then probes. 0: never. Connections
    that a listening socket accepts inherit it. Raises OSError."""
    if not _LINUX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(seconds > 0))
    if seconds > 0:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(seconds / 2)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(seconds / 2 / PROBES)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def insist(sock: socket.SocketType, seconds: float) -> None:
    """The same for bytes: a peer that has acknowledged or taken none for `seconds` is gone. 0: as the kernel
    will. Raises OSError."""
    if _LINUX and seconds > 0:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def unanswered(error: Exception | None) -> bool:
    """Whether that is how the connection ended."""
    return isinstance(error, OSError) and error.errno in UNANSWERED
