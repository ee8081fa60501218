"""What every step of a walk has at hand."""

from __future__ import annotations

import dataclasses

from lyncgate.lync.autodiscover import Located
from lyncgate.lync.stages import Stage
from lyncgate.probe.answer import Answer
from lyncgate.probe.check import Verdict
from lyncgate.probe.doors import Doors
from lyncgate.probe.names import Names
from lyncgate.probe.plan import Plan
from lyncgate.probe.record import Record
from lyncgate.probe.web import Web


@dataclasses.dataclass(frozen=True, slots=True)
class Kit:
    """The tools of a run."""

    plan: Plan
    record: Record
    names: Names
    doors: Doors
    web: Web

    def say(self, stage: Stage | None, what: str, verdict: Verdict, said: str, answer: Answer) -> Verdict:
        """A line on an answer."""
        return self.record.check(stage, what, verdict, said, answer.exchange)


@dataclasses.dataclass(frozen=True, slots=True)
class Ticket:
    """A web ticket in hand. `headers`: what shows it. `repr` has no secret."""

    value: str = dataclasses.field(repr=False)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The field that carries it (protocol reference §3.4)."""
        return [("X-MS-WebTicket", self.value)]


@dataclasses.dataclass(frozen=True, slots=True)
class Home:
    """Where the user is at home. `document`: the user document; `ticket`: good there."""

    document: Located
    ticket: Ticket
