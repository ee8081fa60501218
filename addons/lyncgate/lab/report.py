"""What a phone reports: steps of stages, noted as they end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable

from lyncgate.client.http import FAILURES, Reply
from lyncgate.lab.ntlm import MALFORMED
from lyncgate.lync.stages import Stage

STEP_TIMEOUT = 30.0  # seconds
_FAILED = (ValueError, KeyError, ET.ParseError, *MALFORMED, *FAILURES)  # how a server can disappoint


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing the phone did. `status`: of HTTP, None when there was no answer or it was no request.
    `detail`: what came of it, for people; never a secret. `poll`: it was meant to hang, so that its
    `seconds` say nothing about the server."""

    stage: Stage
    what: str
    ok: bool
    status: int | None
    seconds: float
    detail: str
    poll: bool = False


@dataclasses.dataclass(slots=True)
class SignInReport:
    """How a sign-in went. `seconds`: from the first look-up until the phone was ready, or had failed."""

    user: str
    steps: list[Step] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    ok: bool = False

    @property
    def failed(self) -> Step | None:
        """The step that ended it; None when it succeeded."""
        return None if self.ok else next((step for step in reversed(self.steps) if not step.ok), None)


class SignInFailedError(Exception):
    """A step failed; it is in the report already."""


class Doing:
    """A step while it goes on: fill in what came of it. `stage` may turn out to be another."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.status: int | None = None
        self.detail = ""

    def got(self, reply: Reply, expected: int) -> Reply:
        """Note the status; raises ValueError when it is not the expected one."""
        self.status = reply.status
        if reply.status != expected:
            raise ValueError(f"status {reply.status}, not {expected}")
        return reply


class Recorder:
    """Notes steps in a report and tells `on_step` of each."""

    def __init__(self, report: SignInReport, on_step: Callable[[Step], None] | None) -> None:
        self._report = report
        self._on_step = on_step

    def note(self, step: Step) -> None:
        """A step has ended."""
        self._report.steps.append(step)
        if self._on_step:
            self._on_step(step)

    def saw(self, stage: Stage, what: str, detail: str) -> None:
        """Something that took no request of its own to learn."""
        self.note(Step(stage, what, True, None, 0.0, detail))

    def failure(self, stage: Stage, what: str, why: str) -> SignInFailedError:
        """Note a failure that is no request's, and give the exception to raise."""
        self.note(Step(stage, what, False, None, 0.0, why))
        return SignInFailedError()

    @contextlib.asynccontextmanager
    async def step(
        self, stage: Stage, what: str, seconds: float | None = STEP_TIMEOUT, *, poll: bool = False
    ) -> AsyncIterator[Doing]:
        """One step, which may take `seconds` (None: for ever). Raises SignInFailedError for whatever goes
        wrong in it."""
        doing, began, error = Doing(stage), time.perf_counter(), ""
        try:
            async with asyncio.timeout(seconds):
                yield doing
        except _FAILED as failure:
            error = str(failure) or type(failure).__name__
        took = time.perf_counter() - began
        self.note(Step(doing.stage, what, not error, doing.status, took, error or doing.detail, poll))
        if error:
            raise SignInFailedError
