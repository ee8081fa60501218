"""When a request is sent a second time: a GET that met a kept connection which the member had just closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lyncgate.signin.exchange import Kind, Outcome
from support.edge import edge, policy
from support.origin import OK, Origin, members
from support.rawhttp import get, post

pytestmark = pytest.mark.engines("lane")

POLL = get("/ucwa/oauth/v1/applications/1/events?ack=1")


def gives_up(origin: Origin, *connections: int, says: bytes = b"") -> None:
    """From its second request on, each of these connections is closed after `says`."""
    seen: dict[int, int] = {}

    async def answer(received: Any, peer: Any) -> bool:
        seen[received.connection] = seen.get(received.connection, 0) + 1
        if received.connection in connections and (seen[received.connection] > 1 or received.connection > 1):
            await peer.send(says)
            return False
        await peer.send(OK)
        return True

    origin.answers(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_once_more_on_a_new_connection(method: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gives_up(origins[0], 1)
            assert (await client.ask(get())).status == 200
            await client.send(get("/again", method=method))
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert [request.connection for request in origins[0].requests] == [1, 1, 2]
            assert [record.outcome for record in it.records[:1]] == [Outcome.OK]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (post(b"once"), Kind.REQUEST),
        (get(method="POST"), Kind.REQUEST),
        (get(method="DELETE"), Kind.REQUEST),
        (get("/", "Content-Length: 1") + b"x", Kind.REQUEST),
        (POLL, Kind.POLL),
    ],
)
def test_never_what_may_have_done_something(request_: bytes, kind: Kind) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gives_up(origins[0], 1)
            assert (await client.ask(get())).status == 200
            await client.send(request_)
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            assert len(origins[0].requests) == 2
            record = await it.record(2)
            assert (record.outcome, record.kind) == (Outcome.UPSTREAM_RESET, kind)

    asyncio.run(check())


def test_never_after_a_byte_of_an_answer() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gives_up(origins[0], 1, says=b"H")
            assert (await client.ask(get())).status == 200
            await client.send(get())
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            assert len(origins[0].requests) == 2

    asyncio.run(check())


def test_never_twice() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gives_up(origins[0], 1, 2, 3)
            assert (await client.ask(get())).status == 200
            await client.send(get())
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            assert [request.connection for request in origins[0].requests] == [1, 1, 2]

    asyncio.run(check())


def test_never_on_a_connection_that_was_new() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def leave(_: Any, peer: Any) -> bool:
                return False

            origins[0].answers(leave)
            await client.send(get())
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            assert len(origins[0].requests) == 1

    asyncio.run(check())
