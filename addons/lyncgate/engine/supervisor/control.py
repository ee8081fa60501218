"""Where `lyncgate reload` and `lyncgate upgrade` ask a running edge, and hear how it went.

An abstract Unix socket named by the supervisor's process id: nothing is left behind in a file system. The
edge answers root and its own user only; who asks looks whether the process at the other end is the one meant.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from lyncgate.engine.supervisor.reactor import Reactor

LONGEST = 256  # bytes of a question
PATIENCE = 120.0  # seconds that an asker waits: an upgrade starts a Python, a reload checks certificates
_CREDENTIALS = struct.Struct("3i")  # process, user, group

log = logging.getLogger(__name__)

Reply = Callable[[dict[str, Any]], None]
Command = Callable[[Reply], None]


class ControlError(Exception):
    """Says in one line why there is no answer."""


class Control:
    """`commands`: by name. Each replies once, sooner or later."""

    def __init__(self, reactor: Reactor, commands: dict[str, Command]) -> None:
        self._reactor = reactor
        self._commands = commands
        self._askers: set[socket.socket] = set()
        self._listening: socket.socket | None = None
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(_address(os.getpid()))
            listening.listen(8)
        except OSError as error:
            log.warning("`lyncgate reload` will not reach this edge: %s", error.strerror)
            listening.close()
            return
        listening.setblocking(False)
        self._listening = listening
        reactor.watch(listening, self._accept)

    def close(self) -> None:
        """Those who ask hear no more."""
        for asker in self._askers:
            asker.close()
        if self._listening:
            self._listening.close()

    def _accept(self) -> None:
        if self._listening is None:
            return
        with contextlib.suppress(OSError):
            asker, _ = self._listening.accept()
            _, user, _ = _peer(asker)
            if user not in (0, os.geteuid()):
                asker.close()
                return
            asker.setblocking(False)
            self._askers.add(asker)
            self._reactor.watch(asker, lambda: self._asked(asker))

    def _asked(self, asker: socket.socket) -> None:
        """One question a connection, in one piece."""
        self._reactor.unwatch(asker)
        try:
            name = asker.recv(LONGEST).decode().strip()
        except (OSError, UnicodeDecodeError):
            name = ""
        command = self._commands.get(name)
        if command is None:
            self._reply(asker, {"ok": False, "problems": [f"no such command: {name!r}"]})
            return
        command(lambda said: self._reply(asker, said))

    def _reply(self, asker: socket.socket, said: dict[str, Any]) -> None:
        if asker in self._askers:
            self._askers.discard(asker)
            with contextlib.suppress(OSError):
                asker.sendall(json.dumps(said).encode() + b"\n")
            asker.close()


def ask(pid: int, command: str, patience: float = PATIENCE) -> dict[str, Any]:
    """What the edge of that process says. Raises ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as edge:
        edge.settimeout(patience)
        try:
            edge.connect(_address(pid))
            found, _, _ = _peer(edge)
            if found != pid:
                raise ControlError(f"process {found} answers for process {pid}")
            edge.sendall(command.encode() + b"\n")
            with edge.makefile("rb") as answer:
                line = answer.readline()
        except TimeoutError as error:
            raise ControlError(f"process {pid} has not answered within {patience:g} s") from error
        except OSError as error:
            raise ControlError(f"process {pid} is no edge that can be asked: {error.strerror}") from error
    if not line:
        raise ControlError(f"process {pid} ended before it answered, or is another user's")
    said: dict[str, Any] = json.loads(line)
    return said


def _address(pid: int) -> str:
    return f"\0lyncgate-{pid}"


def _peer(end: socket.socket) -> tuple[int, int, int]:
    content = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(content)
    return process, user, group
