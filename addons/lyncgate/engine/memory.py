"""Memory that malloc has and nobody uses: holes that OpenSSL's records leave gather for as long as a process
runs (see `cli.allocator`). Their pages can be given back, which takes less than a millisecond for 50 MB.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

EVERY = 60.0  # seconds


async def give_back_now_and_then() -> None:
    """Does not end. Where the C library is another than glibc there is nothing to do."""
    trim = _malloc_trim()
    while trim is not None:
        await asyncio.sleep(EVERY)
        trim(0)


def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    trim.argtypes, trim.restype = (ctypes.c_size_t,), ctypes.c_int
    return lambda room: int(trim(room))
