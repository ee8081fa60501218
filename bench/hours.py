"""Stitching for hours, by a simulated clock: what it holds, and the CPU that a sign-in costs, flat or not.

    .venv/bin/python bench/hours.py [--hours 3] [--everybodys]

Two sign-ins a second of 2,000 users at one address, 500 phones that are signed in and poll for 12 to 60 s at
a time; every event is told when an edge tells of it, and it is looked at once a second. With `--everybodys`
all of them use one application, as the soak's do. A quarter of an hour a line.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import heapq
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.stitching import Stitcher
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Phase

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.journalling import Told, memory
from support.signins import sign_in, told_at

ADDRESS, USERS, PHONES, RATE = "127.0.0.1", 2000, 500, 2.0
BEGIN, QUARTER, MIB = 1_790_000_000.0, 900.0, 2**20
LASTS = 3.0  # seconds that a sign-in begins before its last event does, at most
AGE, SIZE = 3600.0, 64 * MIB  # of the journal


def people(everybodys: bool) -> Iterator[tuple[float, Event]]:
    """In the order in which they begin, and when each event is told."""
    for number in itertools.count():
        user = f"user{number % USERS}"
        for event in sign_in(number, BEGIN + number / RATE):
            keys = msgspec.structs.replace(event.keys, client=ADDRESS)
            if everybodys:
                registers = isinstance(event, Exchange) and event.stage == "register"
                who = "user@contoso.example" if registers else None
                app = keys.application and "everybody's"
                keys = msgspec.structs.replace(keys, user=who, application=app)
            elif keys.user:
                keys = msgspec.structs.replace(keys, user=f"{user}@contoso.example")
            account = keys.account and f"CONTOSO\\{user}"
            keys = msgspec.structs.replace(keys, account=account)
            told = msgspec.structs.replace(event, keys=keys)
            yield told_at(told), told


def polls(everybodys: bool) -> Iterator[tuple[float, Event]]:
    chance = random.Random(1)
    poll = list(sign_in(0, BEGIN))[-1]
    assert isinstance(poll, Exchange)
    waiting = [(BEGIN + 5 + number / 100, number, 0) for number in range(PHONES)]
    while True:
        at, phone, count = waiting[0]
        keys = msgspec.structs.replace(
            poll.keys,
            user=None,
            client=ADDRESS,
            connection=f"p{phone}-{count // 10}",
            tickets=("everybody's",) if everybodys else (f"{phone:08x}00000001",),
            application="everybody's" if everybodys else f"{phone:08x}00000002",
        )
        held = chance.uniform(12, 60)
        over = msgspec.structs.replace(
            poll, id=f"p{phone}-{count}", started=at, keys=keys, phases={Phase.TOTAL: held}
        )
        yield at, msgspec.structs.replace(over, outcome=None, status=None, phases={})
        yield at + held, over
        heapq.heapreplace(waiting, (at + held, phone, count + 1))


def in_order(*streams: Iterator[tuple[float, Event]]) -> Iterator[tuple[float, Event]]:
    """By when they are told."""
    waiting: list[tuple[float, str, int, Event]] = []
    for number, (at, event) in enumerate(heapq.merge(*streams, key=lambda pair: pair[1].started)):
        heapq.heappush(waiting, (at, event.id, number, event))
        while waiting and waiting[0][0] <= event.started - LASTS:
            at, _, _, first = heapq.heappop(waiting)
            yield at, first


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--hours", type=float, default=3.0)
    asked.add_argument("--everybodys", action="store_true", help="one application, as in the soak")
    options = asked.parse_args()
    gc.set_threshold(20_000, 20, 20)  # as the keeper does
    told = Told()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        place = Place.of(str(Path(directory) / "journal.db"))
        writer = stack.enter_context(contextlib.closing(Store(place, reads=False)))
        store = stack.enter_context(contextlib.closing(Store(place)))
        stitcher = Stitcher(told)
        stitcher.step(store, BEGIN, at_once=True)
        began, used, look, quarter, settled = memory(), 0.0, BEGIN + 1, BEGIN + QUARTER, 0
        batch: list[tuple[Event, str]] = []
        for at, event in in_order(people(options.everybodys), polls(options.everybodys)):
            while at > look:
                writer.add_events(batch, {})
                batch.clear()
                before = time.thread_time()
                while stitcher.step(store, look, at_once=True):
                    pass
                used += time.thread_time() - before
                look += 1
            if at > quarter:
                new, settled = len(told.settled) - settled, len(told.settled)
                held = stitcher.held
                print(
                    f"{(quarter - BEGIN) / 60:4.0f} min: {held} events held, "
                    f"{(memory() - began) / MIB:.1f} MiB more than at the beginning, "
                    f"{1000 * used / QUARTER / RATE:.1f} ms of CPU a sign-in, {new} are over",
                    flush=True,
                )
                if quarter - BEGIN >= options.hours * 3600:
                    return
                used, quarter = 0.0, quarter + QUARTER
                while store.prune(look, AGE, SIZE):
                    pass
            batch.append((event, codec.dumps(event)))


if __name__ == "__main__":
    main()
