"""Push notifications: a relay that stands for push.lync.com, and a device's line to it.

The relay takes MESSAGE from the Access Edge of the organization, by SIP over mutual TLS (protocol reference
§7), and hands its content to the device whose token it names. How the real service is asked, and how
Microsoft and Apple bring a notification to a device, is not known or not ours to play; the body of the
MESSAGE and the device's line protocol are THE LAB'S OWN:

    MESSAGE sip:push@push.fabrikam.example        {"token": "<hex>", "text": "…"} as JSON

    device: OPEN [<token>]                        on a TCP connection that stays
    relay:  TOKEN <token>                         new, or the one that was named, taken over
    relay:  PUSH <JSON of the notification>       each time
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lyncgate.client.names import Address
from lyncgate.lab import sipmessage, topology
from lyncgate.lab.inside import tls
from lyncgate.lab.ports import Ports
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Peer, SipListener, SipStream, answer_each
from lyncgate.lab.web import end

PROXY_URI = f"sip:push@{topology.PUSH_HOST}"  # a real pool's is sip:push@push.lync.com (§5.4)
CONTENT_TYPE = "application/json"


class PushRelay(SipListener):
    """The relay: SIP on one port, devices on another."""

    def __init__(self, ports: Ports, certificates: Path) -> None:
        super().__init__(self._talk)
        self._ports = ports
        self._tls = tls.listening(certificates, "push")
        self._devices: dict[str, asyncio.StreamWriter | None] = {}  # by token; None: not connected now
        self._device_listener: asyncio.Server | None = None

    @property
    def device_address(self) -> Address:
        """Where devices connect."""
        return topology.PUSH_ADDRESS, self._ports.push

    async def start(self, open_socket: Callable[[str, int], socket.socket]) -> None:
        """Listen; `open_socket(address, port)` gives a bound socket."""
        await self.listen(open_socket(topology.PUSH_ADDRESS, self._ports.sip_mtls), self._tls)
        self._device_listener = await asyncio.start_server(
            self._serve_device, sock=open_socket(*self.device_address)
        )

    async def stop(self) -> None:
        """Stop listening, close every connection; tokens stay known."""
        if self._device_listener:
            self._device_listener.close()
            self._device_listener = None
        for writer in self._devices.values():
            if writer:
                end(writer.transport, reset=False)
        await self.close(reset=False)

    async def _talk(self, stream: SipStream, peer: Peer) -> None:
        partner = topology.SIP_HOST in peer.names
        await answer_each(stream, functools.partial(self._answer, partner=partner))

    async def _answer(self, message: Message, *, partner: bool) -> Answer:
        if not partner:
            return _answer(message, 403, "Forbidden")
        if message.method != "MESSAGE":
            return _answer(message, 405, "Method Not Allowed")
        if message.uri != PROXY_URI:
            return _answer(message, 404, "Not Found")
        try:
            notification = json.loads(message.body)
            token = str(notification.pop("token"))
        except (ValueError, KeyError, AttributeError):
            return _answer(message, 400, "Bad Request")
        if token not in self._devices:
            return _answer(message, 404, "Not Found")
        writer = self._devices[token]
        if writer is None or writer.is_closing():
            return _answer(message, 480, "Temporarily Unavailable")
        writer.write(b"PUSH " + json.dumps(notification).encode() + b"\n")
        return _answer(message, 200, "OK")

    async def _serve_device(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        token = ""
        try:
            command, _, token = (await reader.readline()).decode("ascii", "replace").strip().partition(" ")
            if command != "OPEN" or (token and token not in self._devices):
                return
            token = token or secrets.token_hex(16)
            if former := self._devices.get(token):
                former.close()
            self._devices[token] = writer
            writer.write(f"TOKEN {token}\n".encode())
            await reader.read()  # a device says no more; this ends with its connection
        except (OSError, ValueError):
            pass  # gone, or a line that never ends
        finally:
            if self._devices.get(token) is writer:
                self._devices[token] = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _answer(message: Message, status: int, reason: str) -> Answer:
    return sipmessage.answer(message, status, reason, tag=secrets.token_hex(4))


class PushChannel:
    """A device's line to the relay.

    async with await PushChannel.open(estate.push.device_address) as channel:
        subscribe(channel.token)              # how, is the mobility protocol's affair
        notification = await channel.next()
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self.token = token
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, relay: Address, token: str = "") -> Self:
        """Connect; `token`: the one that was had before, else a new one is given. Raises OSError."""
        reader, writer = await asyncio.open_connection(*relay)
        writer.write(f"OPEN {token}".strip().encode() + b"\n")
        word, _, given = (await reader.readline()).decode("ascii").strip().partition(" ")
        if word != "TOKEN":
            writer.close()
            raise ConnectionRefusedError("the push relay knows no such token")
        return cls(reader, writer, given)

    async def next(self) -> dict[str, object]:
        """The next notification. Raises EOFError when the relay is gone."""
        word, _, text = (await self._reader.readline()).partition(b" ")
        if word != b"PUSH":
            raise EOFError("the push relay is gone")
        notification: dict[str, object] = json.loads(text)
        return notification

    async def close(self) -> None:
        """Close the line, when the relay knows it: notifications are refused from now on (480)."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()
            await self._reader.read()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
