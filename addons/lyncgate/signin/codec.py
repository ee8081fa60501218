"""Events and sign-ins as JSON: one line an event for the journal, a whole document for people and tools.

    dumps(event)                  {"type":"dns","id":"…","started":1789000000.1,"name":"lyncdiscover.…",…}
    loads(line)                   the same event again
    document(sign_in, findings)   what `lyncgate signin ID --json` prints, see docs/signin-json.md

In a line, what has its default value is left out. A newer version's fields are passed over.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from lyncgate.signin.events import DnsQuery, Event, Handshake, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn, StageView

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Exchange | DnsQuery | Handshake | SipMessage | TraceLine).decode
_LAST_SECOND = 253402300799  # of the year 9999


def dumps(event: Event) -> str:
    """One line of JSON. Halves of a surrogate pair, which are no text, become `?`; numbers that JSON has not
    become null, not known, and such a time 0."""
    if not math.isfinite(event.started):
        event = msgspec.structs.replace(event, started=0.0)
    try:
        return _encode(event).decode()
    except UnicodeEncodeError:
        plain = json.dumps(msgspec.to_builtins(event), ensure_ascii=False, separators=(",", ":"))
        return plain.encode("utf-8", "replace").decode()


def loads(text: str | bytes) -> Event:
    """The event of a line that `dumps` wrote. Raises ValueError, which says what is wrong with it."""
    try:
        event: Event = _decode(text)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not an event: {error}") from None
    return event


def document(sign_in: SignIn, findings: Iterable[Finding]) -> dict[str, Any]:
    """A sign-in with all that was seen of it and what is wrong, as plain values for `json.dumps`.

    Times are RFC 3339 in UTC; an event's is by the clock of who saw it, see `offsets`. Durations are
    seconds. docs/signin-json.md is the reference.
    """
    joined = dict(sign_in.joined)
    return {
        "id": sign_in.id,
        "user": sign_in.user,
        "account": sign_in.account,
        "client": sign_in.client,
        "device": sign_in.device,
        "started": iso(sign_in.started),
        "ended": iso(sign_in.ended),
        "seconds": round(sign_in.seconds, 6),
        "outcome": sign_in.outcome.value,
        "failed_stage": sign_in.failed_stage and sign_in.failed_stage.value,
        "offsets": {origin: round(seconds, 3) for origin, seconds in sign_in.offsets},
        "stages": [_stage(view) for view in sign_in.stages],
        "findings": [_finding(finding) for finding in findings],
        "events": [{"joined": joined.get(event.id), **_event(event)} for event in sign_in.events],
    }


def iso(seconds: float) -> str:
    """Unix time as RFC 3339 in UTC with milliseconds. What is no time on a calendar becomes the nearest."""
    nearest = min(max(0.0, seconds), _LAST_SECOND)  # in this order NaN is 0
    moment = datetime.datetime.fromtimestamp(nearest, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _stage(view: StageView) -> dict[str, Any]:
    return {
        "stage": view.stage.value,
        "state": view.state.value,
        "started": None if view.started is None else iso(view.started),
        "seconds": None if view.seconds is None else round(view.seconds, 6),
        "said": view.said,
        "origins": list(view.origins),
        "events": list(view.events),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "title": finding.title,
        "stage": finding.stage.value,
        "certainty": finding.certainty.value,
        "cause": finding.cause,
        "evidence": [{"said": seen.said, "event": seen.event} for seen in finding.evidence],
        "fixes": [{"said": fix.said, "command": fix.command} for fix in finding.fixes],
        "grade": finding.grade.value,
        "source": finding.source,
    }


def _event(event: Event) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(event)
    plain["started"] = iso(event.started)
    plain["origin"] = event.origin
    if isinstance(event, Handshake) and event.certificate:
        plain["certificate"]["not_before"] = iso(event.certificate.not_before)
        plain["certificate"]["not_after"] = iso(event.certificate.not_after)
    return plain
