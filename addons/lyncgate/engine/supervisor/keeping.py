"""The journal's keeper: stitches what the workers write into sign-ins, follows files, makes room.

In the admin process, by a thread of low priority: it is never in the way of traffic, whose processor it may
have to share. A worker writes events and does no more. When the admin is killed, the next one goes on where
the journal says that this one was.
"""

from __future__ import annotations

import gc
import logging

from lyncgate.observe.counting import Snapshot
from lyncgate.observe.families import Families
from lyncgate.observe.journal.writer import Journal, Part
from lyncgate.observe.journal_metrics import JournalMetrics
from lyncgate.policy import policy

# Stitching makes many objects, keeps some of them for half an hour, and none in circles that matter.
YOUNG_OBJECTS, GENERATIONS = 20_000, 20

log = logging.getLogger(__name__)


class Keeper:
    """`rules`: the journal's, with the file that the workers write."""

    def __init__(self, rules: policy.Journal) -> None:
        gc.set_threshold(YOUNG_OBJECTS, GENERATIONS, GENERATIONS)
        self._metrics = JournalMetrics(Families())
        self._journal: Journal | None = None
        try:
            self._journal = Journal(rules, self._metrics, part=Part.KEEPS)
        except OSError as error:  # the workers could use it when they began
            log.error("no sign-ins are stitched until this process is started again: %s", error)

    def adopt(self, rules: policy.Journal) -> None:
        """Other bounds, or other files to follow. The workers have agreed to them already."""
        if self._journal:
            self._journal.adopt(rules)

    def snapshots(self) -> list[Snapshot]:
        """What was counted of sign-ins, and of the journal."""
        return self._metrics.snapshots()

    def close(self) -> None:
        """Stitch what is there and let another one go on. Waits for that."""
        if self._journal:
            self._journal.close()
