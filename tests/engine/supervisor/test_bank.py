"""Listening sockets: each is listened on by somebody, and none is lost on the way."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.engine.master import StartError
from lyncgate.engine.supervisor.bank import Bank, open_socket, share
from lyncgate.policy.policy import Listener, Policy, Scheme
from support.edge import policy


@given(st.integers(1, 40), st.integers(1, 40))
def test_every_socket_has_somebody_and_everybody_a_socket(sockets: int, workers: int) -> None:
    shared = [share(sockets, workers, worker) for worker in range(workers)]
    assert all(shared)
    assert {index for there in shared for index in there} == set(range(sockets))
    if workers <= sockets:
        assert sum(map(len, shared)) == sockets, "none has two owners"


def listening_at(*binds: tuple[str, int]) -> Policy:
    made = policy([_NoOrigin()])
    return dataclasses.replace(made, listeners={"http": Listener("http", Scheme.HTTP, binds)})


class _NoOrigin:
    port, address = 1, "127.0.0.1"


def descriptors(bank: Bank) -> set[int]:
    return {one.fileno() for _, there in bank for one in there}


def test_it_grows_and_never_shrinks_while_the_address_is_wanted() -> None:
    rules = listening_at(("127.0.0.1", 0))
    three = Bank().prepared(rules, 3)
    [(_, there)] = list(three)
    assert len({one.getsockname() for one in there}) == 1, "one port for all"
    assert {one.proto for one in there} == {socket.IPPROTO_TCP}
    one = three.prepared(rules, 1)
    assert descriptors(one) == descriptors(three)
    five = one.prepared(rules, 5)
    assert descriptors(five) > descriptors(three)
    assert len(descriptors(five)) == 5
    none = five.prepared(dataclasses.replace(rules, listeners={}), 5)
    five.close_but(none)
    assert {one.fileno() for one in there} == {-1}


def test_what_can_not_be_bound_leaves_nothing_open() -> None:
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        before = Bank().prepared(listening_at(("127.0.0.1", 0)), 2)
        with pytest.raises(StartError, match=f"listener http on 127.0.0.1:{port}: Address already in use"):
            before.prepared(listening_at(("127.0.0.1", 0), ("127.0.0.1", port)), 4)
        assert len(descriptors(before)) == 2
        assert -1 not in descriptors(before)
        before.close()


def test_somebody_elses_socket_is_shared_and_not_added_to() -> None:
    place = ("http", "127.0.0.1", 80)
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        bank = Bank({place: [theirs]}, shared=[place]).prepared(listening_at(("127.0.0.1", 80)), 4)
        assert [bank.of_worker(worker, 4) for worker in range(4)] == [[(place, theirs)]] * 4
