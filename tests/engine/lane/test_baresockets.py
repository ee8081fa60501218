"""What a connection is from its first moment, whenever it came: at once to be heard, and never waited for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from lyncgate.engine.lane.baresockets import Socket, Taker, calling


@pytest.fixture(
    params=[
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
    ids=["127.0.0.1", "any of IPv4", "::1", "any of IPv6"],
)
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, host = request.param
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind((host, 0))
        sock.listen()
        sock.setblocking(False)
        yield sock


def no_delay(sock: socket.SocketType) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_who_came_before_us_and_who_comes_later(listening: socket.socket) -> None:
    with contextlib.ExitStack() as stack:

        def comes() -> tuple[str, int]:
            client = stack.enter_context(socket.create_connection(listening.getsockname()[:2]))
            host, port, *_ = client.getsockname()
            return host, port

        def is_taken(come: tuple[str, int]) -> Socket:
            sock, peer, own = taker.take()
            stack.callback(sock.close)
            assert peer[:2] == come
            assert own == sock.getsockname()
            assert sock.gettimeout() == 0
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            return sock

        early = comes()  # when nobody had said yet what is handed down
        taker = Taker(listening)
        late = comes()
        assert no_delay(is_taken(early))
        assert no_delay(is_taken(late))
        with pytest.raises(BlockingIOError):
            taker.take()
        assert no_delay(is_taken(comes()))


def test_to_call_does_not_block(listening: socket.socket) -> None:
    sock = calling(listening.family)
    try:
        assert sock.gettimeout() == 0
        with pytest.raises(BlockingIOError):
            sock.connect(listening.getsockname())
    finally:
        sock.close()
