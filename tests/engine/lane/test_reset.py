"""A reset that a write has found out: the system tells it once, and the next read would be an orderly end."""

from __future__ import annotations

import asyncio
import select
import socket
import struct

import pytest

from lyncgate.engine.lane.stream import Stream
from lyncgate.engine.lane.watch import Watch
from support.edge import in_circles, no_collector

WAIT = 5.0  # seconds


class Owner:
    def __init__(self) -> None:
        self.heard = b""
        self.ends: list[object] = []

    def ready(self) -> None: ...

    def received(self, data: bytes) -> None:
        self.heard += data

    def ended(self) -> None:
        self.ends.append("ended")

    def lost(self, error: Exception | None) -> None:
        self.ends.append(type(error))

    def drained(self) -> None: ...


@pytest.mark.parametrize("said", [b"", b"some of an answer"])
def test_who_reads_before_the_failure_is_told_hears_no_orderly_end(said: bytes) -> None:
    async def check() -> None:
        watch, owner = Watch(asyncio.get_running_loop()), Owner()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peer = socket.create_connection(listening.getsockname())
            sock, _ = listening.accept()
        sock.setblocking(False)
        stream = Stream(watch, sock, owner)
        stream.read()
        if said:
            peer.send(said)
            assert select.select([stream.fd], [], [], WAIT)[0]
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        look = select.poll()
        look.register(stream.fd, 0)
        assert look.poll(1000 * WAIT), "the reset never came"
        stream.write(b"x")
        assert owner.ends == [], "whoever writes is in the middle of something"
        stream.told(True, False)
        stream.told(True, False)
        assert owner.ends == [ConnectionResetError]
        await asyncio.sleep(0)
        assert owner.ends == [ConnectionResetError], "told once"
        watch.close()
        del stream, sock
        assert not in_circles()

    with no_collector():
        asyncio.run(check())
