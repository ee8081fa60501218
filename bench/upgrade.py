"""lyncgate changed again and again while it serves: does anybody notice?

    .venv/bin/python bench/upgrade.py                                    half a minute
    .venv/bin/python bench/upgrade.py --results bench/results/upgrade.json

Two workers with all features on. 500 polls hang before anything happens, and until everything has. Beside
them goes a load (sidebyside/mix.py): 200 requests/s on kept connections, 10 connections/s for a request
each, 2 sign-ins/s with NTLM, and 50 polls of up to five seconds, so that every process holds some.
Meanwhile the rules are changed 50 times, now by command, now by the file alone; a worker is told to stop, and
replaced, 5 times; and the program is replaced (SIGUSR2). Status 1: a request or a sign-in failed, a poll was
cut or not answered in the end, or the load fell short of 95 % of its rate. `asked_again`: requests that met a
kept connection just as it was closed, and were answered on another.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from lyncgate.engine.supervisor.control import ask
from lyncgate.engine.supervisor.pidfile import read_pid
from sidebyside import configurations, machine
from sidebyside.crowds import Crowd, crowd, steady
from sidebyside.field import Field, Options, Origin
from sidebyside.mix import Rates
from sidebyside.peers import OURS, Peer
from sidebyside.ports import free_port
from sidebyside.processes import prepare, unpinned

WORKERS = 2
PATIENCE = 60.0  # seconds for each thing that is waited for
AFTER = 2.0  # seconds that the load goes on when everything has happened
ENOUGH = 0.95  # of the rate that was asked for
TURN = 0.02  # seconds between two looks


class BrokenError(Exception):
    """Something did not happen."""


class Edge:
    """The one that serves now, whichever process that is."""

    def __init__(self, directory: Path, admin: int) -> None:
        self.rules = directory / "rules.yaml"
        self.log = directory / "log"
        self._pid_file = directory / "pid"
        self._admin = admin

    @property
    def pid(self) -> int:
        return read_pid(self._pid_file)

    def ready(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/readyz", timeout=PATIENCE) as answer:
            details: dict[str, Any] = json.load(answer)["details"]
        return details

    def workers(self) -> dict[int, int]:
        """Process ids by place, of those that are ready."""
        return {one["worker"]: one["pid"] for one in self.ready()["workers"] if one["state"] == "ready"}

    def change(self, number: int, *, told: bool) -> None:
        """Other rules, and wait until they are in force. `told`: by command; else the edge finds out."""
        before = self.ready()["policy"]
        rules = yaml.safe_load(self.rules.read_text())
        rules["timeouts"]["idle"] = f"{601 + number}s"
        new = self.rules.with_name("new.yaml")
        new.write_text(yaml.safe_dump(rules, sort_keys=False))
        new.replace(self.rules)
        if told:
            said = ask(self.pid, "reload")
            if not said["ok"]:
                raise BrokenError(f"reload: {said['problems']}")
        until("the rules are in force", lambda: self.ready()["policy"] != before)

    def replace_worker(self, place: int) -> None:
        leaving = self.workers()[place]
        os.kill(leaving, signal.SIGTERM)

        def replaced() -> bool:
            workers = self.workers()
            return len(workers) == WORKERS and leaving not in workers.values()

        until("a worker is replaced", replaced)

    def upgrade(self) -> None:
        before = self.pid
        os.kill(before, signal.SIGUSR2)
        until("the next program serves", lambda: self.pid != before)

    def stop(self) -> None:
        """Whoever serves in the end: who was started may be another one and gone."""
        with contextlib.suppress(OSError, ValueError):
            pid = self.pid
            os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(BrokenError):
                until("it ends", lambda: not Path(f"/proc/{pid}").exists())


def until(what: str, holds: Callable[[], object]) -> None:
    """Raises BrokenError if `holds` does not come true."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise BrokenError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(TURN)


@contextlib.contextmanager
def serving(field: Field, origin: Origin) -> Iterator[tuple[configurations.Place, Edge]]:
    """An edge, and where it stands."""
    admin = free_port()
    made: list[Edge] = []

    def command(place: configurations.Place) -> list[str]:
        words = configurations.lyncgate(place, "--pid-file", str(place.directory / "pid"))
        rules = configurations.rules(place)
        rules["admin"] = {"bind": f"127.0.0.1:{admin}"}
        rules["timeouts"] = {"idle": "600s", "drain": "600s"}
        edge = Edge(place.directory, admin)
        edge.rules.write_text(yaml.safe_dump(rules, sort_keys=False))
        made.append(edge)
        return words

    with unpinned(), field.instance(Peer(OURS, "", command), origin, workers=WORKERS, pinned=False) as one:
        [edge] = made
        try:
            until("all workers serve", lambda: len(edge.workers()) == WORKERS)
            yield one.place, edge
        finally:
            edge.stop()


def changed(edge: Edge, load: Crowd, asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All that happens to the edge. What it took, in seconds."""
    took: dict[str, list[float]] = {"reload": [], "reload by the file": [], "worker": [], "upgrade": []}

    def timed(what: str, act: Callable[[], None]) -> None:
        began = time.monotonic()
        act()
        took[what].append(time.monotonic() - began)

    every = max(1, asked.reloads // max(asked.replaced, 1))
    for number in range(asked.reloads):
        told = number % 2 == 0
        timed(
            "reload" if told else "reload by the file",
            lambda number=number, told=told: edge.change(number, told=told),
        )
        turn = number // every
        if number % every == every // 2 and turn < asked.replaced:
            timed("worker", lambda turn=turn: edge.replace_worker(turn % WORKERS))
            say(f"{number + 1} reloads, {turn + 1} workers replaced")
    timed("upgrade", edge.upgrade)
    say("upgraded")
    time.sleep(AFTER)
    return {
        what: {"count": len(each), "longest": round(max(each), 2), "mean": round(sum(each) / len(each), 2)}
        for what, each in took.items()
        if each
    }


def run(field: Field, asked: argparse.Namespace) -> dict[str, Any]:
    rates = Rates(asked.requests, asked.sign_ins, asked.connections, asked.short_polls, 5.0)
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(field.lync_origin())
        place, edge = stack.enter_context(serving(field, origin))
        first = edge.pid
        polls = stack.enter_context(crowd(place.https, asked.held, "poll"))
        until("all polls are at the member", lambda: origin.ask("held") == asked.held)
        field.say(f"{asked.held} polls are held")
        load = stack.enter_context(steady(place.https, place.http, rates))
        until("the short polls are there", lambda: origin.ask("held") >= asked.held + rates.polls * 0.8)
        before = load.look()
        took = changed(edge, load, asked, field.say)
        during = load.look()
        after = load.end()
        still = polls.look()["there"]
        origin.ask("release")
        ended = polls.end()
        until("the first program ends", lambda: not _alive(first))
        said = [line for line in edge.log.read_text().splitlines() if " ERROR " in line]
    done, seconds = during["done"], during["seconds"]
    failures = [told["failures"] for told in (before, during, after)]
    rate = (done.get("request", 0) + done.get("connection", 0)) / seconds
    return {
        "workers": WORKERS,
        "took_seconds": took,
        "seconds": round(seconds, 1),
        "requests_per_second": round(rate, 1),
        "requests": done.get("request", 0),
        "asked_again": done.get("asked again", 0),
        "connections": done.get("connection", 0),
        "short_polls": done.get("poll", 0),
        "sign_ins": done.get("sign-in", 0),
        "strangers": during["strangers"],
        "failed": sum(sum(each.values()) for each in failures),
        "failures": {why: count for each in failures for why, count in each.items()},
        "p50_ms": during["p50_ms"],
        "p99_ms": during["p99_ms"],
        "longest_ms": during["longest_ms"],
        "held": asked.held,
        "held_to_the_end": still,
        "held_answered": ended["answered"],
        "held_lost": ended["lost"],
        "held_reasons": ended["reasons"],
        "errors_logged": said[:10],
        "met": (
            not any(failures)
            and not during["strangers"]
            and still == ended["answered"] == asked.held
            and not ended["lost"]
            and not said
            and rate >= ENOUGH * (rates.requests + rates.connections)
        ),
    }


def _alive(pid: int) -> bool:
    """Whoever has ended, waited for or not, is not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def main() -> int:
    asked = _arguments()
    head = {
        "command": " ".join(["bench/upgrade.py", *sys.argv[1:]]),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.described() | {"pinned": "nothing"},
        "versions": machine.versions(),
    }
    prepare()
    with tempfile.TemporaryDirectory(prefix="lyncgate-upgrade-") as directory:
        field = Field(Path(directory), [], Options(1, 1, quick=False))
        found = run(field, asked)
    for name, value in found.items():
        print(f"{name:20} {value}")
    if asked.results:
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        asked.results.write_text(json.dumps(head | found, indent=1) + "\n")
    return int(not found["met"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--held", type=int, default=500, help="polls that hang all the time")
    parser.add_argument("--short-polls", type=int, default=50, help="held at a time, answered within 5 s")
    parser.add_argument("--requests", type=float, default=200.0, help="a second, on kept connections")
    parser.add_argument("--connections", type=float, default=10.0, help="a second, for a request each")
    parser.add_argument("--sign-ins", type=float, default=2.0, help="a second")
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--replaced", type=int, default=5, help="workers")
    parser.add_argument("--results", type=Path, help="write them there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
