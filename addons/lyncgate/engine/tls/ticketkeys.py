"""Session ticket keys, which Python's ssl module has no call for: workers share them, or a phone that comes
back to another worker would shake hands in full.

OpenSSL keeps three keys in an SSL_CTX (name, HMAC, AES: 80 bytes together) and has a control call for them.
The SSL_CTX is the first field of CPython's context object, the libssl is the one that `_ssl` has loaded.
Where that is not surely so nothing is touched, and each context keeps the random keys it was made with.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import platform
import ssl
import sys
from collections.abc import Callable

KEY_BYTES = 80
SSL_CTRL_GET_TLSEXT_TICKET_KEYS = 58
SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59
KNOWN = ((3, 12), (3, 14))  # versions of CPython whose context object begins so, first and last
HEADER = object.__basicsize__  # PyObject_HEAD; the SSL_CTX pointer follows

log = logging.getLogger(__name__)


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
    control = _control()
    if control is None:
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + HEADER).value
    if not pointer:
        return False
    given = ctypes.create_string_buffer(keys, KEY_BYTES)
    if control(pointer, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, KEY_BYTES, given) != 1:
        return False
    return _keys(control, pointer) == keys


type _Control = Callable[[int, int, int, ctypes.Array[ctypes.c_char]], int]


def _keys(control: _Control, pointer: int) -> bytes | None:
    found = ctypes.create_string_buffer(KEY_BYTES)
    return found.raw if control(pointer, SSL_CTRL_GET_TLSEXT_TICKET_KEYS, KEY_BYTES, found) == 1 else None


@functools.cache
def _control() -> _Control | None:
    """SSL_CTX_ctrl of the libssl that `_ssl` uses; None if contexts don't look as they must."""
    if platform.python_implementation() != "CPython" or not KNOWN[0] <= sys.version_info[:2] <= KNOWN[1]:
        return None
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL ") or ssl.OPENSSL_VERSION_INFO < (1, 1, 1):
        return None
    with contextlib.suppress(OSError, AttributeError):
        library = _libssl()
        control = library.SSL_CTX_ctrl
        control.restype = ctypes.c_long
        control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
        if _is_first_field(library):
            return control
    log.info("session tickets: this Python's contexts are not as known, each worker has keys of its own")
    return None


def _libssl() -> ctypes.CDLL:
    """Found through the extension itself: there may be several on a machine, and even in a process
    (cryptography brings its own). Where it is linked in, the extension has the symbols."""
    import _ssl

    return ctypes.CDLL(getattr(_ssl, "__file__", None))


def _is_first_field(library: ctypes.CDLL) -> bool:
    """Whether the field after the header is the SSL_CTX: what OpenSSL says of it must be what Python says,
    for two values that nothing else in memory would follow."""
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    get_options = library.SSL_CTX_get_options
    get_options.restype = ctypes.c_uint64
    get_options.argtypes = (ctypes.c_void_p,)
    pointer = ctypes.c_void_p.from_address(id(probe) + HEADER).value
    if not pointer or ssl.SSLContext.__basicsize__ < HEADER + ctypes.sizeof(ctypes.c_void_p):
        return False
    for wanted in (probe.options | ssl.OP_NO_TICKET, probe.options & ~ssl.OP_NO_TICKET):
        probe.options = ssl.Options(wanted)
        if get_options(pointer) != probe.options:
            return False
    return True
