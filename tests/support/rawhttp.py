"""An HTTP client that sends bytes as they are and shows what came back, byte for byte.

async with connected(address, tls=context, name="meet.contoso.example") as client:
    await client.send(get("/", host="meet.contoso.example"))
    reply = await client.reply()
    reply.status, reply.fields, reply.body
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator

PATIENCE = 15.0  # seconds that a test waits for anything before it fails

Address = tuple[str, int]
Fields = list[tuple[bytes, bytes]]


@dataclasses.dataclass(frozen=True)
class Message:
    """A request or response: first line, header fields in order and case as they came, and body."""

    line: bytes
    fields: Fields
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.line.split(b" ", 2)[1])

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    def values(self, name: str) -> list[bytes]:
        """All values of a field, one a line."""
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def value(self, name: str) -> bytes | None:
        """The value of a field that stands there once; None if it does not."""
        values = self.values(name)
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def raw_head(self) -> bytes:
        return b"\r\n".join([self.line, *(name + b": " + value for name, value in self.fields)])


def get(target: str = "/", *fields: str, host: str = "lyncweb.contoso.example", method: str = "GET") -> bytes:
    """A request without a body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def post(body: bytes, target: str = "/", *fields: str, host: str = "lyncweb.contoso.example") -> bytes:
    """A request with a Content-Length."""
    return get(target, f"Content-Length: {len(body)}", *fields, host=host, method="POST") + body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, with its end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


async def read_head(reader: asyncio.StreamReader) -> Message:
    """Up to the empty line. Raises asyncio.IncompleteReadError at the end of the stream."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = head[:-4].split(b"\r\n")
    fields = [(name, value.strip()) for name, _, value in (field.partition(b":") for field in rest)]
    return Message(line, fields)


async def read_body(reader: asyncio.StreamReader, head: Message) -> bytes:
    """As Content-Length or Transfer-Encoding say; nothing if there is neither."""
    if head.value("transfer-encoding") == b"chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readexactly(2) == b"\r\n"
        return body
    return await reader.readexactly(int(head.value("content-length") or 0))


class Client:
    """One connection to the edge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def tls(self) -> ssl.SSLObject:
        tls = self.writer.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        return tls

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, to: str = "GET") -> Message:
        """The next response, whole. `to`: the request's method."""
        async with asyncio.timeout(PATIENCE):
            head = await read_head(self.reader)
            if to == "HEAD" or head.status in (204, 304) or head.status < 200:
                return head
            return dataclasses.replace(head, body=await read_body(self.reader, head))

    async def ask(self, request: bytes) -> Message:
        await self.send(request)
        return await self.reply(to=request.split(b" ", 1)[0].decode())

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, however it ends."""
        received = b""
        async with asyncio.timeout(PATIENCE):
            # A reset, or TLS cut short, are ends as well.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while data := await self.reader.read(65536):
                    received += data
        return received

    async def abort(self) -> None:
        """Leave at once, without a word."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(
    address: Address, *, tls: ssl.SSLContext | None = None, name: str | None = None, source: str | None = None
) -> AsyncIterator[Client]:
    """Connect. `name`: SNI, and what the certificate is checked for; None: none is sent. `source`: the
    address to come from."""
    options: dict[str, object] = {"ssl": tls, "server_hostname": name or ""} if tls else {}
    if source:
        options["local_addr"] = (source, 0)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*address, limit=1 << 20, **options)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        await client.close()
