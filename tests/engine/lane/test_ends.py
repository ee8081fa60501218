"""How connections end: answered as far as there is somebody to answer, cut where half must not look whole."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import pytest

from lyncgate.engine.lane import client as lane_client
from lyncgate.signin.exchange import Kind, Outcome
from support import certificates
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, Client, get, read_head

pytestmark = pytest.mark.engines("lane")

POLL = get("/ucwa/oauth/v1/applications/1/events?ack=1")
NEGOTIATE = "Authorization: NTLM TlRMTVNTUAABAAAA"
AUTHENTICATE = "Authorization: NTLM TlRMTVNTUAADAAAA"
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_has_said_all_is_answered(count: int) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            come = asyncio.Event()

            async def answer(_: Any, peer: Any) -> None:
                await come.wait()
                await peer.send(OK)

            origins[0].answers(answer)
            await client.send(get() * count)
            client.writer.write_eof()
            await origins[0].received(1)
            come.set()
            for _ in range(count):
                assert (await client.reply()).body == b"ok"
            assert await client.rest() == b""
            assert [record.outcome for record in it.records] == [Outcome.OK] * count

    asyncio.run(check())


def test_but_it_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lane_client.HALF_CLOSED <= 3
    monkeypatch.setattr(lane_client, "HALF_CLOSED", 0.2)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def never(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(never)
            await client.send(get())
            client.writer.write_eof()
            assert await client.rest() == b""
            assert await asyncio.wait_for(gone, PATIENCE) == b""
            assert (await it.record()).outcome is Outcome.CLIENT_GONE

    asyncio.run(check())


@pytest.mark.parametrize(("secure", "request_"), [(False, POLL), (True, POLL), (True, get())])
def test_who_has_left_is_let_go_at_once(secure: bool, request_: bytes) -> None:
    """A poll has nobody to wait for; TLS 1.2 has no half of a connection."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            gone: asyncio.Future[float] = asyncio.get_running_loop().create_future()

            async def never(_: Any, peer: Any) -> None:
                await peer.gone()
                gone.set_result(time.monotonic())

            origins[0].answers(never)
            async with it.https() if secure else it.http() as client:
                await client.send(request_)
                await origins[0].received(1)
                left = time.monotonic()
                if secure:
                    client.writer.close()
                else:
                    client.writer.write_eof()
                assert await asyncio.wait_for(gone, PATIENCE) - left < lane_client.HALF_CLOSED - 1
                record = await it.record()
                assert record.outcome is Outcome.CLIENT_GONE
                assert record.kind is (Kind.POLL if request_ == POLL else Kind.REQUEST)

    asyncio.run(check())


async def end(client: Client) -> Exception | None:
    """What a client sees of the end of its connection; None: an orderly one."""
    async with asyncio.timeout(PATIENCE):
        try:
            while await client.reader.read(1000):
                pass
        except (OSError, ssl.SSLError) as error:
            return error
    return None


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y\r\n",
    ],
)
def test_an_answer_that_was_cut_is_cut(half: bytes, secure: bool) -> None:
    """A reset, or TLS that ends without its farewell: no client takes that for an end."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(half)
                return False

            origins[0].answers(answer)
            async with it.https() if secure else it.http() as client:
                await client.send(get())
                assert (await read_head(client.reader)).status == 200
                assert isinstance(await end(client), ConnectionResetError | ssl.SSLError)
            assert (await it.record()).outcome is Outcome.UPSTREAM_RESET

    asyncio.run(check())


def test_many_requests_at_once_are_answered_in_order() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def tell(received: Any, peer: Any) -> None:
                await peer.send(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(received.target) + received.target
                )

            origins[0].answers(tell)
            targets = [f"/{number}" for number in range(600)]
            # Some are the edge's own to answer, at once.
            hosts = ["www.contoso.example" if n % 7 == 3 else "lyncweb.contoso.example" for n in range(600)]
            requests = [get(target, host=host) for target, host in zip(targets, hosts, strict=True)]
            sending = asyncio.create_task(client.send(b"".join(requests)))
            for target, host in zip(targets, hosts, strict=True):
                reply = await client.reply()
                if host.startswith("www"):
                    assert reply.status == 404
                else:
                    assert reply.body == target.encode()
            await sending
            assert origins[0].connections == 1
            assert len(it.records) == 600

    asyncio.run(check())


def test_a_stop_lets_a_busy_client_have_its_answer() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            go_on = asyncio.Event()

            async def wait(_: Any, peer: Any) -> None:
                await go_on.wait()
                await peer.send(OK)

            origins[0].answers(wait)
            async with it.http() as idle, it.http() as busy:
                await busy.send(get())
                await origins[0].received(1)
                draining = asyncio.create_task(it.running.master.drain(5.0))
                assert await idle.rest() == b""
                go_on.set()
                reply = await busy.reply()
                assert (reply.status, reply.value("connection")) == (200, b"close")
                assert await end(busy) is None
                assert await draining == 0
            await until(lambda: not it.clients)

    asyncio.run(check())


def test_a_stop_lets_who_has_just_been_answered_ask_again() -> None:
    """Its next request may be on its way, and would be lost. The answer to that one is the last."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as one, it.http() as other:
            lane = it.lane
            assert (await one.ask(get())).value("connection") is None
            assert (await other.ask(get())).value("connection") is None
            draining = asyncio.create_task(it.running.master.drain(PATIENCE))
            await until(lambda: it.state.draining)
            lane.leave_idle()
            assert (await one.ask(get())).value("connection") == b"close"
            assert await one.rest() == b""
            assert not draining.done()
            assert await other.rest() == b"", "who asks nothing is not waited for"
            assert await draining == 0

    asyncio.run(check())


def test_a_stop_lets_a_log_on_come_to_its_end() -> None:
    """NTLM's messages have to come on one connection."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(CHALLENGE)
            await client.ask(get())
            draining = asyncio.create_task(it.running.master.drain(PATIENCE))
            await until(lambda: it.state.draining)
            challenged = await client.ask(get("/", NEGOTIATE))
            assert (challenged.status, challenged.value("connection")) == (401, None)
            origins[0].answers(OK)
            admitted = await client.ask(get("/", AUTHENTICATE))
            assert (admitted.status, admitted.value("connection")) == (200, b"close")
            assert len({request.connection for request in origins[0].requests[1:]}) == 1
            assert await draining == 0

    asyncio.run(check())


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("why", ["the edge stops", "it was idle for long"])
def test_a_request_that_comes_at_the_moment_of_the_end(
    why: str, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the kernel, and the loop has not come to it yet."""
    monkeypatch.setattr(lane_client, "RECENT", 0.0)

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with (
            members(1, tls=tls) as origins,
            edge(policy(origins)) as it,
            it.https() if secure else it.http() as client,
        ):
            assert (await client.ask(get())).status == 200
            connection = it.only_client
            await until(lambda: connection.idle)
            client.writer.write(get())
            if why == "the edge stops":
                connection.leave()
            else:
                connection._active -= 1_000  # time goes by, for nobody else
                connection._too_late()
            assert (await client.reply()).status == 200
            assert len(origins[0].requests) == 2

    asyncio.run(check())
