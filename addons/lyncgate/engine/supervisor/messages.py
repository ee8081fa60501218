"""What the supervisor and its children tell each other. `number` joins an answer to its question."""

from __future__ import annotations

import dataclasses
import enum

from lyncgate.engine.sockets import Place
from lyncgate.observe.admin import Readiness
from lyncgate.observe.counting import Snapshot
from lyncgate.policy.policy import Policy


class Topic(enum.StrEnum):
    METRICS = "metrics"
    STATUS = "status"


# -- to a worker ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Adopt:
    """Serve by this policy. `places`: where to listen instead, one for each descriptor beside it; None: as
    before. Answered by Adopted."""

    number: int
    policy: Policy
    places: tuple[Place, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """Answered by Answer."""

    number: int
    topic: Topic


@dataclasses.dataclass(frozen=True, slots=True)
class Reopen:
    """Log files are to be opened anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drain:
    """Accept no more, let exchanges end, and end."""


@dataclasses.dataclass(frozen=True, slots=True)
class TicketKeys:
    """Session tickets are made with these from now on."""

    keys: bytes = dataclasses.field(repr=False)


# -- from a worker -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """It serves."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """It can't be started."""

    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Adopted:
    """`error`: None, or why the policy before serves on."""

    number: int
    error: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    number: int
    content: Readiness | list[Snapshot]


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """Somebody told it to stop: it drains, and another one may take its place."""


@dataclasses.dataclass(frozen=True, slots=True)
class Departed:
    """Its last word: all that it counted."""

    counted: list[Snapshot]


# -- between the supervisor and its admin --------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class AskAll:
    """From the admin. `mine`: what it counted itself. Answered by Answers."""

    number: int
    topic: Topic
    mine: list[Snapshot]


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """From the admin, now and then and at its end: what it counted itself. It stays when it is killed."""

    mine: list[Snapshot]


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """`content`: None if it did not answer in time."""

    slot: int
    pid: int
    state: str
    content: Readiness | None


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """`counted`: of all processes, those that are gone included. `addresses`: where each listener is."""

    number: int
    stopping: bool
    version: str
    addresses: dict[str, list[tuple[str, int]]]
    workers: tuple[WorkerAnswer, ...]
    counted: list[list[Snapshot]]


@dataclasses.dataclass(frozen=True, slots=True)
class Reload:
    """To the admin: read the rules. Answered by Reloaded."""

    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class AdoptAll:
    """From the admin: a policy that was read and checked. Answered by Adopted."""

    number: int
    policy: Policy
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Loads:
    """From the admin: rules were loaded, or refused, whoever asked for it."""

    successful: bool
    when: float
    version: str


@dataclasses.dataclass(frozen=True, slots=True)
class Reloaded:
    """From the admin. `why`: what is wrong with rules that were refused."""

    number: int
    successful: bool
    version: str
    why: tuple[str, ...]
