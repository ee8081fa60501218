"""An exchange as a line of JSON, written by hand: each request of a sign-in is one, and pydantic takes three
times as long. What comes again and again is written together: one look into a table for all of it.

What comes out is what `signin.codec` reads: what has its default value is left out.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import operator
from json.encoder import encode_basestring as _text

from lyncgate.signin.exchange import Exchange, Phase, Phases
from lyncgate.signin.facts import NO_FACTS, Facts
from lyncgate.signin.keys import NONE, Keys

REMEMBERED = 1024  # of each of the tables
LONGEST = 256  # characters of a path or a client's name that is remembered: or a client could fill the memory

_ASKED = ("listener", "scheme", "method", "host", "path", "user_agent")
_DONE = (
    *("kind", "stage", "decision", "rule", "publication", "pool", "member", "attempts", "reused", "status"),
    *("ended_by", "outcome", "reason", "server_fqdn", "origin"),
)
# Of the facts all but this one, which is another one with each connection.
_CARRIER = "upstream"

_EXACT = 2.0**23  # from here on floats lie further apart than 1e-9
_UNENDED = {phase: f'"{phase}":null' for phase in Phase}
_TOOK = {phase: f'"{phase}":%.9f' for phase in Phase}  # to the nanosecond, as clocks are read

_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def line(exchange: Exchange) -> str:
    """Raises ValueError or TypeError for what is not so simple: a number that is none, half a surrogate
    pair."""
    longest = max(len(exchange.path), len(exchange.user_agent or ""))
    asked = _write_asked if longest <= LONGEST else _write_asked.__wrapped__
    written = (
        f'{{"type":"exchange","id":{_text(exchange.id)},"source_ip":{_text(exchange.source_ip)}'
        f',"connection":{_text(exchange.connection)},"started":{_moment(exchange.started)}'
        f"{asked(_asked(exchange))}{_write_done(_done(exchange))}{_rest(exchange)}}}"
    )
    if not written.isascii():
        written.encode()
    return written


def _rest(exchange: Exchange) -> str:
    """What is another one each time."""
    parts = []
    if exchange.sip_user is not None:
        parts.append(f',"sip_user":{_text(exchange.sip_user)}')
    if exchange.ntlm_user is not None:
        parts.append(f',"ntlm_user":{_text(exchange.ntlm_user)}')
    if exchange.request_bytes:
        parts.append(f',"request_bytes":{exchange.request_bytes}')
    if exchange.response_bytes:
        parts.append(f',"response_bytes":{exchange.response_bytes}')
    if exchange.phases:
        parts.append(f',"phases":{{{_phases(exchange.phases)}}}')
    if exchange.keys is not NONE:
        parts.append(f',"keys":{{{_keys(exchange.keys)}}}')
    if exchange.facts is not NO_FACTS:
        parts.append(f',"facts":{{{_facts(exchange.facts)}}}')
    return "".join(parts)


def _phases(phases: Phases) -> str:
    took = ",".join(
        [_UNENDED[phase] if seconds is None else _TOOK[phase] % seconds for phase, seconds in phases.items()]
    )
    if "nan" in took or "inf" in took:  # no phase is called so: one look for all of them
        raise ValueError("JSON has no such number")
    return took


def _keys(keys: Keys) -> str:
    parts = [
        f'"{name}":{_text(value)}'
        for name, value in zip(_NAMES, _names(keys), strict=True)
        if value is not None
    ]
    if keys.tickets:
        parts.append(f'"tickets":[{",".join([_text(ticket) for ticket in keys.tickets])}]')
    return ",".join(parts)


def _facts(facts: Facts) -> str:
    said = _write_said(_said(facts))
    if facts.upstream is not None:
        said = f'{said},"{_CARRIER}":{_text(facts.upstream)}'
    return said[1:]


def _moment(seconds: float) -> str:
    """What a float holds of a time of today is shorter than nine places, and they are made in a third of the
    time that its shortest form takes."""
    return f"{_finite(seconds):.9f}" if seconds >= _EXACT else repr(_finite(seconds))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    return number


def _writer(of: type[Exchange | Facts], names: tuple[str, ...]) -> functools._lru_cache_wrapper[str]:
    """What writes those of these fields that are not as by default, each with a comma before it. Fields that
    must be there have MISSING for a default, which no value is."""
    known = {field.name: field.default for field in dataclasses.fields(of)}
    defaults = tuple((name, known[name]) for name in names)

    @functools.lru_cache(maxsize=REMEMBERED)
    def write(values: tuple[object, ...]) -> str:
        return "".join(
            f',"{name}":{_to_json(value)}'
            for (name, default), value in zip(defaults, values, strict=True)
            if value != default
        )

    return write


_asked, _done = operator.attrgetter(*_ASKED), operator.attrgetter(*_DONE)
_write_asked, _write_done = _writer(Exchange, _ASKED), _writer(Exchange, _DONE)
_NAMES = tuple(field.name for field in dataclasses.fields(Keys) if field.name != "tickets")
_names = operator.attrgetter(*_NAMES)
_FACTS = tuple(field.name for field in dataclasses.fields(Facts) if field.name != _CARRIER)
_write_said, _said = _writer(Facts, _FACTS), operator.attrgetter(*_FACTS)
