"""What is remembered of sign-ins that are not held any more: which exact keys were theirs, so that an event
that comes later, such as the end of a poll of half an hour, is known to be one of theirs.

A key is remembered by its hash: a tenth of a microsecond and some hundred bytes, whatever was in it.
"""

from __future__ import annotations

import dataclasses

from lyncgate.signin.strands import Key


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """A sign-in that was forgotten. `id`: empty if it was none, but a flood of requests."""

    id: str
    person: str | None = None
    end: float = 0.0  # when the last of it that was known was over
    agents: tuple[str, ...] = ()
    located: bool = False  # it had a user document
    registered: bool = False  # it asked to register


class Remembered:
    """Keys of the past, `most` at least and twice as many at most: those put, or asked for, last."""

    def __init__(self, most: int) -> None:
        self._half = max(1, most)
        self._young: dict[int, Past] = {}
        self._old: dict[int, Past] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def put(self, key: Key, of: Past) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[hash(key)] = of

    def get(self, key: Key) -> Past | None:
        number = hash(key)
        found = self._young.get(number)
        if found is None:
            found = self._old.get(number)
            if found is not None:
                self.put(key, found)
        return found
