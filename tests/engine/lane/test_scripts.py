"""Operators' addon scripts on the lane: what they see and may change, and what stays the edge's."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.http import HTTPFlow

from lyncgate.engine.master import StartError
from lyncgate.signin.exchange import Outcome, Source
from support import certificates
from support.crew import crew, member
from support.crew import rules as crew_rules
from support.edge import WEB, EdgeUnderTest, edge, policy, until
from support.origin import OK, Peer, Received, members
from support.processes import LYNCGATE
from support.rawhttp import chunked, get, post

pytestmark = pytest.mark.engines("lane")

COLLECTED = 8 * 1024 * 1024

SECRET = "TlRMTVNTUAADAAAAGAAYAHAAAA"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nmember"


class Demoting:
    """Whether scripts have a hook for whole messages beside their own, so that exchanges are demoted."""

    on = False


@pytest.fixture(params=["heads", "demoted"])
def each_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test once with what it has, and once with exchanges handed over to mitmproxy's layer."""
    Demoting.on = request.param == "demoted"
    yield
    Demoting.on = False


def script(directory: Path, source: str, name: str = "script.py") -> Path:
    path = directory / name
    text = "import asyncio\nfrom mitmproxy import http\n" + textwrap.dedent(source)
    if Demoting.on and not re.search(r"def (request|response)\(", text):
        text += "\ndef request(flow):\n    pass\n"
    path.write_text(text)
    return path


def loaded(it: EdgeUnderTest, path: Path) -> Any:
    """The script as the edge has it."""
    found = it.running.master.addons.get(str(path))  # type: ignore[no-untyped-call]
    assert found is not None
    return found


# Fields.


@pytest.mark.engines("lane", "stock")
@pytest.mark.usefixtures("each_way")
def test_a_script_changes_fields_both_ways(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        def requestheaders(flow):
            flow.request.headers["X-Script"] = flow.request.headers["User-Agent"] + "!"
            del flow.request.headers["X-Unwanted"]

        def responseheaders(flow):
            flow.response.headers["X-Script"] = str(flow.response.status_code)
            flow.response.headers.pop("X-Unwanted", None)
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(b"HTTP/1.1 200 OK\r\nX-Unwanted: 1\r\nContent-Length: 2\r\n\r\nok")
            reply = await client.ask(get("/", "User-Agent: phone", "X-Unwanted: 1"))
            assert (reply.status, reply.body, reply.value("x-script")) == (200, b"ok", b"200")
            assert reply.value("x-unwanted") is None
            [request] = origin.requests
            assert (request.value("x-script"), request.value("x-unwanted")) == (b"phone!", None)

    asyncio.run(check())


def test_edits_count_in_the_later_hooks_too_though_the_bodies_stream(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        seen = []

        def request(flow):
            seen.append(flow.request.raw_content)
            flow.request.headers["X-Script"] = "up"

        def response(flow):
            seen.append(flow.response.raw_content)
            flow.response.headers["X-Script"] = "down"
            flow.response.status_code = 418
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            reply = await client.ask(post(b"body"))
            assert (reply.status, reply.body, reply.value("x-script")) == (418, b"ok", b"down")
            assert (origin.requests[0].body, origin.requests[0].value("x-script")) == (b"body", b"up")
            assert loaded(it, path).seen == [None, None], "bodies are not kept for those who don't ask"
            assert (await it.record()).status == 418

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_where_a_request_goes_and_how_it_is_framed_stays_the_edges(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = script(
        tmp_path,
        """
        def requestheaders(flow):
            flow.request.host = "127.0.0.9"
            flow.request.port = 1
            flow.request.path = "/cscp/"
            flow.request.method = "DELETE"
            flow.request.headers["Content-Length"] = "1"
            flow.request.headers["Transfer-Encoding"] = "chunked"
            flow.request.headers["Connection"] = "close"

        def responseheaders(flow):
            del flow.response.headers["Content-Length"]
            flow.response.headers["Transfer-Encoding"] = "chunked"
            flow.response.headers["Connection"] = "close"
            flow.response.status_code = 204
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            for number in (1, 2):
                reply = await client.ask(post(b"body", "/allowed"))
                assert (reply.status, reply.body) == (200, b"ok")
                assert reply.value("transfer-encoding") is None
                assert reply.value("connection") is None
                request = origin.requests[number - 1]
                assert (request.line, request.body) == (b"POST /allowed HTTP/1.1", b"body")
                assert request.value("host") == WEB.encode()
                assert request.value("transfer-encoding") is None
                assert request.value("connection") is None

    asyncio.run(check())
    told = [record.message for record in caplog.records if "is the edge's to say" in record.message]
    assert len(told) == 1, "said once, not for each request"


@pytest.mark.usefixtures("each_way")
def test_a_field_that_would_be_read_as_two_is_dropped(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        r"""
        def requestheaders(flow):
            flow.request.headers["X-Evil"] = "a\r\nX-More: b"
            flow.request.headers["Content-Length : 5\r\nX"] = "c"
            flow.request.headers["X-Good"] = "d"

        def responseheaders(flow):
            flow.response.headers["X-Evil"] = "a\r\n\r\nbody"
            flow.response.headers["X-Good"] = "d"
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            reply = await client.ask(get())
            assert (reply.status, reply.body, reply.value("x-good")) == (200, b"ok", b"d")
            assert b"evil" not in reply.raw_head.lower()
            [request] = origin.requests
            assert request.value("x-good") == b"d"
            assert not {b"x-evil", b"x-more", b"x", b"content-length"} & {
                n.lower() for n, _ in request.fields
            }

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_what_a_flow_says_of_the_connections(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        seen = []

        def responseheaders(flow):
            seen.append(flow)
        """,
    )

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with (
            members(1, tls=tls) as [origin],
            edge(policy([origin]), scripts=[path]) as it,
            it.https() as client,
        ):
            assert (await client.ask(get("/where?q=1"))).status == 200
            own = client.writer.get_extra_info("sockname")
            record = await it.record()
            [flow] = loaded(it, path).seen
            assert flow.client_conn.peername[:2] == own[:2]
            assert flow.client_conn.sockname[:2] == it.address("https")
            assert (flow.client_conn.sni, flow.client_conn.tls_established) == (WEB, True)
            assert flow.client_conn.tls_version == client.tls.version()
            assert flow.client_conn.timestamp_start == pytest.approx(record.started, abs=5)
            assert flow.client_conn.proxy_mode.data == "https"
            assert flow.server_conn.address == (origin.address, origin.port)
            assert flow.server_conn.peername == (origin.address, origin.port)
            assert (flow.server_conn.sni, flow.server_conn.tls) == (certificates.POOL_NAME, True)
            assert (flow.request.scheme, flow.request.host, flow.request.path) == (
                "https",
                origin.address,
                "/where?q=1",
            )
            assert (flow.request.pretty_host, flow.live) == (WEB, False)

    asyncio.run(check())


# Answers of their own, and refusals.

ANSWERS = """
    def {hook}(flow):
        if flow.request.path == "/own":
            flow.response = http.Response.make(403, b"no", {{"X-Why": "script", "Connection": "close"}})
"""


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("hook", ["requestheaders", "request"])
def test_an_answer_of_the_scripts_goes_nowhere_near_a_member(tmp_path: Path, hook: str) -> None:
    path = script(tmp_path, ANSWERS.format(hook=hook))

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            for request in (get("/own"), post(b"body", "/own"), post(b"", "/own")):
                reply = await client.ask(request)
                assert (reply.status, reply.body, reply.value("x-why")) == (403, b"no", b"script")
                assert reply.value("connection") is None
            head = await client.ask(get("/own", method="HEAD"))
            assert (head.status, head.value("content-length")) == (403, b"2")
            assert (await client.ask(get("/other"))).body == b"ok", "the connection goes on"
            assert [request.target for request in origin.requests] == [b"/other"]
            record = await it.record()
            assert (record.outcome, record.status, record.member) == (Outcome.OK, 403, None)
            assert (record.ended_by, record.response_bytes) == (Source.PROXY, 2)

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_the_edges_own_answers_are_seen_and_stay_refusals(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        seen = []

        def requestheaders(flow):
            seen.append(flow.response.status_code)
            flow.response = None

        def response(flow):
            flow.response.headers["X-Script"] = "was here"
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            reply = await client.ask(get("/", host="other.example"))
            assert (reply.status, reply.body, reply.value("x-script")) == (404, b"", b"was here")
            assert loaded(it, path).seen == [404]
            assert origin.connections == 0

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("hook", ["requestheaders", "request"])
def test_a_killed_flow_is_cut_without_a_word(tmp_path: Path, hook: str) -> None:
    path = script(
        tmp_path,
        f"""
        errors = []

        def {hook}(flow):
            flow.kill()

        def error(flow):
            errors.append(flow.error.msg)
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            await client.send(get("/first") + get("/second"))
            assert await client.rest() == b""
            record = await it.record()
            assert (record.outcome, record.reason, record.status) == (Outcome.DENIED, "script", None)
            await it.forgotten()
            assert (origin.connections, len(it.records)) == (0, 1), "what was sent behind it is not begun"
            assert loaded(it, path).errors == ["Connection killed."]

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_an_answer_is_killed(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        def responseheaders(flow):
            flow.kill()
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            await client.send(get())
            assert await client.rest() == b""
            assert (await it.record()).outcome is Outcome.DENIED
            assert len(origin.requests) == 1

    asyncio.run(check())


# Trouble.


@pytest.mark.usefixtures("each_way")
def test_an_exception_is_logged_without_what_it_says_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = script(
        tmp_path,
        """
        def requestheaders(flow):
            flow.request.headers[flow.request.headers["Authorization"]]  # raises in mitmproxy

        async def responseheaders(flow):
            await asyncio.sleep(0)
            raise ValueError(flow.request.headers["Authorization"])
        """,
    )
    other = script(
        tmp_path,
        """
        def requestheaders(flow):
            flow.request.headers["X-Other"] = "1"

        def responseheaders(flow):
            flow.response.headers["X-Other"] = "1"
        """,
        "other.py",
    )

    async def check() -> None:
        async with (
            members(1) as [origin],
            edge(policy([origin]), scripts=[failing, other]) as it,
            it.http() as client,
        ):
            reply = await client.ask(get("/", f"Authorization: NTLM {SECRET}"))
            assert (reply.body, reply.value("x-other")) == (b"ok", b"1")
            assert origin.requests[0].value("x-other") == b"1"
            assert origin.requests[0].value("authorization") == f"NTLM {SECRET}".encode()

    asyncio.run(check())
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    errors = [message for message in messages if message.startswith("script ")]
    assert [("ValueError" in text, "KeyError" in text) for text in errors] == [(False, True), (True, False)]
    assert all(f"{failing}:" in text for text in errors)
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("each_way")
def test_a_failed_exchange_is_told(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        errors = []

        def error(flow):
            errors.append((flow.error.msg, flow.live))
        """,
    )

    async def cut(_: Received, peer: Peer) -> bool:
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(cut)
            assert (await client.ask(get())).status == 502
            assert loaded(it, path).errors == [("upstream_reset", False)]

    asyncio.run(check())


# Hooks that wait.

WAITING = """
    gate = asyncio.Event()
    waiting = 0

    async def {hook}(flow):
        global waiting
        waiting += 1
        await gate.wait()
        message = flow.response or flow.request
        message.headers["X-Waited"] = "1"
"""


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("hook", ["requestheaders", "request"])
def test_a_request_waits_for_its_hook(tmp_path: Path, hook: str) -> None:
    path = script(tmp_path, WAITING.format(hook=hook))

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            await client.send(
                get("/held", method="POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n")
            )
            await until(lambda: loaded(it, path).waiting)
            await client.send(b"body" + get("/next"))
            async with it.http() as another:  # others are not held up, but by the hook itself
                await another.send(get("/another"))
                await until(lambda: loaded(it, path).waiting == 2)
                assert origin.connections == 0
                loaded(it, path).gate.set()
                assert (await another.reply()).status == 200
            assert ((await client.reply()).status, (await client.reply()).status) == (200, 200)
            held = next(request for request in origin.requests if request.target == b"/held")
            assert (held.body, held.value("x-waited")) == (b"body", b"1")

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("hook", ["responseheaders", "response"])
@pytest.mark.parametrize("ending", ["length", "chunked", "close"])
def test_an_answer_waits_for_its_hook(tmp_path: Path, hook: str, ending: str) -> None:
    """Whatever the member does meanwhile."""
    path = script(tmp_path, WAITING.format(hook=hook))
    body = b"0123456789" * 50_000
    head = {
        "length": b"Content-Length: %d" % len(body),
        "chunked": b"Transfer-Encoding: chunked",
        "close": b"X: y",
    }[ending]
    whole = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + (chunked(body) if ending == "chunked" else body)

    async def answer(_: Received, peer: Peer) -> bool:
        await peer.send(whole)
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(answer)
            await client.send(get())
            await until(lambda: loaded(it, path).waiting)
            loaded(it, path).gate.set()
            reply = await client.reply()
            assert (reply.status, reply.value("x-waited")) == (200, b"1")
            assert reply.body == body

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_who_leaves_while_a_hook_waits_is_forgotten(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        waiting = cancelled = False

        async def requestheaders(flow):
            global waiting, cancelled
            waiting = True
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            async with it.http() as client:
                await client.send(get())
                await until(lambda: loaded(it, path).waiting)
                await client.abort()
            assert (await it.record()).outcome is Outcome.CLIENT_GONE
            await until(lambda: loaded(it, path).cancelled)
            assert origin.connections == 0

    asyncio.run(check())


# Bodies.

BODIES = """
    seen = []

    def requestheaders(flow):
        flow.request.stream = False

    def request(flow):
        seen.append(flow.request.raw_content)
        if flow.request.raw_content is not None:
            flow.request.content = flow.request.content.replace(b"secret", b"******!")

    def responseheaders(flow):
        flow.response.stream = False

    def response(flow):
        seen.append(flow.response.raw_content)
        if flow.response.raw_content is not None:
            flow.response.content = flow.response.content.replace(b"member", b"it")
"""


@pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
def test_a_requests_body_is_seen_and_changed(tmp_path: Path, framing: str) -> None:
    path = script(tmp_path, BODIES)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            if framing == "length":
                await client.send(post(b"a secret word"))
            elif framing == "chunked":
                await client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
                await client.send(chunked(b"a sec", b"ret word"))
            else:
                await client.send(get("/", "Expect: 100-continue", "Content-Length: 13", method="POST"))
                assert (await client.reply()).status == 100
                assert origin.connections == 0
                await client.send(b"a secret word")
            assert (await client.reply()).body == b"ok"
            [request] = origin.requests
            assert (request.body, request.value("expect")) == (b"a ******! word", None)
            assert loaded(it, path).seen == [b"a secret word", b"ok"]
            assert (await client.ask(get())).body == b"ok", "the connection goes on"
            assert loaded(it, path).seen[2:] == [b"", b"ok"]

    asyncio.run(check())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na member",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a mem", b"ber"),
        b"HTTP/1.1 200 OK\r\n\r\na member",
    ],
    ids=["length", "chunked", "close"],
)
def test_an_answers_body_is_seen_and_changed(tmp_path: Path, answer: bytes) -> None:
    path = script(tmp_path, BODIES)

    async def pieces(_: Received, peer: Peer) -> bool:
        await peer.send(answer[:-9])
        await peer.send(answer[-9:])
        return b"\r\n\r\na" not in answer or b"Length" in answer

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(pieces)
            for _ in range(2):
                reply = await client.ask(get())
                assert (reply.status, reply.body) == (200, b"a it")
            assert loaded(it, path).seen == [b"", b"a member"] * 2

    asyncio.run(check())


def test_an_answer_that_breaks_off_is_not_shown_as_whole(tmp_path: Path) -> None:
    path = script(tmp_path, BODIES)

    async def cut(_: Received, peer: Peer) -> bool:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na mem")
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(cut)
            assert (await client.ask(get())).status == 502, "nothing had been sent"
            assert loaded(it, path).seen == [b""]

    asyncio.run(check())


def test_what_is_too_long_streams_by_unseen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = script(tmp_path, BODIES)
    body = b"secret member" * (COLLECTED // 10)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(answer)
            for _ in range(2):
                reply = await client.ask(post(body))
                assert reply.body == body
            assert [request.body == body for request in origin.requests] == [True, True]
            assert loaded(it, path).seen == [None] * 4

    asyncio.run(check())
    assert len([record for record in caplog.records if "streams by unseen" in record.message]) == 1


def test_a_publications_limit_holds_while_a_body_is_collected(tmp_path: Path) -> None:
    path = script(tmp_path, BODIES)

    async def check() -> None:
        async with (
            members(1) as [origin],
            edge(policy([origin], body_limit=10), scripts=[path]) as it,
            it.http() as client,
        ):
            await client.send(get("/", "Transfer-Encoding: chunked", method="POST") + b"b\r\n12345678901\r\n")
            assert (await client.reply()).status == 413
            assert (await it.record()).outcome is Outcome.BODY_TOO_LARGE
            assert origin.connections == 0

    asyncio.run(check())


def test_a_body_that_does_not_come_ends_as_without_scripts(tmp_path: Path) -> None:
    path = script(tmp_path, BODIES)

    async def check() -> None:
        async with (
            members(1) as [origin],
            edge(policy([origin], body=0.2), scripts=[path]) as it,
            it.http() as client,
        ):
            await client.send(post(b"1234")[:-2])
            assert (await client.reply()).status == 408
            assert origin.connections == 0

    asyncio.run(check())


# Which addons, and none.


def flows_alive() -> int:
    return sum(isinstance(one, HTTPFlow) for one in gc.get_objects())


@pytest.mark.parametrize("scripted", [False, True])
def test_without_scripts_no_flow_is_built(tmp_path: Path, scripted: bool) -> None:
    """Also not by one that wants nothing of exchanges."""
    path = script(tmp_path, "def error(flow): pass" if scripted else "def running(): pass")

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            asked, go_on = asyncio.Event(), asyncio.Event()

            async def hold(_: Received, peer: Peer) -> None:
                asked.set()
                await go_on.wait()
                await peer.send(OK)

            origin.answers(hold)
            gc.collect()
            before = flows_alive()
            await client.send(get())
            await asked.wait()
            assert flows_alive() - before == int(scripted)
            go_on.set()
            assert (await client.reply()).status == 200

    asyncio.run(check())


def test_addons_that_come_and_go_are_heard_from_then_on(tmp_path: Path) -> None:
    class Marks:
        def __init__(self, name: str) -> None:
            self.name = name
            self.addons: list[Any] = []

        def responseheaders(self, flow: HTTPFlow) -> None:
            if flow.response is not None:
                flow.response.headers.add("X-Marks", self.name)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin])) as it, it.http() as client:
            master = it.running.master
            outer, inner = Marks("outer"), Marks("inner")
            outer.addons.append(inner)

            async def marks() -> list[bytes]:
                return (await client.ask(get())).values("x-marks")

            assert await marks() == []
            master.addons.add(outer)  # type: ignore[no-untyped-call]
            assert await marks() == [b"outer", b"inner"]
            master.addons.remove(outer)
            assert await marks() == []
            assert it.lane.scripts is None

    asyncio.run(check())


@pytest.mark.usefixtures("each_way")
def test_an_addon_may_keep_a_flow_from_the_others(tmp_path: Path) -> None:
    first = script(
        tmp_path,
        """
        from mitmproxy.exceptions import AddonHalt

        def requestheaders(flow):
            raise AddonHalt

        async def responseheaders(flow):
            await asyncio.sleep(0)
            raise AddonHalt
        """,
    )
    second = script(tmp_path, WAITING.format(hook="requestheaders"), "second.py")
    third = script(tmp_path, WAITING.format(hook="responseheaders"), "third.py")

    async def check() -> None:
        scripts = [first, second, third]
        async with members(1) as [origin], edge(policy([origin]), scripts=scripts) as it, it.http() as client:
            assert (await client.ask(get())).status == 200
            assert (loaded(it, second).waiting, loaded(it, third).waiting) == (0, 0)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def broken(:", "line 3: SyntaxError"),
        ("raise RuntimeError('not today')", "line 3: RuntimeError: not today"),
        ("def load(loader):\n    loader.nothing()", "line 4: AttributeError"),
        ("import no_such_module_anywhere", "line 3: ModuleNotFoundError"),
        ("raise SystemExit(0)", "line 3: SystemExit: 0"),
        (None, "no such file"),
    ],
)
def test_a_script_that_cannot_be_used_stops_the_start(tmp_path: Path, source: str | None, why: str) -> None:
    path = tmp_path / "missing.py" if source is None else script(tmp_path, source)

    async def check() -> None:
        async with members(1) as [origin]:
            with pytest.raises(StartError) as stopped:
                async with edge(policy([origin]), scripts=[path]):
                    pass
            assert str(stopped.value).startswith(f"script {path}: {why}")

    asyncio.run(check())


def test_the_command_takes_scripts(tmp_path: Path) -> None:
    first = script(
        tmp_path,
        """
        def request(flow):
            flow.response = http.Response.make(200, flow.request.path + " by a script")
        """,
    )
    with member() as origin, crew(tmp_path, origin, more=("--script", str(first)), workers=2) as it:
        assert it.ask("/asked") == (200, b"/asked by a script")


def test_the_command_says_which_script_is_wrong(tmp_path: Path) -> None:
    good, bad = script(tmp_path, ""), script(tmp_path, "1 / 0", "bad.py")
    with member() as origin:
        path = crew_rules(tmp_path, origin)
        options = ("--rules", str(path), "--script", str(good), "--script", str(bad))
        ended = subprocess.run(
            [*LYNCGATE, "serve", *options], capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert f"lyncgate: script {bad}: line 3: ZeroDivisionError: division by zero\n" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("each_way")
def test_what_a_script_makes_of_the_edges_own_answer_is_what_is_counted(tmp_path: Path) -> None:
    source = """
        def responseheaders(flow):
            flow.response.content = b"No such name here."
        """

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins), scripts=[script(tmp_path, source)]) as it:
            async with it.http() as client:
                reply = await client.ask(get(host="nobody.example"))
            assert (reply.status, reply.body) == (404, b"No such name here.")
            record = await it.record()
            assert (record.status, record.response_bytes) == (404, len(reply.body))

    asyncio.run(check())
