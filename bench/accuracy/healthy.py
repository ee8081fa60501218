"""Sign-ins of all four phones with nothing wrong: through an edge, with DNS log and traces. While they go on
elsewhere faults are met; in the end, none of them may have a finding. All that were begun count: who did not
get in is named with what stopped him, and may have no finding either.

They go on until a file `….enough` lies beside the one that they are written to.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from breath import SHORT, Breath
from vantage import Site, Vantage, watched

from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.stitch import stitch

EVERY = 1.0  # seconds between two looks at what was seen
MOST = 20000  # sign-ins
NOBODY_THERE = (502, 503, 504)  # what an edge says that waited in vain
USERS = [
    *(f"user{number:02}@contoso.example" for number in range(1, 30)),
    "bob@contoso.example",
    "carol@emea.contoso.example",
]


def sign_in(count: int, rate: float, file: Path | None) -> str:
    """`count` sign-ins at least, `rate` a second; events go to `file` as they are seen. What came of it, as
    JSON."""
    with tempfile.TemporaryDirectory(prefix="accuracy-healthy-") as directory:
        return asyncio.run(_sign_in(Path(directory) / "lab", count, rate, file))


@dataclasses.dataclass(frozen=True)
class Visit:
    """A phone's sign-in. `stopped`: by what, and None for who got in; `status`: the answer that did it;
    `late`: how late our own loop was at worst meanwhile, in seconds."""

    device: str
    user: str
    stopped: str | None
    status: int | None
    late: float

    @property
    def why(self) -> str:
        """In a word, why it did not get in. A wait that was too long may be our own fault; an answer of a
        server that refuses is not."""
        waited = self.status in (None, *NOBODY_THERE)
        return "overload" if waited and self.late >= SHORT else "unexplained"


async def _sign_in(directory: Path, count: int, rate: float, file: Path | None) -> str:
    async with watched(directory, Vantage.EDGE) as site:
        told: set[tuple[str, float | None]] = set()
        breath = Breath()
        aside = [asyncio.create_task(_write(site, file, told)), asyncio.create_task(breath.watch())]
        visits: list[Visit] = []
        began = time.monotonic()
        async with asyncio.TaskGroup() as phones:
            for number, (device, user) in enumerate(itertools.islice(_everybody(), MOST)):
                if number >= count and (file is None or file.with_suffix(".enough").exists()):
                    break
                phones.create_task(_visit(site, site.phone(device, user), breath, visits))
                await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
            begun = time.monotonic() - began
        await asyncio.sleep(EVERY)
        for task in aside:
            task.cancel()
        events = site.events()
        if file:
            _append(file, _untold(events, told))
    sign_ins = stitch(events)
    wrong = [(s.user, s.device, f.code) for s in sign_ins for f in diagnose(s, sign_ins)]
    outside = [visit for visit in visits if visit.stopped is not None]
    return json.dumps(
        {
            "begun": len(visits),
            "rate": round(len(visits) / begun, 2),
            "got_in": Counter(visit.device for visit in visits if visit.stopped is None),
            "not_in": [dataclasses.asdict(visit) | {"why": visit.why} for visit in outside],
            "late": round(breath.worst(), 2),
            "stitched": sum(sign_in.user is not None for sign_in in sign_ins),
            "of_nobody": sum(sign_in.user is None for sign_in in sign_ins),
            "outcomes": Counter(sign_in.outcome.value for sign_in in sign_ins),
            "findings": wrong,
        }
    )


def _everybody() -> itertools.chain[tuple[str, str]]:
    """Devices and users, over and over, so that nobody is twice on one device at a time."""
    rounds = ([(device, user) for user in USERS for device in DEVICES] for _ in itertools.count())
    return itertools.chain.from_iterable(rounds)


async def _visit(site: Site, phone: Device, breath: Breath, visits: list[Visit]) -> None:
    if phone.name == "wp75":
        phone.push = site.estate.push.device_address
    began = time.time()
    report = await phone.arrive()
    step = report.failed
    stopped = f"{step.stage}: {step.what}: {step.detail}" if step else None if report.ok else "no step failed"
    late = round(breath.worst(began, time.time()), 2)
    visits.append(Visit(phone.name, phone.user, stopped, step.status if step else None, late))
    if report.ok:
        await phone.leave()


async def _write(site: Site, file: Path | None, told: set[tuple[str, float | None]]) -> None:
    while True:
        await asyncio.sleep(EVERY)
        new = _untold(site.events(), told)
        if file:
            _append(file, new)


def _untold(events: list[Event], told: set[tuple[str, float | None]]) -> list[Event]:
    """Those that were not told, or not to their end: a poll is told when it begins and when it is over."""
    new = [event for event in events if (event.id, event.seconds) not in told]
    told |= {(event.id, event.seconds) for event in new}
    return new


def _append(file: Path, events: list[Event]) -> None:
    with file.open("a") as out:
        out.writelines(f"{codec.dumps(event)}\n" for event in events)
