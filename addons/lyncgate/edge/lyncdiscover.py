"""Serves the autodiscover root document where a rule says `answer`, in the representation that the
client asked for (protocol reference §2.1). `forward` is carried out by lyncgate.edge.publish."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Response

from lyncgate.edge.route import first
from lyncgate.edge.state import EdgeState
from lyncgate.lync import autodiscover
from lyncgate.policy.decision import Answer


class Lyncdiscover:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge

    def requestheaders(self, flow: HTTPFlow) -> None:
        transit = self.edge.transits.get(flow.id)
        if transit is None or flow.response or not isinstance(transit.decision, Answer):
            return
        flow.request.headers.pop("expect", None)
        document = autodiscover.root_document(
            transit.decision.links, first(flow.request.headers, b"accept") or None
        )
        flow.response = Response.make(
            200,
            document.body,
            {"Content-Type": document.content_type, "Cache-Control": "no-cache", "Vary": "Accept"},
        )
        if flow.request.method == "HEAD":
            # Content-Length stays that of the body that a GET would get (RFC 9110 §9.3.2).
            flow.response.data.content = b""
