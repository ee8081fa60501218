"""Ids of exchanges, connections and events: 16 hex digits, unlike any other process's.

They need to be different, not secret. A process counts from a number that the system draws: two that live at
the same time, or one after the other, would have to draw neighbours. What follows each other stands side by
side in the journal's indexes, so that a batch of events changes few of their pages instead of one for each.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

_BITS = 63  # one less than 16 hex digits have: counting on never needs a seventeenth


def _drawn() -> Iterator[int]:
    return itertools.count(int.from_bytes(os.urandom(8)) >> (64 - _BITS))


_numbers = _drawn()


def _reseed() -> None:
    global _numbers
    _numbers = _drawn()


os.register_at_fork(after_in_child=_reseed)


def new_id() -> str:
    return next(_numbers).to_bytes(8).hex()
