"""What large bodies leave behind, and what a slow reader makes a proxy keep."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sidebyside.asking import trusting
from sidebyside.certificates import WEB
from sidebyside.field import Field, Instance, Round
from sidebyside.measuring import memory
from sidebyside.peers import Peer
from sidebyside.sockets import connect

NAME = "buffers"
WHAT = (
    "memory with 300 MB down to a client that reads 200 kB/s, up to an origin that does, "
    "then both at full speed"
)
SIZE, QUICK = 300_000_000, 60_000_000
SLOW = 200_000  # bytes a second
SLOWLY, QUICKLY = 6.0, 3.0  # seconds of the slow part: the rest of 300 MB would take 25 minutes
EVERY = 0.25


def measure(field: Field) -> dict[str, Any]:
    """By peer, one round, each started anew. MiB above what it had before; `peak` in all that time."""
    return field.each(NAME, lambda peer: _grown(field, peer))


def _grown(field: Field, peer: Peer) -> Round:
    size, slowly = (QUICK, QUICKLY) if field.options.quick else (SIZE, SLOWLY)
    with field.lync_origin() as origin, field.instance(peer, origin) as one:
        for _ in range(20):  # so that what is made once is made
            _down(one, 100_000, lambda: None)
            _up(one, "/bench/up", 100_000, lambda: None)
        watch = _Watch(one.pid)
        result: Round = {"size": size, "before": watch.before}
        acts: dict[str, Callable[[], None]] = {
            "slow_down": partial(_slow_down, one, size, slowly, watch),
            "slow_up": partial(_slow_up, one, size, slowly, watch),
            "down": partial(_down, one, size, watch),
            "up": partial(_up, one, "/bench/up", size, watch),
        }
        for name, act in acts.items():
            watch.peak = 0.0
            act()
            result[name] = watch.peak
        watch.settle()
        result["after"] = watch.now()
        result["peak"] = max(result[name] for name in (*acts, "after"))
    field.say(
        f"{NAME} {peer.name:16} peak +{result['peak']:.1f} MiB (slow down {result['slow_down']:.1f}, "
        f"slow up {result['slow_up']:.1f}), after +{result['after']:.1f}"
    )
    return result


class _Watch:
    """Samples memory when it is called, four times a second at most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.before = memory(pid).own
        self.peak = 0.0
        self._next = 0.0

    def now(self) -> float:
        return memory(self._pid).own - self.before

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self.peak = max(self.peak, self.now())
            self._next = time.monotonic() + EVERY

    def settle(self) -> None:
        """Whoever frees late may: three seconds."""
        time.sleep(3)


def _open(one: Instance, receive_buffer: int = 0) -> ssl.SSLSocket:
    sock = connect(one.place.https, receive_buffer=receive_buffer)
    sock.settimeout(60)
    return trusting().wrap_socket(sock, server_hostname=WEB)


def _down(one: Instance, size: int, watch: Callable[[], None]) -> None:
    with _open(one) as sock:
        sock.sendall(f"GET /bench/down/{size} HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode())
        left = size
        head = b""
        while b"\r\n\r\n" not in head:
            head += _some(sock, 4096, "the head")
        left -= len(head.partition(b"\r\n\r\n")[2])
        while left > 0:
            left -= len(_some(sock, 65536, f"{left} bytes of {size}"))
            watch()


def _up(one: Instance, path: str, size: int, watch: Callable[[], None]) -> None:
    piece = bytes(65536)
    with _open(one) as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: {size}\r\n\r\n".encode())
        left = size
        while left > 0:
            sock.sendall(piece[:left])
            left -= len(piece[:left])
            watch()
        while not _some(sock, 4096, "the answer to an upload").endswith(str(size).encode()):
            watch()


def _some(sock: ssl.SSLSocket, most: int, what: str) -> bytes:
    data = sock.recv(most)
    if not data:
        raise RuntimeError(f"the proxy closed, {what} missing")
    return data


def _slow_down(one: Instance, size: int, seconds: float, watch: Callable[[], None]) -> None:
    with _open(one, 65536) as sock:
        sock.sendall(f"GET /bench/down/{size} HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sock.recv(20_000)
            watch()
            time.sleep(20_000 / SLOW)


def _slow_up(one: Instance, size: int, seconds: float, watch: Callable[[], None]) -> None:
    """The origin reads slowly; a proxy that holds back stops us."""
    piece = bytes(65536)
    with _open(one) as sock:
        head = f"POST /bench/slow HTTP/1.1\r\nHost: {WEB}\r\nContent-Length: {size}\r\n\r\n"
        sock.sendall(head.encode())
        left, end = size, time.monotonic() + seconds
        sock.settimeout(EVERY)
        while left > 0 and time.monotonic() < end:
            with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError):
                left -= sock.send(piece[:left])
            watch()
        while time.monotonic() < end:
            time.sleep(EVERY)
            watch()
