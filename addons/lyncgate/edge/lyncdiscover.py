"""Serves the autodiscover root document where a rule says `answer`, in the representation that the
client asked for (protocol reference §2.1). `forward` is carried out by lyncgate.edge.publish."""

from __future__ import annotations

from lyncgate.edge.heads import OwnAnswer, known
from lyncgate.edge.state import Transit
from lyncgate.lync import autodiscover
from lyncgate.policy.decision import Answer


class Lyncdiscover:
    def begin(self, transit: Transit) -> None:
        decision = transit.decision
        if transit.answer is not None or not isinstance(decision, Answer):
            return
        document = autodiscover.root_document(decision.links, known(transit.request, b"accept") or None)
        transit.answer = OwnAnswer(
            200,
            (
                (b"Content-Type", document.content_type.encode("ascii")),
                (b"Cache-Control", b"no-cache"),
                (b"Vary", b"Accept"),
                # For HEAD it stays that of the body that a GET would get (RFC 9110 §9.3.2).
                (b"Content-Length", str(len(document.body)).encode("ascii")),
            ),
            b"" if transit.request.method == b"HEAD" else document.body,
        )
