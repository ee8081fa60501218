"""Non-blocking sockets, TLS or not, on one epoll: what the origin and the generators of load are made of.

asyncio would cost twice the CPU a byte and a connection, on the core that all of them share.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import select
import socket
import ssl
import time
from collections.abc import Callable

CHUNK = 64 * 1024


class Loop:
    """Calls whoever's socket is ready, and timers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def watch(self, fd: int, events: int, ready: Callable[[int], None]) -> None:
        """`ready` is called with the events that came; called again for the same `fd`, it changes them."""
        if fd in self._ready:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._ready[fd] = ready

    def forget(self, fd: int) -> None:
        if self._ready.pop(fd, None):
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), call))

    def run(self, until: Callable[[], bool]) -> None:
        """Until `until()`, which is asked after each turn; there is one every 50 ms at least."""
        while not until():
            wait = 0.05
            if self._timers:
                wait = min(wait, max(0.0, self._timers[0][0] - time.monotonic()))
            for fd, events in self._epoll.poll(wait):
                if ready := self._ready.get(fd):
                    ready(events)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()


def listen(loop: Loop, port: int, accept: Callable[[socket.socket], None]) -> None:
    """Listen on loopback; several processes may share the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(4096)
    sock.setblocking(False)

    def ready(_: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for _turn in range(64):
                accept(sock.accept()[0])

    loop.watch(sock.fileno(), select.EPOLLIN, ready)


def connect(port: int, *, receive_buffer: int = 0) -> socket.socket:
    """A connection to loopback. It blocks, but only while the other side's queue is full."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(10)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Connection:
    """One connection. Subclasses say what `received`, `opened` and `ended` mean."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        tls: ssl.SSLContext | None = None,
        *,
        server: bool = False,
        name: str | None = None,
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = loop
        self._shaking = tls is not None
        self._out: collections.deque[memoryview] = collections.deque()
        self._paused = False
        self._wanted = select.EPOLLIN
        self.over = False
        self._sock: socket.socket = (
            tls.wrap_socket(sock, server_side=server, server_hostname=name, do_handshake_on_connect=False)
            if tls
            else sock
        )
        loop.watch(self._sock.fileno(), select.EPOLLIN, self._ready)
        if self._shaking and not server:
            self._shake()
        elif not tls:
            self.opened()

    def opened(self) -> None:
        """The connection can be written to."""

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def ended(self, why: str) -> None:
        """The other side has closed, or something failed. Not called after `close`."""

    def write(self, data: bytes | memoryview) -> None:
        if self.over:
            return
        self._out.append(memoryview(data))
        if not self._shaking and len(self._out) == 1:
            self._flush()

    def pause(self, seconds: float) -> None:
        """Read nothing for so long."""
        self._paused = True
        self._interest()
        self._loop.later(seconds, self._resume)

    def close(self) -> None:
        if not self.over:
            self.over = True
            self._loop.forget(self._sock.fileno())
            if isinstance(self._sock, ssl.SSLSocket) and not self._shaking:
                # A last word of TLS, if there is room for it; nobody waits for its answer.
                with contextlib.suppress(OSError, ValueError):
                    self._sock.unwrap()
            self._sock.close()

    def _resume(self) -> None:
        if not self.over:
            self._paused = False
            self._interest()
            self._read()

    def _ready(self, events: int) -> None:
        if self._shaking:
            self._shake()
            return
        if events & select.EPOLLOUT:
            self._flush()
        if not self.over and events & ~select.EPOLLOUT and not self._paused:
            self._read()

    def _shake(self) -> None:
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return self._interest()
        except ssl.SSLWantWriteError:
            return self._interest(writing=True)
        except OSError as error:
            return self._fail(f"handshake: {error}")
        self._shaking = False
        self._interest()
        self.opened()
        if self._out:
            self._flush()
        return None

    def _read(self) -> None:
        while not self.over and not self._paused:
            try:
                data = self._sock.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._fail(str(error))
                return
            if not data:
                self._fail("closed")
                return
            self.received(data)

    def _flush(self) -> None:
        while self._out or self.refill():
            try:
                sent = self._sock.send(self._out[0])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return self._interest(writing=True)
            except OSError as error:
                return self._fail(str(error))
            if sent < len(self._out[0]):
                self._out[0] = self._out[0][sent:]
            else:
                self._out.popleft()
        return self._interest()

    def refill(self) -> bool:
        """All that was written has been sent; whether this has put more into `_out`."""
        return False

    def _interest(self, *, writing: bool = False) -> None:
        if not self.over:
            wanted = (0 if self._paused else select.EPOLLIN) | (
                select.EPOLLOUT if writing or (self._out and not self._shaking) else 0
            )
            if wanted != self._wanted:  # it costs a system call
                self._wanted = wanted
                self._loop.watch(self._sock.fileno(), wanted, self._ready)

    def _fail(self, why: str) -> None:
        if not self.over:
            self.close()
            self.ended(why)
