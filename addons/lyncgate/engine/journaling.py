"""The journal that the policy asks for: opened at start, told of every event, bounded anew by a reload."""

from __future__ import annotations

import sys
from collections.abc import Callable

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.writer import Journal, Part
from lyncgate.observe.metrics import Metrics
from lyncgate.policy.policy import Policy
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange

SWITCH = 0.0005  # seconds that traffic waits for the interpreter while the journal's thread has it


def concerns_sign_ins(event: Event) -> bool:
    """Not so an exchange that is no step of a sign-in, belongs to no application and went well: a page of a
    meeting, a picture. Most of an edge's traffic is that, and no sign-in's story gains by it."""
    if not isinstance(event, Exchange) or event.stage is not None or event.keys.application is not None:
        return True
    return not event.went_well


def share_interpreter() -> None:
    """Python lets a thread that computes go on for 5 ms while another one waits: long for traffic."""
    sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))


class JournalSink:
    """`hasher`: makes the keys of the events that this journal gets. `reader`: of it. `keeps`: stitching and
    the like are done here as well. Raises OSError if the journal's file or key can't be used."""

    def __init__(self, policy: Policy, metrics: Metrics, *, keeps: bool = True) -> None:
        share_interpreter()
        self._journal = Journal(policy.journal, metrics.journal, part=Part.ALL if keeps else Part.WRITES)
        metrics.journal.behind(lambda: self._journal.behind)
        self.hasher = self._journal.hasher
        self.reader = Reader(self._journal.place)

    def __call__(self, event: Event) -> None:
        if concerns_sign_ins(event):
            self._journal.append(event)

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """Raises JournalError if a restart is needed; else what is returned puts `policy` in force."""
        self._journal.require(policy.journal)
        return lambda: self._journal.adopt(policy.journal)

    def flush(self) -> bool:
        """Wait until what was told before can be read. False: it takes too long."""
        return self._journal.flush()

    def close(self) -> None:
        """Write what is buffered, and end."""
        self._journal.close()
