"""What is on its way when one side has had enough: it neither kills the answer, nor is lost with a reset."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

import pytest

from support import certificates
from support.edge import WEB, edge, policy, until
from support.origin import members
from support.rawhttp import PATIENCE, get, post

pytestmark = pytest.mark.engines("lane")

NOBODYS = "www.contoso.example"
AT_ONCE = struct.pack("ii", 1, 0)  # on, 0 seconds: the end is a reset
MUCH = 24 << 20  # bytes: more than the kernel keeps of two connections


@pytest.mark.parametrize("secure", [False, True])
def test_a_refusal_reaches_who_goes_on_sending(secure: bool) -> None:
    """A reset would overtake it. asyncio's TLS hangs up at the farewell; others send first, then read."""
    part = b"x" * 0x4000
    request = get(
        "/", f"Content-Length: {20 * len(part)}", "Expect: 100-continue", host=NOBODYS, method="POST"
    )

    def connect(address: tuple[str, int]) -> socket.socket:
        sock = socket.create_connection(address, PATIENCE)
        return certificates.client().wrap_socket(sock, server_hostname=WEB) if secure else sock

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            with await asyncio.to_thread(connect, it.address("https" if secure else "http")) as sock:
                for data in (request, *[part] * 9):  # all of it is there before the loop goes on
                    sock.sendall(data)
                await it.record()
                for data in [part] * 9:
                    sock.sendall(data)
                    await asyncio.sleep(0)
                got = await asyncio.to_thread(lambda: b"".join(iter(lambda: sock.recv(1000), b"")))
                assert got.startswith(b"HTTP/1.1 404 ")

    asyncio.run(check())


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("secure", [False, True])
def test_an_early_answer_in_several_pieces_with_a_reset_behind_it(secure: bool, framed: bool) -> None:
    """As of members that want nothing of a body: the edge still writes, which fails, and the answer is in
    the kernel. One that ends with the connection was cut by the reset."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME)) if secure else None
        async with (
            members(1, tls=tls) as origins,
            edge(policy(origins)) as it,
            it.https() if secure else it.http() as client,
        ):

            async def answer(_: Any, peer: Any) -> bool:
                upstream = it.only_upstream
                assert upstream.stream is not None
                await until(lambda: upstream.stream.waiting)
                upstream.stream.pause()
                length = b"Content-Length: 30000\r\n" if framed else b""
                await peer.send(b"HTTP/1.1 401 Unauthorized\r\n%b\r\n" % length)
                for _ in range(3):
                    await peer.send(b"x" * 10_000)
                sock = peer.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                peer.writer.transport.abort()
                upstream.stream.read()
                return False

            origins[0].answers(answer, streaming=True)
            sending = asyncio.create_task(client.send(post(b"x" * MUCH)))
            if framed:
                reply = await client.reply()
                assert (reply.status, len(reply.body)) == (401, 30_000)
            else:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await client.reply()
            await client.abort()
            with contextlib.suppress(OSError):
                await sending

    asyncio.run(check())
