"""How fast events become sign-ins: all at once (`stitch`), and as they come (`Tracker`).

    .venv/bin/python bench/stitch.py [--sign-ins 10000] [--rate 50]

Sign-ins begin `--rate` a second, of 2,000 users behind 40 addresses, with DNS queries, a poll that is told
when it begins and when it ends, and one in four with a front end's trace. For the tracker, events come in the
order in which they are over, and it is asked what changed twice a second, as the journal does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.stitch import stitch
from lyncgate.signin.tracker import Tracker

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.plays import Play


def told(number: int, rate: float, users: int, held: float, dns: bool) -> Iterator[tuple[float, Event]]:
    """(when an edge tells of it, event)."""
    who = number % users
    play = Play(
        f"play{number}",
        user=f"user{who}@contoso.example",
        device="ucwa" if number % 3 else "mcx",
        at=1_000_000 + number / rate,
        client=f"192.0.2.{who % 40}",
        held=held,
        dns=dns,
        trace=number % 4 == 0,
        server=f"fe0{number % 2}",
    )
    for event in play.events:
        if isinstance(event, Exchange) and event.kind is Kind.POLL:
            begun = msgspec.structs.replace(event, outcome=None, status=None, phases={})
            yield event.started, begun
        yield event.started + (event.seconds or 0.0), event


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--sign-ins", type=int, default=10_000)
    asked.add_argument("--rate", type=float, default=50.0, help="sign-ins a second")
    asked.add_argument("--users", type=int, default=2_000)
    asked.add_argument("--held", type=float, default=180.0, help="seconds that a poll hangs")
    asked.add_argument("--no-dns", action="store_true")
    options = asked.parse_args()
    pairs = [
        pair
        for number in range(options.sign_ins)
        for pair in told(number, options.rate, options.users, options.held, not options.no_dns)
    ]
    pairs.sort(key=lambda pair: pair[0])
    events = [event for _, event in pairs]

    began = time.perf_counter()
    found = stitch(events)
    took = time.perf_counter() - began
    print(
        f"stitch: {len(events)} events, {len(found)} sign-ins of {options.sign_ins} in {took:.1f} s,", end=" "
    )
    print(f"{took / len(events) * 1e6:.0f} µs an event")

    tracker = Tracker()
    returned, worst, most = 0, 0.0, 0
    began = time.process_time()
    tick = pairs[0][0] + 0.5
    for when, event in pairs:
        while when > tick:
            step = time.perf_counter()
            returned += len(tracker.changed(tick))
            tracker.gone()
            worst, most = max(worst, time.perf_counter() - step), max(most, len(tracker))
            tick += 0.5
        tracker.add(event)
    returned += len(tracker.changed(tick + 3600))
    took = time.process_time() - began
    lasted = pairs[-1][0] - pairs[0][0]
    busy = options.sign_ins / options.rate
    print(f"tracker: {took:.1f} s of CPU for {lasted:.0f} s of traffic,", end=" ")
    print(
        f"{took / len(events) * 1e6:.0f} µs an event, {took / busy:.0%} of a core while they begin;", end=" "
    )
    print(f"{returned} returned, longest step {worst * 1000:.0f} ms, at most {most} events held")


if __name__ == "__main__":
    main()
