"""Messages arrive whole and in order, with their descriptors, however the kernel cuts them up."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from lyncgate.engine.supervisor.channel import MOST_DESCRIPTORS, Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = map(Channel, Channel.pair())
    yield one, other
    one.close()
    other.close()


def passed(sender: Channel, receiver: Channel) -> list[tuple[object, list[int]]]:
    """Everything, read while it is sent."""
    got = receiver.receive()
    while sender.unsent:
        sender.flush()
        got += receiver.receive()
    return got + receiver.receive()


def test_large_and_small_ones_in_order(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    messages: list[object] = [b"x" * 5_000_000, "small", {"a": 1}, b"y" * 300_000]
    for message in messages:
        one.send(message)
    assert one.unsent, "the kernel takes no 5 MB: this has not shown that more is kept"
    assert passed(one, other) == [(message, []) for message in messages]


@pytest.mark.parametrize("count", [1, MOST_DESCRIPTORS, MOST_DESCRIPTORS + 1, 2 * MOST_DESCRIPTORS + 30])
def test_descriptors_come_with_their_message(count: int, ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    readers, writers = zip(*(os.pipe() for _ in range(count)), strict=True)
    one.send("before")
    one.send("with", readers)
    one.send("after")
    for reader in readers:
        os.close(reader)  # the receiver's copies are its own
    got = passed(one, other)
    assert [message for message, _ in got] == ["before", "with", "after"]
    assert [len(descriptors) for _, descriptors in got] == [0, count, 0]
    for number, (descriptor, writer) in enumerate(zip(got[1][1], writers, strict=True)):
        os.write(writer, str(number).encode())
        assert os.read(descriptor, 10) == str(number).encode()
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
        os.close(writer)


def test_a_listening_socket_says_that_it_is_tcp(ends: tuple[Channel, Channel]) -> None:
    """Else asyncio and uvloop would leave Nagle's algorithm on."""
    one, other = ends
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        one.send("socket", [listening.fileno()])
    [(_, [descriptor])] = passed(one, other)
    with socket.socket(fileno=descriptor) as got:
        assert got.proto == socket.IPPROTO_TCP


def test_when_the_other_end_is_gone(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one.send("last word")
    one.close()
    assert other.receive() == [("last word", [])]
    assert other.closed
    other.send("nobody hears this")
    assert other.receive() == []
