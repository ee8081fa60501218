"""As systemd starts it: with sockets that are open already, and told how the edge is.

systemd itself is not here; what it does is: sockets from descriptor 3 on, named in the environment, and a
datagram socket that hears.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidebyside.ports import free_port
from support.crew import Origin, crew
from support.processes import children, wait_until

# Opens what it is told, and becomes the edge, as systemd does it: same process, sockets from 3 on.
START = """
import os, socket, sys
ports, names, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
for index, port in enumerate(ports):
    opened = socket.create_server(("127.0.0.1", int(port)), backlog=64)
    os.dup2(opened.fileno(), 100 + index)
for index in range(len(ports)):
    os.dup2(100 + index, 3 + index)
    os.close(100 + index)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(ports)), "LISTEN_FDNAMES": names}
os.execv(command[0], command)
"""


@contextlib.contextmanager
def listening(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if address.startswith("@") else address)
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield systemd


def told(systemd: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in systemd.recv(4096).decode().splitlines())


def test_sockets_by_name_and_by_address(tmp_path: Path, origin: Origin) -> None:
    """A listener's name, an address that a listener has, and `admin`; one socket is enough for two workers,
    also for those that replace them and for the next edge."""
    named, by_address, admin = free_port(), free_port(), free_port()
    listeners = {
        "http": {"bind": ["127.0.0.1:0"], "protocol": "http"},
        "second": {"bind": [f"127.0.0.1:{by_address}"], "protocol": "http"},
    }
    prefix = (
        *(sys.executable, "-c", START, f"{named},{by_address},{admin}"),
        "http:unknown:admin",
    )
    with crew(tmp_path, origin, prefix=prefix, workers=2, listeners=listeners) as edge:
        assert edge.http == ("127.0.0.1", named)
        assert edge.admin == ("127.0.0.1", admin)
        assert edge.process.said["listeners"]["second"] == [["127.0.0.1", by_address]]
        for port in (named, by_address):
            connections = [edge.connect(("127.0.0.1", port)) for _ in range(10)]
            assert {edge.ask("/", one)[0] for one in connections} == {200}
            for one in connections:
                one.close()
        killed = edge.workers()[0]
        os.kill(killed, signal.SIGKILL)
        assert [edge.ask()[0] for _ in range(20)] == [200] * 20
        edge.wait_for_workers(2, none_of=[killed])
        upgraded = edge.command("upgrade")
        assert (upgraded.returncode, upgraded.stderr) == (0, "")
        assert edge.process.popen.wait(15) == 0
        assert [edge.ask()[0] for _ in range(20)] == [200] * 20
        assert len(edge.wait_for_workers(2)) == 2


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_how_it_is(
    abstract: bool, tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"@lyncgate-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with listening(address, monkeypatch) as systemd, crew(tmp_path, origin, workers=1) as edge:
        ready = told(systemd)
        assert (ready["READY"], ready["MAINPID"]) == ("1", str(edge.pid))
        assert ready["STATUS"].startswith("1 workers, rules ")

        edge.process.tell(signal.SIGHUP)
        reloading = told(systemd)
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert told(systemd)["READY"] == "1"

        edge.rules.write_text("version: 2\n")  # also when they are refused: it is ready, by the old ones
        edge.process.tell(signal.SIGHUP)
        seen = told(systemd)
        while "RELOADING" not in seen:  # the file was noticed by itself
            seen = told(systemd)
        assert told(systemd)["READY"] == "1"

        edge.process.tell(signal.SIGTERM)
        seen = told(systemd)
        while "STOPPING" not in seen:
            seen = told(systemd)
        assert edge.process.popen.wait(10) == 0


def test_systemd_hears_that_it_is_ready_though_who_read_the_rules_died(
    tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(str(tmp_path / "notify"), monkeypatch) as systemd, crew(tmp_path, origin) as edge:
        assert told(systemd)["READY"] == "1"
        (admin,) = set(children(edge.pid)) - set(edge.workers().values())
        os.kill(admin, signal.SIGSTOP)
        edge.process.tell(signal.SIGHUP)
        assert told(systemd)["RELOADING"] == "1"
        os.kill(admin, signal.SIGKILL)
        assert told(systemd)["READY"] == "1"


def test_systemd_hears_which_process_takes_over(
    tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(str(tmp_path / "notify"), monkeypatch) as systemd, crew(tmp_path, origin) as edge:
        assert told(systemd)["MAINPID"] == str(edge.pid)
        edge.process.tell(signal.SIGUSR2)
        first, second = told(systemd), told(systemd)
        wait_until(lambda: edge.pid != edge.process.popen.pid, "nobody has taken over")
        assert {first["MAINPID"], second["MAINPID"]} == {str(edge.pid)}
        assert edge.process.popen.wait(10) == 0
        assert edge.ask()[0] == 200
