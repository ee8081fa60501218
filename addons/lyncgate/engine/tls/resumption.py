"""Resuming TLS sessions as a client. Python's ssl makes a copy of a session each time that it is looked at or
used, certificates and all, which takes longer than the rest of a resumed handshake; OpenSSL needs none.
"""

from __future__ import annotations

import ssl

from lyncgate.engine.tls.libssl import connection_pointer, libssl, session_pointer


def resume(sock: ssl.SSLSocket, session: ssl.SSLSession, context: ssl.SSLContext) -> None:
    """Offer `session`, of a connection that `context` made, in the handshake that is about to begin. Raises
    ValueError if it is another context's."""
    library = libssl()
    if library is not None and library.connections:
        ours = connection_pointer(sock._sslobj, context)  # type: ignore[attr-defined]  # CPython's own
        theirs = session_pointer(session, context)
        if ours and theirs and library.set_session(ours, theirs) == 1:
            return
    sock.session = session
