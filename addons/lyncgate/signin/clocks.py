"""Which trace's clock is wrong, and by how much. Traces are written by clocks of their own, some of them in
local time; the edge's clock is taken for right.

A registration that a trace tells of was caused by the same person's request to register, so it happened
while that request was being answered. The offset at which most registrations of a trace did so is the clock's
error, whole hours of time zones included. It is known no better than the requests are long.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

SAMPLES = 12  # registrations of a trace that are enough to tell
CLOSEST = 3  # requests that a registration is compared with: as the clocks stand, and but for whole hours
LIKELY = 0.75  # a smaller offset is believed before one that explains a few registrations more
TOLERANCE = 0.25  # seconds
STEP = 0.02  # seconds: offsets are multiples of it
NEAR = 300.0  # seconds: what a clock may be off by, on the word of one registration
NEAR_HOURS = 60.0  # and beside a difference of time zones
_ZONE = 1800.0

type Span = tuple[float, float]


def estimate(
    registrations: Iterable[tuple[float, str]], requests: Mapping[str, Sequence[Span]]
) -> float | None:
    """Seconds that a trace's clock is ahead; 0.0 if it may well be right. None: nothing to go by.

    `registrations`: time by that clock, and person; no more than SAMPLES, the latest. `requests`: person →
    begin and end of each request to register, by our clock.
    """
    samples = [
        (when, _closest(when, requests[person])) for when, person in registrations if requests.get(person)
    ]
    if not samples:
        return None
    candidates = {0.0}
    if _votes(samples, 0.0) < len(samples):
        candidates |= {when - (begin + end) / 2 for when, spans in samples for begin, end in spans}
    votes = {candidate: _votes(samples, candidate) for candidate in candidates}
    enough = max(votes.values()) * LIKELY
    offset = min((one for one in candidates if votes[one] >= enough), key=lambda one: (abs(one), one))
    if votes[offset] * 2 < len(samples) or (votes[offset] == 1 and not _believable(offset)):
        return None
    least, most = [], []
    for when, spans in samples:
        begin, end = min(spans, key=lambda span: (_outside(when - offset, *span), span))
        if _fits(when - offset, begin, end):
            least.append(when - end)
            most.append(when - begin)
    low, high = statistics.median(least), statistics.median(most)
    if low <= 0.0 <= high:
        return 0.0
    return round(round((low + high) / 2 / STEP) * STEP, 3)


def _closest(when: float, spans: Sequence[Span]) -> list[Span]:
    def apart(span: Span) -> float:
        return when - (span[0] + span[1]) / 2

    if len(spans) <= 2 * CLOSEST:
        return list(spans)
    near = sorted(spans, key=lambda span: (abs(apart(span)), span))[:CLOSEST]
    zoned = sorted(spans, key=lambda span: (abs(_beside_zones(apart(span))), span))[:CLOSEST]
    return list(dict.fromkeys([*near, *zoned]))


def _votes(samples: Sequence[tuple[float, Sequence[Span]]], offset: float) -> int:
    return sum(any(_fits(when - offset, begin, end) for begin, end in spans) for when, spans in samples)


def _fits(when: float, begin: float, end: float) -> bool:
    return _outside(when, begin, end) <= TOLERANCE


def _outside(when: float, begin: float, end: float) -> float:
    return max(begin - when, when - end, 0.0)


def _beside_zones(offset: float) -> float:
    return offset - round(offset / _ZONE) * _ZONE


def _believable(offset: float) -> bool:
    return abs(offset) <= NEAR or (abs(_beside_zones(offset)) <= NEAR_HOURS and abs(offset) <= 15 * 3600)
