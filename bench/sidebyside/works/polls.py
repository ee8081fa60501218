"""Held polls: what opening one costs, what holding one takes, and whether all come through."""

from __future__ import annotations

import time
from typing import Any

from sidebyside.crowds import crowd
from sidebyside.field import Field, Origin, Round
from sidebyside.measuring import cpu_seconds, memory
from sidebyside.peers import Peer

NAME = "polls"
WHAT = "5,000 polls held at a time, each with a TLS connection on both sides; then all answered"
COUNT, QUICK = 5000, 500
IDLE = 4.0  # seconds in which nothing happens
PATIENCE = 30.0  # seconds without a new poll at the origin


def measure(field: Field) -> dict[str, Any]:
    """By peer, one round: each is started anew, so that memory is that of the polls."""
    count = QUICK if field.options.quick else COUNT
    return field.each(NAME, lambda peer: _held(field, peer, count))


def _held(field: Field, peer: Peer, count: int) -> Round:
    with field.lync_origin() as origin, field.instance(peer, origin) as one:
        with crowd(one.place.https, 20, "poll") as few:  # so that what is made once is made
            _arrived(origin, 20)
            origin.ask("release")
            few.end()
        before, cpu = memory(one.pid), cpu_seconds(one.pid)
        with crowd(one.place.https, count, "poll") as polls:
            sent = time.monotonic()
            arrived = _arrived(origin, count)
            took = polls.opened["seconds"] + time.monotonic() - sent
            opening = cpu_seconds(one.pid) - cpu
            there, cpu = memory(one.pid), cpu_seconds(one.pid)
            time.sleep(IDLE)
            idle = (cpu_seconds(one.pid) - cpu) / IDLE
            held = polls.look()["there"]
            origin.ask("release")
            end = polls.end()
        result = {
            "count": count,
            "rate": arrived / took,
            "cpu": opening / max(arrived, 1) * 1e6,
            "memory": 1024 * (there.own - before.own) / max(arrived, 1),
            "rss": 1024 * (there.rss - before.rss) / max(arrived, 1),
            "idle": 100 * idle,
            "held": held,
            "lost": count - end["answered"],
            "reasons": end["reasons"],
        }
        field.say(
            f"{NAME} {peer.name:16} {result['rate']:.0f} opened/s, {result['memory']:.1f} KiB each, "
            f"idle {result['idle']:.1f} %, lost {result['lost']}"
        )
        return result


def _arrived(origin: Origin, count: int) -> int:
    """How many polls hang at the origin once all do, or no more come."""
    last, since = -1, time.monotonic()
    while True:
        now = origin.ask("held")
        if now >= count:
            return now
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            return now
        time.sleep(0.02)
