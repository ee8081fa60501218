"""A crowd of phones: so many arrive a second, each stays for a while, and leaves.

    crowd = Crowd(lambda number: Wp75(user(number), …), count=500, rate=20.0, hold=60.0)
    summary = await crowd.run()

Phones start by the clock and not when the one before has arrived: a slow server gets a queue, as it would
from real phones, and not a polite load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.summary import Summary


class Crowd:
    """`make` gives phone number 0, 1, …; `rate`: phones a second; `hold`: seconds that each stays signed in.
    What goes on at this moment: `arriving`, `present`, `polls`; what has been: `started`, `summary`."""

    def __init__(self, make: Callable[[int], Device], *, count: int, rate: float, hold: float = 0.0) -> None:
        self.count = count
        self.started = 0
        self.arriving = 0
        self.summary = Summary()
        self._make = make
        self._rate = rate
        self._hold = hold
        self._present: dict[Device, asyncio.Task[object]] = {}
        self._stopped = asyncio.Event()
        self._began = 0.0

    @property
    def present(self) -> int:
        """Phones that are signed in."""
        return len(self._present)

    @property
    def polls(self) -> int:
        """Polls that are up."""
        return sum(phone.polling for phone in self._present)

    async def run(self) -> Summary:
        """All of them, from the first to arrive to the last to leave."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        async with asyncio.TaskGroup() as phones:
            for number in range(self.count):
                if await self._is_stopped_before(self._began + number / self._rate):
                    break
                self.started += 1
                phones.create_task(self._visit(self._make(number)))
        return self.summary

    def stop(self) -> None:
        """No phone comes any more, and those that are there leave."""
        self._stopped.set()
        for staying in self._present.values():
            staying.cancel()

    def observe(self) -> None:
        """Take note of how many are there now; called now and then while it runs."""
        self.summary.most_at_once = max(self.summary.most_at_once, self.present)
        self.summary.most_polls = max(self.summary.most_polls, self.polls)

    async def _visit(self, phone: Device) -> None:
        self.arriving += 1
        try:
            report = await phone.arrive()
        finally:
            self.arriving -= 1
        if report.ok:
            self.summary.arriving = asyncio.get_running_loop().time() - self._began
            await self._stay(phone)
            await phone.leave()
        self.summary.add(report)

    async def _stay(self, phone: Device) -> None:
        staying: asyncio.Task[object] = asyncio.create_task(phone.stay(self._hold))
        self._present[phone] = staying
        self.observe()
        if self._stopped.is_set():
            staying.cancel()
        try:
            await asyncio.wait({staying})
        finally:
            staying.cancel()
            del self._present[phone]

    async def _is_stopped_before(self, when: float) -> bool:
        try:
            async with asyncio.timeout_at(when):
                return await self._stopped.wait()
        except TimeoutError:
            return False
