"""An attempt: a sign-in in the making, of strands of one person. What is known says what may join it."""

from __future__ import annotations

import dataclasses

from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Anchor, Key, Strand

IDLE = 60.0  # seconds: a phone waits that long for a connection that nobody answers
CLOCK = 1.0  # seconds: by what times of different machines may be off, after correction
RECENT = 8  # attempts of one person, the latest, that a strand is compared with if no key decides


@dataclasses.dataclass(slots=True, eq=False)
class Attempt:
    """A sign-in in the making."""

    person: str | None
    strands: list[tuple[Strand, Joined]] = dataclasses.field(default_factory=list)
    start: float = 0.0
    end: float = 0.0
    agents: set[str] = dataclasses.field(default_factory=set)
    clients: set[str] = dataclasses.field(default_factory=set)
    endpoints: set[str] = dataclasses.field(default_factory=set)  # as web clients name themselves
    epids: set[str] = dataclasses.field(default_factory=set)  # as the registrar knows them
    tickets: set[str] = dataclasses.field(default_factory=set)
    hosts: dict[str, float] = dataclasses.field(default_factory=dict)
    leads: set[str] = dataclasses.field(default_factory=set)
    asked: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)  # question → last asked
    redirects: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    awaited: bool = False  # after discovery comes something with the same User-Agent
    rounds: list[list[Strand]] = dataclasses.field(default_factory=list)  # of discovery
    beyond: float | None = None
    challenged: list[tuple[float, float]] = dataclasses.field(default_factory=list)  # until located
    located: float | None = None
    registering: list[tuple[float, float, str]] = dataclasses.field(default_factory=list)
    sessions: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    connections: set[tuple[str, str]] = dataclasses.field(default_factory=set)  # shared ones
    ties: set[Key] = dataclasses.field(default_factory=set)
    anchor: Anchor = (9, 0.0, "")
    staged: bool = False  # there is a step of a sign-in in it; else it is none

    def add(self, strand: Strand, why: Joined = Joined.KEY) -> None:
        if not self.strands:
            self.start, self.end = strand.start, strand.end
            self.anchor = strand.anchor
        self.anchor = min(self.anchor, strand.anchor)
        self.ties |= strand.ties
        self.staged |= strand.staged
        self.strands.append((strand, why))
        self.start = min(self.start, strand.start)
        self.end = max(self.end, strand.end)
        if not strand.web:
            self.epids |= strand.endpoints
            return
        self.agents |= strand.agents
        self.clients |= strand.clients
        self.endpoints |= strand.endpoints
        self.tickets |= strand.tickets
        for host, when in strand.hosts.items():
            self.hosts[host] = min(when, self.hosts.get(host, when))
        self.leads |= strand.leads
        self.connections |= strand.shared
        for find in strand.finds:
            self.asked[find.asked] = max(find.started, self.asked.get(find.asked, find.started))
        self.redirects += strand.redirects
        self.beyond = _earliest(self.beyond, strand.beyond)
        self.located = _earliest(self.located, strand.located)
        if strand.challenged is not None:
            self.challenged.append((strand.challenged, strand.located or strand.end))
        self.registering += strand.registering
        if strand.session is not None:
            self.sessions.append(strand.session)

    @property
    def order(self) -> tuple[float, str]:
        """That of the strand it began with."""
        return self.strands[0][0].order

    @property
    def home(self) -> str:
        """Id of the event by which the attempt is known."""
        return self.anchor[2]


def names_of(attempt: Attempt) -> dict[str, float]:
    """Names that the attempt's device may have looked up, and when it used them: its start if it did not."""
    found = dict.fromkeys(attempt.leads, attempt.start)
    if attempt.person is not None and "@" in attempt.person:
        domain = attempt.person.partition("@")[2]
        found |= dict.fromkeys((f"lyncdiscover.{domain}", f"lyncdiscoverinternal.{domain}"), attempt.start)
    for host in attempt.hosts:
        if host.startswith("lyncdiscover."):
            found[f"lyncdiscoverinternal.{host.removeprefix('lyncdiscover.')}"] = attempt.start
    return found | attempt.hosts


def _earliest(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
