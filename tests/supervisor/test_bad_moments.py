"""What comes at a bad moment: a signal, a death or other rules, while something else is under way."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sidebyside.ports import free_port
from support.crew import WEB, Crew, Origin, alive, crew
from support.processes import PACKAGE, children, wait_until

OTHER = [{"name": "web", "hosts": ["other.contoso.example"], "pool": "pool01"}]
REQUESTS = "lyncgate_requests_total"
RELOADS = "lyncgate_config_reloads_total"

# As when the system lets us have no more processes.
FORK = """
import os, resource, signal
from lyncgate.engine.supervisor import process
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    process.fork("worker 0", lambda: None, lambda: 0)
except OSError:
    print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""

# As when the interpreter is not where it was.
NO_PROGRAM = """
import os, sys
from lyncgate.engine.supervisor.bank import Bank
from lyncgate.engine.supervisor.inherited import Inherited
from lyncgate.engine.supervisor.reactor import Reactor
from lyncgate.engine.supervisor.upgrade import Upgrade
reactor = Reactor()
sys.executable = "/nowhere/python"
before = os.listdir("/proc/self/fd")
try:
    Upgrade(reactor, Bank(), Inherited(Bank()), print)
except FileNotFoundError:
    print(os.listdir("/proc/self/fd") == before)
"""


def admin(edge: Crew) -> int:
    (pid,) = set(children(edge.pid)) - set(edge.workers().values())
    return pid


def status(address: tuple[str, int]) -> int | None:
    """Of an answer that comes at once: of two workers, one may be stopped."""
    with socket.create_connection(address) as connection:
        connection.settimeout(2)
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {WEB}\r\nConnection: close\r\n\r\n".encode())
        try:
            return int(connection.recv(64).split()[1])
        except (TimeoutError, IndexError):
            return None


def one_says(wanted: int, address: tuple[str, int]) -> bool:
    """One of the workers that listen there: each has some of twelve connections."""
    with concurrent.futures.ThreadPoolExecutor(12) as pool, contextlib.suppress(ConnectionRefusedError):
        return wanted in {one.result() for one in [pool.submit(status, address) for _ in range(12)]}
    return False


def caught(found: Callable[[], int | None]) -> int:
    """Stop a process as soon as `found` knows it."""
    until = time.monotonic() + 60
    while (pid := found()) is None:
        assert time.monotonic() < until, "there is none"
    os.kill(pid, signal.SIGSTOP)
    return pid


def alone(script: str) -> tuple[str, str]:
    """What it says in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )
    return done.stdout, done.stderr


def test_no_more_processes_leave_it_deaf_to_no_signal() -> None:
    assert alone(FORK) == ("[]\n", "")


def test_a_scrape_counts_none_twice_who_ends_meanwhile(two: Crew) -> None:
    for _ in range(20):
        two.ask()
    two.wait_for(REQUESTS, 20)
    stopped = two.workers()[1]
    os.kill(stopped, signal.SIGSTOP)
    with contextlib.closing(http.client.HTTPConnection(*two.admin, timeout=30)) as scrape:
        scrape.request("GET", "/metrics")
        two.get("/healthz")  # asked for later: so the workers were asked before
        os.kill(stopped, signal.SIGKILL)
        lines = scrape.getresponse().read().decode().splitlines()
    assert sum(float(line.split()[-1]) for line in lines if line.startswith(REQUESTS)) == 20


def test_who_comes_while_rules_are_adopted_has_their_listeners(tmp_path: Path, origin: Origin) -> None:
    """Worker 0 keeps the others waiting, worker 1 leaves and is replaced meanwhile."""
    old, new = free_port(), free_port()
    listeners = {"old": {"bind": [f"127.0.0.1:{old}"], "protocol": "http"}}
    with crew(tmp_path, origin, workers=2, listeners=listeners) as edge:
        workers = edge.workers()
        os.kill(workers[0], signal.SIGSTOP)
        edge.change(listeners={"old": None, "new": {"bind": [f"127.0.0.1:{new}"], "protocol": "http"}})
        wait_until(lambda: one_says(200, ("127.0.0.1", new)), lambda: edge.log)
        os.kill(workers[1], signal.SIGTERM)
        edge.wait_for_workers(2, none_of=[workers[1]])
        os.kill(workers[0], signal.SIGCONT)
        wait_until(lambda: "new" in edge.ready()["details"]["listeners"], lambda: edge.log)
        edge.wait_for("lyncgate_config_last_reload_successful", 1)
        assert [edge.ask("/", edge.connect(("127.0.0.1", new)))[0] for _ in range(20)] == [200] * 20
        with pytest.raises(ConnectionRefusedError):
            edge.connect(("127.0.0.1", old))
        assert "Traceback" not in edge.log


def test_who_comes_back_while_rules_are_adopted_brings_no_old_ones(two: Crew) -> None:
    """Its neighbour, who had its sockets meanwhile, is told that they are its own again."""
    workers = two.workers()
    os.kill(workers[0], signal.SIGSTOP)
    two.change(publications=OTHER)
    wait_until(lambda: one_says(404, two.http), lambda: two.log)
    os.kill(workers[1], signal.SIGKILL)
    second = two.wait_for_workers(2, none_of=[workers[1]])
    os.kill(second[1], signal.SIGKILL)
    two.wait_for_workers(2, none_of=[second[1]])
    os.kill(workers[0], signal.SIGCONT)
    two.wait_for(RELOADS, 2, result="success")
    assert two.workers()[0] == workers[0]
    wait_until(lambda: not one_says(200, two.http), lambda: two.log)
    assert [two.ask()[0] for _ in range(20)] == [404] * 20


def test_told_to_stop_while_more_workers_are_adopted_it_stops(two: Crew) -> None:
    workers = two.workers()
    os.kill(workers[1], signal.SIGSTOP)
    two.change(workers=4, publications=OTHER)
    wait_until(lambda: one_says(404, two.http), lambda: two.log)
    two.process.tell(signal.SIGTERM)
    wait_until(lambda: two.ready()["reasons"] == ["stopping"], lambda: str(two.ready()))
    os.kill(workers[1], signal.SIGCONT)
    assert two.process.popen.wait(30) == 0
    assert "started again" not in two.log


def test_rules_that_were_refused_leave_no_address_taken(two: Crew, tmp_path: Path) -> None:
    port = free_port()
    two.change(
        listeners={"more": {"bind": [f"127.0.0.1:{port}"], "protocol": "http"}},
        journal={"path": str(tmp_path / "journal.db")},
    )
    two.wait_for(RELOADS, 1, result="failure")
    assert "it needs a restart" in two.log
    with pytest.raises(ConnectionRefusedError):
        two.connect(("127.0.0.1", port))
    two.change(journal=None)
    wait_until(lambda: "more" in two.ready()["details"]["listeners"], lambda: two.log)


def test_an_admin_that_hangs_does_not_keep_it_from_stopping(two: Crew) -> None:
    pid = admin(two)
    os.kill(pid, signal.SIGSTOP)
    two.process.tell(signal.SIGTERM)
    assert two.process.popen.wait(60) == 0
    wait_until(lambda: not alive(pid), "it is left")


def test_a_worker_that_hangs_when_it_was_told_to_leave_is_killed(tmp_path: Path, origin: Origin) -> None:
    origin.hold.clear()
    with crew(tmp_path, origin, workers=1, timeouts={"drain": "1s"}) as edge:
        leaving = edge.workers()[0]
        with socket.create_connection(edge.http) as held:
            held.sendall(f"GET /held HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode())
            wait_until(lambda: origin.asked == 1, "it has not come")
            os.kill(leaving, signal.SIGTERM)
            wait_until(lambda: "was told to stop" in edge.log, lambda: edge.log)
            os.kill(leaving, signal.SIGSTOP)
            wait_until(lambda: not alive(leaving), "it is left")


def test_a_next_edge_that_fails_leaves_this_ones_journal(two: Crew) -> None:
    """The workers' file in memory, which the next one is given."""
    links = [one.readlink() for one in Path(f"/proc/{two.workers()[0]}/fd").iterdir()]
    (journal,) = [link for link in links if link.name == "journal.sqlite"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        two.change(listeners={"more": {"bind": [at], "protocol": "http"}})
        two.wait_for(RELOADS, 1, result="failure")
        upgraded = two.command("upgrade")
    assert (upgraded.returncode, two.ask()[0]) == (1, 200)
    assert journal.exists()


def test_a_next_edge_that_is_told_to_stop_takes_nothing_over(two: Crew) -> None:
    """When its workers serve, and its admin is about to."""
    first, known = two.pid, children(two.pid)
    two.process.tell(signal.SIGUSR2)
    wait_until(lambda: set(children(first)) - set(known), "it does not begin")
    (second,) = set(children(first)) - set(known)
    with contextlib.suppress(FileNotFoundError):
        its_admin = caught(lambda: pids[2] if len(pids := children(second)) > 2 else None)
    assert two.pid == first, "it was too late"
    os.kill(second, signal.SIGTERM)
    wait_until(lambda: len(children(second)) == 1, lambda: two.log)
    os.kill(its_admin, signal.SIGCONT)
    wait_until(lambda: "this edge serves on" in two.log, lambda: two.log)
    assert two.pid == first
    assert two.ask()[0] == 200


def test_a_next_edge_begins_no_other_one_before_it_serves(two: Crew) -> None:
    first, known = two.pid, children(two.pid)
    two.process.tell(signal.SIGUSR2)
    wait_until(lambda: set(children(first)) - set(known), "it does not begin")
    (second,) = set(children(first)) - set(known)
    worker = caught(lambda: next(iter(children(second)), None))
    os.kill(second, signal.SIGUSR2)
    wait_until(lambda: "no upgrade: the edge is starting" in two.log, lambda: two.log)
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: two.pid == second, lambda: two.log)
    assert two.process.popen.wait(30) == 0


def test_a_next_edge_that_can_not_be_started_leaves_nothing_open() -> None:
    assert alone(NO_PROGRAM) == ("True\n", "")
