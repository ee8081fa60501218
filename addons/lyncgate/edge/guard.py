"""Carries out denials, and refuses bodies that the publication's limit rules out at the head.

An edge fails closed: an empty body and no product name, whatever the reason. Limits on the bytes
of a head are kept before there is a request, see lyncgate.edge.framing.
"""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Response

from lyncgate.edge.route import first
from lyncgate.edge.state import EdgeState
from lyncgate.policy.decision import Deny, Forward
from lyncgate.signin.exchange import Outcome


class Guard:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None:
            return
        decision = transit.decision
        if isinstance(decision, Deny):
            transit.exchange.outcome = Outcome.DENIED
            transit.exchange.reason = decision.reason
            if not flow.error:  # else mitmproxy has found it invalid and fails it itself
                refuse(flow, decision.status)
        elif isinstance(decision, Forward) and decision.body_limit is not None:
            length = first(flow.request.headers, b"content-length")
            if length.isdigit() and int(length) > decision.body_limit:
                transit.exchange.outcome = Outcome.BODY_TOO_LARGE
                refuse(flow, 413)


def refuse(flow: HTTPFlow, status: int) -> None:
    """Answer with `status` and an empty body. A body that the client waits to send stays unsent."""
    flow.request.headers.pop("expect", None)
    flow.response = Response.make(status)
    flow.response.headers["Content-Length"] = "0"
