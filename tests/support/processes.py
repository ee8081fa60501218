"""`lyncgate serve` and `lyncgate lab` as real processes, for tests.

    with lab_process(tmp_path) as lab, edge_process(lab.rules()) as edge:
        edge.https, edge.http, edge.admin      # (host, port)
        edge.metric("lyncgate_polls_held")     # sum of the samples of that name
        edge.rss                               # bytes

Each process says where it listens in one line of JSON; nothing is waited for by sleeping.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from lyncgate.lab import rules, topology
from lyncgate.lab.names import NameMap, NameRule
from lyncgate.lab.plan import Plan

STARTS_WITHIN = 60.0  # seconds: two busy cores, several tests at once
ROOT = Path(__file__).parents[2]

Address = tuple[str, int]


class Process:
    """A lyncgate command that runs until it is told to stop. `said`: its first line, as JSON."""

    def __init__(
        self, *arguments: str, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None, log: Path
    ) -> None:
        self._log = log.open("ab")
        self.log = log
        self.popen = subprocess.Popen(
            [*prefix, sys.executable, "-m", "lyncgate", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "addons"), **(env or {})},
        )
        self.said: dict[str, Any] = json.loads(self._first_line())

    def _first_line(self) -> bytes:
        assert self.popen.stdout is not None
        ready, _, _ = select.select([self.popen.stdout], [], [], STARTS_WITHIN)
        line = self.popen.stdout.readline() if ready else b""
        if not line.strip():
            self.kill()
            raise RuntimeError(f"{self.popen.args} said nothing:\n{self.log.read_text()[-4000:]}")
        return line

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        return self._status("VmRSS")

    @property
    def peak_rss(self) -> int:
        """The most it ever was, in bytes."""
        return self._status("VmHWM")

    def _status(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(field))

    def kill(self) -> None:
        """kill -9, and wait."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; the exit status. A process that does not end in time is killed and fails the test."""
        self.popen.send_signal(signal.SIGTERM)
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
    """A lab in processes of its own: one for everything, or one a member where members are to die."""

    def __init__(self, directory: Path, processes: dict[str, Process]) -> None:
        self.directory = directory
        self.processes = processes
        self.plan = Plan.read(directory)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def rules(self, **changes: Any) -> Path:
        """Write a rules.yaml for an edge in front of this lab; `changes` replace top-level sections,
        or are merged into them where both are mappings."""
        document = yaml.safe_load(rules.rules_yaml(self.directory, self.plan.ports))
        document.setdefault("access_log", {"path": "access.log"})
        for section, value in changes.items():
            if isinstance(value, dict) and isinstance(document.get(section), dict):
                document[section] = {**document[section], **value}
            else:
                document[section] = value
        path = self.directory / "rules.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
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


class Edge:
    """A running `lyncgate serve`."""

    def __init__(self, process: Process, rules_file: Path) -> None:
        self.process = process
        self.rules = rules_file
        listeners = process.said["listeners"]
        self.http: Address = tuple(listeners["http"][0]) if "http" in listeners else ("", 0)
        self.https: Address = tuple(listeners["https"][0])
        self.admin: Address = tuple(process.said["admin"])

    @property
    def rss(self) -> int:
        return self.process.rss

    def get(self, path: str) -> str:
        """A page of the admin listener."""
        with urllib.request.urlopen(f"http://{self.admin[0]}:{self.admin[1]}{path}", timeout=10) as answer:
            return answer.read().decode()

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """Everything that /metrics says."""
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
        until = time.monotonic() + timeout
        while (found := self.metric(name, **labels)) != wanted:
            if time.monotonic() > until:
                raise AssertionError(f"{name}{labels} is {found}, not {wanted}, after {timeout} s")
            select.select([], [], [], 0.05)

    def exchanges(self) -> list[dict[str, Any]]:
        """The access log's records so far."""
        log = self.rules.parent / "access.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@contextlib.contextmanager
def lab_process(
    directory: Path, *, each_member: bool = False, poll_minimum: float = 1.0, prefix: Sequence[str] = ()
) -> Iterator[Lab]:
    """A lab. `each_member`: every server in a process of its own (`lab.processes["fe01"].kill()`)."""
    common = ["lab", "--json", "--dir", str(directory), "--poll-minimum", str(poll_minimum)]
    processes: dict[str, Process] = {}
    try:
        if each_member:
            for name in topology.MEMBERS:
                processes[name] = Process(
                    *common, "--member", name, prefix=prefix, log=directory / f"{name}.log"
                )
        else:
            processes["lab"] = Process(*common, prefix=prefix, log=directory / "lab.log")
        yield Lab(directory, processes)
    finally:
        for process in processes.values():
            process.close()


@contextlib.contextmanager
def edge_process(rules_file: Path, *, prefix: Sequence[str] = ()) -> Iterator[Edge]:
    """`lyncgate serve` on free ports."""
    process = Process(
        "serve", "--json", "--rules", str(rules_file), prefix=prefix, log=rules_file.parent / "edge.log"
    )
    try:
        yield Edge(process, rules_file)
    finally:
        process.close()
