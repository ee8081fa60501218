"""What the journal tells of itself."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn


class Dropped(enum.StrEnum):
    """Why an event is missing in the journal."""

    BUFFER = "buffer"  # the thread could not keep up, or waited for a locked file
    DISK = "disk"  # a write failed
    INVALID = "invalid"  # it can't be written as JSON


class JournalObserver(Protocol):
    """Told from the journal's thread; drops from any. Every call is quick and never raises."""

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None: ...
    def journaled(self, events: int) -> None: ...
    def journal_dropped(self, reason: Dropped, events: int) -> None: ...
    def journal_state(self, size: int, open_sign_ins: int) -> None: ...
