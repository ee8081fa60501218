"""The load generator wrk (C, one thread): run, and read."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from sidebyside.certificates import WEB
from sidebyside.measuring import Usage

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Said(TypedDict):
    """`rate`: requests a second; `read`: bytes in `seconds`; `p50`, `p99`: milliseconds; `errors`: statuses
    other than 2xx and 3xx, failed connects and writes, time-outs; `read_errors`: connections that ended in a
    way TLS does not like, be it after the answer."""

    requests: int
    seconds: float
    read: int
    rate: float
    p50: float
    p99: float
    errors: int
    read_errors: int


class Round(Said):
    """`cpu`: microseconds of the proxy a request; `busy`: see Usage."""

    cpu: float
    busy: float


def measure(
    pid: int,
    url: str,
    connections: int,
    seconds: float,
    *,
    headers: Sequence[str] = (),
    script: Path | None = None,
) -> Round:
    """Load on the proxy `pid` at `url`."""
    command = ["wrk", "-t1", "--latency", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s"]
    for header in (f"Host: {WEB}", *headers):
        command += ["-H", header]
    command += ["-s", str(script)] if script else []
    usage = Usage(pid)
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    usage.stop()
    said = parsed(out)
    return {**said, "cpu": usage.cpu / max(said["requests"], 1) * 1e6, "busy": usage.busy}


def parsed(text: str) -> Said:
    """What wrk printed. Raises ValueError."""
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)
    return {
        "requests": int(_found(r"(\d+) requests in", text)),
        "seconds": milliseconds(_found(r"requests in ([\d.]+\w+),", text)) / 1000,
        "read": size(_found(r"([\d.]+[KMG]?B) read", text)),
        "rate": float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        "p50": milliseconds(_found(r"\b50%\s+([\d.]+\w+)", text)),
        "p99": milliseconds(_found(r"\b99%\s+([\d.]+\w+)", text)),
        "errors": int(_found(r"Non-2xx or 3xx responses: (\d+)", text, "0")) + connect + write + timeout,
        "read_errors": read,
    }


def milliseconds(text: str) -> float:
    """A time as wrk writes it. Raises ValueError."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise ValueError(f"not a time: {text}")
    return float(match[1]) * UNITS[match[2]]


def size(text: str) -> int:
    """Bytes as wrk writes them. Raises ValueError."""
    match = re.fullmatch(r"([\d.]+)([KMG]?)B", text)
    if match is None:
        raise ValueError(f"not a size: {text}")
    return int(float(match[1]) * 1024.0 ** " KMG".index(match[2] or " "))


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match:
        return match[1]
    if default is None:
        raise ValueError(f"wrk said nothing of {pattern}:\n{text}")
    return default
