"""Which connections have something to read, or room for more: an epoll of our own, which the event loop
watches like any other descriptor. One look at it tells all that has happened to all connections.

The loop could watch each of them, but uvloop takes seven system calls for each that comes and goes, and makes
an object of libuv's and one of its own, and calls us through two more of them for each event. That is a
twentieth of what a sign-in costs.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lyncgate.engine.lane.stream import Stream

IN = int(select.EPOLLIN)
OUT = int(select.EPOLLOUT)
GONE = int(select.EPOLLERR | select.EPOLLHUP)  # told whether it is wanted or not
BATCH = 256  # connections looked at in a row before others get their turn


class Watch:
    """Tells streams what they want to know, for as long as that is so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._streams: dict[int, Stream] = {}
        self._turn = 0
        loop.add_reader(self._epoll.fileno(), self._look)

    def want(self, stream: Stream, read: bool, write: bool) -> None:
        """What `stream` wants to know from now on. Nothing, before it closes its descriptor: a process forked
        at that moment may hold it open, and we would be told of it for as long."""
        if self._epoll.closed:
            return
        events = (IN if read else 0) | (OUT if write else 0)
        fd = stream.fd
        if fd in self._streams:
            if events:
                self._epoll.modify(fd, events)
            else:
                del self._streams[fd]
                self._epoll.unregister(fd)
        elif events:
            self._epoll.register(fd, events)
            self._streams[fd] = stream
            stream.turn = self._turn

    def _look(self) -> None:
        self._turn += 1
        for fd, events in self._epoll.poll(0, BATCH):
            stream = self._streams.get(fd)
            # One may be closed by what was told to another, and its descriptor be the next one's already.
            if stream is None or stream.turn == self._turn:
                continue
            try:
                stream.told(events & (IN | GONE) != 0, events & (OUT | GONE) != 0)
            except Exception as error:
                self.loop.call_exception_handler({"message": "Exception in a connection", "exception": error})

    def close(self) -> None:
        """For good: nobody is told any more."""
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._streams.clear()
