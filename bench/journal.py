"""The journal at work: sign-ins written at a rate while another process reads all the time.

    .venv/bin/python bench/journal.py                                         half an hour
    .venv/bin/python bench/journal.py --json bench/results/journal.json

Several rounds of ten thousand sign-ins, each event told when an edge would tell it: a request when it is
over, a poll when it begins and half a minute later. In every other round a process beside keeps a core busy.
Told are what was lost, how long an event waited at most, how long after the last event all sign-ins were
there, memory as it went on, the CPU of the journal's thread alone, by how much the thread that hands events
over woke up late, and how long the slowest read took; of each round, and the worst and the median of all. At
the end twenty thousand sign-ins as fast as they are stitched, to see whether memory goes on growing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT / 'tests'}"}
HELD = 30.0  # seconds that a poll hangs
MIB = 2**20


def begun(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "support.journalling", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    said = process.communicate()[0]
    if process.returncode:
        sys.exit(f"{process.args}: ended with {process.returncode}")
    told: dict[str, Any] = json.loads(said)
    return told


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """A process that computes all the time."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def measure(count: int, rate: float, beside: bool, directory: Path) -> dict[str, Any]:
    """One round. `rate` 0: as fast as they are stitched."""
    path = directory / "journal.db"
    ended(begun("pour", path, count, 1))  # there is something to read
    reading = begun("read", path)
    with busy(beside):
        wrote = ended(begun("write", path, 0, count, rate, HELD) if rate else begun("pour", path, 0, count))
    read = ended(reading)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        kept, over = connection.execute("SELECT count(*), sum(counted) FROM signins").fetchone()
    found = {
        "sign_ins": count,
        "rate": rate or round(count / wrote["seconds"], 1),
        "busy_beside": beside,
        "events": wrote["sent"],
        "lost_events": sum(wrote["dropped"].values()),
        "lost_sign_ins": count + 1 - kept,
        "not_over": kept - over,
        "cpu_ms_per_sign_in": round(1000 * wrote["cpu"] / count, 2),
        "memory_mib": [round(one / MIB, 1) for one in wrote["memory"]],
        "bytes_per_sign_in": path.stat().st_size // (count + 1),
        "reads": read["lists"] + read["details"],
        "slowest_read_ms": round(1000 * read["slowest"], 1),
        "read_errors": len(read["errors"]),
    }
    if rate:
        found["longest_wait_seconds"] = round(wrote["behind"], 2)
        found["last_seconds_after"] = round(wrote["after"], 1)
        found["late_ms"] = dict(
            zip(("median", "p99", "most"), (round(1000 * n, 2) for n in wrote["late"]), strict=True)
        )
    quarter = found["memory_mib"][len(found["memory_mib"]) // 4]
    found["growth_after_a_quarter"] = round(max(found["memory_mib"]) / quarter - 1, 3)
    return found


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = [
        *("lost_events", "lost_sign_ins", "not_over", "longest_wait_seconds", "last_seconds_after"),
        *("cpu_ms_per_sign_in", "growth_after_a_quarter", "slowest_read_ms", "read_errors"),
    ]
    return {
        name: {
            "median": statistics.median(one[name] for one in rounds),
            "worst": max(one[name] for one in rounds),
        }
        for name in names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--count", type=int, default=10_000, help="sign-ins a round")
    parser.add_argument("--rate", type=float, default=40.0, help="sign-ins a second")
    parser.add_argument("--long", type=int, default=20_000, help="sign-ins at the end, as fast as it goes")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    made: list[dict[str, Any]] = []
    plans = [(options.count, options.rate, number % 2 == 1) for number in range(options.rounds)]
    for plan in (*plans, *([(options.long, 0.0, False)] if options.long else [])):
        with tempfile.TemporaryDirectory() as directory:
            made.append(measure(*plan, Path(directory)))
        print(json.dumps(made[-1]), flush=True)
    rounds = made[: options.rounds]
    found = summary(rounds) if rounds else {}
    for name, value in found.items():
        print(f"{name:24} median {value['median']}, worst {value['worst']}")
    if options.json:
        machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        told = {
            "command": " ".join(["bench/journal.py", *sys.argv[1:]]),
            "machine": machine,
            "summary": found,
            "rounds": rounds,
            "long": made[options.rounds :],
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
