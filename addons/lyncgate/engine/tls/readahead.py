"""Reading ahead: of a large body OpenSSL takes several records from the socket at once, instead of asking it
twice for each. Who switches it on must read until there is no more: what OpenSSL has taken, the event loop
does not hear of.
"""

from __future__ import annotations

from lyncgate.engine.tls.libssl import connection_pointer, libssl
from lyncgate.engine.tls.secured import Secured

BUFFER = 64 * 1024  # bytes taken at once


def read_ahead(secured: Secured, on: bool) -> bool:
    """Whether it does from now on. What was read ahead stays until it is read."""
    library = libssl()
    if library is None or not library.connections:
        return False
    pointer = connection_pointer(secured.connection, secured.context)
    if not pointer:
        return False
    if on:
        library.set_read_buffer(pointer, BUFFER)
    library.set_read_ahead(pointer, int(on))
    return on
