"""Resuming TLS sessions as a client. Python's ssl writes a session out and reads it again each time that one
is looked at or used, certificates and all, which takes longer than the rest of a resumed handshake; OpenSSL
copies it in memory. A copy for each connection it must be: one that breaks off spoils the session it has.
"""

from __future__ import annotations

import ssl

from lyncgate.engine.tls.libssl import connection_pointer, libssl, session_pointer
from lyncgate.engine.tls.secured import Secured


class KeptSession:
    """For other connections that `context` makes."""

    __slots__ = ("_copy", "_session", "context")

    def __init__(self, session: ssl.SSLSession, context: ssl.SSLContext) -> None:
        self.context = context
        self._session = session
        self._copy: int | None = None
        library = libssl()
        if library is not None and library.connections and (pointer := session_pointer(session, context)):
            self._copy = library.copy_session(pointer)

    def offer(self, secured: Secured) -> None:
        """In the handshake that is about to begin. Raises ValueError if that is another context's."""
        library = libssl()
        if library is not None and self._copy:
            ours = connection_pointer(secured.connection, self.context)
            copy = library.copy_session(self._copy)
            if ours and copy:
                taken = library.set_session(ours, copy)
                library.free_session(copy)  # the connection holds it now
                if taken == 1:
                    return
        secured.connection.session = self._session

    def __del__(self) -> None:
        library = libssl()
        if library is not None and self._copy:
            library.free_session(self._copy)
