"""A step of decide(): one rule that was tried. decide() reports steps to whoever listens (`explain`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """`rule` in the words of `Decision.rule`. `matched`: it applies to the request. `why`: the
    reason why it does or does not, as a clause without a full stop."""

    rule: str
    matched: bool
    why: str


type Trace = Callable[[Step], None]
