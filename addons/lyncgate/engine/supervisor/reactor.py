"""The supervisor's own loop: descriptors, timers and signals in one thread.

Not asyncio: the supervisor forks, and a loop with its threads and its state must not go along.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[], None]

log = logging.getLogger(__name__)


class Timer:
    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        self.call = None


class Reactor:
    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._signals: dict[int, Call] = {}
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)
        self._watched: dict[int, tuple[Call, Call | None]] = {}
        self.watch(self._woken, self._signalled)
        self._before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._running = False

    def watch(self, what: Any, readable: Call, writable: Call | None = None) -> None:
        """Call `readable` while there is something to read; `writable`, if given, while more may be sent.
        Anew for the same `what`: instead of before."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        descriptor = what if isinstance(what, int) else what.fileno()
        if descriptor in self._watched:
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)
        self._watched[descriptor] = (readable, writable)

    def unwatch(self, what: Any) -> None:
        """Before it is closed."""
        descriptor = what if isinstance(what, int) else what.fileno()
        if self._watched.pop(descriptor, None):
            self._selector.unregister(descriptor)

    def later(self, seconds: float, call: Call) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def on_signal(self, number: signal.Signals, call: Call) -> None:
        """`call` runs in the loop, not in the middle of something."""
        self._signals[number] = call
        signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Until `stop`."""
        self._running = True
        while self._running:
            self._turn()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        """After a fork, in the child: its own copies only."""
        signal.set_wakeup_fd(self._before)
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def _turn(self) -> None:
        wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        came = [(key.fd, events, self._watched[key.fd]) for key, events in self._selector.select(wait)]
        for descriptor, events, calls in came:
            # What came before may have been the end of this one, whose number may even be another's by now.
            for event, call in ((selectors.EVENT_WRITE, calls[1]), (selectors.EVENT_READ, calls[0])):
                if events & event and call is not None and self._watched.get(descriptor) is calls:
                    _guarded(call)
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, timer = heapq.heappop(self._timers)
            if timer.call:
                _guarded(timer.call)

    def _signalled(self) -> None:
        for number in self._woken.recv(4096):
            if call := self._signals.get(number):
                _guarded(call)


def _guarded(call: Call) -> None:
    """A fault of ours in one thing must not end all that the supervisor sees to."""
    try:
        call()
    except Exception:
        log.exception("supervisor")
