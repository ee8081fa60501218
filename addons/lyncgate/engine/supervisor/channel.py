"""Messages between the supervisor and a child of its own: pickles with their length, descriptors beside them.

Neither end ever waits: what can't be sent now is kept, and the owner asks to be told when it can be. Only
our own children are at the other end, so what comes is believed.
"""

from __future__ import annotations

import array
import collections
import contextlib
import os
import pickle
import socket
import struct
from collections.abc import Iterable

LENGTH = struct.Struct("!I")
MOST_DESCRIPTORS = 250  # the kernel takes 253 at once (SCM_MAX_FD)
CHUNK = 256 * 1024


class Channel:
    """`closed`: the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end
        self.closed = False
        self._out: collections.deque[tuple[memoryview, list[int]]] = collections.deque()
        self._in = bytearray()
        self._descriptors: collections.deque[int] = collections.deque()

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def unsent(self) -> bool:
        return bool(self._out)

    def send(self, message: object, descriptors: Iterable[int] = ()) -> None:
        """`descriptors` are copied: the caller may close its own at once."""
        copies = [os.dup(descriptor) for descriptor in descriptors]
        content = pickle.dumps((message, len(copies)), pickle.HIGHEST_PROTOCOL)
        whole = memoryview(LENGTH.pack(len(content)) + content)
        while len(copies) > MOST_DESCRIPTORS:  # they travel with a byte, so many and no more
            self._out.append((whole[:1], copies[:MOST_DESCRIPTORS]))
            whole, copies = whole[1:], copies[MOST_DESCRIPTORS:]
        self._out.append((whole, copies))
        self.flush()

    def flush(self) -> None:
        """Send what can be sent now."""
        while self._out and not self.closed:
            piece, descriptors = self._out[0]
            beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            try:
                sent = self.socket.sendmsg([piece], beside if descriptors else [], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            for descriptor in descriptors:
                os.close(descriptor)
            self._out.popleft()
            if sent < len(piece):
                self._out.appendleft((piece[sent:], []))

    def receive(self) -> list[tuple[object, list[int]]]:
        """The messages that have come whole, each with its descriptors, which are the caller's now."""
        space = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        while not self.closed:
            try:
                content, beside, _, _ = self.socket.recvmsg(CHUNK, space, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                break
            except OSError:
                self.closed = True
                break
            for level, kind, data in beside:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    got = array.array("i")
                    got.frombytes(data[: len(data) - len(data) % got.itemsize])
                    self._descriptors.extend(got)
            if not content:
                self.closed = True
            self._in += content
        return self._whole()

    def _whole(self) -> list[tuple[object, list[int]]]:
        messages = []
        while len(self._in) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._in)
            end = LENGTH.size + length
            if len(self._in) < end:
                break
            content = self._in[LENGTH.size : end]
            del self._in[:end]  # first: what can't be read must not be tried again for ever
            message, count = pickle.loads(content)  # noqa: S301 (our own child)
            messages.append((message, [self._descriptors.popleft() for _ in range(count)]))
        return messages

    def close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            self.socket.close()
        for _, descriptors in self._out:
            for descriptor in descriptors:
                os.close(descriptor)
        self._out.clear()
