"""A worker: one body on an event loop of its own, which does what the supervisor says.

It ends when it has drained, whether the supervisor told it to or somebody else did by SIGTERM, and at once
when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from pathlib import Path

from OpenSSL import SSL

from lyncgate.engine.body import EdgeBody, edge_body
from lyncgate.engine.loop import new_loop
from lyncgate.engine.master import Engine, StartError
from lyncgate.engine.memory import give_back_now_and_then
from lyncgate.engine.readiness import readiness
from lyncgate.engine.sockets import Place, Sockets
from lyncgate.engine.supervisor.channel import Channel
from lyncgate.engine.supervisor.link import Link
from lyncgate.engine.supervisor.messages import (
    Adopt,
    Adopted,
    Answer,
    Ask,
    Departed,
    Drain,
    Failed,
    Leaving,
    Ready,
    Reopen,
    TicketKeys,
    Topic,
)
from lyncgate.engine.tls.ticketkeys import TicketKeyRing
from lyncgate.policy.policy import Policy

NOT_STARTED = 3  # exit status of one whose rules, files or addresses are of no use
ORPHANED = 4

# What a request and a connection make is gone with them, without being looked for. Not so the flows and
# layers of mitmproxy, which are circles with whole bodies in them.
YOUNG_OBJECTS, GENERATIONS = 20_000, 20

log = logging.getLogger(__name__)


def run_worker(
    channel: Channel,
    policy: Policy,
    sockets: list[tuple[Place, socket.socket]],
    tickets: bytes,
    engine: Engine,
    scripts: tuple[Path, ...],
) -> int:
    """The exit status."""
    if engine is Engine.LANE and not scripts:
        gc.set_threshold(YOUNG_OBJECTS, GENERATIONS, GENERATIONS)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_run(channel, policy, sockets, tickets, engine, scripts))


async def _run(
    channel: Channel,
    policy: Policy,
    sockets: list[tuple[Place, socket.socket]],
    tickets: bytes,
    engine: Engine,
    scripts: tuple[Path, ...],
) -> int:
    return await _Worker(channel, tickets, engine, scripts).run(policy, sockets)


class _Worker:
    def __init__(self, channel: Channel, tickets: bytes, engine: Engine, scripts: tuple[Path, ...]) -> None:
        self._engine = engine
        self._scripts = scripts
        self._tickets = tickets
        self._ring: TicketKeyRing | None = None
        self._link = Link(channel, self._heard, lambda: os._exit(ORPHANED))
        self._drain = asyncio.Event()
        self._adoptions: asyncio.Queue[tuple[Adopt, list[int]]] = asyncio.Queue()
        self._body: EdgeBody | None = None

    async def run(self, policy: Policy, sockets: list[tuple[Place, socket.socket]]) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._told_to_leave)
        try:
            made = edge_body(policy, engine=self._engine, scripts=self._scripts, keeps_journal=False)
            async with made as body:
                self._ring = body.master.ticket_keys
                self._ring.renew(self._tickets)
                await body.start(Sockets(_grouped(sockets)))
                self._body = body
                self._link.send(Ready())
                adopting = loop.create_task(self._adopt(body), name="adopt")
                giving = loop.create_task(give_back_now_and_then(), name="give back memory")
                await self._drain.wait()
                adopting.cancel()
                giving.cancel()
                await body.stop()
        except StartError as error:
            self._link.send(Failed(str(error)))
            await self._link.sent()
            return NOT_STARTED
        self._link.send(Departed(body.metrics.snapshots()))  # now: the journal has counted its last events
        await self._link.sent()
        return 0

    def _told_to_leave(self) -> None:
        if not self._drain.is_set():
            self._drain.set()
            self._link.send(Leaving())

    def _heard(self, message: object, descriptors: list[int]) -> None:
        match message:
            case Adopt():
                self._adoptions.put_nowait((message, descriptors))
            case Drain():
                self._drain.set()
            case TicketKeys(keys):
                self._tickets = keys
                if self._ring:
                    self._ring.renew(keys)
            case _ if self._body is None:
                log.warning("%s came before this worker serves", type(message).__name__)
            case Ask(number, Topic.METRICS):
                self._link.send(Answer(number, self._body.metrics.snapshots()))
            case Ask(number, Topic.STATUS):
                self._link.send(Answer(number, readiness(self._body.master)))
            case Reopen():
                self._body.access_log.reopen()

    async def _adopt(self, body: EdgeBody) -> None:
        """One after the other, while it serves on."""
        while True:
            message, descriptors = await self._adoptions.get()
            sockets, made = None, []
            if message.places is not None:
                made = [socket.socket(fileno=descriptor) for descriptor in descriptors]
                sockets = _grouped(list(zip(message.places, made, strict=True)))
            error = None
            try:
                await body.adopt(message.policy, sockets)
            except (OSError, SSL.Error, StartError) as refused:
                error = str(refused)
                for one in made:  # else an address of these rules is taken until others come
                    one.close()
            except Exception as crash:
                log.exception("adopting %s", message.policy.version)
                error = f"{type(crash).__name__}: {crash}"
            self._link.send(Adopted(message.number, error))


def _grouped(sockets: list[tuple[Place, socket.socket]]) -> dict[Place, list[socket.socket]]:
    grouped: dict[Place, list[socket.socket]] = {}
    for place, one in sockets:
        grouped.setdefault(place, []).append(one)
    return grouped
