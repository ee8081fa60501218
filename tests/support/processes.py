"""`lyncgate serve` and `lyncgate lab` as real processes, for tests.

    with lab_process(tmp_path) as lab, edge_process(lab.rules()) as edge:
        edge.https, edge.http, edge.admin      # (host, port)
        edge.metric("lyncgate_polls_held")     # sum of the samples of that name
        edge.process.rss                       # bytes

Each process says where it listens in one line of JSON; nothing is waited for by sleeping.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

import lyncgate
from lyncgate.client.names import NameMap, NameRule
from lyncgate.engine.master import Engine
from lyncgate.lab import rules, topology
from lyncgate.lab.plan import PLAN_FILE, Plan

STARTS_WITHIN = 60.0  # seconds: two busy cores, several tests at once
ROOT = Path(__file__).parents[2]
PACKAGE = Path(lyncgate.__file__).parents[1]  # also of the processes: `make test-native` has another one
LYNCGATE = (sys.executable, "-m", "lyncgate")

Address = tuple[str, int]


def wait_until(
    condition: Callable[[], object], what: Callable[[], object] | str, timeout: float = 30.0
) -> None:
    """Until `condition` holds, for what happens in another process in its own time. `what` says what is
    missing, for the failure's message; `timeout` is in seconds."""
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"after {timeout} s: {what if isinstance(what, str) else what()}")
        select.select([], [], [], 0.02)


def children(pid: int) -> list[int]:
    """Of a process, in the order in which they began."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Process:
    """A command that runs until it is told to stop, and says one line of JSON when it is ready."""

    def __init__(self, *command: str, log: Path) -> None:
        self._log = log.open("ab")
        self.log = log
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            process_group=0,  # a test may stop it: no signal of that shall reach anybody else
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{PACKAGE}:{ROOT / 'tests'}"},
        )

    @functools.cached_property
    def said(self) -> dict[str, Any]:
        """Its first line, waited for."""
        assert self.popen.stdout is not None
        ready, _, _ = select.select([self.popen.stdout], [], [], STARTS_WITHIN)
        line = self.popen.stdout.readline() if ready else b""
        if not line.strip():
            self.kill()
            raise RuntimeError(f"{self.popen.args} said nothing:\n{self.log.read_text()[-4000:]}")
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def rss(self) -> int:
        """Resident memory in bytes, its children's included."""
        return self._status("VmRSS")

    @property
    def peak_rss(self) -> int:
        """The most it ever was, in bytes, or since `forget_peak`; its children's included."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let `peak_rss` begin anew (proc_pid_clear_refs(5))."""
        for pid in self.pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    @property
    def pids(self) -> list[int]:
        """Its own process id and its children's."""
        return [self.popen.pid, *children(self.popen.pid)]

    def _status(self, field: str) -> int:
        return sum(
            int(line.split()[1]) * 1024
            for pid in self.pids
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith(field)
        )

    def kill(self) -> None:
        """kill -9, and wait."""
        self.popen.kill()
        self.popen.wait()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; the exit status. A process that does not end in time is killed and fails the test."""
        self.tell(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def close(self) -> None:
        if self.popen.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(10.0)
        if self.popen.stdout:
            self.popen.stdout.close()
        self._log.close()


class Lab:
    """A lab in processes of its own: one for everything (`lab`), or one a member where members are to die.

    lab.processes["fe01"].kill(); lab.start("fe01")
    """

    def __init__(self, directory: Path, command: Sequence[str]) -> None:
        self.directory = directory
        self.processes: dict[str, Process] = {}
        self._command = command

    def start(self, name: str) -> Process:
        """Start a server, again if it ran before; `said` waits until it listens."""
        if old := self.processes.get(name):
            old.close()
        member = () if name == "lab" else ("--member", name)
        process = Process(*self._command, *member, log=self.directory / f"{name}.log")
        self.processes[name] = process
        return process

    def close(self) -> None:
        for process in self.processes.values():
            process.close()

    @functools.cached_property
    def plan(self) -> Plan:
        return Plan.read(self.directory)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def rules(self, directory: Path | None = None, **changes: Any) -> Path:
        """Write a rules.yaml for an edge in front of this lab, into another directory if one is given.
        `changes` are laid over the lab's rules, see `merged`."""
        document = yaml.safe_load(rules.rules_yaml(self.directory, self.plan.ports))
        document["access_log"] = {"path": "access.log"}
        for pool in document["pools"].values():  # a member that is busy with us is not down
            pool["health"] |= {"every": "10s", "timeout": "10s"}
        path = (directory or self.directory) / "rules.yaml"
        path.write_text(yaml.safe_dump(merged(document, changes), sort_keys=False))
        return path

    def names(self, edge: Edge) -> NameMap:
        """What a phone outside resolves with this edge in front."""
        access_edge = (topology.MEMBERS["sip"].address, self.plan.ports.sip)
        return NameMap(
            (
                NameRule("lyncdiscoverinternal.*", None, None),
                NameRule("*.local", None, None),
                NameRule(topology.SIP_HOST, 5061, access_edge),
                NameRule(topology.SIP_HOST, 443, access_edge),
                NameRule("sip*.*", None, None),
                NameRule("*", 80, edge.http),
                NameRule("*", 443, edge.https),
            )
        )


def merged(document: Any, changes: Any) -> Any:
    """`changes` laid over `document`: mappings key by key, None removes a key, all else is replaced."""
    if not (isinstance(document, dict) and isinstance(changes, dict)):
        return changes
    whole = document | {key: merged(document.get(key), value) for key, value in changes.items()}
    return {key: value for key, value in whole.items() if value is not None}


class Edge:
    """A running `lyncgate serve`."""

    def __init__(self, process: Process, rules_file: Path) -> None:
        self.process = process
        self.rules = rules_file
        listeners = process.said["listeners"]
        self.http: Address = tuple(listeners["http"][0])
        self.https: Address = tuple(listeners["https"][0])
        self.admin: Address = tuple(process.said["admin"])

    def get(self, path: str) -> str:
        """A page of the admin listener."""
        with urllib.request.urlopen(f"http://{self.admin[0]}:{self.admin[1]}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Everything that /metrics says: name, labels, value."""
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
        ]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that carry these labels."""
        return sum(
            value
            for found, has, value in self.samples()
            if found == name and all(has.get(label) == wanted for label, wanted in labels.items())
        )

    def wait_for(self, name: str, wanted: float, *, timeout: float = 30.0, **labels: str) -> None:
        """Until a metric has a value: for what happens in its own time, a health check or a reload."""
        wait_until(
            lambda: self.metric(name, **labels) == wanted,
            lambda: f"{name}{labels} is {self.metric(name, **labels)}, not {wanted}",
            timeout,
        )

    def exchanges(self) -> list[dict[str, Any]]:
        """The access log's records so far; a line that is being written is left out."""
        log = self.rules.parent / "access.log"
        text = log.read_text() if log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def so_far(self) -> int:
        """How many records the access log has, once it has all that were counted: what `since` takes."""
        counted = 0

        def complete() -> bool:
            nonlocal counted
            counted = int(self.metric("lyncgate_requests_total"))
            return len(self.exchanges()) >= counted

        wait_until(complete, lambda: f"{len(self.exchanges())} records of {counted}")
        return counted

    def settled(self, count: int, *, since: int = 0) -> list[dict[str, Any]]:
        """The access log's records from number `since` on, as soon as there are `count` of them."""
        wait_until(
            lambda: len(self.exchanges()) >= since + count,
            lambda: f"{len(self.exchanges()) - since} records of {count}",
        )
        return self.exchanges()[since:]


@contextlib.contextmanager
def lab_process(
    directory: Path, *, each_member: bool = False, poll_minimum: float = 1.0, prefix: Sequence[str] = ()
) -> Iterator[Lab]:
    """A lab. `each_member`: every server in a process of its own. `poll_minimum`: seconds, the shortest
    time-out that a poll may ask for. `prefix`: what stands before the command."""
    options = ("lab", "--json", "--dir", str(directory), "--poll-minimum", str(poll_minimum))
    with contextlib.closing(Lab(directory, [*prefix, *LYNCGATE, *options])) as lab:
        for name in topology.MEMBERS if each_member else ("lab",):
            process = lab.start(name)
            if not (directory / PLAN_FILE).exists():
                assert process.said  # the first one makes the plan that the others follow
        for process in lab.processes.values():
            assert process.said
        yield lab


@contextlib.contextmanager
def edge_process(
    rules_file: Path, *, prefix: Sequence[str] = (), engine: Engine = Engine.LANE
) -> Iterator[Edge]:
    """`lyncgate serve` on free ports."""
    options = ("--json", "--rules", str(rules_file), "--engine", engine)
    command = [*prefix, *LYNCGATE, "serve", *options]
    with contextlib.closing(Process(*command, log=rules_file.parent / "edge.log")) as process:
        yield Edge(process, rules_file)
