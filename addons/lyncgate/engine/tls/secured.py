"""OpenSSL on a socket that is connected: what ssl.SSLSocket is made around, without it. Making one of those
takes as long as what it is made around, a socket of its own with it; and all that the lane does goes to the
inner object. It is CPython's own, as ssl.py makes it in each version that we run on; there is no public way.
"""

from __future__ import annotations

import enum
import socket
import ssl
from typing import Any


class Shaken(enum.Enum):
    """How far a handshake has come: to its end, or until there is something to read, or room to write."""

    DONE = enum.auto()
    READS = enum.auto()
    WRITES = enum.auto()


class Secured:
    """One connection. `connection`: CPython's object; it reads and writes the socket by itself, and raises
    what an ssl.SSLSocket does. `asked`: the name that a client asked for (SNI); `refused`: that is not ours.

    `sock` must not block, and is the caller's to close. Raises ssl.SSLError, OSError."""

    __slots__ = ("__weakref__", "asked", "connection", "context", "name", "refused")

    def __init__(
        self, context: ssl.SSLContext, sock: socket.SocketType, *, server_side: bool, name: str | None = None
    ) -> None:
        self.asked: str | None = None
        self.refused = False
        self.name = name
        self.context = context
        make: Any = context._wrap_socket  # type: ignore[attr-defined]  # CPython's own
        self.connection: Any = make(sock, server_side, name, owner=self)

    def shake(self) -> Shaken:
        """Go on with the handshake. Raises ssl.SSLError, OSError, ValueError."""
        # Here, and not compiled: there an exception takes longer, and there is one in each handshake.
        try:
            self.connection.do_handshake()
        except ssl.SSLWantReadError:
            return Shaken.READS
        except ssl.SSLWantWriteError:
            return Shaken.WRITES
        return Shaken.DONE

    def turn_to(self, context: ssl.SSLContext) -> None:
        """Go on with another context's certificate: for a callback of SNI."""
        self.context = context
        self.connection.context = context

    def version(self) -> str | None:
        found: str | None = self.connection.version()
        return found

    def cipher(self) -> str | None:
        found: tuple[str, str, int] | None = self.connection.cipher()
        return found[0] if found else None

    def certificate(self) -> bytes | None:
        """The peer's, as DER. None: it has none, or has not shown it."""
        found: bytes | None = self.connection.getpeercert(True)
        return found

    def chain(self) -> list[bytes] | None:
        """All certificates that the peer showed, as DER, verified or not. None: this Python can't tell."""
        ask = getattr(self.connection, "get_unverified_chain", None)
        if ask is None:
            return None
        return [found.public_bytes(DER) for found in ask() or ()]

    @property
    def resumed(self) -> bool:
        return bool(self.connection.session_reused)

    @property
    def session(self) -> ssl.SSLSession | None:
        """What to resume. To look at it takes long."""
        found: ssl.SSLSession | None = self.connection.session
        return found


def _der() -> int:
    import _ssl

    return int(getattr(_ssl, "ENCODING_DER", 2))


DER = _der()
