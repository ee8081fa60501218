"""SIGTERM: no new connections, what is in flight ends, then the edge does, with status 0."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from e2e import phones
from e2e.phones import Application
from lyncgate.client.http import FAILURES, HttpConnection
from lyncgate.client.names import NameMap, NameRule
from lyncgate.lab import topology
from lyncgate.lab.authority import client_context
from support.processes import Edge, Lab, edge_process, wait_until

ALICE = "alice@contoso.example"
UPLOAD = "/DataCollabWeb/Ext/Handler"


async def polling(lab: Lab, edge: Edge) -> tuple[HttpConnection, "asyncio.Task[bool]", Application]:
    """A poll of alice's that hangs, the connection it hangs on, and what it hangs for."""
    names, tls = lab.names(edge), client_context(lab.directory)
    async with phones.opened(names, tls) as connection:
        application = await Application.create(connection, await phones.get_ticket(connection, ALICE))
    lane = await HttpConnection.open(phones.WEB, 443, names, tls)
    poll = asyncio.create_task(application.poll(lane, 1800))
    await asyncio.to_thread(edge.wait_for, "lyncgate_polls_held", 1)
    return lane, poll, application


def straight(lab: Lab) -> NameMap:
    """To a member itself, past the edge."""
    address = topology.MEMBERS["fe01"].address
    return NameMap((NameRule("*", 443, (address, lab.plan.ports.external_https)),))


def refused(edge: Edge) -> bool:
    try:
        socket.create_connection(edge.https, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_in_flight_ends_well(lab: Lab, tmp_path: Path) -> None:
    """A poll that is released while the edge stops is answered; an upload under way is taken in whole."""
    with edge_process(lab.rules(tmp_path)) as edge:
        tls = client_context(lab.directory)

        async def stop() -> bool:
            lane, poll, application = await polling(lab, edge)
            idle, unused = await asyncio.open_connection(*edge.https, ssl=tls, server_hostname=phones.WEB)
            reader, writer = await asyncio.open_connection(*edge.https, ssl=tls, server_hostname=phones.WEB)
            head = f"POST {UPLOAD} HTTP/1.1\r\nHost: {phones.WEB}\r\nContent-Length: 10\r\n\r\n"
            writer.write(head.encode() + b"01234")
            await asyncio.to_thread(edge.wait_for, "lyncgate_upstream_connections", 2)

            edge.process.tell(signal.SIGTERM)
            await asyncio.to_thread(wait_until, lambda: refused(edge), "still takes connections")
            assert await idle.read() == b""  # nothing was in flight on it: closed
            unused.close()
            assert not poll.done()
            assert edge.process.popen.poll() is None

            writer.write(b"56789")
            answer = (await reader.read()).lower()  # up to the end: the connection is closed after it
            assert answer.startswith(b"http/1.1 200 ")
            assert b"\r\nconnection: close\r\n" in answer
            assert b'"bytes": 10' in answer
            writer.close()

            async with phones.opened(straight(lab), tls) as behind:
                await application.happen(behind)
            event = await poll
            await lane.close()
            return event

        assert asyncio.run(stop())
        assert edge.process.popen.wait(10) == 0
        polls = [r for r in edge.exchanges() if r["kind"] == "poll"]
        assert [(r["status"], r["outcome"]) for r in polls] == [(200, "ok")]
        assert "ERROR" not in edge.process.log.read_text()


def test_the_deadline_cuts_what_is_left(lab: Lab, tmp_path: Path) -> None:
    with edge_process(lab.rules(tmp_path, timeouts={"drain": "1s"})) as edge:

        async def stop() -> None:
            lane, poll, _ = await polling(lab, edge)
            edge.process.tell(signal.SIGTERM)
            with pytest.raises(FAILURES):
                await poll
            await lane.close()

        asyncio.run(stop())
        assert edge.process.popen.wait(10) == 0
        assert "1 exchanges were still in flight after 1 s and were cut" in edge.process.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_edge_ends_at_once(number: signal.Signals, lab: Lab, tmp_path: Path) -> None:
    with edge_process(lab.rules(tmp_path)) as edge:
        edge.process.tell(number)
        assert edge.process.popen.wait(5) == 0
