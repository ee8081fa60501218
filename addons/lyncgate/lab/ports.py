"""Free port numbers that are the same on several loopback addresses.

A pool's members must share their port numbers, and several labs must be able to live side by side. So
the kernel picks a free port on the first address, and the same number is tried on the others until one
is free everywhere. The sockets stay bound until the listeners take them over: no gap in between.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Sequence

ATTEMPTS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """The port numbers of every front end; the comment says what they stand for."""

    external_https: int  # 4443
    external_http: int  # 8080
    internal_https: int  # 443
    internal_http: int  # 80
    sip: int  # 5061
    sip_mtls: int  # 5061 too: SIP between servers, by mutual TLS. A real server tells the two apart itself
    push: int  # devices at the push relay, by a protocol of the lab's own


type Reserved = dict[tuple[str, int], socket.socket]


def bound(address: str, port: int) -> socket.socket:
    """A bound TCP socket that can follow a killed listener on the same port. It says that it is TCP:
    asyncio turns Nagle's algorithm off only where the socket's protocol number says so."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def reserve(addresses: Sequence[str]) -> tuple[Ports, Reserved]:
    """Bind one port number for each field of Ports on all `addresses`."""
    reserved: Reserved = {}
    numbers = []
    for _ in dataclasses.fields(Ports):
        number, sockets = _same_port(addresses)
        numbers.append(number)
        reserved |= sockets
    return Ports(*numbers), reserved


def _same_port(addresses: Sequence[str]) -> tuple[int, Reserved]:
    for _ in range(ATTEMPTS):
        with contextlib.ExitStack() as undo:
            first = undo.enter_context(_exclusive(addresses[0], 0))
            number = first.getsockname()[1]
            sockets = {(addresses[0], number): first}
            try:
                for address in addresses[1:]:
                    sockets[address, number] = undo.enter_context(_exclusive(address, number))
            except OSError:
                continue
            undo.pop_all()
            return number, sockets
    raise OSError(f"no port is free on all of {', '.join(addresses)}")


def _exclusive(address: str, port: int) -> socket.socket:
    """Bound without SO_REUSEADDR, which would let two labs bind the same port while neither listens yet;
    set afterwards, so that the port can be taken again while old connections are in TIME_WAIT."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock
