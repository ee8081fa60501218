"""Who is told what by the watch over connections, when several have something at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from lyncgate.engine.lane.stream import Stream
from lyncgate.engine.lane.watch import Watch


class Owner:
    """`does`: once, with the first thing that comes."""

    def __init__(self, watch: Watch, does: Callable[[], None] | None = None) -> None:
        sock, self.peer = socket.socketpair()
        sock.setblocking(False)
        self.does = does
        self.heard = b""
        self.ends: list[str] = []
        self.stream = Stream(watch, sock, self)
        self.stream.read()

    def ready(self) -> None: ...

    def received(self, data: bytes) -> None:
        self.heard += data
        does, self.does = self.does, None
        if does is not None:
            does()

    def ended(self) -> None:
        self.ends.append("ended")

    def lost(self, error: Exception | None) -> None:
        self.ends.append("lost")

    def drained(self) -> None: ...

    def close(self) -> None:
        self.stream.close()
        self.peer.close()


async def turns() -> None:
    """Long enough for the loop to look twice."""
    for _ in range(6):
        await asyncio.sleep(0)


def test_a_descriptor_that_another_has_by_now() -> None:
    """Two have something at once. Who is told first closes the other, and opens one that gets its descriptor:
    what was for the one is not told to the other."""

    async def check() -> None:
        watch = Watch(asyncio.get_running_loop())
        both: list[Owner] = []
        new: list[Owner] = []

        def replace(number: int) -> None:
            left = both[number].stream
            left.close()
            new.append(Owner(watch))
            new[0].peer.send(b"y")
            descriptors.append((left.fd, new[0].stream.fd))

        descriptors: list[tuple[int, int]] = []
        both += [Owner(watch, lambda: replace(1)), Owner(watch, lambda: replace(0))]
        for owner in both:
            owner.peer.send(b"x")
        watch._look()
        assert sorted(owner.heard for owner in both) == [b"", b"x"]
        assert len({*descriptors[0]}) == 1
        assert new[0].heard == b"", "told of what was for another"
        watch._look()
        assert new[0].heard == b"y"
        for owner in (*both, *new):
            owner.close()
        watch.close()

    asyncio.run(check())


def test_what_one_does_wrong_the_others_do_not_feel() -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        watch = Watch(loop)
        error = RuntimeError("on purpose")

        def fails() -> None:
            raise error

        owners = [Owner(watch, fails), Owner(watch), Owner(watch, fails)]
        for owner in owners:
            owner.peer.send(b"x")
        await turns()
        assert [owner.heard for owner in owners] == [b"x"] * 3
        assert told == [error, error]
        for owner in owners:
            owner.close()
        watch.close()

    asyncio.run(check())


def test_who_pauses_is_told_when_he_reads_again() -> None:
    async def check() -> None:
        watch = Watch(asyncio.get_running_loop())
        owner = Owner(watch)
        owner.stream.pause()
        owner.peer.send(b"x")
        await turns()
        assert owner.heard == b""
        owner.stream.read()
        await turns()
        assert owner.heard == b"x"
        owner.peer.close()
        await turns()
        assert owner.ends == ["ended"]
        owner.close()
        watch.close()

    asyncio.run(check())


def test_after_its_end_nobody_is_told() -> None:
    async def check() -> None:
        watch = Watch(asyncio.get_running_loop())
        owner = Owner(watch)
        watch.close()
        owner.peer.send(b"x")
        await turns()
        assert owner.heard == b""
        owner.close()
        watch.close()

    asyncio.run(check())
