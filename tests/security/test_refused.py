"""Requests that are none, on the wire: the right status, nothing else, the connection closed, counted, and
never a byte of them upstream."""

from __future__ import annotations

import asyncio
import gc
import re
import resource
from collections.abc import Coroutine
from typing import Any

import pytest

from lyncgate.edge.framing import STATUS, Fault
from lyncgate.policy.policy import Limits
from lyncgate.signin.exchange import Outcome
from support.edge import DISCOVER, EdgeUnderTest, edge, policy, until
from support.malformed import HOST, REFUSED
from support.origin import Origin, members
from support.rawhttp import get, post

LEAKS = re.compile(
    rb"mitmproxy|python|lyncgate|^server:|^via:|openssl|traceback", re.IGNORECASE | re.MULTILINE
)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def empty_answer(raw: bytes, status: int) -> None:
    """`raw` is one response with this status, no body and nothing that names a product."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), raw
    assert body == b""
    assert b"\r\nContent-Length: 0" in head
    assert b"\r\nConnection: close" in head
    assert not LEAKS.search(raw)


async def refuse(it: EdgeUnderTest, data: bytes, fault: Fault, listener: str = "http") -> None:
    counted, recorded = it.rejections(fault), len(it.records)
    async with it.http(listener) if listener != "https" else it.https() as client:
        await client.send(data)
        empty_answer(await client.rest(), STATUS[fault])
    assert it.rejections(fault) == counted + 1
    [record] = it.records[recorded:]
    assert (record.outcome, record.reason, record.status) == (Outcome.DENIED, fault, STATUS[fault])
    assert (record.source_ip, record.listener, record.method) == ("127.0.0.1", listener, "_other")


def test_malformed_requests() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            for data, fault in REFUSED.values():
                await refuse(it, data, fault)
                await refuse(it, data, fault, "redirecting")
            assert origins[0].connections == 0
            async with it.http() as client:
                assert (await client.ask(get())).status == 200, "it serves on"

    run(check())


def test_malformed_requests_inside_tls() -> None:
    """SIP over TLS on port 443 among them: a SIP client that fell through to the web address (F19)."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            for name in ("SIP", "no Host", "two Hosts", "HTTP/2 preface", "bare LF", "HTTP/1.0"):
                await refuse(it, *REFUSED[name], listener="https")

    run(check())


@pytest.mark.parametrize("name", ["two Hosts", "length and chunks", "bare LF", "trailers", "HTTP/1.0"])
def test_behind_a_good_request(name: str) -> None:
    """In the same segment it takes the good one with it; later, it ends the connection after its answer."""
    data, fault = REFUSED[name]

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http() as client:
                assert (await client.ask(get("/good"))).body == b"ok"
                await client.send(data)
                empty_answer(await client.rest(), STATUS[fault])
            async with it.http() as client:
                await client.send(get("/good") + data)
                empty_answer(await client.rest(), STATUS[fault])
            assert [request.target for request in origins[0].requests] == [b"/good"]

    run(check())


def test_while_an_answer_is_awaited() -> None:
    """Then the request is given up, its upstream connection with it, and 400 is the answer."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

            async def never(request: object, peer: Any) -> None:
                gone.set_result(await peer.gone())

            origins[0].answers(never)
            async with it.http() as client:
                await client.send(get("/poll"))
                await origins[0].received(1)
                await client.send(b"GET / HTTP/1.1\nHost: a\n\n")
                empty_answer(await client.rest(), 400)
            assert await asyncio.wait_for(gone, 5) == b""
            assert [record.outcome for record in it.records] == [Outcome.DENIED, Outcome.CLIENT_GONE]

    run(check())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get("http://www.contoso.example/"), 400),
        (get("http://a:b:c/"), 400),
        (get("ftp://lyncweb.contoso.example/"), 400),
        (get("*"), 400),
        (get("lyncweb.contoso.example:443", method="CONNECT"), 400),
        (get("[::1", method="CONNECT"), 400),
        (get("/a%00b"), 400),
        (get("/%c0%ae%c0%ae/"), 400),
        (get("/", host=""), 400),
        (get("/", host="lyncweb.contoso.example/x"), 400),
        (get("/", host="evil@lyncweb.contoso.example"), 400),
        (get("/", host="www.contoso.example"), 404),
        (get("/", host="127.0.0.1"), 404),
        (get("/", host="LYNCWEB.contoso.example.evil.example"), 404),
        (get("/", method="TRACE", host="www.contoso.example"), 404),
    ],
    ids=lambda value: value.split(b"\r\n\r\n")[0].decode() if isinstance(value, bytes) else str(value),
)
def test_requests_that_lead_nowhere(data: bytes, status: int) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http() as client:
                await client.send(data + get("/after", "Connection: close"))
                raw = await client.rest()
            head, _, after = raw.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status), raw
            assert re.search(rb"(?i)content-length: 0(\r|$)", head), raw
            assert not LEAKS.search(raw)
            assert after == b"" or after.startswith(b"HTTP/1.1 ")
            assert all(request.target == b"/after" for request in origins[0].requests)
            record = it.records[0]
            assert (record.outcome, record.status) == (Outcome.DENIED, status), record

    run(check())


def test_head_too_large_in_every_way() -> None:
    limits = Limits(head=4096, headers=20, url=1024)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, limits=limits)) as it:
            await refuse(it, get("/", "X: " + "x" * 4096), Fault.HEAD_TOO_LARGE)
            await refuse(it, b"GET / HTTP/1.1\r\nX: " + b"x" * 5000, Fault.HEAD_TOO_LARGE)
            await refuse(it, get("/", *["X: y"] * 20), Fault.TOO_MANY_HEADERS)
            await refuse(it, get("/" + "a" * 1024), Fault.URL_TOO_LONG)
            await refuse(it, b"GET /" + b"a" * 1024, Fault.URL_TOO_LONG)
            await refuse(it, get("/", "X: " + "x" * 300_000), Fault.HEAD_TOO_LARGE)
            async with it.http() as client:
                assert (await client.ask(get("/" + "a" * 1000, *["X: y"] * 19))).status == 200
            assert len(origins[0].requests) == 1

    run(check())


@pytest.mark.parametrize(
    "flood", [b"x" * 65536, b"\r\n" * 32768, b"X: y\r\n" * 10922], ids=["value", "empty lines", "fields"]
)
def test_fifty_megabytes_of_head_cost_no_memory(flood: bytes) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            gc.collect()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                await client.send(b"" if flood.startswith(b"\r") else b"GET / HTTP/1.1\r\n" + HOST + b"X: ")
                for _ in range(800):
                    await client.send(flood)
            except ConnectionError:
                pass  # it has hung up
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 8 * 1024, f"{grown} KiB"

    run(check())


@pytest.mark.engines("lane")
def test_requests_ahead_of_an_answer_are_not_read() -> None:
    """They wait with the client, and in the kernel, until it is their turn."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            waiting = asyncio.Event()

            async def later(request: object, peer: Any) -> None:
                await waiting.wait()
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            origins[0].answers(later)
            async with it.http() as client:
                await client.send(get("/first"))
                await origins[0].received(1)
                flood = get("/ahead", "X: " + "x" * 1000)
                count = 16 * 1024
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                sending = asyncio.create_task(client.send(flood * count))
                connection = it.only_client
                await until(lambda: not connection.stream.reading)
                assert not sending.done()
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                assert grown < 40 * 1024, f"{grown} KiB, of which the client here has 16 MiB"
                assert len(origins[0].requests) == 1
                waiting.set()
                for _ in range(100):
                    assert (await client.reply()).status == 200
                sending.cancel()

    run(check())


@pytest.mark.engines("stock")
def test_requests_ahead_of_an_answer_are_limited() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, limits=Limits(head=4096))) as it:
            waiting = asyncio.Event()

            async def later(request: object, peer: Any) -> None:
                await waiting.wait()
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            origins[0].answers(later)
            async with it.http() as client:
                await client.send(get("/first"))
                await origins[0].received(1)
                await client.send(get("/ahead") * 100)
                empty_answer(await client.rest(), 400)
            assert it.rejections("pipeline") == 1
            waiting.set()
            assert len(origins[0].requests) == 1

    run(check())


def test_pipelined_requests_are_answered_in_order() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:

            async def echo(request: Any, peer: Any) -> None:
                body = request.target + request.body
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

            origins[0].answers(echo)
            async with it.http() as client:
                denied = get("/", host="www.contoso.example")
                answered = get("/?sipuri=alice@contoso.example", host=DISCOVER)
                await client.send(
                    get("/1") + post(b"body", "/2") + b"\r\n" + get("/3") + denied + answered + get("/4")
                )
                replies = [await client.reply() for _ in range(6)]
                assert [reply.status for reply in replies] == [200, 200, 200, 404, 200, 200]
                assert [replies[n].body for n in (0, 1, 2, 5)] == [b"/1", b"/2body", b"/3", b"/4"]
            assert origins[0].connections == 1
            assert [record.path for record in it.records] == ["/1", "/2", "/3", "/", "/", "/4"]

    run(check())


def test_a_head_in_pieces() -> None:
    """Split at every byte, over TLS too: the same request arrives."""

    async def check(origins: list[Origin], it: EdgeUnderTest) -> None:
        data = post(b"hello", "/a?b=c", "X-MS-Test: 1")
        async with it.http() as client:
            for cut in range(1, len(data)):
                await client.send(data[:cut])
                await asyncio.sleep(0)
                await client.send(data[cut:])
                assert (await client.reply()).status == 200
        async with it.http() as client:
            for byte in data:
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await client.reply()).status == 200
        assert {(r.line, r.body, r.value("x-ms-test")) for r in origins[0].requests} == {
            (b"POST /a?b=c HTTP/1.1", b"hello", b"1")
        }

    async def both() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            await check(origins, it)

    run(both())


def test_an_empty_line_before_a_request() -> None:
    """Old clients send one after a body (RFC 9112 §2.2): together with the next request, or alone."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(b"\r\n" + get("/1"))).status == 200
            assert (await client.ask(post(b"x", "/2") + b"\r\n")).status == 200
            assert (await client.ask(b"\r" + b"\n\r\n" + get("/3"))).status == 200
            await client.send(b"\r\n")
            assert (await client.ask(get("/4"))).status == 200
            assert [request.target for request in origins[0].requests] == [b"/1", b"/2", b"/3", b"/4"]

    run(check())
