"""One question to all workers. Who does not answer in time is left out: nobody waits for one that hangs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from lyncgate.engine.supervisor.children import Child, Children
from lyncgate.engine.supervisor.messages import Ask, Topic
from lyncgate.engine.supervisor.reactor import Reactor

_numbers = itertools.count(1)


class Asking:
    """`answers`: by whom. `finish` is called once."""

    def __init__(
        self, reactor: Reactor, children: Children, topic: Topic, finish: Callable[[Asking], None]
    ) -> None:
        self._reactor = reactor
        self._children = children
        self._finish = finish
        self.number = next(_numbers)
        self.topic = topic
        self.answers: dict[Child, object] = {}
        self._waiting: set[Child] = set()

    def begin(self, children: Iterable[Child], seconds: float) -> None:
        self._waiting = set(children)
        self._timer = self._reactor.later(seconds, lambda: self._finish(self))
        for child in self._waiting:
            self._children.send(child, Ask(self.number, self.topic))
        self._check()

    def answered(self, child: Child, content: object) -> None:
        self.answers[child] = content
        self.ended(child)

    def ended(self, child: Child) -> None:
        if child in self._waiting:
            self._waiting.discard(child)
            self._check()

    def _check(self) -> None:
        if not self._waiting:
            self._timer.cancel()
            self._finish(self)
