"""What a request asks for, once its target and Host have proved sane: the input of every rule."""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple

from lyncgate.policy import hosts, paths
from lyncgate.policy.decision import Deny, Reason
from lyncgate.policy.policy import Limits
from lyncgate.policy.request import Request

_NO_URL_BYTE = re.compile(rb"[\x00-\x20\x7f]")  # no URL has these; CR and LF would split headers
_PRINTABLE = bytes(range(0x21, 0x7F))


class Asked(NamedTuple):
    """`host`: as `hosts.parse` gives it. `path`, `query`: the two parts of the target as they came;
    no query at all is None, an empty one b"". `readings`: of the path, see `paths`."""

    host: str
    path: bytes
    query: bytes | None
    readings: frozenset[str]


def read(limits: Limits, request: Request) -> Asked | Deny:
    """The request's target and host, or why nobody should look at it any further."""
    target = request.target
    if len(target) > limits.url:
        return _refusal(414, Reason.URL_TOO_LONG)
    # `*` asks about the server as a whole (RFC 9110 §9.3.7): whoever publishes the name's root answers that.
    rooted = target.startswith(b"/") or (target == b"*" and request.method == b"OPTIONS")
    if not rooted or request.method == b"CONNECT" or _NO_URL_BYTE.search(target):
        return _refusal(400, Reason.BAD_TARGET)
    host = hosts.parse(request.host)
    if host is None:
        return _refusal(400, Reason.BAD_HOST)
    path, mark, query = (b"/", b"", b"") if target == b"*" else target.partition(b"?")
    readings = paths.readings(path)
    if readings is None:
        return _refusal(400, Reason.AMBIGUOUS_PATH)
    return Asked(host, path, query if mark else None, readings)


def https_url(host: str, target: bytes) -> str:
    """The absolute URL of a target that `read` let through: as it came, but for bytes that a header
    field can't carry, which are percent-encoded. No port: what is public is public on 443."""
    if target == b"*":  # in absolute form it has no path (RFC 9112 §3.2.4)
        target = b""
    return f"https://{host}{urllib.parse.quote_from_bytes(target, safe=_PRINTABLE)}"


def _refusal(status: int, reason: Reason) -> Deny:
    return Deny("request", "_none", status, reason)
