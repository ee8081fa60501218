"""Who waits for a connection to a member that has all the connections it may have.

First come, first served: as long as one waits, nobody who comes later gets ahead. What is open counts, be it
still being made, in use, or a client's own after its log-on; those that wait for the next exchange count as
well, but give way to whoever can't use them.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lyncgate.policy.policy import Pool

if TYPE_CHECKING:
    from lyncgate.engine.lane.exchange import Relay
    from lyncgate.engine.lane.upstream import Destination

type Who = tuple[str, str]  # pool and host: a member, whatever its port


class Place(NamedTuple):
    """In a queue. `since`: monotonic seconds."""

    to: Destination
    since: float
    timer: asyncio.TimerHandle


class Queues:
    """`limits`: by pool, of those that have one. `idle`: how many of a member's connections are free."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: Callable[[Who], int]) -> None:
        self.limits: dict[str, int] = {}
        self._loop = loop
        self._idle = idle
        self._open: dict[Who, int] = {}
        self._waiting: dict[Who, OrderedDict[Relay, Place]] = {}
        self._called: set[Who] = set()  # whose queue is looked at in the loop's next turn

    def adopt(self, pools: Mapping[str, Pool]) -> None:
        self.limits = {
            name: pool.max_connections for name, pool in pools.items() if pool.max_connections is not None
        }
        for who in self._waiting:
            self._call(who)

    # Connections.

    def opened(self, to: Destination) -> None:
        who = (to.pool, to.host)
        self._open[who] = self._open.get(who, 0) + 1

    def closed(self, to: Destination) -> None:
        who = (to.pool, to.host)
        left = self._open.get(who, 1) - 1
        if left:
            self._open[who] = left
        else:
            self._open.pop(who, None)
        self.freed(to)

    def freed(self, to: Destination) -> None:
        """A connection to the member has ended, or waits for the next exchange."""
        if self._waiting:
            self._call((to.pool, to.host))

    def crowded(self, to: Destination) -> bool:
        """Whether a connection has to go before another one is made."""
        limit = self.limits.get(to.pool)
        return limit is not None and self._open.get((to.pool, to.host), 0) >= limit

    def full(self, to: Destination) -> bool:
        """Whether who comes now has to wait."""
        who = (to.pool, to.host)
        return who in self._waiting or not self._room(who)

    def _room(self, who: Who) -> bool:
        limit = self.limits.get(who[0])
        return limit is None or self._open.get(who, 0) - self._idle(who) < limit

    # Those who wait.

    def wait(self, relay: Relay, to: Destination, timeout: float) -> int:
        """It hears `granted` when its turn has come, or else `waited_in_vain`. How many wait."""
        queue = self._waiting.setdefault((to.pool, to.host), OrderedDict())
        timer = self._loop.call_later(timeout, relay.waited_in_vain)
        queue[relay] = Place(to, time.monotonic(), timer)
        return len(queue)

    def leave(self, relay: Relay, to: Destination) -> int:
        """It waits no longer. How many still do."""
        who = (to.pool, to.host)
        queue = self._waiting[who]
        queue.pop(relay).timer.cancel()
        if not queue:
            del self._waiting[who]
        return len(queue)

    def _call(self, who: Who) -> None:
        # From the loop's next turn: whoever frees a connection is in the middle of something.
        if who in self._waiting and who not in self._called:
            self._called.add(who)
            self._loop.call_soon(self._serve, who)

    def _serve(self, who: Who) -> None:
        self._called.discard(who)
        while (queue := self._waiting.get(who)) and self._room(who):
            relay, place = queue.popitem(last=False)
            place.timer.cancel()
            if not queue:
                del self._waiting[who]
            relay.granted(place.to, len(queue), time.monotonic() - place.since)
