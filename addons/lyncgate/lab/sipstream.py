"""SIP on one connection, and the one place that every SIP message of a server passes, in and out.

That is where the traces hook in (`inside.trace`): a `Trace` is called for each message, in the order in
which the server reads and writes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import socket
import ssl
from collections.abc import Awaitable, Callable

from lyncgate.client import tlsstreams
from lyncgate.lab import sipmessage, topology
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.web import end

HEAD_LIMIT = 64 * 1024  # bytes
BODY_LIMIT = 256 * 1024  # bytes
_SERVERS = {member.address: member.fqdn for member in topology.MEMBERS.values()}
_SERVERS[topology.PUSH_ADDRESS] = topology.PUSH_HOST


class Direction(enum.StrEnum):
    """As seen by the server that traces."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


type Trace = Callable[[Direction, str, Message | Answer], None]  # direction, peer as host:port, message


def no_trace(direction: Direction, peer: str, message: Message | Answer) -> None:
    """Traces are off."""


class SipStream:
    """Messages instead of bytes. `peer`: how traces name the other side, `host:port`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, trace: Trace
    ) -> None:
        self.peer = peer
        self._reader = reader
        self._writer = writer
        self._trace = trace

    async def read(self) -> Message | Answer:
        """The next message. Raises BadMessageError, or EOFError and OSError when the other side is gone."""
        head = b""
        while not head:  # empty lines are keep-alives
            try:
                head = (await self._reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
            except asyncio.LimitOverrunError as error:
                raise sipmessage.BadMessageError("the head is too long") from error
        message = sipmessage.parse_any(head.removesuffix(b"\r\n\r\n"))
        if length := message.content_length:
            if length > BODY_LIMIT:
                raise sipmessage.BadMessageError(f"a body of {length} bytes")
            message = dataclasses.replace(message, body=await self._reader.readexactly(length))
        self._trace(Direction.INCOMING, self.peer, message)
        return message

    async def send(self, message: Message | Answer) -> None:
        """Write a message. Raises OSError when the other side is gone."""
        self._trace(Direction.OUTGOING, self.peer, message)
        self._writer.write(message.to_bytes())
        await self._writer.drain()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def answer_each(stream: SipStream, answer: Callable[[Message], Awaitable[Answer]]) -> None:
    """Answer requests until the other side is gone. They are begun in the order in which they come; one
    that waits for another server holds nobody up. ACK gets no answer."""

    async def carry_out(request: Message) -> None:
        with contextlib.suppress(OSError):  # gone while it was answered
            await stream.send(await answer(request))

    open_requests: set[asyncio.Task[None]] = set()
    try:
        while isinstance(message := await stream.read(), Message):
            if message.method != "ACK":
                task = asyncio.create_task(carry_out(message))
                open_requests.add(task)
                task.add_done_callback(open_requests.discard)
    finally:
        for task in open_requests:
            task.cancel()


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: address, port, and the DNS names of its certificate, if it showed one."""

    address: str
    port: int
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, writer: asyncio.StreamWriter) -> Peer:
        """The peer of a connection."""
        address, port = (writer.get_extra_info("peername") or ("0.0.0.0", 0))[:2]  # noqa: S104 (gone already)
        certificate = writer.get_extra_info("peercert") or {}
        alternatives = certificate.get("subjectAltName", ())
        return cls(address, port, tuple(value.lower() for kind, value in alternatives if kind == "DNS"))

    @property
    def text(self) -> str:
        """`host:port` for traces: a server of the lab by its name, which its address tells."""
        return f"{_SERVERS.get(self.address, self.address)}:{self.port}"


class SipListener:
    """A listening address: hands each connection to `serve` and can be cut off."""

    def __init__(self, serve: Callable[[SipStream, Peer], Awaitable[None]], trace: Trace = no_trace) -> None:
        self._serve = serve
        self._trace = trace
        self._serving: dict[asyncio.Task[object], asyncio.StreamWriter] = {}
        self._listener: asyncio.Server | None = None

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """Accept connections on a bound socket."""
        self._listener = await tlsstreams.listen_streams(self._accept, sock, tls, limit=HEAD_LIMIT)

    async def close(self, *, reset: bool) -> None:
        """Stop listening and cut all connections; `reset`: with RST."""
        if self._listener:
            self._listener.close()
            self._listener = None
        serving = dict(self._serving)
        for writer in serving.values():
            end(writer.transport, reset=reset)
        await asyncio.gather(*serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._serving[task] = writer
            task.add_done_callback(self._serving.pop)
        peer = Peer.of(writer)
        stream = SipStream(reader, writer, peer.text, self._trace)
        try:
            await self._serve(stream, peer)
        except (sipmessage.BadMessageError, EOFError, OSError):
            pass  # not SIP, or gone
        finally:
            await stream.close()
