"""A capture on the running loop: limits, who may use it, and what it tells of questions without answer."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import dnslib
import pytest
from mitmproxy import connection
from mitmproxy.proxy import mode_specs

from lyncgate.engine.capture.master import Capture, Doorkeeper, capturing
from lyncgate.engine.master import StartError
from lyncgate.signin.events import DnsQuery, Event

LONGEST = 1860  # seconds that a poll may be silent


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (mitmproxy tells nobody)
            await asyncio.sleep(0.01)


def test_a_connection_may_be_silent_as_long_as_a_poll(tmp_path: Path) -> None:
    """The real limit of a real connection: mitmproxy's own would be 600 s."""

    async def limits() -> set[float]:
        silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        mode = f"reverse:http://127.0.0.1:{port}@127.0.0.1:0"
        async with capturing([mode], [].append, confdir=tmp_path) as capture:
            _, writer = await asyncio.open_connection(*capture.addresses[mode][0])
            await until(lambda: capture.proxyserver.connections)
            found = {one.timeout_watchdog.timeout for one in capture.proxyserver.connections.values()}
            writer.close()
        silent.close()
        return found

    assert all(limit > LONGEST for limit in asyncio.run(limits()))


def test_a_question_that_nobody_answers_is_told(tmp_path: Path) -> None:
    events: list[Event] = []

    async def ask() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            nobody.setblocking(False)
            mode = f"reverse:dns://127.0.0.1:{nobody.getsockname()[1]}@127.0.0.1:0"
            async with capturing([mode], events.append, confdir=tmp_path) as capture:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    question = dnslib.DNSRecord.question("lyncdiscover.Contoso.example", "AAAA")
                    client.sendto(question.pack(), capture.addresses[mode][0])
                    await until(lambda: capture.proxyserver.connections)
                    await asyncio.get_running_loop().sock_recv(nobody, 512)  # it has come

    asyncio.run(ask())
    (query,) = events
    assert isinstance(query, DnsQuery)
    assert (query.name, query.kind) == ("lyncdiscover.contoso.example", "AAAA")
    assert (query.rcode, query.seconds, query.answers) == (None, None, ())


def is_free(port: int) -> bool:
    """Whether nobody listens there by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_in_front_of_https_nobody_listens_for_quic(tmp_path: Path) -> None:
    async def listens() -> bool:
        mode = "reverse:https://127.0.0.1:1@127.0.0.1:0"
        async with capturing([mode], [].append, confdir=tmp_path) as capture:
            ((_, port),) = capture.addresses[mode]
            return not is_free(port)

    assert not asyncio.run(listens())


def test_when_it_has_stopped_its_threads_are_done_with_python(tmp_path: Path) -> None:
    """Else one of them may crash the process while that ends. A socket is closed by the thread, too."""

    async def run() -> bool:
        mode = "reverse:dns://127.0.0.1:1@127.0.0.1:0"
        async with capturing([mode], [].append, confdir=tmp_path) as capture:
            port = capture.addresses[mode][0][1]
            assert not is_free(port)
        return is_free(port)

    for _ in range(10):
        assert asyncio.run(run())


@pytest.mark.parametrize(
    ("mode", "address", "let_in"),
    [
        ("regular", "192.168.1.7", True),
        ("regular", "fe80::1%eth0", True),
        ("regular", "8.8.8.8", False),
        ("regular", "2a00:1450:4001::1", False),
        ("reverse:https://tmg.contoso.example", "8.8.8.8", True),
    ],
)
def test_an_explicit_proxy_is_not_for_the_whole_world(mode: str, address: str, let_in: bool) -> None:
    client = connection.Client(
        peername=(address, 40000), sockname=("127.0.0.1", 8080), proxy_mode=mode_specs.ProxyMode.parse(mode)
    )
    Doorkeeper(None).client_connected(client)
    assert (client.error is None) is let_in


def test_if_one_address_is_taken_nothing_is_left_open(tmp_path: Path) -> None:
    async def start() -> Capture:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            modes = ["regular@127.0.0.1:0", f"reverse:http://127.0.0.1:1@127.0.0.1:{port}"]
            async with capturing(modes, [].append, confdir=tmp_path) as capture:
                return capture

    with pytest.raises(StartError, match="address already in use"):
        asyncio.run(start())


def test_a_mode_that_is_none_is_said(tmp_path: Path) -> None:
    async def start() -> None:
        async with capturing(["sideways"], [].append, confdir=tmp_path):
            pass

    with pytest.raises(StartError, match="unknown mode"):
        asyncio.run(start())
