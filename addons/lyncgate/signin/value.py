"""Records that nobody changes: `dataclasses.dataclass`, frozen for the type checker.

One of 25 fields that is frozen at run time too takes 5 µs to make instead of 1, and each request makes some.
mypy sees all code that there is, and lets none of it assign to a field.

    @value(frozen=True, slots=True, kw_only=True)
    class Keys: …
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value[C](*, frozen: bool, **options: bool) -> Callable[[type[C]], type[C]]:
        """`frozen`: always True. Equal ones have the same hash, as frozen ones do."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)


__all__ = ["value"]
