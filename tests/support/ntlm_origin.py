"""An origin that authenticates connections with NTLM, as IIS does, and says in every answer as whom.

Light: no domain, no passwords. A challenge is random, a response proves that the client saw the challenge of
*this* connection. Once proven, the connection is that user's: a request without credentials is answered as
his. `Bearer` names a user for one request only. Every request that begins is kept, whether it ends or not.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import secrets
import socket
import struct
from collections.abc import Callable

from lyncgate.lab.ports import bound
from lyncgate.lync import ntlm
from support.rawhttp import Fields, read_body, read_head

ANONYMOUS = "nobody"
FLAGS = struct.pack("<I", ntlm.UNICODE | 0x200)


def negotiate() -> str:
    """A type 1 message, as the value of Authorization."""
    return _written(ntlm.SIGNATURE + struct.pack("<I", 1) + FLAGS + bytes(16))


def authenticate(user: str, challenge: bytes) -> str:
    """The type 3 message of a user who saw this challenge."""
    proof, name = _proof(user, challenge), user.encode("utf-16-le")
    places, at = b"", 64
    for part in (b"", proof, b"", name, b"", b""):
        places += struct.pack("<HHI", len(part), len(part), at)
        at += len(part)
    return _written(ntlm.SIGNATURE + struct.pack("<I", 3) + places + FLAGS + proof + name)


def challenge_in(fields: Fields) -> bytes:
    """The challenge of a 401's type 2 message."""
    [value] = [value for name, value in fields if name.lower() == b"www-authenticate"]
    message = base64.b64decode(value.removeprefix(b"NTLM "))
    return message[24:32]


def _challenged(challenge: bytes) -> str:
    return _written(ntlm.SIGNATURE + struct.pack("<I", 2) + bytes(8) + FLAGS + challenge + bytes(16))


def _proof(user: str, challenge: bytes) -> bytes:
    return hashlib.sha256(user.encode() + challenge).digest()[:24]


def _written(message: bytes) -> str:
    return "NTLM " + base64.b64encode(message).decode()


class NtlmOrigin:
    """`begun`: the value of X-Id and the method of each request, in the order their heads came. `whim` is
    asked at every answer what to do: `answer`, or break the connection `before` or `after` it, with a FIN or,
    as `reset before` and `reset after`, an RST."""

    def __init__(self, address: str, port: int, whim: Callable[[], str]) -> None:
        self.address, self.port = address, port
        self.begun: list[tuple[str, str]] = []
        self.connections = 0
        self._whim = whim
        self._idle: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        sock = bound(self.address, self.port)
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=sock, backlog=1024)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_idle(self, dice: random.Random) -> None:
        """Close one of the connections that wait for a request, with FIN or RST."""
        if self._idle:
            _close(dice.choice(sorted(self._idle, key=id)), dice.random() < 0.5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        connection = _Connection()
        try:
            while await self._exchange(connection, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._idle.discard(writer)
            writer.close()

    async def _exchange(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        self._idle.add(writer)
        try:
            head = await read_head(reader)
        finally:
            self._idle.discard(writer)
        fields = {name.lower().decode(): value.decode("latin-1") for name, value in head.fields}
        method = head.line.split(b" ")[0].decode()
        self.begun.append((fields["x-id"], method))
        body = await read_body(reader, head)
        whim = self._whim()
        if whim.endswith("before"):
            _close(writer, "reset" in whim)
            return False
        writer.write(connection.answer(fields, body))
        await writer.drain()
        if whim.endswith("after"):
            _close(writer, "reset" in whim)
            return False
        return True


class _Connection:
    """Who a connection is."""

    def __init__(self) -> None:
        self.user: str | None = None
        self._challenge: bytes | None = None

    def answer(self, fields: dict[str, str], body: bytes) -> bytes:
        scheme, _, token = fields.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return _answer(fields, token)
        if scheme == "NTLM":
            message = base64.b64decode(token)
            if message[8] == 1:
                self._challenge, self.user = secrets.token_bytes(8), None
                return _refusal(_challenged(self._challenge))
            user = ntlm.user([(b"authorization", fields["authorization"].encode())]) or ""
            if self._challenge is None or _proof(user, self._challenge) not in message:
                self.user = None
                return _refusal("NTLM")
            self._challenge, self.user = None, user
        elif self.user is None and "x-as" in fields:  # asks for an answer in somebody's name
            return _refusal("NTLM")
        return _answer(fields, self.user or ANONYMOUS)


def _answer(fields: dict[str, str], user: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nX-User: {user}\r\nX-Id: {fields['x-id']}\r\nContent-Length: 2\r\n\r\nok"
    return head.encode()


def _refusal(challenge: str) -> bytes:
    head = f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
    return head.encode()


def _close(writer: asyncio.StreamWriter, reset: bool) -> None:
    if reset:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
