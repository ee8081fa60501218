"""Ids of exchanges, connections and events: 16 hex digits, unlike any other process's.

They need to be different, not secret: drawn from a generator that the system has seeded, because asking the
system for each is a tenth of what a small request costs.
"""

from __future__ import annotations

import os
import random

_random = random.Random(os.urandom(32))  # noqa: S311 (ids are no secrets)
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_id() -> str:
    return f"{_random.getrandbits(64):016x}"
