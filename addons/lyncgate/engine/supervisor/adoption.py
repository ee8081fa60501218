"""One policy offered to all workers: it is in force when each has said so, and else in force nowhere."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Mapping

from lyncgate.engine.sockets import Place
from lyncgate.engine.supervisor.bank import Bank
from lyncgate.engine.supervisor.children import Child, Children
from lyncgate.engine.supervisor.messages import Adopt
from lyncgate.engine.supervisor.reactor import Reactor
from lyncgate.policy.policy import Policy

PATIENCE = 30.0  # seconds for a worker to adopt a policy, before it is taken for hung and killed

_numbers = itertools.count(1)  # 0: of what is not answered to


class Adoption:
    """`plan`: who listens on what from then on; `took_over`: who serves by the policy already. `finish` is
    told the first error, when everybody has answered."""

    def __init__(
        self,
        reactor: Reactor,
        children: Children,
        policy: Policy,
        bank: Bank,
        size: int,
        finish: Callable[[str | None, Adoption], None],
    ) -> None:
        self._children = children
        self._finish = finish
        self._reactor = reactor
        self.number = next(_numbers)
        self.policy = policy
        self.bank = bank
        self.size = size
        self.plan: dict[Child, list[tuple[Place, socket.socket]]] = {}
        self.took_over: set[Child] = set()
        self._waiting: set[Child] = set()
        self._error: str | None = None

    def begin(
        self,
        plan: Mapping[Child, list[tuple[Place, socket.socket]]],
        known: Mapping[Child, list[tuple[Place, socket.socket]]],
    ) -> None:
        """`known`: who listens on what now. Sockets are sent where they are others."""
        self.plan = dict(plan)
        self._waiting = set(plan)
        self._timer = self._reactor.later(PATIENCE, self._too_late)
        for child, dealt in plan.items():
            if dealt == known[child]:
                self._children.send(child, Adopt(self.number, self.policy, None))
            else:
                places = tuple(place for place, _ in dealt)
                descriptors = [one.fileno() for _, one in dealt]
                self._children.send(child, Adopt(self.number, self.policy, places), descriptors)
        self._check()

    def answered(self, child: Child, error: str | None) -> None:
        if error is None:
            self.took_over.add(child)
        self._done_with(child, error)

    def excuse(self, child: Child) -> None:
        """It drains: the one in its place is told instead, once the others have answered."""
        self._done_with(child, None)

    def ended(self, child: Child) -> None:
        """It may have been the policy that it died of."""
        self._done_with(child, f"{child.name} ended while it adopted the rules")

    def give_up(self, error: str) -> None:
        """Wait for nobody any more."""
        self._waiting.clear()
        self._error = self._error or error
        self._check()

    def _done_with(self, child: Child, error: str | None) -> None:
        if child in self._waiting:
            self._waiting.discard(child)
            self._error = self._error or error
            self._check()

    def _too_late(self) -> None:
        for child in list(self._waiting):
            child.hung = True
            self._children.kill(child)
            self._done_with(child, f"{child.name} did not adopt the rules within {PATIENCE:g} s")

    def _check(self) -> None:
        if not self._waiting:
            self._timer.cancel()
            self._finish(self._error, self)
