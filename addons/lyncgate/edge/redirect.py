"""Carries out redirects. Where to, and whether at all, is decide()'s business: the target is
always a published name, never what a client made up."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Response

from lyncgate.edge.state import EdgeState
from lyncgate.policy.decision import Redirect


class Redirects:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or flow.response or not isinstance(transit.decision, Redirect):
            return
        flow.request.headers.pop("expect", None)
        flow.response = Response.make(
            transit.decision.status, b"", {"Location": transit.decision.location, "Content-Length": "0"}
        )
