"""From the journal to metrics: sign-ins as they settle, and how the journal itself is.

Called from the journal's thread and from the event loop's: each series here is written by one of them only
(of drops, the buffer's by the event loop's, which ends the journal as well), and all exist from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lyncgate.lync.stages import Stage
from lyncgate.observe.counting import Snapshot
from lyncgate.observe.families import Families
from lyncgate.observe.journal.observer import Dropped
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn, SignInOutcome, StageState

OTHER = "_other"
NONE = "_none"
TIMED = (StageState.OK, StageState.FAILED)
CODES = frozenset(CATALOGUE)
OURS = ("lyncgate_signin", "lyncgate_findings_", "lyncgate_journal_")


class JournalMetrics:
    """A `JournalObserver`."""

    def __init__(self, families: Families) -> None:
        self._families = families
        for stage in Stage:
            families.signins[SignInOutcome.FAILED, stage].inc(0)
            for state in TIMED:
                _ = families.stages[stage, state]  # asking for it makes it
        for outcome in (SignInOutcome.OK, SignInOutcome.INCOMPLETE):
            families.signins[outcome, NONE].inc(0)
        for code in CODES:
            families.findings[(code,)].inc(0)
        for reason in Dropped:
            families.journal_dropped[(reason,)].inc(0)

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None:
        """A sign-in came to an end: counted now, and never again."""
        families = self._families
        failed_stage = sign_in.failed_stage if sign_in.outcome is SignInOutcome.FAILED else None
        families.signins[sign_in.outcome, failed_stage or NONE].inc()
        for view in sign_in.stages:
            if view.seconds is not None and view.state in TIMED:
                families.stages[view.stage, view.state].observe(view.seconds)
        for code in {finding.code for finding in findings}:
            families.findings[(code if code in CODES else OTHER,)].inc()

    def journaled(self, events: int) -> None:
        """So many events were written."""
        self._families.journal_events.inc(events)

    def journal_dropped(self, reason: Dropped, events: int) -> None:
        """So many events are missing."""
        self._families.journal_dropped[(reason,)].inc(events)

    def journal_state(self, size: int, open_sign_ins: int) -> None:
        """Bytes in use, and sign-ins under way."""
        self._families.journal_size.set(size)
        self._families.signins_open.set(open_sign_ins)

    def snapshots(self) -> list[Snapshot]:
        """All of the journal's and no other's: of a process that keeps it and serves nobody."""
        return [one for one in self._families.snapshots() if one.definition.name.startswith(OURS)]

    def behind(self, seconds: Callable[[], float]) -> None:
        """`seconds` is asked at each scrape: a thread that hangs can't tell."""
        self._families.journal_behind.ask = seconds
