"""Processes under test and around it: started, pinned, waited for, ended."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0  # seconds until something listens
NATIVE = ROOT / "build" / "native"  # of `make native`, which `make bench` makes first
COMPILED = (NATIVE / ".ready").exists()
PACKAGE = NATIVE if COMPILED else ROOT / "addons"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{ROOT / 'bench'}"}

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORES = CORES[:1]
LOAD_CORES = CORES[1:] or CORES
PINNED = len(CORES) > 1


class StartError(RuntimeError):
    """Something did not come up; the text ends with what it said."""


def prepare() -> None:
    """Everything that this process starts shares the cores of the load, with all files it may open."""
    os.sched_setaffinity(0, LOAD_CORES)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended as at any other end


@contextlib.contextmanager
def unpinned() -> Iterator[None]:
    """For measurements that need all cores for everything."""
    os.sched_setaffinity(0, CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, LOAD_CORES)


def python(module: str, *arguments: object) -> list[str]:
    """A module of this package as a process of its own."""
    return [sys.executable, "-m", f"sidebyside.{module}", *map(str, arguments)]


@contextlib.contextmanager
def running(
    command: Sequence[str], ports: Sequence[int], log: Path, cores: Sequence[int] | None = None
) -> Iterator[int]:
    """A process that listens on `ports` of loopback; its pid. `cores`: where it may run."""
    pin = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    with log.open("wb") as out:
        process = subprocess.Popen([*pin, *command], stdout=out, stderr=out, env=ENVIRONMENT)
    try:
        until = time.monotonic() + PATIENCE
        for port in ports:
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    said = log.read_text(errors="replace")[-1500:]
                    raise StartError(f"{command[0]} does not listen: {said}")
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(40)  # a drain may take its 30 s
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
