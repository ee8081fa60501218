"""Bodies on their way through: streamed, limited, cut, and never made to look whole when they are not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lyncgate.signin.exchange import Outcome, Phase, Source
from support import certificates
from support.edge import edge, policy, until
from support.origin import OK, members
from support.rawhttp import PATIENCE, chunked, get, post

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY_413 = b"HTTP/1.1 413 "
MB = 1_000_000


def chunked_post(*fields: str) -> bytes:
    return get("/up", "Transfer-Encoding: chunked", *fields, method="POST")


async def never(_: Any, peer: Any) -> None:
    await peer.gone()


def test_too_long_by_its_own_account() -> None:
    """Refused at the head: the member hears nothing, and the client need not send it all."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body_limit=1000)) as it:
            async with it.http() as client:
                assert (await client.ask(post(b"x" * 1000))).status == 200
                await client.send(get("/", "Content-Length: 1001", method="POST"))
                assert (await client.rest()).startswith(EMPTY_413), "without a byte of the body"
            async with it.http() as client:
                await client.send(post(b"x" * 5000))
                assert (await client.rest()).startswith(EMPTY_413)
            assert len(origins[0].requests) == 1
            assert [record.outcome for record in it.records] == ["ok", "body_too_large", "body_too_large"]
            assert it.records[1].status == 413
            assert it.records[1].ended_by is Source.PROXY

    asyncio.run(check())


def test_too_long_in_chunks() -> None:
    """The limit is met on the way: 413, and the member's connection is dropped in mid-body."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body_limit=1000)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def read(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            async with it.http() as client:
                assert (await client.ask(chunked_post() + chunked(b"x" * 1000))).status == 200
            origins[0].answers(read, streaming=True)
            async with it.http() as client:
                await client.send(chunked_post() + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
                await origins[0].received(2)
                await client.send(b"1\r\nx\r\n")
                assert (await client.rest()).startswith(EMPTY_413)
                assert not (await asyncio.wait_for(gone, PATIENCE)).endswith(b"0\r\n\r\n")
            record = await it.record(2)
            assert (record.outcome, record.status) == (Outcome.BODY_TOO_LARGE, 413)

    asyncio.run(check())


@pytest.mark.engines("stock")
def test_expect_100_continue() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.send(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"))
            assert (await client.reply()).status == 100
            await client.send(b"hello")
            assert (await client.reply()).body == b"ok"
            [request] = origins[0].requests
            assert request.body == b"hello"
            assert request.value("expect") is None, "answered already: the member must not answer it again"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("host", "length", "status"),
    [("www.contoso.example", 5, 404), ("lyncweb.contoso.example", 5000, 413)],
)
def test_a_client_that_waits_for_leave_is_refused_at_once(host: str, length: int, status: int) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body_limit=1000)) as it:
            waiting = get("/", "Expect: 100-continue", f"Content-Length: {length}", method="POST", host=host)
            async with it.http() as client:
                await client.send(waiting)
                raw = await client.rest()
                assert raw.startswith(b"HTTP/1.1 %d " % status), raw
                assert b"100" not in raw
            async with it.http() as client:
                await client.send(waiting + b"x" * length)  # did not wait after all
                assert (await client.rest()).startswith(b"HTTP/1.1 %d " % status)
            assert origins[0].connections == 0

    asyncio.run(check())


@pytest.mark.engines("stock")
def test_an_error_after_100_continue_is_said() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await origins[0].stop()
            await client.send(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"))
            raw = await client.rest()
            assert raw.startswith(CONTINUE + b"HTTP/1.1 502 "), raw
            assert (await it.record()).outcome is Outcome.CONNECT_FAILED

    asyncio.run(check())


def test_an_answer_before_the_request_has_ended() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            early = asyncio.Event()

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
                early.set()
                assert await peer.reader.readexactly(10) == b"0123456789"
                return True

            origins[0].answers(answer, streaming=True)
            await client.send(get("/", "Content-Length: 10", method="POST") + b"01234")
            reply = await client.reply()
            assert (reply.status, reply.body) == (401, b"no")
            await client.send(b"56789")
            origins[0].answers(OK)
            assert (await client.ask(get("/next"))).status == 200, "and the connection is kept"
            assert origins[0].connections == 1, "on both sides: NTLM may go on here"
            assert [(record.status, record.outcome) for record in it.records] == [(401, "ok"), (200, "ok")]

    asyncio.run(check())


def test_a_member_that_answers_early_and_leaves() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return False

            origins[0].answers(answer, streaming=True)
            await client.send(get("/", "Content-Length: 1000", method="POST") + b"x")
            raw = await client.rest()
            assert raw.startswith(EMPTY_413), raw
            assert raw.count(b"HTTP/1.1") == 1
            assert (await it.record()).status == 413

    asyncio.run(check())


@pytest.mark.parametrize(
    "partial",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n8\r\nmo",
    ],
)
def test_a_member_that_dies_in_mid_answer(partial: bytes) -> None:
    """The client's connection is cut as well: it must not take the half for the whole."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(partial)
                return False

            origins[0].answers(answer)
            await client.send(get())
            raw = await client.rest()
            head, _, body = raw.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"half" in body
            assert not body.endswith(b"0\r\n\r\n")
            assert len(body) < 100
            record = await it.record()
            assert (record.outcome, record.status, record.ended_by) == ("upstream_reset", 200, "upstream")
            assert record.phases[Phase.RESPONSE_BODY] is None

    asyncio.run(check())


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"", "upstream_reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "upstream_reset"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "upstream_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "upstream_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "upstream_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "upstream_invalid"),
        (b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 2\r\n\r\nok", "upstream_invalid"),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "upstream_invalid"),
    ],
)
def test_no_answer_worth_the_name(answer: bytes, outcome: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def say(_: Any, peer: Any) -> bool:
                await peer.send(answer)
                return False

            origins[0].answers(say)
            await client.send(post(b"once"))
            raw = await client.rest()
            assert raw == b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            record = await it.record()
            assert (record.outcome, record.status, record.ended_by) == (outcome, 502, "upstream")
            assert len(origins[0].requests) == 1, "never sent again"
            assert Phase.RESPONSE_BODY not in record.phases

    asyncio.run(check())


@pytest.mark.engines("stock")
def test_trailers_from_a_member_hang_nobody() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"
            )
            await client.send(get())
            assert not (await client.rest()).endswith(b"0\r\n\r\n")
            assert (await it.record()).outcome is Outcome.UPSTREAM_INVALID

    asyncio.run(check())


@pytest.mark.engines("stock")
def test_interim_answers_are_not_the_answer() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            origins[0].answers(CONTINUE + interim + interim + OK)
            assert (await client.ask(get())).body == b"ok"
            assert (await client.ask(post(b"x"))).body == b"ok"

            async def in_pieces(_: Any, peer: Any) -> None:
                for byte in interim + OK:
                    await peer.send(bytes([byte]))
                    await asyncio.sleep(0)

            origins[0].answers(in_pieces)
            assert (await client.ask(get())).body == b"ok"
            assert origins[0].connections == 1

    asyncio.run(check())


def test_bodies_that_end_with_the_connection() -> None:
    """SIPE takes such a body for an error, so it is sent on in chunks (protocol reference §9). Each costs the
    member a connection, which must not be left half open: mitmproxy allows five."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall ")
                await peer.send(b"of it")
                return False

            origins[0].answers(answer)
            for _ in range(12):
                reply = await client.ask(get())
                assert reply.value("transfer-encoding") == b"chunked"
                assert reply.value("content-length") is None
                assert reply.body == b"all of it"
            await origins[0].until(lambda origin: not origin.peers)
            assert origins[0].connections == 12
            await until(lambda: not it.upstreams)
            assert {record.outcome for record in it.records} == {Outcome.OK}

    asyncio.run(check())


def test_upstream_connections_that_are_closed_are_forgotten() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            for number in range(1, 6):
                assert (await client.ask(get())).status == 200
                await origins[0].cut()
                await until(lambda: not it.upstreams)
                assert origins[0].connections == number
                for handler in it.running.master.proxyserver.connections.values():
                    assert len(handler.layer.connections) <= 3

    asyncio.run(check())


def test_an_old_member_that_speaks_http_1_0() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:

            async def answer(_: Any, peer: Any) -> bool:
                await peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
                return False

            origins[0].answers(answer)
            async with it.http() as client:
                assert (await client.ask(get())).body == b"ok"

    asyncio.run(check())


def test_a_client_that_leaves_its_poll() -> None:
    """The member's connection is closed at once: thousands of phones come and go."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def poll(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(poll)
            async with it.http() as client:
                await client.send(get("/poll"))
                await origins[0].received(1)
                await client.abort()
                assert await asyncio.wait_for(gone, PATIENCE) == b""
            record = await it.record()
            assert (record.outcome, record.status, record.ended_by) == ("client_gone", None, "client")
            assert record.phases[Phase.WAIT] is None
            assert record.phases[Phase.CONNECT] is not None
            assert Phase.RESPONSE_BODY not in record.phases

    asyncio.run(check())


def test_a_client_that_leaves_in_mid_upload() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def read(_: Any, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(read, streaming=True)
            async with it.http() as client:
                await client.send(get("/", "Content-Length: 1000", method="POST") + b"half")
                await origins[0].received(1)
                await client.abort()
                assert await asyncio.wait_for(gone, PATIENCE) in (b"half", b"")
            assert (await it.record()).outcome is Outcome.CLIENT_GONE

    asyncio.run(check())


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_member_that_does_not_read_holds_the_client_back(secure: bool) -> None:
    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:

            async def idle(_: Any, peer: Any) -> None:
                peer.reader._transport.pause_reading()
                await asyncio.Event().wait()

            origins[0].answers(idle, streaming=True)
            async with it.https() if secure else it.http() as client:
                await client.send(get("/", f"Content-Length: {300 * MB}", method="POST"))
                await origins[0].received(1)
                assert await pushed(client) < 32 * MB
                await origins[0].cut()
                await client.abort()  # CPython 3.13.0's TLS can't close with so much unsent

    asyncio.run(check())


async def pushed(client: Any) -> int:
    """How many bytes the client gets rid of until nothing moves for a second."""
    taken = 0
    while taken < 64 * MB:
        try:
            async with asyncio.timeout(1):
                await client.send(bytes(MB))
        except TimeoutError:
            return taken
        taken += MB
    return taken
