"""The workers: as many as the rules want, each at its place; one that ended unasked is started again.

The first time after a second, then after twice as long each time, up to half a minute, until it lived a
minute. While it waits for long, its neighbours listen on its sockets as well.
"""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from lyncgate.engine.master import Engine
from lyncgate.engine.sockets import Place
from lyncgate.engine.supervisor import process
from lyncgate.engine.supervisor.adoption import Adoption
from lyncgate.engine.supervisor.asking import Asking
from lyncgate.engine.supervisor.bank import Bank
from lyncgate.engine.supervisor.channel import Channel
from lyncgate.engine.supervisor.children import Child, Children
from lyncgate.engine.supervisor.messages import (
    Adopt,
    Adopted,
    Answer,
    Departed,
    Drain,
    Failed,
    Leaving,
    Ready,
    TicketKeys,
    Topic,
)
from lyncgate.engine.supervisor.reactor import Reactor, Timer
from lyncgate.engine.supervisor.worker import run_worker
from lyncgate.observe.metrics import Ended, Metrics, WorkerState
from lyncgate.policy.policy import Policy

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds until a worker that ended is started again
LIVED = 60.0  # seconds after which it counts as well
GRACE = 5.0  # seconds after its deadline until a worker that drains is killed

log = logging.getLogger(__name__)

type Dealt = list[tuple[Place, socket.socket]]


class Owner(Protocol):
    """Who hears of the crew."""

    def crew_is_ready(self) -> None:
        """All have started."""

    def crew_failed(self, why: str) -> None:
        """One of the first can't be started."""

    def crew_is_gone(self) -> None:
        """The last one has ended, as was asked."""

    def close_in_worker(self) -> None:
        """In a child that was just forked: what is not a worker's."""


@dataclasses.dataclass(slots=True, eq=False)
class Slot:
    """A worker's place. `out`: nobody is there for so long that the others listen on its sockets."""

    number: int
    child: Child | None = None
    dealt: Dealt = dataclasses.field(default_factory=list)
    pause: float = FIRST_PAUSE
    timer: Timer | None = None
    out: bool = False


class Crew:
    """`bank`: made for `policy` and `size` already."""

    def __init__(
        self,
        owner: Owner,
        reactor: Reactor,
        children: Children,
        metrics: Metrics,
        *,
        policy: Policy,
        bank: Bank,
        size: int,
        tickets: bytes,
        engine: Engine,
        scripts: tuple[Path, ...],
    ) -> None:
        self._engine = engine
        self._scripts = scripts
        self._owner = owner
        self._reactor = reactor
        self._children = children
        self._metrics = metrics
        self.policy = policy
        self.bank = bank
        self.tickets = tickets
        self._slots = [Slot(number) for number in range(size)]
        self._leaving: set[Child] = set()
        self._adoption: Adoption | None = None
        self._dealt_late = False  # who takes part has changed since that began
        self._askings: dict[int, Asking] = {}
        self._serves = False  # all of the first have been ready
        self._ending = False
        self._timers: set[Timer] = set()

    # -- from outside ----------------------------------------------------------------------------

    def start(self) -> None:
        for slot in self._slots:
            self._spawn(slot)

    def adopt(self, policy: Policy, size: int, done: Callable[[str | None], None]) -> None:
        """Have all serve by `policy`, or none; `done` is told None, or why none does."""
        if self._adoption is not None or self._ending:
            done("the edge is stopping" if self._ending else "other rules are just being adopted")
            return

        def finish(error: str | None, adoption: Adoption) -> None:
            self._adoption = None
            if error is None:
                self._commit(adoption)
            else:
                adoption.bank.close_but(self.bank)
                self._go_back(adoption)
            if self._dealt_late:
                self._dealt_late = False
                self._deal_anew()
            done(error)

        bank = self.bank.prepared(policy, max(size, 1))  # raises StartError: nothing has happened yet
        self._adoption = Adoption(self._reactor, self._children, policy, bank, size, finish)
        out = {slot.number for slot in self._slots if slot.out}
        plan = {
            slot.child: _deal(bank, [n for n in range(size) if n not in out or n == slot.number], slot.number)
            for slot in self._slots[:size]  # the others end; their sockets are with these by then
            if slot.child is not None
        }
        known = {slot.child: slot.dealt for slot in self._slots if slot.child is not None}
        self._adoption.begin(plan, known)

    def ask(self, topic: Topic, seconds: float, done: Callable[[Asking], None]) -> None:
        """Ask all that serve; `done` after `seconds` at the latest."""

        def finish(asking: Asking) -> None:
            del self._askings[asking.number]
            done(asking)

        asking = Asking(self._reactor, self._children, topic, finish)
        self._askings[asking.number] = asking
        asking.begin([child for child in self.children() if child.state is not WorkerState.STARTING], seconds)

    def tell(self, message: object) -> None:
        for child in self.children():
            self._children.send(child, message)

    def renew_tickets(self, keys: bytes) -> None:
        self.tickets = keys
        self.tell(TicketKeys(keys))

    def drain(self) -> None:
        """End all; the owner hears when the last one is gone."""
        self._ending = True
        if self._adoption:
            self._adoption.give_up("the edge is stopping")
        for slot in self._slots:
            if slot.timer:
                slot.timer.cancel()
            if slot.child:
                self._leave(slot.child)
                slot.child = None
        if not self._leaving:
            self._owner.crew_is_gone()

    def children(self) -> Iterator[Child]:
        yield from (slot.child for slot in self._slots if slot.child)
        yield from self._leaving

    def places(self) -> list[tuple[int, Child | None]]:
        """Who is where; those that leave are nowhere."""
        return [(slot.number, slot.child) for slot in self._slots]

    def states(self) -> dict[WorkerState, int]:
        counted = Counter(child.state for child in self.children())
        counted[WorkerState.WAITING] = sum(slot.child is None for slot in self._slots) * (not self._ending)
        return counted

    # -- processes -------------------------------------------------------------------------------

    def _spawn(self, slot: Slot) -> None:
        slot.timer = None
        dealt = _deal(self.bank, self._members(slot), slot.number)
        own = {id(one) for _, one in dealt}
        policy, tickets, engine, scripts = self.policy, self.tickets, self._engine, self._scripts

        def close() -> None:
            for bank in (self.bank, self._adoption.bank) if self._adoption else (self.bank,):
                bank.close_ids_but(own)
            self._owner.close_in_worker()

        def run(channel: Channel) -> int:
            return run_worker(channel, policy, dealt, tickets, engine, scripts)

        name = f"worker {slot.number}"
        try:
            slot.child = self._children.spawn(name, run, close=close, heard=self._heard, ended=self._ended)
        except OSError as error:  # no memory, or as many processes as may be
            log.error("%s can't be started, tried again in %g s: %s", name, LONGEST_PAUSE, error)
            slot.timer = self._reactor.later(LONGEST_PAUSE, lambda: self._spawn(slot))
            return
        slot.dealt = dealt

    def _heard(self, child: Child, message: object) -> None:
        match message:
            case Ready():
                self._is_ready(child)
            case Failed(why):
                child.why = why
            case Adopted(number, error):
                if self._adoption and self._adoption.number == number:
                    self._adoption.answered(child, error)
                elif error:
                    log.error("%s does not serve by the rules of the others: %s", child.name, error)
            case Answer(number, content):
                if isinstance(content, list):
                    child.counted = content
                if asking := self._askings.get(number):
                    asking.answered(child, content)
            case Leaving():
                slot = self._slot_of(child)
                if slot is not None and not self._ending:
                    log.info("%s was told to stop, another one takes its place", child.name)
                    slot.child = None
                    self._leave(child)
                    if self._adoption:
                        self._adoption.excuse(child)
                    self._spawn(slot)
            case Departed(counted):
                child.counted = counted

    def _is_ready(self, child: Child) -> None:
        if child.state is WorkerState.STARTING:
            child.state = WorkerState.READY
        slot = self._slot_of(child)
        if slot is not None and slot.out:
            slot.out = False
            self._deal_anew()
        if not self._serves and all(
            slot.child and slot.child.state is WorkerState.READY for slot in self._slots
        ):
            self._serves = True
            self._owner.crew_is_ready()

    def _ended(self, child: Child, status: int) -> None:
        self._metrics.absorb(child.counted)
        child.counted = []  # who is just being asked must not count it again
        if self._adoption:
            self._adoption.ended(child)
        for asking in list(self._askings.values()):
            asking.ended(child)
        if child in self._leaving:
            self._leaving.discard(child)
            if self._ending and not self._leaving:
                self._owner.crew_is_gone()
            return
        slot = self._slot_of(child)
        if slot is None:
            return
        slot.child = None
        reason, words = process.how(status)
        if not self._serves:
            self._owner.crew_failed(child.why or f"{child.name} {words}")
            return
        self._metrics.worker_restarted(Ended.HUNG if child.hung else reason)
        if child.lived >= LIVED:
            slot.pause = FIRST_PAUSE
        log.error("%s %s; started again in %g s", child.name, child.why or words, slot.pause)
        slot.timer = self._reactor.later(slot.pause, lambda: self._spawn(slot))
        if slot.pause > FIRST_PAUSE:
            slot.out = True
            self._deal_anew()
        slot.pause = min(LONGEST_PAUSE, 2 * slot.pause)

    def _leave(self, child: Child) -> None:
        """It drains, and is killed if it takes longer than it may."""
        child.state = WorkerState.DRAINING
        self._leaving.add(child)
        self._children.send(child, Drain())

        def late() -> None:
            if child in self._leaving:
                log.error("%s has not ended and is killed", child.name)
                self._children.kill(child)

        self._reactor.later(self.policy.timeouts.drain + GRACE, late)

    def _members(self, slot: Slot) -> list[int]:
        """Who takes part when that one does."""
        return [other.number for other in self._slots if not other.out or other is slot]

    def _slot_of(self, child: Child) -> Slot | None:
        return next((slot for slot in self._slots if slot.child is child), None)

    # -- rules and sockets -----------------------------------------------------------------------

    def _commit(self, adoption: Adoption) -> None:
        old, self.bank, self.policy = self.bank, adoption.bank, adoption.policy
        old.close_but(self.bank)
        for slot in self._slots:
            if slot.child in adoption.plan:
                slot.dealt = adoption.plan[slot.child]
        for slot in self._slots[adoption.size :]:
            if slot.timer:
                slot.timer.cancel()
            if slot.child:
                self._leave(slot.child)
        del self._slots[adoption.size :]
        for slot in self._slots:  # whoever was started meanwhile
            if slot.child and slot.child not in adoption.plan:
                slot.dealt = _deal(self.bank, self._members(slot), slot.number)
                self._give(slot)
        for number in range(len(self._slots), adoption.size):
            self._slots.append(Slot(number))
            self._spawn(self._slots[number])

    def _go_back(self, adoption: Adoption) -> None:
        for slot in self._slots:
            if slot.child in adoption.took_over and not self._ending:
                self._give(slot)

    def _deal_anew(self) -> None:
        """Who takes part has changed; tell those whose sockets are others now."""
        if self._ending:
            return
        if self._adoption:  # what it would tell of the rules before may come after those
            self._dealt_late = True
            return
        members = [slot.number for slot in self._slots if not slot.out]
        for slot in self._slots:
            if slot.child and not slot.out:
                dealt = _deal(self.bank, members, slot.number)
                if dealt != slot.dealt:
                    slot.dealt = dealt
                    self._give(slot)

    def _give(self, slot: Slot) -> None:
        """The policy in force, and its sockets."""
        if slot.child:
            places = tuple(place for place, _ in slot.dealt)
            self._children.send(
                slot.child, Adopt(0, self.policy, places), [one.fileno() for _, one in slot.dealt]
            )


def _deal(bank: Bank, members: list[int], number: int) -> Dealt:
    return bank.of_worker(members.index(number), len(members))
