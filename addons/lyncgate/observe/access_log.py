"""The access log: one line an exchange, as JSON or for the eye. docs/access-log.md is its reference.

What did not happen is absent (JSON) or `-` (line); what began and never ended is null or `-1`, the
rule of the exchange's phases and of HAProxy's timers. Text from outside (path, user agent, SIP user)
can't break a line or a terminal: whatever is not printable ASCII is escaped as JSON does it.
"""

from __future__ import annotations

import datetime
import functools
import json
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import msgspec

from lyncgate.observe.log_writer import LogWriter
from lyncgate.policy import policy
from lyncgate.signin.exchange import Exchange, Phase

# Fields of the JSON format between the time and the phases, in the order they are written.
FIELDS = (
    *("id", "connection", "source_ip", "listener", "scheme", "method", "host", "path", "user_agent"),
    *("kind", "stage", "decision", "rule", "publication", "pool", "member", "attempts", "reused", "status"),
    *("outcome", "ended_by", "reason", "request_bytes", "response_bytes", "sip_user", "ntlm_user"),
    "server_fqdn",
)

_to_json = json.JSONEncoder(separators=(",", ":")).encode
_bare = re.compile(r"[!#-\[\]-~]+").fullmatch  # printable ASCII but space, quote and backslash


def open_access_log(rules: policy.AccessLog, dropped: Callable[[int], None]) -> LogWriter[Exchange] | None:
    """None when the rules want no access log. `dropped` is told how many exchanges it lacks."""
    if rules.path is None:
        return None
    return LogWriter(rules.path, FORMATS[rules.format], dropped)


def render_json(exchange: Exchange) -> str:
    """One JSON object on one line, ASCII only."""
    phases = ",".join(
        [
            _UNENDED[phase] if seconds is None else _TOOK[phase] % seconds
            for phase, seconds in exchange.phases.items()
        ]
    )
    time, values = _time(exchange), _values(exchange)
    try:
        line = _encode(_Line(time, *values, phases=msgspec.Raw(f"{{{phases}}}".encode()))).decode()
        if line.isascii():
            return line
    except UnicodeEncodeError:  # half a surrogate pair
        pass
    pairs = "".join(
        f',"{name}":{_to_json(value)}'
        for name, value in zip(FIELDS, values, strict=True)
        if value is not None
    )
    return f'{{"time":"{time}"{pairs},"phases":{{{phases}}}}}'


def render_line(exchange: Exchange) -> str:
    """Space-separated columns, always the same number of them."""
    reused = {None: "-", True: "reused", False: "new"}[exchange.reused]
    return " ".join(
        (
            _time(exchange),
            _word(exchange.source_ip),
            _word(exchange.listener),
            _word(exchange.connection),
            _word(exchange.id),
            "-" if exchange.status is None else str(exchange.status),
            exchange.outcome or "-",
            exchange.ended_by,
            _word(exchange.reason),
            "/".join(_milliseconds(exchange, phase) for phase in Phase),
            f"{exchange.request_bytes}/{exchange.response_bytes}",
            _word(exchange.pool and f"{exchange.pool}/{exchange.member or ''}"),
            f"{exchange.attempts}/{reused}",
            exchange.kind,
            _word(exchange.stage),
            exchange.decision,
            _word(exchange.publication),
            _word(exchange.rule),
            _word(exchange.method),
            _word(f"{exchange.scheme}://{exchange.host}{exchange.path}"),
            _word(exchange.sip_user),
            _word(exchange.ntlm_user),
            _word(exchange.server_fqdn),
            _word(exchange.user_agent),
        )
    )


_values = operator.attrgetter(*FIELDS)
_encode = msgspec.json.Encoder().encode
# What is None is left out.
_Line: Any = msgspec.defstruct(
    "_Line",
    ["time", *[(name, Any, None) for name in FIELDS], ("phases", msgspec.Raw, msgspec.Raw(b"{}"))],
    omit_defaults=True,
    gc=False,
)
_UNENDED = {phase: f'"{phase}":null' for phase in Phase}
_TOOK = {phase: f'"{phase}":%.6f' for phase in Phase}

FORMATS: dict[str, Callable[[Exchange], str]] = {"json": render_json, "line": render_line}


def _time(exchange: Exchange) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds = math.floor(exchange.started)
    return f"{_second(seconds)}.{math.floor((exchange.started - seconds) * 1000):03d}Z"


@functools.lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(exchange: Exchange, phase: Phase) -> str:
    if phase not in exchange.phases:
        return "-"
    seconds = exchange.phases[phase]
    return "-1" if seconds is None else str(round(seconds * 1000))


def _word(value: str | None) -> str:
    """A column: as it is where that is unmistakable, else as a JSON string."""
    if value is None:
        return "-"
    return value if value != "-" and _bare(value) else _to_json(value)
