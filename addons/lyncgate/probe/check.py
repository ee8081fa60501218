"""What a probe says: a verdict a line, and all of them together. Pure."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections import Counter
from collections.abc import Sequence

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import Event
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn

SAID_LIMIT = 400  # characters of what a check says; servers have a part in it
_TOKEN = re.compile(r"cwt=\S+|[A-Za-z0-9+=_-]{40,}")


class Verdict(enum.StrEnum):
    OK = "ok"
    WARN = "warn"  # phones get on, and yet somebody should look
    FAIL = "FAIL"
    SKIPPED = "skipped"  # not looked at; what was said is why


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line. `stage` None: no stage of a sign-in, but of use to one. `seconds`: how long it took."""

    stage: Stage | None
    what: str
    verdict: Verdict
    said: str
    seconds: float | None = None
    events: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it went. `started`: Unix seconds; `sign_in` None: nothing of one was seen; `complete` False:
    somebody stopped it."""

    user: str
    inside: bool
    started: float
    seconds: float
    checks: tuple[Check, ...]
    events: tuple[Event, ...]
    sign_in: SignIn | None
    findings: tuple[Finding, ...]
    complete: bool = True

    @property
    def ok(self) -> bool:
        """Nothing failed, and there is no finding. Warnings are none."""
        return not self.findings and not any(check.verdict is Verdict.FAIL for check in self.checks)

    def count(self) -> Counter[Verdict]:
        """How often each verdict was given."""
        return Counter(check.verdict for check in self.checks)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them; of none, skipped."""
    order = (Verdict.FAIL, Verdict.WARN, Verdict.OK)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.SKIPPED)


def printable(text: str) -> str:
    """In one line, bounded, and with `…` for what may be a ticket: words and names are shorter."""
    line = " ".join("".join(c if c.isprintable() else " " for c in _TOKEN.sub("…", text)).split())
    return line if len(line) <= SAID_LIMIT else line[: SAID_LIMIT - 1] + "…"
