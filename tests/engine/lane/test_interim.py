"""1xx answers and trailers pass from end to end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lyncgate.signin.exchange import Outcome
from support import ntlm_origin
from support.edge import edge, policy
from support.origin import OK, members
from support.rawhttp import get, read_head

pytestmark = pytest.mark.engines("lane")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nServer: IIS\r\n\r\n"


def waiting(length: int, *fields: str) -> bytes:
    return get("/", "Expect: 100-continue", f"Content-Length: {length}", *fields, method="POST")


def test_leave_to_go_on_is_the_members_to_give() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            asked = asyncio.Event()
            body = b""

            async def answer(received: Any, peer: Any) -> bool:
                nonlocal body
                assert received.value("expect") == b"100-continue"
                asked.set()
                await peer.send(CONTINUE)
                body = await peer.reader.readexactly(5)
                await peer.send(OK)
                return True

            origins[0].answers(answer, streaming=True)
            await client.send(waiting(5))
            await asked.wait()
            assert (await client.reply()).status == 100
            await client.send(b"hello")
            assert (await client.reply()).body == b"ok"
            assert body == b"hello"
            origins[0].answers(OK)
            assert (await client.ask(get("/next"))).status == 200
            assert origins[0].connections == 1
            assert [record.status for record in it.records] == [200, 200]

    asyncio.run(check())


def test_ntlm_of_a_client_that_waits_for_leave() -> None:
    """As .NET does it: each leg announces its body, and sends it only when the member asks for it."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            seen: list[tuple[int, bytes | None]] = []
            challenge = (
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAACAAAA\r\n"
                b"Content-Length: 0\r\n\r\n"
            )

            async def answer(received: Any, peer: Any) -> bool:
                proof = received.value("authorization")
                seen.append((received.connection, proof))
                if received.value("content-length") == b"0":
                    await peer.send(challenge)
                    return True
                await peer.send(CONTINUE)
                assert await peer.reader.readexactly(3) == b"rst"
                await peer.send(OK)
                return True

            origins[0].answers(answer, streaming=True)
            first = f"Authorization: {ntlm_origin.negotiate()}"
            last = f"Authorization: {ntlm_origin.authenticate('CONTOSO-bob', bytes(8))}"
            await client.send(waiting(0, first))
            assert (await client.reply()).status == 401
            await client.send(waiting(3, last))
            assert (await client.reply()).status == 100
            await client.send(b"rst")
            assert (await client.reply()).status == 200
            assert [connection for connection, _ in seen] == [1, 1]
            assert [record.outcome for record in it.records] == [Outcome.OK, Outcome.OK]

    asyncio.run(check())


def test_a_final_answer_in_the_place_of_leave() -> None:
    """The client does not send what it announced and goes: nothing of it may stay on a shared connection."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:

            async def refuse(_: Any, peer: Any) -> None:
                await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                await peer.gone()

            origins[0].answers(refuse, streaming=True)
            async with it.http() as client:
                await client.send(waiting(5))
                assert (await client.reply()).status == 413
            await origins[0].until(lambda origin: not origin.peers)
            origins[0].answers(OK)
            async with it.http() as client:
                assert (await client.ask(get())).status == 200
            assert origins[0].connections == 2

    asyncio.run(check())


def test_early_hints_pass_and_name_no_product() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(HINTS + HINTS + OK)
            await client.send(get())
            for _ in range(2):
                hints = await read_head(client.reader)
                assert hints.status == 103
                assert hints.fields == [(b"Link", b"</a>; rel=preload")]
            assert (await client.reply()).body == b"ok"
            [record] = it.records
            assert (record.status, record.response_bytes) == (200, 2)

    asyncio.run(check())


def test_trailers_pass_both_ways() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            asked = b""

            async def answer(_: Any, peer: Any) -> bool:
                nonlocal asked
                asked = await peer.reader.readuntil(b"\r\nX-Sum: 1\r\n\r\n")
                await peer.send(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"
                )
                return True

            origins[0].answers(answer, streaming=True)
            await client.send(
                get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
            )
            assert (await read_head(client.reader)).status == 200
            assert await client.reader.readuntil(b"2\r\n\r\n") == b"2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"
            assert asked == b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
            origins[0].answers(OK)
            assert (await client.ask(get())).status == 200
            assert origins[0].connections == 1

    asyncio.run(check())


@pytest.mark.parametrize("field", ["Host: b", "Authorization: Basic x", "X-Forwarded-For: a"])
def test_a_trailer_that_would_be_a_field_is_refused(field: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.send(
                get("/", "Transfer-Encoding: chunked", method="POST")
                + b"3\r\nabc\r\n0\r\n"
                + field.encode()
                + b"\r\n\r\n"
            )
            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
            assert it.rejections("trailers") == 1

    asyncio.run(check())


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
    ],
)
def test_answers_without_a_body(method: str, answer: bytes) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(answer)
            await client.send(get("/", method=method))
            head = await read_head(client.reader)
            assert head.status == int(answer.split(b" ")[1])
            origins[0].answers(OK)
            assert (await client.ask(get("/next"))).body == b"ok", "the next answer follows at once"
            assert origins[0].connections == 1
            assert [record.outcome for record in it.records] == ["ok", "ok"]

    asyncio.run(check())
