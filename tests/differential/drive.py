"""Many clients at once, each from an address of its own, that send bytes as they are told to.

How a stream is cut into segments must reach the engine, without sleeping: after each piece the client waits
until the kernel has handed it over (SIOCOUTQ), and gives the loop, on which the engine runs as well, turns to
read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import itertools
import struct
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence

from differential.answers import ResponseReader

PATIENCE = 15.0  # seconds after which an engine hangs
QUIET = 1.0  # seconds in which it may take bytes that are no HTTP for the beginning of something
TURNS = 3  # of the loop, so that what arrived has been read

_addresses = itertools.count(1)


def fresh_address() -> str:
    """One of 127.16.0.0/12 that nobody had before in this process."""
    number = next(_addresses)
    return f"127.{16 + (number >> 16) % 16}.{(number >> 8) & 255}.{number & 255}"


@dataclasses.dataclass
class Conversation:
    """What became of a client. `hung`: neither the answers that it waited for nor an end came. `prompted`:
    the connection was not closed before the client closed its half. `raw`: all that came."""

    reader: ResponseReader
    client: str = ""
    raw: bytearray = dataclasses.field(default_factory=bytearray)
    hung: bool = False
    prompted: bool = False
    closed: bool = False
    reset: bool = False


class Client(asyncio.Protocol):
    """One connection. `talk`: what has come of it so far."""

    transport: asyncio.Transport

    def __init__(self, reader: ResponseReader) -> None:
        self.talk = Conversation(reader)
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.talk.client = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self.talk.raw += data
        self.talk.reader.feed(data)
        self._changed.set()

    def eof_received(self) -> bool:
        self._end()
        return True  # we close ourselves

    def connection_lost(self, error: Exception | None) -> None:
        self.talk.reset |= error is not None
        self._end()

    def _end(self) -> None:
        if not self.talk.closed:
            self.talk.closed = True
            if not self.talk.reset:
                self.talk.reader.close()
        self._changed.set()

    async def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether it came true in that time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def send(self, pieces: Sequence[bytes]) -> None:
        for number, piece in enumerate(pieces):
            if self.transport.is_closing() or self.talk.closed:
                return
            self.transport.write(piece)
            if number < len(pieces) - 1:
                await self._taken()

    async def _taken(self) -> None:
        sock = self.transport.get_extra_info("socket")
        for _ in range(10_000):
            await asyncio.sleep(0)
            if self.talk.closed or self.transport.is_closing():
                return
            if not self.transport.get_write_buffer_size() and not _unsent(sock.fileno()):
                break
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def shut(self) -> None:
        if not self.transport.is_closing():
            with contextlib.suppress(OSError):  # reset, and we have not heard of it yet
                self.transport.write_eof()


def _unsent(descriptor: int) -> int:
    """Bytes that the peer's kernel does not have yet."""
    if descriptor < 0:
        return 0
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)


async def talk(
    address: tuple[str, int],
    pieces: Sequence[bytes],
    *,
    methods: Sequence[bytes],
    answers: int,
    wait_for_end: bool = False,
    patience: float = PATIENCE,
    half_close: bool = False,
    then: Callable[[Client], Awaitable[None]] | None = None,
) -> Conversation:
    """Send `pieces`, read until there are as many `answers` or the end; with `wait_for_end`, until the other
    side closes, or `patience` is over. Then close our half (with `half_close` at once) and read to the end.
    `methods`: of the requests. `then`: goes on with the connection before that."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(
        lambda: Client(ResponseReader(methods)), *address, local_addr=(fresh_address(), 0)
    )
    talk = protocol.talk
    try:
        await protocol.send(pieces)
        if half_close:
            protocol.shut()
        if answers:
            enough = lambda: talk.closed or talk.reader.fault or len(talk.reader.responses) >= answers  # noqa: E731
            talk.hung = not await protocol.until(enough, PATIENCE)
        if wait_for_end and not talk.hung:
            talk.prompted = not await protocol.until(lambda: talk.closed, patience)
        if then is not None and not talk.closed:
            await then(protocol)
        protocol.shut()
        if not await protocol.until(lambda: talk.closed, PATIENCE):
            talk.hung = True
    finally:
        protocol.transport.abort()
    return talk


async def many[T](jobs: Iterator[Awaitable[T]], at_once: int = 64) -> list[T]:
    """The results of all, some at a time, in the order they ended."""
    results: list[T] = []

    async def worker() -> None:
        for job in jobs:
            results.append(await job)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return results


def cut_at(data: bytes, *places: int) -> list[bytes]:
    return [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)]) if a < b]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]
