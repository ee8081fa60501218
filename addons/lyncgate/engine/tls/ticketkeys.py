"""Session ticket keys, which Python's ssl module has no call for: workers share them, or a phone that comes
back to another worker would shake hands in full.

OpenSSL keeps three keys in an SSL_CTX (name, HMAC, AES: 80 bytes together) and has a control call for them.
Where it can't be made (see `libssl`), each context keeps the random keys it was made with.
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Callable

from lyncgate.engine.tls.libssl import context_pointer, libssl

KEY_BYTES = 80
SSL_CTRL_GET_TLSEXT_TICKET_KEYS = 58
SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59


class TicketKeyRing:
    """The keys in force in this process, and who wants to hear of others."""

    def __init__(self) -> None:
        self.current: bytes | None = None
        self._callbacks: list[Callable[[bytes], None]] = []

    def on_ticket_keys(self, callback: Callable[[bytes], None]) -> None:
        """`callback` is told the keys now, if there are any, and each time that they are renewed."""
        self._callbacks.append(callback)
        if self.current is not None:
            callback(self.current)

    def renew(self, keys: bytes) -> None:
        self.current = keys
        for callback in self._callbacks:
            callback(keys)


def set_ticket_keys(context: ssl.SSLContext, keys: bytes) -> bool:
    """Make and accept session tickets with `keys`, 80 bytes. False: not possible here, it keeps its own."""
    if len(keys) != KEY_BYTES:
        raise ValueError(f"found {len(keys)} bytes; a context takes {KEY_BYTES}")
    library = libssl()
    pointer = context_pointer(context) if library else None
    if library is None or not pointer:
        return False
    control = library.control
    given = ctypes.create_string_buffer(keys, KEY_BYTES)
    if control(pointer, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, KEY_BYTES, given) != 1:
        return False
    return _keys(control, pointer) == keys


def _keys(control: Callable[..., int], pointer: int) -> bytes | None:
    found = ctypes.create_string_buffer(KEY_BYTES)
    return found.raw if control(pointer, SSL_CTRL_GET_TLSEXT_TICKET_KEYS, KEY_BYTES, found) == 1 else None
