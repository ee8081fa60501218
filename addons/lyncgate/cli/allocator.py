"""Which allocators the edge serves with. Both CPython and the C library must know before they begin.

- CPython: under its usual one, all that is larger than 512 bytes shares malloc's heap with OpenSSL, which
  takes 17 kB for each record and lets go of them at once. What is put into one of those holes, and stays,
  makes it too small for the next record: the worker of a soak with 500 polls grew for as long as it ran.
  CPython 3.13 has mimalloc as well.
- glibc's malloc, which OpenSSL is left with: a handshake takes and gives back hundreds of small blocks, many
  more of a size at a time than the seven that malloc keeps at hand. With more of them, and without the lists
  behind (fastbins), which it tidies up for each large block that comes back, a sign-in takes 1 % less CPU.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig

PYTHON = ("PYTHONMALLOC", "mimalloc")
GLIBC = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=200:glibc.malloc.mxfast=0")


def choose_allocators() -> None:
    """Begin this program anew, as the same process, with these. Returns if that is so already. Where somebody
    has chosen others, or where there are none to choose, those stay."""
    wanted = [PYTHON] if sysconfig.get_config_var("WITH_MIMALLOC") else []
    if platform.libc_ver()[0] == "glibc":
        wanted.append(GLIBC)
    missing = {}
    for name, value in wanted:
        found = os.environ.get(name)
        if found is None:
            missing[name] = value
        elif found and value.startswith(found):
            os.environ[name] = value  # for whoever we begin: glibc cuts it at the colon as it reads
    if missing and sys.executable:
        os.environ.update(missing)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (no shell, and it is us)
