"""Carries out redirects. Where to, and whether at all, is decide()'s business: the target is
always a published name, never what a client made up."""

from __future__ import annotations

from lyncgate.edge.heads import OwnAnswer
from lyncgate.edge.state import Transit
from lyncgate.policy.decision import Redirect


class Redirects:
    def begin(self, transit: Transit) -> None:
        decision = transit.decision
        if transit.answer is None and isinstance(decision, Redirect):
            location = decision.location.encode("ascii")
            transit.answer = OwnAnswer(decision.status, ((b"Location", location), (b"Content-Length", b"0")))
