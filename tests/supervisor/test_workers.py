"""Workers as real processes: who serves, who is replaced when, and that nobody waits for nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from sidebyside.ports import free_port
from support.crew import Crew, Origin, alive, crew
from support.processes import LYNCGATE, children, wait_until

REQUESTS = "lyncgate_requests_total"
RESTARTS = "lyncgate_worker_restarts_total"
WORKERS = "lyncgate_workers"


def sockets(pid: int) -> int:
    """How many a process has open."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def test_all_workers_serve_as_if_they_were_one(two: Crew) -> None:
    """Connections go to both, what they count is told together, one log has it all, and the supervisor has no
    thread that a fork could catch in the middle of something."""
    workers = two.workers()
    before = {pid: sockets(pid) for pid in workers.values()}
    kept = [two.connect() for _ in range(40)]
    assert {two.ask(f"/{n}", connection) for n, connection in enumerate(kept)} == {
        (200, f"/{n}".encode()) for n in range(40)
    }
    assert all(sockets(pid) > before[pid] + 4 for pid in workers.values()), "one worker has them all"
    two.wait_for(REQUESTS, 40)
    assert two.metric("lyncgate_connections", state="open") == 40
    assert two.metric("lyncgate_request_phase_seconds_count", phase="total") == 40
    for connection in kept:
        connection.close()
    two.wait_for("lyncgate_connections", 0, state="open")

    log = two.directory / "access.log"
    wait_until(lambda: log.read_text().count("\n") == 40, log.read_text)
    assert {json.loads(line)["path"] for line in log.read_text().splitlines()} == {f"/{n}" for n in range(40)}
    assert len(list(Path(f"/proc/{two.pid}/task").iterdir())) == 1
    assert two.metric(WORKERS, state="ready") == 2


def test_a_worker_that_crashes_is_replaced_and_what_it_counted_stays(two: Crew) -> None:
    for _ in range(20):
        two.ask()
    two.wait_for(REQUESTS, 20)
    killed = two.workers()[0]
    os.kill(killed, signal.SIGKILL)
    answers = [two.ask()[0] for _ in range(20)]  # from now on, while it is away as well
    assert answers == [200] * 20
    two.wait_for_workers(2, none_of=[killed])
    two.wait_for(REQUESTS, 40)
    assert two.metric(RESTARTS, reason="signal") == 1
    assert two.metric(RESTARTS) == 1
    assert "worker 0 was ended by SIGKILL; started again in 1 s" in two.log


def test_who_waits_in_a_dead_workers_queue_is_served_by_the_next_one(tmp_path: Path, origin: Origin) -> None:
    with crew(tmp_path, origin, workers=1) as edge:
        [worker] = edge.workers().values()
        os.kill(worker, signal.SIGSTOP)
        waiting = [edge.connect() for _ in range(10)]
        for connection in waiting:
            connection.request("GET", "/waited", headers={"Host": "lyncweb.contoso.example"})
        os.kill(worker, signal.SIGKILL)
        assert [connection.getresponse().read() for connection in waiting] == [b"/waited"] * 10


def test_a_worker_that_crashes_again_is_away_for_longer_and_its_neighbour_has_its_queue(two: Crew) -> None:
    first = two.workers()
    os.kill(first[1], signal.SIGKILL)
    second = two.wait_for_workers(2, none_of=[first[1]])
    os.kill(second[1], signal.SIGKILL)
    two.wait_for(WORKERS, 1, state="waiting")
    wait_until(lambda: "started again in 2 s" in two.log, lambda: two.log)
    assert [two.ask()[0] for _ in range(12)] == [200] * 12
    assert two.metric(WORKERS, state="waiting") == 1, "it is back already, so this has shown nothing"
    third = two.wait_for_workers(2, none_of=[second[1]])
    assert third[0] == first[0]
    kept = [two.connect() for _ in range(30)]
    assert {two.ask("/", connection)[0] for connection in kept} == {200}
    assert sockets(third[1]) > 10, "it has its own again"


def test_without_the_supervisor_nobody_is_left(two: Crew) -> None:
    pids = children(two.pid)
    assert len(pids) == 3
    two.process.kill()
    wait_until(lambda: not any(map(alive, pids)), lambda: f"alive: {[pid for pid in pids if alive(pid)]}")


def test_a_worker_that_hangs_does_not_block_a_scrape(two: Crew) -> None:
    for _ in range(20):
        two.ask()
    two.wait_for(REQUESTS, 20)
    hung = two.workers()[1]
    os.kill(hung, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert two.metric(REQUESTS) == 20, "what it said last counts"
        assert time.monotonic() - began < 5
        said = two.ready()["details"]["workers"]
        assert [one["answers"] for one in said] == [True, False]
    finally:
        os.kill(hung, signal.SIGCONT)


def test_a_worker_that_is_told_to_stop_ends_what_it_has(two: Crew, origin: Origin) -> None:
    many = 24  # so that each worker has some: of eight, one has none in one run of a hundred and thirty
    origin.hold.clear()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        held = [pool.submit(two.ask, "/held") for _ in range(many)]
        wait_until(lambda: origin.asked == many, "they have not come")
        before = two.workers()
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        two.wait_for_workers(2, none_of=list(before.values()))
        assert two.metric(WORKERS, state="draining") == 2
        assert two.ask()[0] == 200
        origin.hold.set()
        assert [one.result() for one in held] == [(200, b"/held")] * many
    wait_until(lambda: not any(map(alive, before.values())), "they have not ended")
    two.wait_for(REQUESTS, many + 1)
    assert two.metric(RESTARTS) == 0, "they were asked to"


def test_another_number_of_workers_is_adopted(tmp_path: Path, origin: Origin) -> None:
    """More and fewer, while requests hang; nobody notices."""
    with crew(tmp_path, origin, workers=1) as edge:
        first = edge.workers()
        origin.hold.clear()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            held = [pool.submit(edge.ask, "/held")]
            wait_until(lambda: origin.asked == 1, "it has not come")
            edge.change(workers=3)
            three = edge.wait_for_workers(3)
            assert three[0] == first[0], "it serves on"
            held += [pool.submit(edge.ask, "/held") for _ in range(12)]
            wait_until(lambda: origin.asked == 13, "they have not come")
            edge.change(workers=1)
            assert edge.wait_for_workers(1) == first
            assert [edge.ask()[0] for _ in range(30)] == [200] * 30, "the sockets are listened on"
            origin.hold.set()
            assert [one.result() for one in held] == [(200, b"/held")] * 13
        wait_until(lambda: len(children(edge.pid)) == 2, "they have not ended")
        edge.wait_for(REQUESTS, 43)
        assert edge.metric(RESTARTS) == 0


def test_listeners_come_and_go(two: Crew) -> None:
    port = free_port()
    two.change(listeners={"more": {"bind": [f"127.0.0.1:{port}"], "protocol": "http"}})
    wait_until(lambda: "more" in two.ready()["details"]["listeners"], lambda: two.log)
    for _ in range(10):
        connection = two.connect(("127.0.0.1", port))
        assert two.ask("/", connection)[0] == 200
        connection.close()
    two.change(listeners={"more": None})
    wait_until(lambda: "more" not in two.ready()["details"]["listeners"], lambda: two.log)
    with pytest.raises(ConnectionRefusedError):
        two.connect(("127.0.0.1", port))
    assert two.ask()[0] == 200


def test_an_address_that_is_taken_refuses_the_rules(two: Crew) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        two.change(listeners={"more": {"bind": [f"127.0.0.1:{port}"], "protocol": "http"}})
        two.wait_for("lyncgate_config_reloads_total", 1, result="failure")
    assert f"rules not adopted: listener more on 127.0.0.1:{port}: Address already in use" in two.log
    assert two.ask()[0] == 200


def test_rules_that_one_worker_does_not_adopt_are_adopted_by_none(two: Crew) -> None:
    """Here it dies meanwhile; the other one goes back to the rules that were good."""
    rules = two.rules.read_text()
    workers = two.workers()
    os.kill(workers[1], signal.SIGSTOP)
    publications = [{"name": "web", "hosts": ["other.contoso.example"], "pool": "pool01"}]
    two.change(publications=publications)

    def adopted() -> bool:
        """By worker 0: half of the connections are its."""
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(quick, two) for _ in range(12)]
            return 404 in {one.result() for one in asked}

    wait_until(adopted, "worker 0 serves by the old rules")
    os.kill(workers[1], signal.SIGKILL)
    two.wait_for("lyncgate_config_reloads_total", 1, result="failure")
    assert "rules not adopted: worker 1 ended while it adopted the rules" in two.log
    two.wait_for_workers(2, none_of=[workers[1]])
    assert [two.ask()[0] for _ in range(20)] == [200] * 20
    assert two.metric("lyncgate_config_last_reload_successful") == 0

    two.rules.write_text(yaml.safe_dump(yaml.safe_load(rules) | {"publications": publications}))
    two.wait_for("lyncgate_config_last_reload_successful", 1)
    assert [two.ask()[0] for _ in range(20)] == [404] * 20


def test_a_worker_that_leaves_meanwhile_holds_up_no_rules(two: Crew) -> None:
    workers = two.workers()
    os.kill(workers[1], signal.SIGSTOP)
    two.change(publications=[{"name": "web", "hosts": ["other.contoso.example"], "pool": "pool01"}])
    wait_until(lambda: quick(two) == 404, "worker 0 serves by the old rules")
    os.kill(workers[1], signal.SIGTERM)
    os.kill(workers[1], signal.SIGCONT)
    two.wait_for("lyncgate_config_reloads_total", 2, result="success")
    two.wait_for_workers(2, none_of=[workers[1]])
    assert [two.ask()[0] for _ in range(20)] == [404] * 20
    assert two.metric(RESTARTS) == 0


def quick(edge: Crew) -> int | None:
    """The status, if it comes at once."""
    with socket.create_connection(edge.http) as connection:
        connection.settimeout(2)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: lyncweb.contoso.example\r\nConnection: close\r\n\r\n")
        try:
            head = connection.recv(64)
        except TimeoutError:
            return None
        return int(head.split()[1])


def test_told_to_stop_it_lets_requests_end_and_says_so(two: Crew, origin: Origin) -> None:
    origin.hold.clear()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        held = [pool.submit(two.ask, "/held") for _ in range(6)]
        wait_until(lambda: origin.asked == 6, "they have not come")
        two.process.tell(signal.SIGTERM)
        wait_until(lambda: two.ready()["reasons"] == ["stopping"], lambda: str(two.ready()))
        wait_until(lambda: refused(two), "it still takes connections")
        origin.hold.set()
        assert [one.result() for one in held] == [(200, b"/held")] * 6
    assert two.process.popen.wait(10) == 0
    assert not two.pid_file.exists()
    assert "ERROR" not in two.log


def refused(edge: Crew) -> bool:
    try:
        edge.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_told_twice_it_stops_at_once(two: Crew, origin: Origin) -> None:
    origin.hold.clear()
    pids = children(two.pid)
    with socket.create_connection(two.http) as held:
        held.sendall(b"GET /held HTTP/1.1\r\nHost: lyncweb.contoso.example\r\n\r\n")
        wait_until(lambda: origin.asked == 1, "it has not come")
        two.process.tell(signal.SIGTERM)
        wait_until(lambda: refused(two), "it still takes connections")
        assert two.process.popen.poll() is None
        two.process.tell(signal.SIGINT)
        assert two.process.popen.wait(3) == 0
        assert held.recv(1) == b""
    wait_until(lambda: not any(map(alive, pids)), "somebody is left")


def test_two_edges_don_t_share_an_address(two: Crew, tmp_path: Path) -> None:
    """SO_REUSEPORT would let them; half of the phones would be the other one's."""
    other = tmp_path / "other.yaml"
    document = yaml.safe_load(two.rules.read_text())
    document["listeners"]["http"]["bind"] = [f"127.0.0.1:{two.http[1]}"]
    other.write_text(yaml.safe_dump(document))
    result = subprocess.run(
        [*LYNCGATE, "serve", "--rules", str(other)], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert f"listener http on 127.0.0.1:{two.http[1]}: Address already in use" in result.stderr


def scratch(edge: Crew) -> Path:
    """The folder in which the workers have their journal."""

    def found() -> list[Path]:
        links = []
        for descriptor in Path(f"/proc/{edge.workers()[0]}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(descriptor.readlink())
        return [link.parent for link in links if link.name == "journal.sqlite"]

    wait_until(found, "it has no journal open")
    return found()[0]


def test_a_journal_in_memory_is_one_for_all_and_gone_at_the_end(two: Crew) -> None:
    folder = scratch(two)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert two.process.stop() == 0
    assert not folder.exists()


def test_what_a_killed_edge_left_the_next_one_removes(two: Crew, tmp_path: Path, origin: Origin) -> None:
    pids, left = children(two.pid), scratch(two)
    two.process.kill()
    wait_until(lambda: not any(map(alive, pids)), "somebody is left")
    assert left.exists()
    (tmp_path / "next").mkdir()
    with crew(tmp_path / "next", origin) as edge, crew_beside(tmp_path, origin) as beside:
        assert not left.exists()
        assert scratch(edge).exists(), "what is in use stays"
        assert scratch(beside) != scratch(edge)


def crew_beside(directory: Path, origin: Origin) -> contextlib.AbstractContextManager[Crew]:
    (directory / "beside").mkdir()
    return crew(directory / "beside", origin)
