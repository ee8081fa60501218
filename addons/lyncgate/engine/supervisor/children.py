"""The supervisor's child processes, and what it hears of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

from lyncgate.engine.supervisor import process
from lyncgate.engine.supervisor.channel import Channel
from lyncgate.engine.supervisor.reactor import Reactor
from lyncgate.observe.counting import Snapshot
from lyncgate.observe.metrics import WorkerState


@dataclasses.dataclass(slots=True, eq=False)
class Child:
    """`counted`: what it last said of its metrics; `why`: what it said before it failed to start."""

    name: str
    pid: int
    channel: Channel
    started: float = dataclasses.field(default_factory=time.monotonic)
    state: WorkerState = WorkerState.STARTING
    counted: list[Snapshot] = dataclasses.field(default_factory=list)
    why: str | None = None
    hung: bool = False

    @property
    def lived(self) -> float:
        """Seconds."""
        return time.monotonic() - self.started


Heard = Callable[[Child, object], None]
EndedCall = Callable[[Child, int], None]  # with its wait status


class Children:
    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._children: dict[Child, tuple[Heard, EndedCall]] = {}

    def __len__(self) -> int:
        return len(self._children)

    def spawn(
        self,
        name: str,
        run: Callable[[Channel], int],
        *,
        close: Callable[[], None],
        heard: Heard,
        ended: EndedCall,
    ) -> Child:
        """Fork one that does `run`. `close`: in it, whatever of the supervisor's it must not keep open.
        Raises OSError."""
        ours, theirs = Channel.pair()

        def prepare() -> None:
            ours.close()
            for other in self._children:
                other.channel.socket.close()
            self._reactor.close()
            close()

        try:
            pid = process.fork(name, prepare, lambda: run(Channel(theirs)))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        child = Child(name, pid, Channel(ours))
        self._children[child] = (heard, ended)
        self._follow(child)
        return child

    def send(self, child: Child, message: object, descriptors: Iterable[int] = ()) -> None:
        child.channel.send(message, descriptors)
        self._follow(child)

    def kill(self, child: Child) -> None:
        process.end(child.pid)

    def kill_all(self) -> None:
        for child in self._children:
            process.end(child.pid)

    def reap(self) -> None:
        """On SIGCHLD: whoever has ended is told of, after the last that it said."""
        by_pid = {child.pid: child for child in self._children}
        for pid, status in process.reaped(list(by_pid)):
            child = by_pid[pid]
            self._hear(child)
            self._reactor.unwatch(child.channel.socket)
            child.channel.close()
            _, ended = self._children.pop(child)
            ended(child, status)

    def _follow(self, child: Child) -> None:
        if child.channel.closed:
            self._reactor.unwatch(child.channel.socket)
            return

        def flush() -> None:
            child.channel.flush()
            self._follow(child)

        self._reactor.watch(
            child.channel.socket, lambda: self._hear(child), flush if child.channel.unsent else None
        )

    def _hear(self, child: Child) -> None:
        heard, _ = self._children[child]
        for message, _descriptors in child.channel.receive():
            heard(child, message)
        if child.channel.closed:
            self._reactor.unwatch(child.channel.socket)
