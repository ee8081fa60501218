"""Which allocator the interpreter serves with. CPython must know it before it begins.

Under its usual one, all that is larger than 512 bytes shares malloc's heap with OpenSSL, which takes 17 kB
for each record and lets go of them at once. What is put into one of those holes, and stays, makes it too
small for the next record: the worker of a soak with 500 polls grew for as long as it ran. CPython 3.13 has
mimalloc as well.
"""

from __future__ import annotations

import os
import sys
import sysconfig

VARIABLE = "PYTHONMALLOC"


def use_mimalloc() -> None:
    """Begin this program anew, as the same process, with mimalloc. Returns if that is so already, if somebody
    has chosen another one, or if this interpreter has none."""
    if VARIABLE in os.environ or not sys.executable or not sysconfig.get_config_var("WITH_MIMALLOC"):
        return
    os.environ[VARIABLE] = "mimalloc"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (no shell, and it is ourselves)
