"""A server shows the certificates of its file, and no others. Unless it is told so, OpenSSL looks for more in
each handshake, among the authorities that the context trusts: a listener trusts none.
"""

from __future__ import annotations

import ssl

from lyncgate.engine.tls.libssl import context_pointer, libssl

SSL_CTRL_MODE = 33
SSL_MODE_NO_AUTO_CHAIN = 8


def show_what_is_given(context: ssl.SSLContext) -> bool:
    """False: not possible here, it goes on looking."""
    library = libssl()
    pointer = context_pointer(context) if library else None
    if library is None or not pointer:
        return False
    modes = library.control(pointer, SSL_CTRL_MODE, SSL_MODE_NO_AUTO_CHAIN, None)
    return bool(modes & SSL_MODE_NO_AUTO_CHAIN)
