"""TLS that costs little: the same bytes, the same failures, a fraction of the memory."""

import asyncio
import contextlib
import socket
import ssl
import tracemalloc

import pytest

from lyncgate.client.tlsstreams import KIB, connect, listen_streams
from lyncgate.lab import authority, topology

LIMIT = 64 * KIB
LOOPBACK = "127.0.0.1"
NAME = topology.SIP_HOST


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    authority.write_certificates(directory)
    return directory


@pytest.fixture
def server_tls(certificates):
    return authority.server_context(certificates, "sip")


@pytest.fixture
def client_tls(certificates):
    return authority.client_context(certificates)


@contextlib.asynccontextmanager
async def echo(tls):
    """A server that sends back what it gets, until the end; the port it listens on."""

    async def handle(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(LIMIT):
                writer.write(data)
                await writer.drain()
        writer.close()

    sock = socket.create_server((LOOPBACK, 0))
    server = await listen_streams(handle, sock, tls, limit=LIMIT)
    try:
        yield sock.getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("secure", [True, False])
def test_bytes_of_many_records_come_back(server_tls, client_tls, secure):
    content = bytes(range(256)) * 4096

    async def exchange():
        async with echo(server_tls if secure else None) as port:
            reader, writer = await connect(LOOPBACK, port, client_tls if secure else None, NAME, limit=LIMIT)
            writer.write(content)
            got = await reader.readexactly(len(content))
            assert (writer.get_extra_info("ssl_object") is not None) == secure
            writer.close()
            await writer.wait_closed()
            return got

    assert asyncio.run(exchange()) == content


def test_certificate_is_checked_for_the_name(server_tls, client_tls):
    async def exchange():
        async with echo(server_tls) as port:
            await connect(LOOPBACK, port, client_tls, "other.contoso.example", limit=LIMIT)

    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.contoso\.example"):
        asyncio.run(exchange())


def test_server_outlives_whoever_does_not_speak_tls(server_tls, client_tls):
    async def exchange():
        async with echo(server_tls) as port:
            reader, writer = await connect(LOOPBACK, port, None, limit=LIMIT)
            writer.write(b"REGISTER sip:contoso.example SIP/2.0\r\n\r\n")
            await reader.read()
            writer.close()
            reader, writer = await connect(LOOPBACK, port, client_tls, NAME, limit=LIMIT)
            writer.write(b"still there")
            got = await reader.readexactly(11)
            writer.close()
            return got

    assert asyncio.run(exchange()) == b"still there"


def test_connecting_that_is_given_up_leaves_no_connection(client_tls):
    async def exchange():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOOPBACK, 0)) as silent:
            silent.setblocking(False)
            task = asyncio.create_task(
                connect(LOOPBACK, silent.getsockname()[1], client_tls, NAME, limit=LIMIT)
            )
            accepted, _ = await loop.sock_accept(silent)
            with accepted:
                hello = await loop.sock_recv(accepted, LIMIT)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return hello[:1], await loop.sock_recv(accepted, LIMIT)

    handshake_record = b"\x16"
    assert asyncio.run(exchange()) == (handshake_record, b"")


def test_connection_costs_a_fraction_of_what_asyncios_own_does(server_tls, client_tls):
    """Both ends together; with `ssl=` of asyncio it is more than 512 KiB."""
    count = 20

    async def measure():
        async with echo(server_tls) as port:
            before = tracemalloc.get_traced_memory()[0]
            writers = [
                (await connect(LOOPBACK, port, client_tls, NAME, limit=LIMIT))[1] for _ in range(count)
            ]
            used = tracemalloc.get_traced_memory()[0] - before
            for writer in writers:
                writer.close()
                await writer.wait_closed()
            return used / count

    tracemalloc.start()
    try:
        assert asyncio.run(measure()) < 80 * KIB
    finally:
        tracemalloc.stop()
