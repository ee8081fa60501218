"""Traces know no address, only who and when: a registration is given to the attempt that was registering
then, and all else of its endpoint to the same one.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from lyncgate.signin.attempt import CLOCK, IDLE, RECENT, Attempt
from lyncgate.signin.strands import Key, Strand


def place_traces(person: str | None, traces: Sequence[Strand], web: list[Attempt]) -> list[Attempt]:
    """Adds traces to the attempts that they tell of; returns those that only traces tell of."""
    by_tie: dict[Key, Attempt] = {}
    by_epid: dict[str, list[Attempt]] = {}
    made = sorted(web, key=lambda attempt: attempt.order)
    opened = [attempt.start for attempt in made]
    only: list[Attempt] = []
    # Those that register first: they tell which endpoint is whose.
    for strand in sorted(traces, key=lambda s: (not s.registering, not s.endpoints, s.order)):
        tied = [by_tie[tie] for tie in strand.ties if tie in by_tie]
        same = [attempt for epid in strand.endpoints for attempt in by_epid.get(epid, ())]
        until = bisect.bisect_right(opened, strand.start + CLOCK)
        attempt = tied[0] if tied else _covering(strand, same, made[max(0, until - RECENT) : until])
        if attempt is None:
            attempt = Attempt(person)
            only.append(attempt)
            if not strand.staged:
                attempt.add(strand)
                continue
            place = bisect.bisect_right(opened, strand.start)
            opened.insert(place, strand.start)
            made.insert(place, attempt)
        attempt.add(strand)
        for tie in strand.ties:
            by_tie[tie] = attempt
        for epid in strand.endpoints:
            by_epid.setdefault(epid, []).append(attempt)
    return only


def _covering(strand: Strand, same: Sequence[Attempt], recent: Sequence[Attempt]) -> Attempt | None:
    """The attempt that a strand of a trace tells of: of the same endpoint; or among the `recent` ones that
    which was registering then, and there."""
    known = [attempt for attempt in same if _is_near(strand, attempt)]
    if known:
        return max(known, key=lambda attempt: attempt.start)
    near = (attempt for attempt in recent if _is_near(strand, attempt))
    free = [attempt for attempt in near if not (strand.endpoints and attempt.epids)]
    return min(free, key=lambda attempt: (_misfit(strand, attempt), -attempt.start), default=None)


def _is_near(strand: Strand, attempt: Attempt) -> bool:
    return attempt.start - CLOCK <= strand.start <= attempt.end + IDLE


def _misfit(strand: Strand, attempt: Attempt) -> tuple[float, bool]:
    """Seconds by which what the trace tells lies outside of the attempt's registering, and whether it was
    another server."""
    when = strand.registering[0][0] if strand.registering else strand.start
    server = strand.events[0][1].origin.removeprefix("trace:")
    best = (IDLE, True)
    for first, last, at in attempt.registering:
        outside = max(0.0, first - when, when - last)
        best = min(best, (0.0 if outside < 0.005 else outside, at != server))
    return best
