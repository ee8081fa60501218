"""What the edge tells of exchanges beside their record, and that bodies stream past it as before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lyncgate.lync import mcx
from lyncgate.lync.stages import Stage
from lyncgate.signin.exchange import Exchange, Kind, Outcome
from lyncgate.signin.facts import NO_FACTS, Document
from lyncgate.signin.seen import HEAD_LIMIT
from support.edge import EdgeUnderTest, edge, policy, until
from support.origin import Peer, Received, members
from support.rawhttp import get, post

MCX = "/Mcx/McxService.svc/WebTicket_Bearer"
EVENTS = "/ucwa/v1/applications/1a2b/events?ack=1"
TICKET = "X-MS-WebTicket: cwt=AAEB.secret"
PIECE = bytes(range(256)) * 256
LARGE = 50 * 1024 * 1024


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def held(it: EdgeUnderTest) -> list[int]:
    """How much is kept of the bodies under way."""
    passing = [transit.passing for transit in it.state.transits if transit.passing]
    return [len(head.data) for p in passing for head in (p.request_body, p.response_body) if head]


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most memory that this process had since `forget_peak`, in bytes."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_an_exchange_of_no_stage_has_the_keys_of_its_connection_only() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
            await client.ask(get("/meet/x", TICKET, "User-Agent: phone"))
            record = await it.record()
            assert (record.stage, record.facts) == (None, NO_FACTS)
            assert (record.keys.connection, record.keys.client) == (record.connection, "127.0.0.1")
            assert (record.keys.agent, record.keys.tickets) == ("phone", ())

    asyncio.run(check())


def test_an_answer_is_read_as_the_member_sent_it() -> None:
    """Server is taken away and a close-delimited body gets chunks: the facts say what was there before."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            page = b"<html><title>Wrong door</title></html>"

            async def close_delimited(_: Received, peer: Peer) -> bool:
                head = b"HTTP/1.1 404 Not Found\r\nServer: IIS/7\r\nContent-Type: text/html\r\n\r\n"
                await peer.send(head + page)
                return False

            origins[0].answers(close_delimited)
            await client.ask(get(EVENTS, TICKET, "Authorization: Basic YWxpY2U6c2VjcmV0"))
            record = await it.record()
            assert (record.stage, record.kind) == (Stage.NOTIFICATIONS, Kind.POLL)
            facts = record.facts
            assert (facts.framing, facts.header_server, facts.title) == ("close", "IIS/7", "Wrong door")
            assert (facts.document, facts.auth_used, record.keys.account) == (Document.HTML, "Basic", "alice")
            assert len(record.keys.tickets) == 1
            assert "secret" not in repr(record)

    asyncio.run(check())


def test_answers_of_the_edge_itself_are_read_too() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http() as client:
                await client.ask(get("/?sipuri=alice@contoso.example", host="lyncdiscover.contoso.example"))
            async with it.http("redirecting") as client:
                await client.ask(get("/meet/x"))
            async with it.http() as client:
                await client.ask(get(EVENTS, host="unknown.example"))
            found, redirect, denied = it.records
            assert (found.facts.document, found.stage) == (Document.REDIRECT, Stage.REDIRECT)
            assert found.facts.access_location == "External"
            assert (redirect.stage, redirect.facts.redirect) == (
                Stage.REDIRECT,
                "https://lyncweb.contoso.example/meet/x",
            )
            assert (denied.outcome, denied.stage) == (Outcome.DENIED, Stage.NOTIFICATIONS)

    asyncio.run(check())


@pytest.mark.parametrize("by", ["path", "operation"])
def test_a_poll_is_told_when_it_has_been_forwarded(by: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            release = asyncio.Event()

            async def hang(_: Received, peer: Peer) -> None:
                await release.wait()
                await peer.send(answer(b"{}", "Content-Type: application/json"))

            origins[0].answers(hang)
            poll = mcx.encode(mcx.GetNextEvents("s1", 1, 900))
            await client.send(get(EVENTS) if by == "path" else post(poll, MCX, TICKET))
            await until(lambda: it.events)
            [begun] = it.events
            assert isinstance(begun, Exchange)
            assert (begun.outcome, begun.kind, begun.stage) == (None, Kind.POLL, Stage.NOTIFICATIONS)
            assert begun.keys.application
            assert (it.records, it.metric("lyncgate_polls_held")) == ([], 1)
            release.set()
            await client.reply()
            over = await it.record()
            assert (over.id, over.outcome, it.metric("lyncgate_polls_held")) == (begun.id, Outcome.OK, 0)
            assert begun.outcome is None, "what was told is not changed any more"
            assert it.events == [begun, over]

    asyncio.run(check())


def test_a_body_that_never_ends_says_what_its_head_did() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def half(_: Received, peer: Peer) -> bool:
                head = b"HTTP/1.1 500 Error\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
                await peer.send(head + b'X-Ms-diagnostics: 28032;reason="Bad."\r\n\r\n{"code"')
                return False

            origins[0].answers(half)
            await client.send(get(EVENTS, TICKET))
            await client.rest()
            record = await it.record()
            assert record.outcome is Outcome.UPSTREAM_RESET
            assert (record.facts.diagnostics, record.facts.error) == (28032, None)

    asyncio.run(check())


def test_a_member_that_does_not_answer_leaves_the_request_s_keys() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await origins[0].stop()
            await client.send(get(EVENTS, TICKET))
            await client.rest()
            record = await it.record()
            assert record.outcome is Outcome.CONNECT_FAILED
            assert record.keys.application
            assert len(record.keys.tickets) == 1
            assert (record.facts.ticket, record.facts.content_type) == ("cwt", None)

    asyncio.run(check())


def test_chunks_pass_at_once_and_little_of_them_is_kept() -> None:
    """On paths whose bodies are looked at: 50 MB up, 50 MB down, each chunk on its way before the next."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            arrived: asyncio.Queue[int] = asyncio.Queue()
            go_on = asyncio.Event()

            async def take_and_give(_: Received, peer: Peer) -> bool:
                left = LARGE
                while left:
                    data = await peer.reader.read(len(PIECE))
                    left -= len(data)
                    arrived.put_nowait(LARGE - left)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {LARGE}\r\n\r\n"
                await peer.send(head.encode() + PIECE)
                await go_on.wait()
                for _ in range(LARGE // len(PIECE) - 1):
                    await peer.send(PIECE)
                return True

            origins[0].answers(take_and_give, streaming=True)
            forget_peak()
            before = peak()
            await client.send(get(MCX, TICKET, f"Content-Length: {LARGE}", method="POST"))
            await client.send(PIECE)
            while await arrived.get() < len(PIECE):
                pass
            for _ in range(LARGE // len(PIECE) - 1):
                await client.send(PIECE)
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await client.reader.readexactly(len(PIECE))
            assert held(it) == [HEAD_LIMIT, min(HEAD_LIMIT, len(PIECE))]
            go_on.set()
            for _ in range(LARGE // len(PIECE) - 1):
                await client.reader.readexactly(len(PIECE))
            record = await it.record()
            assert (record.request_bytes, record.response_bytes) == (LARGE, LARGE)
            assert peak() - before < 16 * 1024 * 1024

    asyncio.run(check())
