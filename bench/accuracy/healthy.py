"""Sign-ins of all four phones with nothing wrong: through an edge, with DNS log and traces. While they go on
elsewhere faults are met; in the end, none of them may have a finding.

They go on until a file `….enough` lies beside the one that they are written to.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path

from vantage import Site, Vantage, watched

from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.stitch import stitch

EVERY = 1.0  # seconds between two looks at what was seen
MOST = 5000  # sign-ins
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


async def _sign_in(directory: Path, count: int, rate: float, file: Path | None) -> str:
    async with watched(directory, Vantage.EDGE) as site:
        told: set[tuple[str, float | None]] = set()
        writing = asyncio.create_task(_write(site, file, told))
        good = Counter[str]()
        async with asyncio.TaskGroup() as phones:
            for number, (device, user) in enumerate(itertools.islice(_everybody(), MOST)):
                if number >= count and (file is None or file.with_suffix(".enough").exists()):
                    break
                phones.create_task(_visit(site, site.phone(device, user), good))
                await asyncio.sleep(1 / rate)
        await asyncio.sleep(EVERY)
        writing.cancel()
        events = site.events()
        if file:
            _append(file, _untold(events, told))
    sign_ins = [sign_in for sign_in in stitch(events) if sign_in.user is not None]
    wrong = [(s.user, s.device, f.code) for s in sign_ins for f in diagnose(s, sign_ins)]
    return json.dumps(
        {
            "sign_ins": sum(good.values()),
            "got_in": dict(good),
            "stitched": len(sign_ins),
            "outcomes": Counter(sign_in.outcome.value for sign_in in sign_ins),
            "findings": wrong,
        }
    )


def _everybody() -> itertools.chain[tuple[str, str]]:
    """Devices and users, over and over, so that nobody is twice on one device at a time."""
    rounds = ([(device, user) for user in USERS for device in DEVICES] for _ in itertools.count())
    return itertools.chain.from_iterable(rounds)


async def _visit(site: Site, phone: Device, good: Counter[str]) -> None:
    if phone.name == "wp75":
        phone.push = site.estate.push.device_address
    report = await phone.arrive()
    if report.ok:
        good[phone.name] += 1
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
