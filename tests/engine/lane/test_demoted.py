"""Exchanges handed over to mitmproxy's layer: what addons see and change there, and what stays the lane's."""

from __future__ import annotations

import asyncio
import hashlib
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow

from lyncgate.engine.lane.demoted import DemotedRelay
from lyncgate.engine.lane.stream import HIGH
from lyncgate.signin.exchange import Outcome
from support import certificates
from support.edge import EdgeUnderTest, edge, policy, until
from support.ntlm_origin import NtlmOrigin, authenticate, challenge_in, negotiate
from support.origin import OK, Peer, Received, members
from support.rawhttp import PATIENCE, Message, chunked, get, post, read_head

pytestmark = pytest.mark.engines("lane")

MUCH = 24 << 20  # bytes: more than the kernel keeps of two connections
FIVE = 5_000_000


def script(directory: Path, source: str, name: str = "script.py") -> Path:
    path = directory / name
    path.write_text("import asyncio\nfrom mitmproxy import ctx, http\n" + textwrap.dedent(source))
    return path


def loaded(it: EdgeUnderTest, path: Path) -> Any:
    found = it.running.master.addons.get(str(path))  # type: ignore[no-untyped-call]
    assert found is not None
    return found


COLLECTS = """
    seen = []
    errors = []

    def requestheaders(flow):
        flow.request.stream = False

    def request(flow):
        seen.append(flow.request.raw_content)
        if flow.request.raw_content:
            flow.request.content = flow.request.raw_content[::-1]

    def responseheaders(flow):
        flow.response.stream = False

    def response(flow):
        seen.append(flow.response.raw_content)
        if flow.response.raw_content:
            flow.response.content = flow.response.raw_content[::-1] + b"!"

    def error(flow):
        errors.append(flow.error.msg)
"""


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_five_megabytes_are_seen_whole_and_changed(tmp_path: Path, framing: str, secure: bool) -> None:
    path = script(tmp_path, COLLECTS)
    body = bytes(range(250)) * (FIVE // 250)

    async def echo(received: Received, peer: Peer) -> None:
        if framing == "length":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + received.body)
        else:
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(received.body))

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(echo)
            async with it.https() if secure else it.http() as client:
                for number in (1, 2):
                    if framing == "length":
                        reply = await client.ask(post(body))
                    else:
                        head = get("/", "Transfer-Encoding: chunked", method="POST")
                        reply = await client.ask(head + chunked(body[:99], body[99:]))
                    assert reply.status == 200
                    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(body + b"!").digest()
                    assert origin.requests[-1].body == body[::-1]
                    record = await it.record(number)
                    assert (record.outcome, record.request_bytes, record.response_bytes) == (
                        Outcome.OK,
                        FIVE,
                        FIVE + 1,
                    )
            assert loaded(it, path).seen == [body, body[::-1]] * 2
            assert (len(it.records), origin.connections) == (2, 1)
            assert it.metric("lyncgate_requests_total") == 2

    asyncio.run(check())


class Sees:
    """An addon that wants all of everything, and leaves it as it is."""

    def __init__(self) -> None:
        self.bodies: list[bytes | None] = []

    def requestheaders(self, flow: HTTPFlow) -> None:
        flow.request.stream = False

    def request(self, flow: HTTPFlow) -> None:
        self.bodies.append(flow.request.raw_content)

    def responseheaders(self, flow: HTTPFlow) -> None:
        if flow.response is not None:
            flow.response.stream = False

    def response(self, flow: HTTPFlow) -> None:
        if flow.response is not None:
            self.bodies.append(flow.response.raw_content)


@pytest.mark.parametrize("when", range(4))
def test_a_login_by_ntlm_outlives_the_handing_over(when: int) -> None:
    """`when`: after so many requests, that is before, within and after the handshake."""

    async def check() -> None:
        origin = NtlmOrigin("127.0.0.2", 0, lambda: "answer")
        await origin.start()
        try:
            async with edge(policy([origin])) as it, it.http() as client:  # type: ignore[list-item]
                master, addon, number = it.running.master, Sees(), 0

                async def ask(authorization: str | None = None, body: bytes = b"") -> Message:
                    nonlocal number
                    if number == when:
                        master.addons.add(addon)  # type: ignore[no-untyped-call]
                        await until(lambda: master.lane is not None and master.lane.scripts)
                    number += 1
                    lines = ["X-As: me", f"X-Id: {number}"]
                    if authorization:
                        lines.append(f"Authorization: {authorization}")
                    method = "POST" if body else "GET"
                    return await client.ask(
                        get("/", *lines, f"Content-Length: {len(body)}", method=method) + body
                    )

                challenged = await ask(negotiate())
                assert challenged.status == 401
                proof = authenticate("anna", challenge_in(challenged.fields))
                assert (await ask(proof)).value("x-user") == b"anna"
                [upstream] = it.only_client.private
                for body in (b"", b"hello", b""):
                    reply = await ask(body=body)
                    assert (reply.status, reply.value("x-user")) == (200, b"anna")
                assert len(addon.bodies) == 2 * (number - when)
                master.addons.remove(addon)
                await until(lambda: master.lane is not None and master.lane.scripts is None)
                assert (await ask()).value("x-user") == b"anna"
                assert (origin.connections, it.upstreams) == (1, 1)
                assert [*it.only_client.private] == [upstream]
                async with it.http() as other:  # and it is nobody else's
                    assert (await other.ask(get("/", "X-As: me", "X-Id: 0"))).status == 401
                assert len(it.records) == number + 1
        finally:
            await origin.stop()

    asyncio.run(check())


def test_what_is_sent_behind_it_is_answered_in_order(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        async def request(flow):
            await asyncio.sleep(0)
            if flow.request.path == "/own":
                flow.response = http.Response.make(200, b"own")

        async def responseheaders(flow):
            flow.response.stream = False
            await asyncio.sleep(0)

        async def response(flow):
            await asyncio.sleep(0)
            flow.response.content = flow.request.path.encode()
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            paths = ["/a", "/own", "/b", "/c"]
            await client.send(b"".join(post(b"body" * 1000, path) for path in paths))
            assert [(await client.reply()).body.decode() for _ in paths] == paths
            assert [request.target for request in origin.requests] == [b"/a", b"/b", b"/c"]
            assert (origin.connections, len(it.records)) == (1, 4)

    asyncio.run(check())


def test_who_has_said_all_is_answered(tmp_path: Path) -> None:
    path = script(tmp_path, COLLECTS)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            await client.send(post(b"abc"))
            client.writer.write_eof()
            reply = await client.reply()
            assert (reply.status, reply.body, origin.requests[0].body) == (200, b"ko!", b"cba")
            assert await client.rest() == b""
            assert (await it.record()).outcome is Outcome.OK

    asyncio.run(check())


@pytest.mark.parametrize("collected", [False, True])
def test_a_member_that_dies_in_the_middle_of_its_answer(tmp_path: Path, collected: bool) -> None:
    source = COLLECTS if collected else COLLECTS.replace("flow.response.stream = False", "pass")
    path = script(tmp_path, source)

    async def cut(_: Received, peer: Peer) -> bool:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(cut)
            await client.send(get())
            if collected:
                assert (await client.reply()).status == 502
            else:
                assert (await read_head(client.reader)).status == 200
                assert await client.rest() in (b"", b"half"), "cut, and not made to look whole"
            record = await it.record()
            assert record.outcome is Outcome.UPSTREAM_RESET
            await it.forgotten()
            assert loaded(it, path).errors == ["upstream_reset"]
            assert len(it.records) == 1

    asyncio.run(check())


def test_a_stop_lets_it_end(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        gate = asyncio.Event()
        waiting = 0

        async def response(flow):
            global waiting
            waiting += 1
            await gate.wait()
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            await client.send(get())
            await until(lambda: loaded(it, path).waiting)
            draining = asyncio.create_task(it.running.master.drain(PATIENCE))
            await until(lambda: it.state.draining)
            loaded(it, path).gate.set()
            assert (await client.reply()).body == b"ok"
            assert await client.rest() == b""
            assert await draining == 0
            assert (await it.record()).outcome is Outcome.OK

    asyncio.run(check())


# Bodies that stream.

STREAMS = """
    def request(flow):
        flow.request.headers["X-Seen"] = str(flow.request.raw_content)

    def response(flow):
        flow.response.headers["X-Seen"] = str(flow.response.raw_content)
"""


def test_a_slow_reader_holds_the_member_up_and_nothing_grows(tmp_path: Path) -> None:
    path = script(tmp_path, STREAMS)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MUCH + bytes(MUCH))
            await client.send(get())
            relay = (await _relay(it)).upstream
            await until(lambda: it.only_client.stream.waiting > HIGH and not relay.stream.reading)
            assert it.only_client.stream.waiting < 3 * HIGH
            reply = await client.reply()
            assert (len(reply.body), reply.value("x-seen")) == (MUCH, b"None")

    asyncio.run(check())


async def _relay(it: EdgeUnderTest) -> Any:
    """The exchange under way, once it has a connection."""
    await until(
        lambda: (
            (relay := it.only_client.relay) is not None
            and relay.upstream is not None
            and relay.upstream.stream is not None
        )
    )
    relay = it.only_client.relay
    assert isinstance(relay, DemotedRelay)
    return relay


def test_a_slow_member_holds_the_client_up_and_nothing_grows(tmp_path: Path) -> None:
    path = script(tmp_path, STREAMS)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            read_now = asyncio.Event()

            async def slow(_: Received, peer: Peer) -> None:
                await read_now.wait()
                assert len(await peer.reader.readexactly(MUCH)) == MUCH
                await peer.send(OK)

            origin.answers(slow, streaming=True)
            sending = asyncio.create_task(client.send(post(bytes(MUCH))))
            upstream = (await _relay(it)).upstream
            await until(lambda: upstream.stream.waiting > HIGH and not it.only_client.stream.reading)
            assert upstream.stream.waiting < 3 * HIGH
            read_now.set()
            assert (await client.reply()).value("x-seen") == b"None"
            await sending
            assert origin.requests[0].value("x-seen") == b"None"
            assert (await it.record()).request_bytes == MUCH

    asyncio.run(check())


def test_while_a_hook_waits_no_more_of_the_body_is_taken(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        gate = asyncio.Event()
        waiting = 0

        async def request(flow):
            global waiting
            waiting += 1
            await gate.wait()
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            sending = asyncio.create_task(client.send(post(bytes(MUCH))))
            await until(lambda: loaded(it, path).waiting)
            await until(lambda: not it.only_client.stream.reading)
            relay = it.only_client.relay
            assert relay is not None
            assert sum(map(len, relay.incoming.chunks)) < 1 << 20
            assert origin.connections == 0
            loaded(it, path).gate.set()
            assert (await client.reply()).status == 200
            await sending
            assert len(origin.requests[0].body) == MUCH

    asyncio.run(check())


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_that_are_changed_as_they_stream(tmp_path: Path, framing: str) -> None:
    """Their length is not known before, so they go in chunks."""
    path = script(
        tmp_path,
        """
        def twice(data):
            return [data, data] if data else b"end"

        def requestheaders(flow):
            flow.request.stream = twice

        def responseheaders(flow):
            flow.response.stream = twice

        def response(flow):
            pass
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            if framing == "chunked":
                origin.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok"))
            for _ in range(2):
                if framing == "length":
                    reply = await client.ask(post(b"ab"))
                else:
                    head = get("/", "Transfer-Encoding: chunked", method="POST")
                    reply = await client.ask(head + chunked(b"ab"))
                assert (reply.body, reply.values("content-length")) == (b"okokend", [])
            assert [request.body for request in origin.requests] == [b"ababend"] * 2
            assert [request.values("content-length") for request in origin.requests] == [[], []]
            assert origin.connections == 1, "and that does not cost a connection"

    asyncio.run(check())


def test_streamed_bodies_are_stored_where_that_is_asked_for(tmp_path: Path) -> None:
    """mitmproxy's option: the second hooks come behind the bodies, then."""
    path = script(
        tmp_path,
        """
        seen = []

        def running():
            ctx.options.store_streamed_bodies = True

        def request(flow):
            seen.append(flow.request.raw_content)

        def response(flow):
            seen.append(flow.response.raw_content)
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            assert (await client.ask(post(b"body"))).body == b"ok"
            assert origin.requests[0].body == b"body"
            assert loaded(it, path).seen == [b"body", b"ok"]

    asyncio.run(check())


@pytest.mark.parametrize("collected", [False, True])
def test_trailers_are_seen_and_changed(tmp_path: Path, collected: bool) -> None:
    path = script(
        tmp_path,
        f"""
        seen = []

        def running():
            ctx.options.store_streamed_bodies = True

        def requestheaders(flow):
            flow.request.stream = {not collected}

        def request(flow):
            seen.append(dict(flow.request.trailers))
            flow.request.trailers["X-Sum"] = "2"

        def responseheaders(flow):
            flow.response.stream = {not collected}

        def response(flow):
            seen.append(dict(flow.response.trailers))
            flow.response.trailers["X-Sum"] = "4"
        """,
    )
    raw: list[bytes] = []

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:

            async def answer(_: Received, peer: Peer) -> bool:
                raw.append(await peer.reader.readuntil(b"\r\n\r\n"))
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                await peer.send(head + b"2\r\nok\r\n0\r\nX-Sum: 3\r\n\r\n")
                return False

            origin.answers(answer, streaming=True)
            await client.send(get("/", "Transfer-Encoding: chunked", "Connection: close", method="POST"))
            await client.send(b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n")
            assert (await client.rest()).endswith(b"2\r\nok\r\n0\r\nX-Sum: 4\r\n\r\n")
            assert raw == [b"2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n"]
            assert loaded(it, path).seen == [{"X-Sum": "1"}, {"X-Sum": "3"}]

    asyncio.run(check())


def test_interim_answers_pass_from_end_to_end(tmp_path: Path) -> None:
    path = script(tmp_path, STREAMS)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:

            async def answer(received: Received, peer: Peer) -> None:
                assert received.value("expect") == b"100-continue"
                await peer.send(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                )
                assert await peer.reader.readexactly(4) == b"body"
                await peer.send(OK)

            origin.answers(answer, streaming=True)
            await client.send(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
            assert [(await client.reply()).status, (await client.reply()).status] == [103, 100]
            await client.send(b"body")
            assert (await client.reply()).body == b"ok"

    asyncio.run(check())


def test_a_hook_of_an_early_answer_waits_while_the_body_goes_on(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        gate = asyncio.Event()
        waiting = 0

        def request(flow):
            pass

        async def responseheaders(flow):
            global waiting
            waiting += 1
            await gate.wait()
        """,
    )
    bodies: list[bytes] = []

    async def early(_: Received, peer: Peer) -> None:
        await peer.send(OK)
        bodies.append(await peer.reader.readexactly(400_000))

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(early, streaming=True)
            await client.send(get("/", "Content-Length: 400000", method="POST") + b"a" * 100_000)
            await until(lambda: loaded(it, path).waiting)
            await client.send(b"b" * 200_000)
            stream = it.only_client.stream
            await until(lambda: stream.got > 300_000)
            loaded(it, path).gate.set()
            await client.send(b"c" * 100_000)
            assert (await client.reply()).body == b"ok"
            await until(lambda: bodies)
            assert bodies == [b"a" * 100_000 + b"b" * 200_000 + b"c" * 100_000]
            assert (await it.record()).request_bytes == 400_000

    asyncio.run(check())


# Answers and limits.


def test_what_has_no_body_gets_none(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        def responseheaders(flow):
            flow.response.stream = False

        def response(flow):
            flow.response.content = b"a body all the same"
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            assert (await client.ask(get("/", method="HEAD"))).value("content-length") == b"2"
            origin.answers(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n")
            assert (await client.ask(get())).status == 304
            origin.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert (await client.ask(get())).body == b"a body all the same"
            refused = await client.ask(get("/", host="other.example"))
            assert (refused.status, refused.body) == (404, b"a body all the same")

    asyncio.run(check())


def test_an_answer_that_is_put_in_the_place_of_the_members(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        def responseheaders(flow):
            flow.response.stream = False

        def response(flow):
            flow.response = http.Response.make(503, b"later", {"Retry-After": "9"})
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            for _ in range(2):
                reply = await client.ask(get())
                assert (reply.status, reply.body, reply.value("retry-after")) == (503, b"later", b"9")
            assert origin.connections == 1

    asyncio.run(check())


@pytest.mark.parametrize("expects", [False, True])
def test_an_answer_while_the_body_is_under_way(tmp_path: Path, expects: bool) -> None:
    """One that is awaited is thrown away, and one that nobody has asked for never comes."""
    path = script(
        tmp_path,
        """
        def request(flow):
            if flow.request.method == "POST":
                flow.response = http.Response.make(403, b"no")
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            lines = ["Expect: 100-continue"] if expects else []
            await client.send(get("/", *lines, "Content-Length: 8", method="POST"))
            if expects:
                assert (await client.reply()).status == 403
                assert await client.rest() == b""
            else:
                await client.send(b"12345678" + get())
                assert [(await client.reply()).status, (await client.reply()).status] == [403, 200]
            assert len(origin.requests) == (0 if expects else 1)
            assert (await it.record()).status == 403

    asyncio.run(check())


def test_a_body_too_long_to_keep_may_be_answered_as_well(tmp_path: Path) -> None:
    """The hook comes when that shows, in the middle of the body."""
    path = script(
        tmp_path,
        """
        def running():
            ctx.options.stream_large_bodies = "1k"

        def requestheaders(flow):
            flow.request.stream = False

        def request(flow):
            if flow.request.raw_content is None:
                flow.response = http.Response.make(413)
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            assert (await client.ask(post(b"x" * 1000))).status == 200
            await client.send(post(b"x" * 1_000_000))
            assert (await client.reply()).status == 413
            assert len(origin.requests) == 1
            await until(lambda: len(it.records) == 2)
            assert [record.status for record in it.records] == [200, 413]

    asyncio.run(check())


def test_mitmproxys_own_limit_of_bodies(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        COLLECTS + '    def running():\n        ctx.options.body_size_limit = "1k"\n',
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            async with it.http() as client:
                assert (await client.ask(post(b"x" * 2000))).status == 413
                assert (await it.record()).outcome is Outcome.BODY_TOO_LARGE
            origin.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + bytes(2000))
            async with it.http() as client:
                assert (await client.ask(get())).status == 502
                assert (await it.record(2)).outcome is Outcome.UPSTREAM_INVALID
            assert len(loaded(it, path).errors) == 2
            assert len(it.records) == 2

    asyncio.run(check())


def test_an_answer_that_moves_is_waited_for(tmp_path: Path) -> None:
    """Though the client gets nothing of it until it is whole."""
    path = script(tmp_path, COLLECTS)

    async def slowly(_: Received, peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for byte in b"0123456789":
            await asyncio.sleep(0.06)
            await peer.send(bytes([byte]))

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin], poll=0.3), scripts=[path]) as it:
            origin.answers(slowly)
            async with it.http() as client:
                assert (await client.ask(get())).body == b"9876543210!"

    asyncio.run(check())


def test_an_answer_that_stops_is_not(tmp_path: Path) -> None:
    path = script(tmp_path, COLLECTS)

    async def stops(_: Received, peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await peer.gone()

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin], poll=0.3), scripts=[path]) as it:
            origin.answers(stops)
            async with it.http() as client:
                assert (await client.ask(get())).status == 504
            assert (await it.record()).outcome is Outcome.UPSTREAM_TIMEOUT
            assert it.metric("lyncgate_timeouts_total") == 1

    asyncio.run(check())


# Connections to members.


def test_a_member_that_is_down_is_passed_over(tmp_path: Path) -> None:
    path = script(tmp_path, COLLECTS)

    async def check() -> None:
        async with members(2) as origins, edge(policy(origins), scripts=[path]) as it:
            await origins[0].stop()
            for _ in range(2):
                async with it.http() as client:
                    assert (await client.ask(post(b"abc"))).body == b"ko!"
            assert [request.body for request in origins[1].requests] == [b"cba", b"cba"]
            assert [record.member for record in it.records] == ["fe02", "fe02"]

    asyncio.run(check())


def test_no_member_at_all(tmp_path: Path) -> None:
    path = script(tmp_path, COLLECTS)

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins), scripts=[path]) as it:
            await origins[0].stop()
            async with it.http() as client:
                assert (await client.ask(post(b"abc"))).status == 502
            assert loaded(it, path).errors == ["connect_failed"]

    asyncio.run(check())


def test_a_kept_connection_that_was_closed_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = script(tmp_path, COLLECTS)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:

            async def once(received: Received, peer: Peer) -> bool:
                if peer.number == 1 and len(origin.requests) > 1:
                    return False
                await peer.send(OK)
                return True

            origin.answers(once)
            for _ in range(2):
                assert (await client.ask(get())).body == b"ko!"
            assert (origin.connections, len(origin.requests)) == (2, 3)
            assert loaded(it, path).seen == [b"", b"ok"] * 2, "they are asked once"

    asyncio.run(check())


def test_what_is_counted_is_counted_once(tmp_path: Path) -> None:
    """Whatever becomes of exchanges: one record, one count, and hooks as often."""
    path = script(
        tmp_path,
        """
        counts = {"requestheaders": 0, "request": 0, "responseheaders": 0, "response": 0, "error": 0}

        def requestheaders(flow):
            counts["requestheaders"] += 1

        async def request(flow):
            await asyncio.sleep(0)
            counts["request"] += 1

        def responseheaders(flow):
            counts["responseheaders"] += 1
            flow.response.stream = flow.request.path == "/streams"

        async def response(flow):
            await asyncio.sleep(0)
            counts["response"] += 1

        def error(flow):
            counts["error"] += 1
        """,
    )

    async def answer(received: Received, peer: Peer) -> bool:
        if received.target == b"/dies":
            return False
        await peer.send(OK)
        return True

    async def ask(it: EdgeUnderTest, requests: Sequence[bytes]) -> None:
        async with it.http() as client:
            for request in requests:
                await client.ask(request)

    async def check() -> None:
        async with members(2) as origins, edge(policy(origins), scripts=[path]) as it:
            for origin in origins:
                origin.answers(answer)
            good = [get("/streams"), post(b"abc", "/streams"), post(b"abc", "/collected"), get("/collected")]
            await asyncio.gather(
                *(ask(it, good) for _ in range(25)), *(ask(it, [get("/dies")]) for _ in range(10))
            )
            await until(lambda: len(it.records) == 110)
            assert it.metric("lyncgate_requests_total") == 110
            assert len({record.id for record in it.records}) == 110
            assert sum(record.outcome is Outcome.OK for record in it.records) == 100
            assert loaded(it, path).counts == {
                "requestheaders": 110,
                "request": 110,
                "responseheaders": 100,
                "response": 100,
                "error": 10,
            }

    asyncio.run(check())


def test_heads_alone_are_no_reason_to_hand_over(tmp_path: Path) -> None:
    path = script(tmp_path, "def requestheaders(flow): pass\ndef websocket_message(flow): pass")

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            asked, go_on = asyncio.Event(), asyncio.Event()

            async def hold(_: Received, peer: Peer) -> None:
                asked.set()
                await go_on.wait()
                await peer.send(OK)

            origin.answers(hold)
            await client.send(get())
            await asked.wait()
            assert it.only_client.relay is not None
            assert not isinstance(it.only_client.relay, DemotedRelay)
            go_on.set()
            assert (await client.reply()).status == 200

    asyncio.run(check())
