"""A child's end of the channel on its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from lyncgate.engine.supervisor.channel import Channel


class Link:
    """`heard` is told each message with its descriptors; `gone`: the supervisor is no more."""

    def __init__(
        self, channel: Channel, heard: Callable[[object, list[int]], None], gone: Callable[[], None]
    ) -> None:
        """Must be made on the running loop."""
        self._channel = channel
        self._heard = heard
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(channel.socket, self._readable)
        self._waits = False
        self._sent = asyncio.Event()

    def send(self, message: object, descriptors: Iterable[int] = ()) -> None:
        self._channel.send(message, descriptors)
        self._follow()

    async def sent(self) -> None:
        """Wait until everything is on its way, or there is nobody any more."""
        while self._channel.unsent and not self._channel.closed:
            self._sent.clear()
            await self._sent.wait()

    def close(self) -> None:
        self._loop.remove_reader(self._channel.socket)
        self._loop.remove_writer(self._channel.socket)
        self._channel.close()

    def _readable(self) -> None:
        for message, descriptors in self._channel.receive():
            self._heard(message, descriptors)
        if self._channel.closed:
            self._loop.remove_reader(self._channel.socket)
            self._sent.set()
            self._gone()

    def _writable(self) -> None:
        self._channel.flush()
        self._follow()

    def _follow(self) -> None:
        """Be told when more can be sent, for as long as there is more."""
        if self._channel.unsent and not self._channel.closed:
            if not self._waits:
                self._waits = True
                self._loop.add_writer(self._channel.socket, self._writable)
        else:
            if self._waits:
                self._waits = False
                self._loop.remove_writer(self._channel.socket)
            self._sent.set()
