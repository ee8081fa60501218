"""Whether a peer has said anything: bytes, its end, or that it is gone, each of them."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from lyncgate.engine.lane.owner import NOBODY
from lyncgate.engine.lane.stream import Stream
from lyncgate.engine.lane.watch import Watch

WAIT = 5.0  # seconds


@pytest.fixture
def ends() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and its peer."""
    loop = asyncio.new_event_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        sock, _ = listening.accept()
    sock.setblocking(False)
    stream = Stream(Watch(loop), sock, NOBODY)
    yield stream, peer
    stream.close()
    peer.close()
    loop.close()


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


SAID: dict[str, Callable[[socket.socket], object]] = {
    "bytes": lambda peer: peer.send(b"x"),
    "it sends no more": lambda peer: peer.shutdown(socket.SHUT_WR),
    "it has left": lambda peer: peer.close(),
    "a reset": reset,
}


@pytest.mark.parametrize("said", SAID)
def test_what_is_heard(ends: tuple[Stream, socket.socket], said: str) -> None:
    stream, peer = ends
    assert not stream.heard()
    SAID[said](peer)
    assert select.select([stream.fd], [], [], WAIT)[0], "it never came"
    assert stream.heard()
    assert stream.heard(), "to ask takes nothing away"


def test_a_closed_one_has_nothing_else_to_say(ends: tuple[Stream, socket.socket]) -> None:
    """Its descriptor is another's by then, which is silent."""
    stream, _ = ends
    fd = stream.fd
    stream.close()
    other, there = socket.socketpair()
    with other, there:
        assert fd in (other.fileno(), there.fileno())
        assert stream.heard()
