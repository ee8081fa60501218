"""What an entry of the catalogue is: words for people, and a symptom that is looked for in a sign-in.

    Entry(code="F24", …, sees=no_sip) and then    entry.sees(scene) -> Sighting | None

A symptom is a function of a `Scene`. It says how sure it is, what it saw, and what to fill into the
commands; it knows nothing of other entries. What an entry explains away is data: `explains`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.scene import Scene
from lyncgate.signin.finding import Certainty, Evidence, Fix, Grade


@dataclasses.dataclass(frozen=True, slots=True)
class Sighting:
    """A symptom that was seen. `rank`: among findings of the same certainty, smaller comes first.
    `values`: for the commands of fixes, over those that the scene has anyway."""

    certainty: Certainty
    evidence: tuple[Evidence, ...]
    rank: int = 0
    values: Mapping[str, str | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One way in which a sign-in goes wrong (protocol reference §10).

    `symptom`: what a user or an operator notices; `looks`: what lyncgate shows of it; `cause`; `sure`: how
    to make sure; `fixes`: commands are templates, see `Scene.values`; `sources`: (how well it is known, by
    whom), best first; `explains`: codes that need no finding of their own when this one is likely or
    certain; `alike`: what looks the same, and what tells it apart.
    """

    code: str
    title: str
    stage: Stage
    symptom: str
    looks: str
    cause: str
    sure: str
    fixes: tuple[Fix, ...]
    sources: tuple[tuple[Grade, str], ...]
    sees: Callable[[Scene], Sighting | None]
    explains: tuple[str, ...] = ()
    alike: str = ""

    @property
    def grade(self) -> Grade:
        """The best of its sources."""
        return self.sources[0][0]


def certain(*evidence: Evidence, rank: int = 0, **values: str | None) -> Sighting:
    """Nothing else looks like this."""
    return Sighting(Certainty.CERTAIN, evidence, rank, values)


def likely(*evidence: Evidence, rank: int = 0, **values: str | None) -> Sighting:
    """The usual cause."""
    return Sighting(Certainty.LIKELY, evidence, rank, values)


def possible(*evidence: Evidence, rank: int = 0, **values: str | None) -> Sighting:
    """One of several causes."""
    return Sighting(Certainty.POSSIBLE, evidence, rank, values)
