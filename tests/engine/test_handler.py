"""`--engine stock`: mitmproxy's tasks are cancelled at any moment, and nothing that was read is lost."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from support.edge import EdgeUnderTest, edge, policy, until
from support.origin import Origin, Peer, Received, members
from support.rawhttp import PATIENCE, get

pytestmark = pytest.mark.engines("stock")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"


def handler_of(it: EdgeUnderTest) -> ProxyConnectionHandler:
    [handler] = it.running.master.proxyserver.connections.values()
    assert isinstance(handler, ProxyConnectionHandler)
    return handler


def waits(handler: ProxyConnectionHandler) -> int:
    """How many wait for their turn to tell the layers of something."""
    return len(handler._server_event_lock._waiters or ())


def test_an_answer_with_a_reset_right_behind_it() -> None:
    """The answer has been read and waits for its turn when the client's task, which looks after all writers,
    finds the member's broken and ends whoever reads from it."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            [origin] = origins
            handler = await asked(it, origin, client.send(get()))
            async with handler._server_event_lock:
                await last_peer(origin).send(ANSWER)
                await until(lambda: waits(handler) == 1)
                [member] = [io for conn, io in handler.transports.items() if conn is not handler.client]
                assert member.handler is not None
                member.handler.cancel("Error sending data")  # as drain_writers does
                await asyncio.sleep(0)
            assert (await client.reply()).body == b"first"

            # And the connection is known to be gone: the next request goes elsewhere.
            origin.answers(ANSWER)
            assert (await client.ask(get())).body == b"first"
            assert origin.connections == 2

    asyncio.run(check())


def test_a_member_that_goes_as_soon_as_it_has_come() -> None:
    """The connection is there, which is not told yet, when its task is ended."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await until(lambda: it.running.master.proxyserver.connections)
            handler = handler_of(it)
            await client.send(get())
            async with asyncio.timeout(PATIENCE):
                while len(handler.transports) < 2:  # noqa: ASYNC110 (it is to be caught while it connects)
                    await asyncio.sleep(0)
            async with handler._server_event_lock:
                await until(lambda: waits(handler) == 1)
                [member] = [io for conn, io in handler.transports.items() if conn is not handler.client]
                assert member.handler is not None
                member.handler.cancel("Error sending data")
                await asyncio.sleep(0)
            assert (await client.reply()).status == 502

    asyncio.run(check())


def test_a_member_that_resets_at_any_moment_of_a_connect() -> None:
    """Between what the loop does in one turn and in the next, too."""

    async def check() -> None:
        with socket.create_server(("127.0.0.2", 0)) as listening:
            where = Origin(*listening.getsockname(), None)
            async with edge(policy([where])) as it:
                for turns in range(12):
                    async with it.http() as client:
                        await until(lambda: it.running.master.proxyserver.connections)
                        handler = handler_of(it)
                        await client.send(get())
                        async with asyncio.timeout(PATIENCE):
                            while len(handler.transports) < 2:  # noqa: ASYNC110 (as it connects)
                                await asyncio.sleep(0)
                        for _ in range(turns):
                            await asyncio.sleep(0)
                        accepted, _ = listening.accept()
                        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        accepted.close()
                        assert (await client.reply()).status == 502, turns
                    await until(lambda: not it.running.master.proxyserver.connections)

    asyncio.run(check())


async def asked(it: EdgeUnderTest, origin: Origin, sending: object) -> ProxyConnectionHandler:
    """A request is at the member, which has not answered."""
    come = asyncio.Event()

    async def wait(_: Received, peer: Peer) -> bool:
        come.set()
        await peer.gone()
        return False

    origin.answers(wait)
    assert asyncio.iscoroutine(sending)
    await sending
    await come.wait()
    return handler_of(it)


def last_peer(origin: Origin) -> Peer:
    return max(origin.peers, key=lambda peer: peer.number)
