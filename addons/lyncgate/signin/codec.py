"""Events and sign-ins as JSON: one line an event for the journal, a whole document for people and tools.

    dumps(event)                  {"type":"dns","id":"…","started":1789000000.1,"name":"lyncdiscover.…",…}
    loads(line)                   the same event again
    document(sign_in, findings)   what `lyncgate signin ID --json` prints, see docs/signin-json.md

In a line, what has its default value is left out, and durations are to the nanosecond. A newer version's
fields are passed over.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from typing import Annotated, Any

import pydantic

from lyncgate.signin.events import DnsQuery, Event, Handshake, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn, StageView
from lyncgate.signin.written import line

_ADAPTER: pydantic.TypeAdapter[Event] = pydantic.TypeAdapter(
    Annotated[Exchange | DnsQuery | Handshake | SipMessage | TraceLine, pydantic.Field(discriminator="type")],
    config=pydantic.ConfigDict(ser_json_inf_nan="strings"),
)
_LAST_SECOND = 253402300799  # of the year 9999


def dumps(event: Event) -> str:
    """One line of JSON. Halves of a surrogate pair, which are no text, become `?`."""
    if isinstance(event, Exchange):
        try:
            return line(event)
        except (ValueError, TypeError):  # whatever is not so simple
            pass
    try:
        written = _ADAPTER.dump_json(event, exclude_defaults=True).decode()
    except ValueError:  # a text that is not Unicode
        plain = _ADAPTER.dump_python(event, mode="json", exclude_defaults=True)
        written = (
            json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()
        )
    return f'{{"type":"{event.type}",{written[1:]}'


def loads(text: str | bytes) -> Event:
    """The event of a line that `dumps` wrote. Raises ValueError, which says what is wrong with it."""
    try:
        return _ADAPTER.validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"][1:])) or "line"  # the first is the event's type
        raise ValueError(f"not an event: {where}: {first['msg']}") from None


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
    plain: dict[str, Any] = _ADAPTER.dump_python(event, mode="json", exclude_defaults=True)
    plain["type"] = event.type
    plain["started"] = iso(event.started)
    plain["origin"] = event.origin
    if isinstance(event, Handshake) and event.certificate:
        plain["certificate"]["not_before"] = iso(event.certificate.not_before)
        plain["certificate"]["not_after"] = iso(event.certificate.not_after)
    return plain
