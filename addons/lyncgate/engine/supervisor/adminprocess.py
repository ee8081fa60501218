"""The admin: a process that serves no phones. It answers /metrics, /readyz and the pages, reads rules, and
keeps the journal.

Checking rules, writing out metrics, querying the journal, stitching: none of it is in the way of traffic, and
none of its threads are there when the supervisor forks.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from pathlib import Path

from prometheus_client import CollectorRegistry

from lyncgate.engine.loop import new_loop
from lyncgate.engine.master import StartError
from lyncgate.engine.memory import give_back_now_and_then
from lyncgate.engine.reload import Reloader
from lyncgate.engine.supervisor.channel import Channel
from lyncgate.engine.supervisor.keeping import Keeper
from lyncgate.engine.supervisor.link import Link
from lyncgate.engine.supervisor.messages import (
    AdoptAll,
    Adopted,
    Answers,
    AskAll,
    Counted,
    Drain,
    Loads,
    Ready,
    Reload,
    Reloaded,
    Topic,
)
from lyncgate.engine.supervisor.scratch import placed
from lyncgate.observe.admin import Admin, Readiness
from lyncgate.observe.counting import Snapshot
from lyncgate.observe.exposition import SnapshotCollector, merged, process_snapshots
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.pages.site import Pages
from lyncgate.policy.load import Loaded
from lyncgate.policy.policy import Journal, Policy

LAST_ANSWERS = 1.0  # seconds for what is being answered when it ends
TELL_EVERY = 2.0  # seconds between two tellings of what it counted, if there is news


def run_admin(
    channel: Channel, path: Path, loaded: Loaded, listening: socket.socket | None, journal: Journal
) -> int:
    """The exit status."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_run(channel, path, loaded, listening, journal))


async def _run(
    channel: Channel, path: Path, loaded: Loaded, listening: socket.socket | None, journal: Journal
) -> int:
    process = AdminProcess(channel, path, loaded, journal)
    return await process.run(listening)


class AdminProcess:
    """`journal`: with its file, in memory or elsewhere. Must be made on the running loop."""

    def __init__(self, channel: Channel, path: Path, loaded: Loaded, journal: Journal) -> None:
        if loaded.policy is None:
            raise ValueError("the rules have errors")
        self._policy: Policy = loaded.policy
        self._journal = journal
        self._keeper = Keeper(journal)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answers | Adopted]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()
        self._link = Link(channel, self._heard, lambda: os._exit(0))
        self._knows = False
        self._reloader = Reloader(path, loaded, adopt=self._adopt, observer=self)
        self._knows = True

    async def run(self, listening: socket.socket | None) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        reader = Reader(Place.of(self._journal.path))
        pages = Pages(lambda: reader, lambda: self._policy.admin.hosts)
        admin = Admin(self, self._readiness, pages)
        if listening is not None:
            admin.start_on([listening])
        watching = loop.create_task(self._reloader.watch(), name="watch rules")
        telling = loop.create_task(self._tell(), name="tell counts")
        giving = loop.create_task(give_back_now_and_then(), name="give back memory")
        self._link.send(Ready())
        await self._end.wait()
        watching.cancel()
        telling.cancel()
        giving.cancel()
        try:
            async with asyncio.timeout(LAST_ANSWERS):
                await admin.stop()
        except TimeoutError:
            pass
        await asyncio.to_thread(self._keeper.close)
        self._link.send(Counted(self._counted()))
        await self._link.sent()
        return 0

    async def _tell(self) -> None:
        """Sign-ins are counted once, and here: whoever kills this process must not take the count along."""
        told: list[Snapshot] = []
        while True:
            await asyncio.sleep(TELL_EVERY)
            found = self._keeper.snapshots()
            if found != told:
                told = found
                self._link.send(Counted(self._counted()))

    def _counted(self) -> list[Snapshot]:
        return [*process_snapshots(), *self._keeper.snapshots()]

    # -- rules -----------------------------------------------------------------------------------

    def reload(self, successful: bool, when: float, version: str) -> None:
        """The reloader's observer."""
        if self._knows:  # not what was loaded before this process began
            self._link.send(Loads(successful, when, version))

    async def _adopt(self, policy: Policy) -> None:
        number, answer = self._expect()
        self._link.send(AdoptAll(number, policy, self._reloader.files))
        said = await answer
        if isinstance(said, Adopted) and said.error is not None:
            raise StartError(said.error)
        self._policy = policy
        self._keeper.adopt(placed(policy.journal, self._journal.path))

    async def _reload(self, number: int) -> None:
        successful = await self._reloader.reload()
        self._link.send(Reloaded(number, successful, self._reloader.version, self._reloader.problems))

    # -- pages -----------------------------------------------------------------------------------

    async def scraped(self) -> CollectorRegistry:
        """The metrics of all processes as if of one."""
        answers = await self._ask(Topic.METRICS)
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(lambda: merged(answers.counted)))
        return registry

    async def _readiness(self) -> Readiness:
        return together(await self._ask(Topic.STATUS))

    async def _ask(self, topic: Topic) -> Answers:
        number, answer = self._expect()
        self._link.send(AskAll(number, topic, self._counted()))
        said = await answer
        if not isinstance(said, Answers):
            raise TypeError(f"{type(said).__name__} for a question")
        return said

    def _expect(self) -> tuple[int, asyncio.Future[Answers | Adopted]]:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        return number, future

    def _heard(self, message: object, descriptors: list[int]) -> None:
        match message:
            case Answers() | Adopted():
                future = self._waiting.pop(message.number, None)
                if future is not None and not future.done():
                    future.set_result(message)
            case Reload(number):
                task = asyncio.get_running_loop().create_task(self._reload(number), name="reload")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Drain():
                self._end.set()


def together(answers: Answers) -> Readiness:
    """Ready if all that answer are, and somebody does."""
    told = [worker.content for worker in answers.workers if worker.content is not None]
    reasons = [reason for content in told for reason in content.reasons]
    if answers.stopping:
        reasons = ["stopping"]
    elif not told:
        reasons.append("no worker serves")
    pools = next((content.details["pools"] for content in told if "pools" in content.details), {})
    details = {
        "policy": answers.version,
        "listeners": answers.addresses,
        "pools": pools,
        "workers": [
            {"worker": one.slot, "pid": one.pid, "state": one.state, "answers": one.content is not None}
            for one in answers.workers
        ],
    }
    return Readiness(not reasons, tuple(dict.fromkeys(reasons)), details)
