"""Whom a stream tells: a client's connection, or one to a member."""

from __future__ import annotations

from typing import Protocol


class Owner(Protocol):
    """What a stream tells. After `lost` it says no more."""

    def ready(self) -> None:
        """Connected, and TLS established where there is some."""

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The peer sends no more. It may still read."""

    def lost(self, error: Exception | None) -> None:
        """The connection is gone."""

    def drained(self) -> None:
        """Whatever waited to be sent has been."""


class _Nobody:
    """Owns what is closed."""

    def ready(self) -> None: ...
    def received(self, data: bytes) -> None: ...
    def ended(self) -> None: ...
    def lost(self, error: Exception | None) -> None: ...
    def drained(self) -> None: ...


NOBODY = _Nobody()
