"""Websockets whose messages addons see and change: a real client and a real member, by wsproto."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate

from lyncgate.engine.lane.messages import MESSAGE, MESSAGES
from lyncgate.engine.lane.stream import HIGH
from lyncgate.signin.exchange import Kind, Outcome
from support import certificates
from support.edge import WEB, EdgeUnderTest, edge, policy, until
from support.origin import OK, Peer, Received, members
from support.rawhttp import PATIENCE, Client, get

pytestmark = pytest.mark.engines("lane")

CHANGES = """
    seen = []

    def websocket_start(flow):
        seen.append("start")

    def websocket_message(flow):
        message = flow.websocket.messages[-1]
        seen.append((message.from_client, message.content))
        if message.content == b"drop":
            message.drop()
        else:
            message.content = message.content.replace(b"secret", b"******!")

    def websocket_end(flow):
        seen.append(("end", flow.websocket.closed_by_client, flow.websocket.close_code))

    def error(flow):
        seen.append("error")
"""


def script(directory: Path, source: str = CHANGES) -> Path:
    path = directory / "script.py"
    path.write_text("import asyncio\nfrom mitmproxy import ctx\n" + textwrap.dedent(source))
    return path


def loaded(it: EdgeUnderTest, path: Path) -> Any:
    found = it.running.master.addons.get(str(path))  # type: ignore[no-untyped-call]
    assert found is not None
    return found


class Side:
    """One end of a websocket. `got`: whole messages, and whatever else came."""

    def __init__(
        self, kind: ConnectionType, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.ws = WSConnection(kind)
        self.reader, self.writer = reader, writer
        self.got: list[Any] = []
        self._pieces: list[Any] = []

    async def send(self, *said: Event) -> None:
        self.writer.write(b"".join(self.ws.send(event) for event in said))
        await self.writer.drain()

    async def events(self) -> bool:
        """Take what comes next. False: the connection has ended."""
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.read(65536)
        self.ws.receive_data(data or None)
        for event in self.ws.events():
            if isinstance(event, Message):
                self._pieces.append(event.data)
                if event.message_finished:
                    self.got.append(self._pieces[0][:0].join(self._pieces))
                    self._pieces = []
            else:
                self.got.append(event)
            if isinstance(event, Ping):
                await self.send(event.response())
        return bool(data)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            if not await self.events():
                assert condition(), f"it ended after {self.got}"

    async def message(self) -> Any:
        await self.until(lambda: self.got)
        return self.got.pop(0)


@contextlib.asynccontextmanager
async def websocket(client: Client, *extensions: Extension) -> AsyncIterator[Side]:
    side = Side(ConnectionType.CLIENT, client.reader, client.writer)
    await side.send(Request(host=WEB, target="/ws", extensions=list(extensions)))
    accepted = await side.message()
    assert isinstance(accepted, AcceptConnection), accepted
    yield side


async def opened(received: Received, peer: Peer, *extensions: Extension) -> Side:
    """The member's side of it."""
    side = Side(ConnectionType.SERVER, peer.reader, peer.writer)
    side.ws.receive_data(received.raw_head + b"\r\n\r\n")
    [asked] = side.ws.events()
    assert isinstance(asked, Request)
    await side.send(AcceptConnection(extensions=list(extensions)))
    return side


async def echo(received: Received, peer: Peer) -> bool:
    """Messages come back with `secret` before them, and a close is answered."""
    side = await opened(received, peer, PerMessageDeflate())
    while True:
        got = await side.message()
        if isinstance(got, str):
            await side.send(TextMessage(data="secret " + got))
        elif isinstance(got, bytes):
            await side.send(BytesMessage(data=b"secret " + got))
        elif isinstance(got, CloseConnection):
            if got.code != 1006:  # it was said, and the connection has not just ended
                await side.send(got.response())
            return False


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
def test_messages_are_seen_and_changed_both_ways(tmp_path: Path, secure: bool, deflate: bool) -> None:
    path = script(tmp_path)

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with members(1, tls=tls) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(echo)
            async with (
                it.https() if secure else it.http() as client,
                websocket(client, *([PerMessageDeflate()] if deflate else [])) as side,
            ):
                await side.send(TextMessage(data="my secret"))
                assert await side.message() == "******! my ******!"
                await side.send(BytesMessage(data=b"drop"), BytesMessage(data=b"\x00\xff"))
                assert await side.message() == b"******! \x00\xff"
                assert it.metric("lyncgate_polls_held") == 1
                await side.send(Ping(payload=b"there?"))
                assert await side.message() == Pong(payload=b"there?")
                await side.send(CloseConnection(code=1000, reason="enough"))
                closed = await side.message()
                assert isinstance(closed, CloseConnection)
                assert closed.code == 1000
                assert await client.rest() == b""
            record = await it.record()
            assert (record.status, record.kind, record.outcome) == (101, Kind.POLL, Outcome.OK)
            assert record.request_bytes > 0
            assert loaded(it, path).seen == [
                "start",
                (True, b"my secret"),
                (False, b"secret my ******!"),
                (True, b"drop"),
                (True, b"\x00\xff"),
                (False, b"secret \x00\xff"),
                ("end", True, 1000),
            ]
            assert len(it.records) == 1
            await until(lambda: not origin.peers)

    asyncio.run(check())


def test_long_messages_in_many_frames(tmp_path: Path) -> None:
    path = script(tmp_path)
    long = b"secret" + bytes(range(256)) * 20_000  # five megabytes

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(echo)
            async with it.http() as client, websocket(client) as side:
                pieces = [long[at : at + 50_000] for at in range(0, len(long), 50_000)]
                for number, piece in enumerate(pieces, 1):
                    await side.send(BytesMessage(data=piece, message_finished=number == len(pieces)))
                assert await side.message() == b"******! ******!" + long[6:]
            assert loaded(it, path).seen[1] == (True, long)

    asyncio.run(check())


def test_a_message_without_an_end_is_cut(tmp_path: Path) -> None:
    path = script(tmp_path)

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(echo)
            async with it.http() as client, websocket(client) as side:
                with contextlib.suppress(ConnectionError):
                    for _ in range(MESSAGE // 50_000 + 100):
                        await side.send(BytesMessage(data=bytes(50_000), message_finished=False))
                await client.rest()
            assert (await it.record()).outcome is Outcome.BODY_TOO_LARGE
            assert loaded(it, path).seen == ["start", ("end", True, 1006)]
            await until(lambda: not origin.peers)

    asyncio.run(check())


def patient(read_now: asyncio.Event, got: list[Any]) -> Callable[[Received, Peer], Awaitable[bool]]:
    """A member that reads when it is told to, up to the close. `got`: what came."""

    async def answer(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        await read_now.wait()
        await side.until(lambda: isinstance((side.got or [None])[-1], CloseConnection))
        got.extend(side.got)
        return False

    return answer


def test_what_was_said_before_the_close_arrives(tmp_path: Path) -> None:
    """The member is slow, and the connection to it is not closed before it has all."""
    path = script(tmp_path)
    size, count, got = 100_000, 150, []

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            read_now = asyncio.Event()
            origin.answers(patient(read_now, got))
            async with it.http() as client, websocket(client) as side:
                said = [BytesMessage(data=bytes(size)) for _ in range(count)]
                sending = asyncio.create_task(side.send(*said, CloseConnection(code=1000)))
                connection = it.only_client
                await until(lambda: not connection.stream.reading)
                read_now.set()
                await sending
                assert isinstance(await side.message(), CloseConnection)
            assert (await it.record()).outcome is Outcome.OK
            await until(lambda: got)
            assert [len(message) for message in got[:-1]] == [size] * count
            assert got[-1].code == 1000

    asyncio.run(check())


def test_a_client_that_leaves_before_its_last_words_have_arrived(tmp_path: Path) -> None:
    """It has closed it as one should, and had the answer: that the member is slow is not its concern."""
    path = script(tmp_path)
    size, got = 50_000, []

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            read_now = asyncio.Event()
            origin.answers(patient(read_now, got))
            count = 0
            async with it.http() as client, websocket(client) as side:
                connection = it.only_client
                upstream = connection.relay.upstream  # type: ignore[union-attr]
                while not upstream.stream.waiting:
                    count += 1
                    more = connection.stream.got + size
                    await side.send(BytesMessage(data=bytes(size)))
                    await until(lambda more=more: connection.stream.got >= more)
                await side.send(CloseConnection(code=1000))
                assert isinstance(await side.message(), CloseConnection)
            assert (await it.record()).outcome is Outcome.OK
            assert loaded(it, path).seen[-1] == ("end", True, 1000)
            read_now.set()
            await until(lambda: got)
            assert [len(message) for message in got[:-1]] == [size] * count
            assert got[-1].code == 1000

    asyncio.run(check())


def test_the_member_closes_it(tmp_path: Path) -> None:
    path = script(tmp_path)

    async def close(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        await side.send(TextMessage(data="bye"), CloseConnection(code=1001, reason="maintenance"))
        await side.until(lambda: any(isinstance(got, CloseConnection) for got in side.got))
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(close)
            async with it.http() as client, websocket(client) as side:
                assert await side.message() == "bye"
                closed = await side.message()
                assert (closed.code, closed.reason) == (1001, "maintenance")
            assert (await it.record()).outcome is Outcome.OK
            assert loaded(it, path).seen[-1] == ("end", False, 1001)

    asyncio.run(check())


@pytest.mark.parametrize("waits", [False, True])
def test_a_client_that_vanishes(tmp_path: Path, waits: bool) -> None:
    source = CHANGES
    if waits:
        source = source.replace(
            "    def websocket_end(flow):",
            "    async def websocket_end(flow):\n        await asyncio.sleep(0)",
        )
    path = script(tmp_path, source)
    last: list[Any] = []

    async def listen(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        while await side.events():
            pass
        last.extend(side.got)
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(listen)
            async with it.http() as client, websocket(client) as side:
                await side.send(TextMessage(data="one"))
                await until(lambda: len(loaded(it, path).seen) == 2)
                await client.abort()
            record = await it.record()
            assert (record.kind, record.outcome, record.status) == (Kind.POLL, Outcome.CLIENT_GONE, 101)
            await until(lambda: len(loaded(it, path).seen) > 2)
            assert loaded(it, path).seen == ["start", (True, b"one"), ("end", True, 1006)]
            await until(lambda: not origin.peers)
            assert last[0] == "one"
            assert isinstance(last[1], CloseConnection)
            assert len(it.records) == 1

    asyncio.run(check())


def test_a_client_that_vanishes_while_a_hook_waits(tmp_path: Path) -> None:
    """Nobody has said what becomes of its message, so the member does not get it."""
    source = CHANGES.replace("    def websocket_message(flow):", "    async def websocket_message(flow):")
    waits = "        await asyncio.Event().wait()\n        if message.content =="
    path = script(tmp_path, source.replace("        if message.content ==", waits))
    last: list[Any] = []

    async def listen(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        while await side.events():
            pass
        last.extend(side.got)
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(listen)
            async with it.http() as client, websocket(client) as side:
                await side.send(TextMessage(data="one"))
                await until(lambda: len(loaded(it, path).seen) == 2)
                await client.abort()
            assert (await it.record()).outcome is Outcome.CLIENT_GONE
            await until(lambda: not origin.peers)
            assert loaded(it, path).seen == ["start", (True, b"one"), ("end", True, 1006)]
            assert [type(got) for got in last][:1] == [CloseConnection]

    asyncio.run(check())


def test_a_member_that_vanishes(tmp_path: Path) -> None:
    path = script(tmp_path)

    async def leave(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        await side.send(TextMessage(data="one"))
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(leave)
            async with it.http() as client, websocket(client) as side:
                assert await side.message() == "one"
                assert isinstance(await side.message(), CloseConnection)
                assert await client.rest() == b""
            assert (await it.record()).outcome is Outcome.OK
            assert loaded(it, path).seen == ["start", (False, b"one"), ("end", False, 1006)]

    asyncio.run(check())


def test_a_hook_that_waits_holds_both_sides(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        gate = asyncio.Event()
        seen = []

        async def websocket_message(flow):
            seen.append(len(flow.websocket.messages[-1].content))
            await gate.wait()
        """,
    )
    size, count = 100_000, 250

    async def both(received: Received, peer: Peer) -> bool:
        side = await opened(received, peer)
        sending = asyncio.create_task(send(side))
        await side.until(lambda: sum(isinstance(got, bytes) for got in side.got) == count)
        await sending
        await side.until(lambda: isinstance(side.got[-1], CloseConnection))
        return False

    async def send(side: Side) -> None:
        for _ in range(count):
            await side.send(BytesMessage(data=bytes(size)))

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(both)
            async with it.http() as client, websocket(client) as side:
                sending = asyncio.create_task(send(side))
                await until(lambda: loaded(it, path).seen)
                connection = it.only_client
                upstream = connection.relay.upstream  # type: ignore[union-attr]
                await until(lambda: not (connection.stream.reading or upstream.stream.reading))
                got = connection.stream.got, upstream.stream.got
                assert max(got) < 8 * HIGH
                loaded(it, path).gate.set()
                await side.until(lambda: len(side.got) == count)
                await sending
                await side.send(CloseConnection(code=1000))
                await side.until(lambda: isinstance(side.got[-1], CloseConnection))
            assert (await it.record()).outcome is Outcome.OK
            assert loaded(it, path).seen == [size] * (2 * count)

    asyncio.run(check())


def test_a_flow_keeps_the_last_messages_only(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        most = 0

        def websocket_message(flow):
            global most
            most = max(most, len(flow.websocket.messages))
        """,
    )

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it:
            origin.answers(echo)
            async with it.http() as client, websocket(client) as side:
                for number in range(3 * MESSAGES):
                    await side.send(TextMessage(data=str(number)))
                    assert await side.message() == f"secret {number}"
            assert loaded(it, path).most == MESSAGES + 1

    asyncio.run(check())


@pytest.mark.parametrize("early", [False, True])
def test_one_that_is_refused_is_followed_by_the_next_request(tmp_path: Path, early: bool) -> None:
    path = script(tmp_path)

    async def refuse(received: Received, peer: Peer) -> bool:
        await peer.send(
            OK if received.value("upgrade") is None else b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        )
        return True

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(refuse)
            side = Side(ConnectionType.CLIENT, client.reader, client.writer)
            asked = side.ws.send(Request(host=WEB, target="/ws"))
            if early:
                await client.send(asked + get("/next"))
                assert [(await client.reply()).status, (await client.reply()).status] == [403, 200]
            else:
                side.ws.receive_data(await _answer(client, asked))
                assert isinstance(next(iter(side.ws.events())), RejectConnection)
                assert (await client.ask(get("/next"))).status == 200
            assert loaded(it, path).seen == []
            assert [record.kind for record in it.records] == [Kind.REQUEST, Kind.REQUEST]

    asyncio.run(check())


async def _answer(client: Client, asked: bytes) -> bytes:
    reply = await client.ask(asked)
    return reply.raw_head + b"\r\n\r\n"


def test_what_came_with_the_request_and_with_the_answer(tmp_path: Path) -> None:
    path = script(tmp_path)

    async def at_once(received: Received, peer: Peer) -> bool:
        server = WSConnection(ConnectionType.SERVER)
        server.receive_data(received.raw_head + b"\r\n\r\n")
        assert len(list(server.events())) == 1
        await peer.send(server.send(AcceptConnection()) + server.send(TextMessage(data="secret")))
        side = Side(ConnectionType.SERVER, peer.reader, peer.writer)
        side.ws = server
        assert await side.message() == "early ******!"
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(at_once)
            side = Side(ConnectionType.CLIENT, client.reader, client.writer)
            asked = side.ws.send(Request(host=WEB, target="/ws"))
            # By hand: wsproto would not let us speak before the answer.
            frame = b"\x81" + bytes([0x80 | len(b"early secret")]) + bytes(4) + b"early secret"
            await client.send(asked + frame)
            assert isinstance(await side.message(), AcceptConnection)
            assert await side.message() == "******!"
            await side.until(lambda: isinstance((side.got or [None])[-1], CloseConnection))
            assert (await it.record()).outcome is Outcome.OK
            assert loaded(it, path).seen[0] == "start"

    asyncio.run(check())


def test_what_is_no_websocket_inside_passes_where_no_messages_are_wanted(tmp_path: Path) -> None:
    """The handshake is an exchange like others for those who want bodies."""
    path = script(
        tmp_path,
        """
        seen = []

        def request(flow):
            seen.append(flow.request.path)

        async def response(flow):
            await asyncio.sleep(0)
            seen.append(flow.response.status_code)
        """,
    )

    async def back(received: Received, peer: Peer) -> bool:
        await peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi"
        )
        while data := await peer.reader.read(65536):
            await peer.send(data)
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(back)
            lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            await client.send(get("/ws", *lines) + b"early")
            assert (await client.reply(to="HEAD")).status == 101
            assert await client.reader.readexactly(7) == b"hiearly"
            await client.send(b"\xff" * 9)
            assert await client.reader.readexactly(9) == b"\xff" * 9
            await client.abort()
            record = await it.record()
            assert (record.outcome, record.request_bytes, record.response_bytes) == (
                Outcome.CLIENT_GONE,
                14,
                16,
            )
            assert loaded(it, path).seen == ["/ws", 101]

    asyncio.run(check())


def test_a_member_that_vanishes_while_its_101_is_looked_at(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        gate = asyncio.Event()
        waiting = False

        async def responseheaders(flow):
            global waiting
            waiting = True
            await gate.wait()

        def websocket_end(flow):
            pass
        """,
    )

    async def leave(received: Received, peer: Peer) -> bool:
        await opened(received, peer)
        return False

    async def check() -> None:
        async with members(1) as [origin], edge(policy([origin]), scripts=[path]) as it, it.http() as client:
            origin.answers(leave)
            side = Side(ConnectionType.CLIENT, client.reader, client.writer)
            await side.send(Request(host=WEB, target="/ws"))
            await until(lambda: loaded(it, path).waiting)
            await until(lambda: not origin.peers)
            loaded(it, path).gate.set()
            assert isinstance(await side.message(), AcceptConnection)
            assert isinstance(await side.message(), CloseConnection)
            assert await client.rest() == b""
            await it.record()

    asyncio.run(check())
