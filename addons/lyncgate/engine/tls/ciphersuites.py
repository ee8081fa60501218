"""TLS 1.3's cipher suites in another order, which Python's ssl module has no call for before 3.15.

OpenSSL takes AES-256 with SHA-384 first. A handshake derives some thirty secrets; with SHA-256, for which
processors have instructions, it takes a twelfth less. AES-128 is the suite that everyone has (RFC 8446 §9.1),
and whoever offers nothing but the others gets one of those.
"""

from __future__ import annotations

import ssl

from lyncgate.engine.tls.libssl import context_pointer, libssl

PREFERRED = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


def prefer_light_suites(context: ssl.SSLContext) -> bool:
    """False: not possible here, it keeps OpenSSL's order."""
    library = libssl()
    pointer = context_pointer(context) if library else None
    if library is None or not pointer:
        return False
    return library.set_cipher_suites(pointer, PREFERRED.encode()) == 1
