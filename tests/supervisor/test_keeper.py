"""Who keeps the journal: the admin process, at low priority, and its successor when it is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.writer import NICE
from support.crew import Crew, crew, member
from support.journalling import ask
from support.processes import children, wait_until

USER_DOCUMENT = "/autodiscover/autodiscoverservice.svc/root/user?sipuri=sip:{}@contoso.example"
SIGN_INS = "lyncgate_signins_total"
DNS = "[{:.0f}] unbound[7:0] info: 192.0.2.7 lyncdiscover.contoso.example. A IN NXDOMAIN 0.004 0 40\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def edge(tmp_path: Path, path: Path) -> Iterator[Crew]:
    with member() as origin, crew(tmp_path, origin, workers=2, journal={"path": str(path)}) as edge:
        yield edge


def admin(edge: Crew) -> int:
    (pid,) = set(children(edge.pid)) - set(edge.workers().values())
    return pid


def keeper(path: Path) -> int:
    """Process id of who holds the lease; 0: nobody."""
    try:
        return int(
            ask(path, "SELECT coalesce(max(value), '0') FROM state WHERE name = 'stitcher'").split("-")[0]
        )
    except sqlite3.OperationalError:  # there is no table yet
        return 0


def users(path: Path) -> set[str | None]:
    return {row.user for row in Reader(Place.of(path)).list()}


def niceness(pid: int) -> list[int]:
    """Of each thread."""
    stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sorted(int(stat.rpartition(") ")[2].split()[16]) for stat in stats)


def test_the_admin_process_stitches_what_the_workers_write(edge: Crew, path: Path) -> None:
    pid = admin(edge)
    wait_until(lambda: keeper(path) == pid, lambda: keeper(path))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness(pid)[-1] == min(19, own + NICE), "its thread steps back"
    for worker in edge.workers().values():
        assert set(niceness(worker)) == {own}
    for name in ("alice", "bob"):
        assert edge.ask(USER_DOCUMENT.format(name))[0] == 200
    wait_until(lambda: users(path) == {"alice@contoso.example", "bob@contoso.example"}, lambda: users(path))
    edge.wait_for("lyncgate_journal_events_total", 2)
    edge.wait_for(SIGN_INS, 2)
    edge.wait_for("lyncgate_signins_open", 0)
    edge.wait_for("lyncgate_signin_stage_duration_seconds_count", 2, stage="start")
    wait_until(lambda: edge.metric("lyncgate_journal_size_bytes") > 0, "no size")


def test_when_it_is_killed_the_next_one_goes_on_and_counts_go_on(edge: Crew, path: Path) -> None:
    edge.ask(USER_DOCUMENT.format("alice"))
    edge.wait_for(SIGN_INS, 1)
    killed = admin(edge)
    os.kill(killed, signal.SIGKILL)
    edge.ask(USER_DOCUMENT.format("bob"))  # while nobody stitches
    wait_until(lambda: keeper(path) not in (0, killed), lambda: edge.log)
    assert keeper(path) == admin(edge)
    edge.ask(USER_DOCUMENT.format("carol"))
    edge.wait_for(SIGN_INS, 3)
    assert users(path) == {f"{name}@contoso.example" for name in ("alice", "bob", "carol")}
    edge.wait_for("lyncgate_journal_events_total", 3)


def test_what_is_under_way_at_the_end_is_in_the_journal(edge: Crew, path: Path) -> None:
    edge.ask(USER_DOCUMENT.format("alice"))
    assert edge.process.stop() == 0
    assert users(path) == {"alice@contoso.example"}
    assert keeper(path) == 0, "the next edge need not wait for a lease"


def test_another_file_to_follow_is_adopted(edge: Crew, path: Path, tmp_path: Path) -> None:
    log = tmp_path / "dns.log"
    edge.change(journal={"follow": [{"dns": str(log)}]})
    edge.wait_for("lyncgate_config_reloads_total", 2, result="success")
    log.write_text(DNS.format(time.time()))  # one of long ago would be let go of soon
    edge.wait_for("lyncgate_journal_events_total", 1)
    assert "lyncdiscover.contoso.example" in ask(path, "SELECT event FROM events")
