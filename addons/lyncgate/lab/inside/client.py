"""The asking side of SIP between servers: requests over one connection, answers matched by Via branch."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import ssl
from collections.abc import Callable

from lyncgate.lab.names import Address
from lyncgate.lab.sipmessage import Answer, BadMessageError, Message, parameters
from lyncgate.lab.sipstream import HEAD_LIMIT, SipStream, Trace, no_trace

TIMEOUT = 32.0  # seconds: RFC 3261 timer F


class SipClient:
    """A connection to a SIP server. Make it with `open`; answers to concurrent requests may cross."""

    def __init__(self, stream: SipStream, local: str, on_request: Callable[[Message], None]) -> None:
        self._stream = stream
        self._local = local
        self._on_request = on_request
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        address: Address,
        name: str,
        tls: ssl.SSLContext,
        *,
        local: str,
        trace: Trace = no_trace,
        on_request: Callable[[Message], None] = lambda message: None,
    ) -> SipClient:
        """Connect from the address `local` to a server whose certificate must be for `name`.

        `on_request` gets what the server asks on its own (BENOTIFY, which wants no answer). Raises OSError,
        which ssl.SSLError is.
        """
        reader, writer = await asyncio.open_connection(
            *address, ssl=tls, server_hostname=name, local_addr=(local, 0), limit=HEAD_LIMIT
        )
        port = writer.get_extra_info("sockname")[1]
        return cls(SipStream(reader, writer, f"{name}:{address[1]}", trace), f"{local}:{port}", on_request)

    @property
    def closed(self) -> bool:
        """Whether the other side has gone."""
        return self._reading.done()

    async def ask(self, message: Message) -> Answer:
        """Send a request, wait for its final answer. Raises OSError (TimeoutError too)."""
        if self.closed:
            raise ConnectionResetError("the SIP connection is closed")
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        via = ("Via", f"SIP/2.0/TLS {self._local};branch={branch}")
        answer = self._waiting[branch] = asyncio.get_running_loop().create_future()
        try:
            await self._stream.send(dataclasses.replace(message, headers=(via, *message.headers)))
            async with asyncio.timeout(TIMEOUT):
                return await answer
        finally:
            del self._waiting[branch]

    async def close(self) -> None:
        """Close the connection; whoever waits gets ConnectionResetError."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._stream.read()
                if isinstance(message, Message):
                    self._on_request(message)
                elif message.status >= 200:
                    branch = parameters(message.header("via")).get("branch", "")
                    waiting = self._waiting.get(branch)
                    if waiting and not waiting.done():
                        waiting.set_result(message)
        except (BadMessageError, EOFError, OSError) as error:
            self._give_up(ConnectionResetError(f"the SIP connection is lost: {error}"))
        finally:
            self._give_up(ConnectionResetError("the SIP connection was closed"))
            await self._stream.close()

    def _give_up(self, error: ConnectionResetError) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
