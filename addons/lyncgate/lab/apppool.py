"""The IIS application pool of a mobility service: how many requests wait in it, and where it is stuck.

A full one and a stuck one answer alike, and before anybody looks at a ticket: 503 from http.sys, in HTML
(protocol reference §6.6, F34, F36).
"""

from __future__ import annotations

from types import TracebackType

from lyncgate.lab.web import Response

UCWA_LIMIT, MCX_LIMIT = 10_000, 5_000  # pending requests (protocol reference §6.6)


class AppPool:
    """`pending`: requests that are being answered, held polls too; each is a `with` block. `stuck`: FQDNs of
    the front ends on which the service does not answer."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pending = 0
        self.stuck: set[str] = set()

    def refusal(self, fqdn: str) -> Response | None:
        """503 if this front end can't take another request."""
        if fqdn not in self.stuck and self.pending < self.limit:
            return None
        body = b"<html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2>"
        headers = [("Content-Type", "text/html; charset=us-ascii"), ("Server", "Microsoft-HTTPAPI/2.0")]
        return Response(
            503, headers, body + b"<p>HTTP Error 503. The service is unavailable.</p></body></html>"
        )

    def __enter__(self) -> None:
        self.pending += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pending -= 1
