"""The program is replaced while it runs: nobody is refused, nothing is cut, and a bad one changes nothing."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crew import Crew, Origin, alive, crew
from support.processes import LYNCGATE, ROOT, children, wait_until


@pytest.fixture
def edge(tmp_path: Path, origin: Origin) -> Iterator[Crew]:
    with crew(tmp_path, origin, workers=2) as edge:
        yield edge


class Load:
    """Asks over new connections and over a kept one, until told to stop. `failures`: what went wrong."""

    def __init__(self, edge: Crew) -> None:
        self._edge = edge
        self._stop = threading.Event()
        self.asked = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                status, _ = self._edge.ask("/load")
                if status != 200:
                    self.failures.append(str(status))
            except OSError as error:
                self.failures.append(repr(error))
            self.asked += 1

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_nobody_notices(edge: Crew, origin: Origin) -> None:
    """By the command; then by the signal, on the edge that took over."""
    before = edge.pid
    origin.hold.clear()
    with concurrent.futures.ThreadPoolExecutor(16) as pool, Load(edge) as load:
        held = [pool.submit(edge.ask, "/held") for _ in range(6)]
        wait_until(lambda: origin.asked == 6, "they have not come")
        upgraded = edge.command("upgrade")
        assert (upgraded.returncode, upgraded.stderr) == (0, "")
        second = edge.pid
        assert upgraded.stdout.startswith(f"process {second} serves")
        assert second != before
        assert edge.process.popen.poll() is None, "it has exchanges yet"
        asked = load.asked
        wait_until(lambda: load.asked > asked + 30, "nobody is served")
        origin.hold.set()
        assert [one.result() for one in held] == [(200, b"/held")] * 6
        assert edge.process.popen.wait(15) == 0

        os.kill(second, signal.SIGUSR2)
        wait_until(lambda: edge.pid != second, lambda: edge.log, 60)
        wait_until(lambda: not alive(second), "the second one has not ended")
    assert load.failures == []
    assert load.asked > 60
    assert len(edge.wait_for_workers(2)) == 2
    third = edge.pid
    pids = children(third)
    os.kill(third, signal.SIGTERM)
    wait_until(lambda: not any(map(alive, [third, *pids])), "somebody is left")
    assert "ERROR" not in edge.log


def test_reloads_replaced_workers_and_an_upgrade_under_load(tmp_path: Path) -> None:
    """A small one of bench/upgrade.py, whose large one is in bench/results."""
    results = tmp_path / "upgrade.json"
    sizes = ("--held", "100", "--short-polls", "20", "--reloads", "10", "--replaced", "2")
    subprocess.run(
        [sys.executable, str(ROOT / "bench" / "upgrade.py"), *sizes, "--results", str(results)],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT / 'bench'}"},
    )
    found = json.loads(results.read_text())
    assert (found["failures"], found["held_reasons"], found["errors_logged"]) == ({}, {}, [])
    assert found["held_to_the_end"] == found["held_answered"] == 100
    assert found["requests_per_second"] >= 195
    assert found["strangers"] == 0
    assert found["sign_ins"] > 0
    assert found["short_polls"] > 0
    assert found["took_seconds"]["worker"]["count"] == 2
    assert found["took_seconds"]["upgrade"]["count"] == 1
    assert found["met"]


def test_one_that_does_not_start_changes_nothing(edge: Crew) -> None:
    """As rules.yaml is broken, which the new program reads anew."""
    good, pid, workers = edge.rules.read_text(), edge.pid, edge.workers()
    edge.rules.write_text("version: 2\n")
    edge.wait_for("lyncgate_config_last_reload_successful", 0)
    upgraded = edge.command("upgrade")
    assert upgraded.returncode == 1
    assert "the new edge ended with status 1 before it served" in upgraded.stderr
    assert "this edge serves on" in edge.log
    assert (edge.pid, edge.workers()) == (pid, workers)
    assert edge.ask()[0] == 200
    edge.rules.write_text(good)
    edge.wait_for("lyncgate_config_last_reload_successful", 1)


def test_told_to_stop_meanwhile_there_is_no_next_one(edge: Crew) -> None:
    before = children(edge.pid)
    edge.process.tell(signal.SIGUSR2)
    wait_until(lambda: len(children(edge.pid)) > len(before), "it does not begin")
    pids = children(edge.pid)
    edge.process.tell(signal.SIGTERM)
    assert edge.process.popen.wait(20) == 0
    wait_until(lambda: not any(map(alive, pids)), "somebody is left")
    assert "no upgrade: this edge was told to stop" in edge.log


def test_reload_says_how_it_went(edge: Crew) -> None:
    log = edge.directory / "access.log"
    log.rename(edge.directory / "access.log.1")
    adopted = edge.command("reload")
    wait_until(log.exists, "the log is not opened anew")
    assert (adopted.returncode, adopted.stderr) == (0, "")
    assert adopted.stdout == f"rules adopted, version {edge.ready()['details']['policy']}\n"
    edge.rules.write_text("version: 1\nlistners: {}\n")
    refused = edge.command("reload")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{edge.rules}:2:1: listners" in refused.stderr
    edge.pid_file.rename(edge.directory / "elsewhere")
    assert edge.command("reload").returncode == 2
    (edge.directory / "elsewhere").rename(edge.pid_file)


@pytest.mark.parametrize("content", ["", "none", str(2**22 + 1)])
def test_no_edge_to_ask(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pid"
    file.write_text(content)
    asked = subprocess.run(
        [*LYNCGATE, "reload", "--pid-file", str(file)], capture_output=True, text=True, check=False
    )
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr
    assert asked.stderr
