"""A sign-in as it is shown: the stages, what was seen of each, and how it ended."""

from __future__ import annotations

import dataclasses
import enum

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import Event


class StageState(enum.StrEnum):
    OK = "ok"
    FAILED = "failed"
    NOT_OBSERVED = "not_observed"  # can't be seen from where we stand, or was not needed
    NOT_REACHED = "not_reached"  # the sign-in ended before


class SignInOutcome(enum.StrEnum):
    OK = "ok"  # registered, and notifications or ready were reached
    FAILED = "failed"  # it ended at `failed_stage`
    INCOMPLETE = "incomplete"  # it stopped, and nothing seen says why
    OPEN = "open"  # still going on


class Joined(enum.StrEnum):
    """Why an event is taken to belong to the sign-in, best first."""

    KEY = "key"  # it shares an exact key
    USER = "user"  # the same user, and client or time fit
    ADDRESS = "address"  # the same client address and agent, close in time
    TIME = "time"  # nothing but time and name: may be somebody else's


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One row. `started` is Unix seconds by the sign-in's clock (trace clocks are corrected)."""

    stage: Stage
    state: StageState
    started: float | None = None
    seconds: float | None = None  # how long the stage took; None when not observed or never ended
    said: str = ""  # what was seen, one line, no secret: `GET lyncdiscover.contoso.example/ 200 from fe01`
    origins: tuple[str, ...] = ()  # who saw it: edge, dns, trace:fe01
    events: tuple[str, ...] = ()  # ids, in order of time


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One user on one device, once. `stages` has every Stage exactly once, in order."""

    id: str  # stable while events are added: see `signin.stitch`
    user: str | None
    account: str | None  # NTLM name, if it differs from the user
    client: str | None  # IP address
    device: str | None  # User-Agent
    started: float
    ended: float  # end of the last event
    outcome: SignInOutcome
    failed_stage: Stage | None
    stages: tuple[StageView, ...]
    events: tuple[Event, ...]  # in order of (corrected) time
    joined: tuple[tuple[str, Joined], ...]  # (event id, why), same order
    offsets: tuple[tuple[str, float], ...] = ()  # (origin, seconds its clock is ahead), where estimated

    def stage(self, stage: Stage) -> StageView:
        return next(view for view in self.stages if view.stage is stage)

    @property
    def seconds(self) -> float:
        return self.ended - self.started
