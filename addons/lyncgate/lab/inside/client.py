"""The asking side of SIP between servers: requests over one connection, answers matched by Via branch."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import ssl

from lyncgate.client.names import Address
from lyncgate.lab.sipmessage import Answer, BadMessageError, Message, parameters
from lyncgate.lab.sipstream import HEAD_LIMIT, SipStream, Trace, no_trace

TIMEOUT = 32.0  # seconds: RFC 3261 timer F


class SipClient:
    """A connection to a SIP server. Make it with `open`; answers to concurrent requests may cross."""

    def __init__(self, stream: SipStream, local: str) -> None:
        self._stream = stream
        self._local = local
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, address: Address, name: str, tls: ssl.SSLContext, *, local: str, trace: Trace = no_trace
    ) -> SipClient:
        """Connect from the address `local` to a server whose certificate must be for `name`. Raises
        OSError, which ssl.SSLError is."""
        reader, writer = await asyncio.open_connection(
            *address, ssl=tls, server_hostname=name, local_addr=(local, 0), limit=HEAD_LIMIT
        )
        port = writer.get_extra_info("sockname")[1]
        return cls(SipStream(reader, writer, f"{name}:{address[1]}", trace), f"{local}:{port}")

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
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[branch] = answer
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
        reason: object = "closed"
        try:
            while True:
                message = await self._stream.read()
                if isinstance(message, Answer) and message.status >= 200:
                    branch = parameters(message.header("via")).get("branch", "")
                    waiting = self._waiting.get(branch)
                    if waiting and not waiting.done():
                        waiting.set_result(message)
        except (BadMessageError, EOFError, OSError) as error:
            reason = error
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError(f"the SIP connection is lost: {reason}"))
            await self._stream.close()


@dataclasses.dataclass(slots=True)
class Link:
    """A way to another server: a connection that is made when it is first needed, and again when it was
    lost. `local`: the address of this server; `name`: what the other's certificate must be for."""

    address: Address
    name: str
    tls: ssl.SSLContext
    local: str
    trace: Trace = no_trace
    _client: SipClient | None = None
    _connecting: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    async def client(self) -> SipClient:
        """The connection. Raises OSError."""
        async with self._connecting:
            if self._client is None or self._client.closed:
                self._client = await SipClient.open(
                    self.address, self.name, self.tls, local=self.local, trace=self.trace
                )
            return self._client

    async def close(self) -> None:
        """Close the connection; it can be made anew."""
        if self._client:
            await self._client.close()
