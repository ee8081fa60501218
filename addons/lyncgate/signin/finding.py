"""What diagnosis says of a sign-in."""

from __future__ import annotations

import dataclasses
import enum

from lyncgate.lync.stages import Stage


class Certainty(enum.StrEnum):
    CERTAIN = "certain"  # nothing else looks like this
    LIKELY = "likely"  # the usual cause of what was seen
    POSSIBLE = "possible"  # one of several: each is named


class Grade(enum.StrEnum):
    """How well the connection of symptom and cause is known (protocol reference §10)."""

    DOCUMENT = "A"  # Microsoft's documents or specifications
    FIELD = "B"  # a report from the field
    OBSERVED = "C"  # seen in our own runs
    INFERRED = "D"  # concluded


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Something seen. `event`: id of the event it was seen in; None when it is something missing."""

    said: str
    event: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What to do. `command` is ready to run, its values taken from the sign-in where they are known."""

    said: str
    command: str | None = None  # `Grant-CsMobilityPolicy -Identity "sip:alice@…" -PolicyName …`


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    code: str  # F01 …
    title: str
    stage: Stage
    certainty: Certainty
    cause: str
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    grade: Grade
    source: str  # where the fact is from
