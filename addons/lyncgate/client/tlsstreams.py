"""TLS over asyncio that costs a connection of the lab 41 KB instead of 281 (500 measured, HTTP included).

asyncio gives each TLS connection a read buffer of 256 KiB for its whole life (`SSLProtocol.max_size`),
idle or not: five hundred phones with two connections each would cost 300 MB on either side, of which
nothing is ever used. A TLS record has at most 16 KiB; a buffer of one record, and a little for its
framing, does the same work.

asyncio has no setting for it, but its `SSLProtocol` is an ordinary protocol that may be put on a plain
TCP transport, and the size is an attribute of the class. So here is a subclass, and the calls of asyncio
that take `ssl=`, made of their plain counterparts and that class:

    listen           loop.create_server(…, ssl=tls)
    listen_streams   asyncio.start_server(…, ssl=tls)
    connect          asyncio.open_connection(…, ssl=tls)

`tls` None is plain TCP in all of them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable

KIB = 1024
RECORD = 16 * KIB + 512  # bytes: the largest TLS record's content, and its header, padding and MAC
BACKLOG = 1024

type StreamHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _LeanTls(sslproto.SSLProtocol):
    """asyncio's TLS, reading one record at a time."""

    max_size = RECORD


async def listen(
    protocol: Callable[[], asyncio.Protocol],
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    backlog: int = BACKLOG,
) -> asyncio.Server:
    """Accept connections on a bound socket. A handshake that fails ends its connection and is not reported:
    `protocol` hears of a connection when its handshake is done."""
    loop = asyncio.get_running_loop()

    def accepted() -> asyncio.BaseProtocol:
        if tls is None:
            return protocol()
        # Nobody waits for the handshake: asyncio's code has None for that, its type stubs have not.
        return _LeanTls(loop, protocol(), tls, None, server_side=True)  # type: ignore[arg-type]

    return await loop.create_server(accepted, sock=sock, backlog=backlog)


async def listen_streams(
    handler: StreamHandler, sock: socket.socket, tls: ssl.SSLContext | None, *, limit: int
) -> asyncio.Server:
    """Accept connections on a bound socket; each is handled by a task of its own. `limit`: bytes that a
    reader keeps before it stops reading."""

    def protocol() -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit), handler)

    return await listen(protocol, sock, tls)


async def connect(
    address: str, port: int, tls: ssl.SSLContext | None, server_name: str | None = None, *, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; `server_name` is what the certificate is checked for. Raises OSError, of which
    ssl.SSLError is one."""
    if tls is None:
        return await asyncio.open_connection(address, port, limit=limit)
    loop = asyncio.get_running_loop()
    handshake: asyncio.Future[None] = loop.create_future()
    reader = asyncio.StreamReader(limit)
    protocol = _Client(reader)
    tcp, _ = await loop.create_connection(
        lambda: _LeanTls(loop, protocol, tls, handshake, server_hostname=server_name), address, port
    )
    try:
        await handshake
    except BaseException:  # also a cancelled wait must leave no connection
        tcp.close()
        raise
    return reader, asyncio.StreamWriter(protocol.transport, protocol, reader, loop)


class _Client(asyncio.StreamReaderProtocol):
    """Remembers its transport, the TLS one, which it is given when the handshake is done."""

    transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.WriteTransport):
            raise TypeError(f"not a stream: {transport!r}")
        self.transport = transport
        super().connection_made(transport)
