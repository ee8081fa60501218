"""The supervisor's loop: what is closed by one event is not asked by the next, and a fault ends nothing."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from lyncgate.engine.supervisor.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.close()


def test_what_one_event_closed_the_next_one_leaves_alone(reactor: Reactor) -> None:
    """Both are readable in the same turn, as a child's death and its last word are."""
    pairs = [socket.socketpair() for _ in range(2)]
    heard = []

    def hear(number: int) -> None:
        heard.append(number)
        for ours, _ in pairs:
            reactor.unwatch(ours)
            ours.close()

    for number, (ours, theirs) in enumerate(pairs):
        theirs.send(b"x")
        reactor.watch(ours, lambda number=number: hear(number))
    reactor.later(0.05, reactor.stop)
    reactor.run()
    assert len(heard) == 1
    for _, theirs in pairs:
        theirs.close()


def test_writable_only_while_that_is_wanted(reactor: Reactor) -> None:
    ours, theirs = socket.socketpair()
    told = []

    def writable() -> None:
        told.append("writable")
        reactor.watch(ours, lambda: told.append(ours.recv(10).decode()))
        theirs.send(b"read")
        reactor.later(0.05, reactor.stop)

    reactor.watch(ours, lambda: None, writable)
    reactor.run()
    assert told == ["writable", "read"]
    reactor.unwatch(ours)
    ours.close()
    theirs.close()


def test_signals_and_timers_in_order_and_a_fault_ends_nothing(
    reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    told = []

    def fault() -> None:
        raise RuntimeError("a fault of ours")

    reactor.on_signal(signal.SIGUSR2, lambda: told.append("signal"))
    reactor.later(0.0, fault)
    reactor.later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR2))
    reactor.later(0.02, lambda: told.append("cancelled")).cancel()
    reactor.later(0.1, lambda: told.append("timer"))
    reactor.later(0.11, reactor.stop)
    with caplog.at_level(logging.ERROR):
        reactor.run()
    assert told == ["signal", "timer"]
    assert "a fault of ours" in caplog.text
