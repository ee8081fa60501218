"""An HTTP/1.1 client that shows its connections: one `HttpConnection` is one TCP (and TLS) connection.

Phones and the probe need that: NTLM's three requests must share a connection, and what a sign-in is worth is
measured by connect, TLS and request apart. h11 frames; nothing is retried, followed or decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import Sequence

import h11

from lyncgate.client import tlsstreams
from lyncgate.client.names import Address, NameMap

CHUNK = 64 * 1024
FAILURES = (OSError, EOFError, h11.ProtocolError)  # TimeoutError and ssl.SSLError are OSErrors

type Headers = Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """A whole response; header names in lower case, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first field of this name."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """All fields of this name."""
        return [value for key, value in self.headers if key == name.lower()]


class HttpConnection:
    """An open connection to `host`. Make it with `open`; requests go one after the other."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host = host
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, host: str, port: int, names: NameMap, tls: ssl.SSLContext | None) -> HttpConnection:
        """Connect where `names` says that `host`:`port` is. TLS checks the real name."""
        return await cls.open_at(names.resolve(host, port), host, tls)

    @classmethod
    async def open_at(cls, where: Address, host: str, tls: ssl.SSLContext | None) -> HttpConnection:
        """Connect to an address that is `host`'s."""
        reader, writer = await tlsstreams.connect(*where, tls, host, limit=4 * CHUNK)
        return cls(host, reader, writer)

    @property
    def reusable(self) -> bool:
        """Whether another request can be sent."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    @property
    def local(self) -> str:
        """Our address, as this connection has it."""
        return str(self._writer.get_extra_info("sockname")[0])

    async def request(
        self, method: str, target: str, headers: Headers = (), body: bytes = b"", *, most: int | None = None
    ) -> Reply:
        """Send a request and read the whole answer. `most`: bytes that its body may have; None: any number.
        Raises one of FAILURES."""
        fields = [("Host", self.host), *headers]
        if body or method in ("POST", "PUT"):
            fields.append(("Content-Length", str(len(body))))
        out = [self._http.send(h11.Request(method=method, target=target, headers=fields))]
        if body:
            out.append(self._http.send(h11.Data(data=body)))
        out.append(self._http.send(h11.EndOfMessage()))
        self._writer.write(b"".join(data for data in out if data))
        await self._writer.drain()
        reply = await self._reply(most)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return reply

    async def _reply(self, most: int | None) -> Reply:
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(CHUNK))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if most is not None and len(body) > most:
                    raise h11.RemoteProtocolError(f"a body of more than {most} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in head.headers)
                return Reply(head.status_code, headers, bytes(body))
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("connection closed before an answer came")

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(*FAILURES):
            await self._writer.wait_closed()
