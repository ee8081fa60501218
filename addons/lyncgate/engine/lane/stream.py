"""A socket on the event loop, with or without TLS: bytes in and out, in order, with back-pressure.

Not an asyncio transport: TLS reads and writes the socket itself (OpenSSL on the file descriptor, no copies
through memory BIOs), an idle connection keeps no buffers, and its owner decides when to read.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import socket
import ssl
import sys
import termios
from collections import deque
from collections.abc import Callable
from typing import Any

from lyncgate.engine.lane.owner import NOBODY, Owner
from lyncgate.engine.lane.watch import Watch
from lyncgate.engine.tls.readahead import read_ahead
from lyncgate.engine.tls.resumption import KeptSession
from lyncgate.engine.tls.secured import Secured, Shaken

RECORD = 16 * 1024  # bytes: the most that a TLS record holds
CHUNK = 64 * 1024  # bytes read from a plain socket at once
HIGH = 256 * 1024  # bytes that wait to be sent, from which on whoever feeds them is asked to pause
TURNS = 8  # reads in a row before others get their turn

AGAIN = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError)


def _closed(_: object) -> Any:
    raise OSError(errno.EBADF, "closed")


class Stream:
    """`waiting`: bytes that the socket would not take yet. `sent`, `got`: bytes ever, for progress.
    `secured`: the TLS, from where it begins."""

    __slots__ = (
        "_called", "_failed", "_look", "_loop", "_out", "_owner", "_reading", "_recv", "_send", "_shaking",
        "_sock", "_watch", "_writing", "ahead", "closed", "connected", "fd", "finished", "got", "secured",
        "sent", "turn", "waiting", "writable",
    )  # fmt: skip

    def __init__(self, watch: Watch, sock: socket.SocketType, owner: Owner) -> None:
        """`sock`: connected, or connecting (see `connect`)."""
        self._watch = watch
        self._loop = watch.loop
        self.turn = 0  # of the watch, since when it is watched
        self._sock = sock
        # In TLS OpenSSL's own.
        self._recv: Callable[[int], bytes] = sock.recv
        self._send: Callable[[bytes | memoryview], int] = sock.send
        self._owner: Owner = owner
        self._out: deque[memoryview] = deque()
        self._reading = self._writing = self._shaking = False
        self._called = False  # by us: the peer is a member
        self._failed: OSError | None = None  # of a write, which is told from the loop's next turn on
        self._look: Callable[[], None] | None = None  # called instead of reading
        self.ahead = False  # OpenSSL may have taken more than we were given: there is no event for that
        self.fd = sock.fileno()
        self.secured: Secured | None = None
        self.connected = True
        self.closed = False
        self.finished = False  # we have said that we send no more
        self.writable = True  # the last write took everything
        self.waiting = self.sent = self.got = 0

    @property
    def socket(self) -> socket.SocketType:
        return self._sock

    @property
    def tls(self) -> bool:
        return self.secured is not None

    # Beginnings.

    def connect(self, address: tuple[str, int]) -> None:
        """Begin to connect; `ready` or `lost` follow."""
        self.connected = False
        self._called = True
        code = self._sock.connect_ex(address)
        if code in (0, errno.EINPROGRESS):
            self._want_write(True)
        else:
            self._loop.call_soon(self._lose, OSError(code, "connect"))

    def secure(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        name: str | None = None,
        session: KeptSession | None = None,
    ) -> None:
        """Begin TLS; `ready` or `lost` follow. `name`: SNI of a client. Raises ssl.SSLError, OSError.
        Where it is being read it stays so: the handshake reads next, and so does whoever is `ready`."""
        self._look = None
        secured = Secured(context, self._sock, server_side=server_side, name=name)
        if session is not None:
            session.offer(secured)
        self.secured = secured
        self._recv, self._send = secured.connection.read, secured.connection.write
        self._shaking = True
        self._shake()

    def _shake(self) -> None:
        if self.secured is None:
            return
        try:
            shaken = self.secured.shake()
        except (OSError, ValueError) as error:
            self._lose(error)
            return
        if shaken is Shaken.READS:
            self._want(True, False)
        elif shaken is Shaken.WRITES:
            self._want_write(True)
        else:
            self._shaking = False
            self._owner.ready()
            self._settle_writing()

    # Reading.

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` whenever something is there, and leave it there: until TLS begins, or the end."""
        self._look = look
        self._want_read(True)

    def read(self) -> None:
        """Go on reading. What is there is told from the loop's next turn on."""
        if not self.closed:
            self._want_read(True)

    def pause(self) -> None:
        """Read no more until `read`."""
        self._want_read(False)

    @property
    def reading(self) -> bool:
        return self._reading

    def _want_read(self, wanted: bool) -> None:
        if wanted is not self._reading:
            self._want(wanted, self._writing)
            if wanted and self.ahead:
                self._loop.call_soon(self._resume)

    def _want(self, read: bool, write: bool) -> None:
        if read is not self._reading or write is not self._writing:
            self._reading, self._writing = read, write
            self._watch.want(self, read, write)

    def told(self, readable: bool, writable: bool) -> None:
        """By whoever watches."""
        if readable and self._reading:
            self._readable()
        if writable and self._writing:
            self._writes()

    def _readable(self) -> None:
        if self._shaking:
            self._shake()
            return
        if self._look is not None:
            self._look()
            return
        secured = self.secured is not None
        if secured and self.finished:  # what comes behind our farewell is an error to OpenSSL
            if not self.discard():
                self.pause()
                self._owner.ended()
            return
        size = RECORD if secured else CHUNK
        last = 0
        for _ in range(TURNS):
            try:
                data = self._recv(size)
            except ssl.SSLEOFError:
                data = b""  # closed without a farewell, which many do
            except AGAIN:
                if self.ahead and 0 < last < size:  # the body is over
                    self._read_ahead(False)
                return
            except OSError as error:
                self._lose(error)
                return
            if not data:
                if self._failed is not None:  # the system has told the error, and forgotten it
                    self._lose(self._failed)
                    return
                self.pause()
                self._owner.ended()
                return
            last = len(data)
            self.got += last
            if last == RECORD and secured and not self.ahead:
                self._read_ahead(True)
            self._owner.received(data)
            if not self._reading or self.finished or (last < size and not self.ahead):
                return
        if self.ahead:
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._reading and self.ahead:
            self._readable()

    def _read_ahead(self, on: bool) -> None:
        if self.secured is not None:
            self.ahead = read_ahead(self.secured, on)

    def heard(self) -> bool:
        """Whether the peer has said something that was not read yet, or has gone. One system call, and none
        of the exceptions that take longer than it, for nearly always it has not."""
        if self.closed:  # the descriptor may be another's by now
            return True
        look = select.poll()
        look.register(self.fd, select.POLLIN)
        return bool(look.poll(0))

    def stale(self) -> bool:
        """Whether a connection on which nothing is awaited has something to say all the same: it was closed,
        or is about to be. What it says is lost with it."""
        return self.heard() and not (self.tls and self._only_tickets())

    def _only_tickets(self) -> bool:
        """Whether what came is session tickets and the like, which TLS 1.3 servers send when they please."""
        try:
            self._recv(1)
        except AGAIN:
            return True
        except OSError:
            return False
        return False  # a word that nobody asked for, or its farewell

    # Writing.

    def taken(self) -> int:
        """Bytes ever that the peer has taken: the kernel keeps megabytes, and tells that there is room again
        after a third of it has gone. In TLS it is a little less, which is the same at any time."""
        try:
            kept = fcntl.ioctl(self.fd, termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:  # not so on this system
            return self.sent
        return self.sent - int.from_bytes(kept, sys.byteorder)

    def write(self, data: bytes) -> None:
        """Send, or keep what the socket does not take now."""
        if self.closed or self.finished:
            return
        if self._out:
            self._keep(memoryview(data))
            return
        view: bytes | memoryview = data
        size = len(data)
        try:
            if size <= RECORD:
                taken = self._send(data)
                self.sent += taken
                if taken == size:
                    return
                view = memoryview(data)[taken:]
            else:
                view = memoryview(data)
                while view:
                    taken = self._send(view[:RECORD] if self.secured is not None else view)
                    self.sent += taken
                    view = view[taken:]
                return
        except AGAIN:
            pass
        except OSError as error:
            # Told from the loop's next turn: whoever writes is in the middle of something.
            self._failed = error
            self._loop.call_soon(self._refused, error)
            return
        self._keep(memoryview(view))

    def _keep(self, view: memoryview) -> None:
        self._out.append(view)
        self.waiting += len(view)
        self.writable = False
        self._want_write(True)

    def _want_write(self, wanted: bool) -> None:
        self._want(self._reading, wanted)

    def _writes(self) -> None:
        if not self.connected:
            self._connect_over()
            return
        if self._shaking:
            self._shake()
            return
        out = self._out
        try:
            while out:
                view = out[0]
                taken = self._send(view[:RECORD] if self.secured is not None else view)
                self.sent += taken
                self.waiting -= taken
                if taken == len(view):
                    out.popleft()
                else:
                    out[0] = view[taken:]
        except AGAIN:
            return
        except OSError as error:
            self._refused(error)
            return
        self.writable = True
        self._want_write(False)
        self._owner.drained()

    def _refused(self, error: Exception) -> None:
        """The peer takes no more. What a member has said before is told first: it may have answered early,
        and left. That its end is an orderly one is not: the system has told the error, and forgotten it."""
        while self._called and self._reading:
            try:
                data = self._recv(RECORD)
            except OSError:
                break
            if not data:
                break
            self.got += len(data)
            self._owner.received(data)
        self._lose(error)

    def _connect_over(self) -> None:
        if code := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._lose(OSError(code, errno.errorcode.get(code, "connect")))
            return
        self.connected = True
        self._owner.ready()
        self._settle_writing()

    def _settle_writing(self) -> None:
        """Ask for room only if it is needed. After whatever else is wanted: there are fewer changes then."""
        if not self._shaking:  # which has asked for what it needs
            self._want_write(self.waiting > 0)

    # Ends.

    def finish(self) -> None:
        """Say that we send no more: after what waits, which the owner has seen to (`drained`)."""
        if self.closed or self.finished:
            return
        self.finished = True
        try:
            if self.secured is not None and not self._shaking:
                self.secured.connection.shutdown()
        except AGAIN:
            pass
        except (OSError, ValueError):
            pass
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._loop.call_soon(self._lose, error)

    def discard(self) -> bool:
        """Throw away what has come. False: the peer has ended."""
        try:
            for _ in range(TURNS):
                data = self._sock.recv(CHUNK, socket.MSG_DONTWAIT)
                if not data:
                    return False
                self.got += len(data)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close now; what the kernel has still goes out."""
        if not self.closed:
            self._detach()
            self._release()

    def _detach(self) -> None:
        self.closed = True
        self._want(False, False)
        self._out.clear()
        self.waiting = 0

    def abort(self) -> None:
        """Close so that the peer can't take what it got for all there was."""
        if self.closed:
            return
        with contextlib.suppress(OSError):
            # (on, 0 seconds): a reset instead of an orderly end.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self.closed:
            self._detach()
            try:
                self._owner.lost(error)  # who may look at what the peer showed
            finally:
                self._release()

    def _release(self) -> None:
        """Close the socket and let go of who owned it: a connection that holds itself in a circle stays, with
        all of OpenSSL's memory, until the garbage collector has gone round."""
        self._sock.close()
        self._owner = NOBODY
        self._look = self._failed = None  # an error holds the frames that it came through
        self._recv = self._send = _closed
