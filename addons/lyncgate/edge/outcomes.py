"""Which status the edge answers with for each outcome of its own. The body is always empty.

An invented 502 or 403 makes mobile clients drop their cached address and discover anew (protocol
reference §2.3), so a pool without a usable member answers 503.
"""

from __future__ import annotations

import http

from lyncgate.signin.exchange import Outcome, Source

STATUS: dict[Outcome, int] = {
    Outcome.NO_MEMBER: 503,
    Outcome.QUEUE_TIMEOUT: 503,
    Outcome.CONNECT_FAILED: 502,
    Outcome.CONNECT_TIMEOUT: 504,
    Outcome.TLS_FAILED: 502,
    Outcome.UPSTREAM_RESET: 502,
    Outcome.UPSTREAM_INVALID: 502,
    Outcome.UPSTREAM_TIMEOUT: 504,
    Outcome.BODY_TOO_LARGE: 413,
}

ENDED_BY: dict[Outcome, Source] = {
    Outcome.OK: Source.UPSTREAM,
    Outcome.CLIENT_GONE: Source.CLIENT,
    Outcome.UPSTREAM_RESET: Source.UPSTREAM,
    Outcome.UPSTREAM_INVALID: Source.UPSTREAM,
}


def empty_response(status: int) -> bytes:
    """A whole HTTP/1.1 response without a body, after which the connection is closed."""
    phrase = http.HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
