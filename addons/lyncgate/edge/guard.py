"""Carries out denials, and refuses bodies that the publication's limit rules out at the head.

An edge fails closed: an empty body and no product name, whatever the reason. Limits on the bytes
of a head are kept before there is a request, see lyncgate.edge.framing.
"""

from __future__ import annotations

from lyncgate.edge.heads import OwnAnswer, known
from lyncgate.edge.state import Transit
from lyncgate.policy.decision import Deny, Forward
from lyncgate.signin.exchange import Outcome


class Guard:
    def begin(self, transit: Transit) -> None:
        decision = transit.decision
        if isinstance(decision, Deny):
            transit.exchange.outcome = Outcome.DENIED
            transit.exchange.reason = decision.reason
            if transit.request.valid:  # else the engine fails it itself
                transit.answer = _refusal(decision)
        elif isinstance(decision, Forward) and decision.body_limit is not None:
            length = known(transit.request, b"content-length")
            if length.isdigit() and int(length) > decision.body_limit:
                transit.exchange.outcome = Outcome.BODY_TOO_LARGE
                transit.answer = OwnAnswer(413)


def _refusal(decision: Deny) -> OwnAnswer:
    if not decision.allowed:
        return OwnAnswer(decision.status)
    allowed = ", ".join(decision.allowed).encode("ascii")
    return OwnAnswer(decision.status, ((b"Allow", allowed), (b"Content-Length", b"0")))
