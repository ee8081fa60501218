"""Calls of OpenSSL that Python's ssl module does not have, on its own objects.

The library is the one that `_ssl` has loaded. Where the SSL_CTX and the SSL stand in CPython's objects is
known of some versions, and looked at before anything is called; where it is not surely so, nothing is.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import logging
import platform
import ssl
import sys
from collections.abc import Callable

KNOWN = ((3, 12), (3, 14))  # versions of CPython whose objects begin so, first and last
HEADER = object.__basicsize__  # PyObject_HEAD; of a context the SSL_CTX follows
POINTER = ctypes.sizeof(ctypes.c_void_p)

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class LibSSL:
    """`control`: SSL_CTX_ctrl(SSL_CTX, command, number, buffer). `connections`: SSLs are found as well."""

    control: Callable[[int, int, int, ctypes.Array[ctypes.c_char] | None], int]
    connections: bool
    set_read_ahead: Callable[[int, int], None]
    set_read_buffer: Callable[[int, int], None]
    set_session: Callable[[int, int], int]
    copy_session: Callable[[int], int | None]
    free_session: Callable[[int], None]
    set_cipher_suites: Callable[[int, bytes], int]


@functools.cache
def libssl() -> LibSSL | None:
    """None if Python's objects don't look as they must."""
    if platform.python_implementation() != "CPython" or not KNOWN[0] <= sys.version_info[:2] <= KNOWN[1]:
        return None
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL ") or ssl.OPENSSL_VERSION_INFO < (1, 1, 1):
        return None
    with contextlib.suppress(OSError, AttributeError):
        library = _library()
        if _is_first_field(library):
            return LibSSL(
                _function(library.SSL_CTX_ctrl, ctypes.c_long, ctypes.c_int, ctypes.c_long, ctypes.c_void_p),
                _is_found(library),
                _function(library.SSL_set_read_ahead, None, ctypes.c_int),
                _function(library.SSL_set_default_read_buffer_len, None, ctypes.c_size_t),
                _function(library.SSL_set_session, ctypes.c_int, ctypes.c_void_p),
                _function(library.SSL_SESSION_dup, ctypes.c_void_p),
                _function(library.SSL_SESSION_free, None),
                _function(library.SSL_CTX_set_ciphersuites, ctypes.c_int, ctypes.c_char_p),
            )
    log.info("this Python's TLS contexts are not as known: tickets are good at one worker only")
    return None


def context_pointer(context: ssl.SSLContext) -> int | None:
    """The SSL_CTX. Only where `libssl()` is not None."""
    return ctypes.c_void_p.from_address(id(context) + HEADER).value


def connection_pointer(connection: object, context: ssl.SSLContext) -> int | None:
    """The SSL of a `_ssl._SSLSocket`: its second field, after a reference to the socket. None: it is not
    there, for the third is not its context."""
    if ctypes.c_void_p.from_address(id(connection) + HEADER + 2 * POINTER).value != id(context):
        return None
    return ctypes.c_void_p.from_address(id(connection) + HEADER + POINTER).value


def session_pointer(session: ssl.SSLSession, context: ssl.SSLContext) -> int | None:
    """The SSL_SESSION: the first field, before its context."""
    if ctypes.c_void_p.from_address(id(session) + HEADER + POINTER).value != id(context):
        return None
    return ctypes.c_void_p.from_address(id(session) + HEADER).value


def _function[**P, T](function: Callable[P, T], result: object, *arguments: object) -> Callable[..., T]:
    """`function` of the library, whose first argument is a pointer."""
    function.restype = result  # type: ignore[attr-defined]  # ctypes' own way
    function.argtypes = (ctypes.c_void_p, *arguments)  # type: ignore[attr-defined]
    return function


def _library() -> ctypes.CDLL:
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
    pointer = context_pointer(probe)
    if not pointer or ssl.SSLContext.__basicsize__ < HEADER + POINTER:
        return False
    for wanted in (probe.options | ssl.OP_NO_TICKET, probe.options & ~ssl.OP_NO_TICKET):
        probe.options = ssl.Options(wanted)
        if get_options(pointer) != probe.options:
            return False
    return True


def _is_found(library: ctypes.CDLL) -> bool:
    """Whether a connection is where we look for it: OpenSSL must name the context that Python does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    probe: object = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())._sslobj  # type: ignore[attr-defined]
    pointer = connection_pointer(probe, context)
    if not pointer or type(probe).__basicsize__ < HEADER + 3 * POINTER:
        return False
    get_context = library.SSL_get_SSL_CTX
    get_context.restype = ctypes.c_void_p
    get_context.argtypes = (ctypes.c_void_p,)
    return bool(get_context(pointer) == context_pointer(context))
