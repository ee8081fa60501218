"""The journal at work: sign-ins written at a rate while another process reads all the time.

    .venv/bin/python bench/journal.py                                         ten thousand, three minutes
    .venv/bin/python bench/journal.py --json bench/results/journal.json

Told are what was lost, how far behind the writer was at the end, its memory (after a quarter, half and all of
them) and CPU, how long the slowest read took, and what room a sign-in needs. The events are made on the way
(tests/support/signins.py) by the process that writes: its CPU counts both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'addons'}:{ROOT / 'tests'}"}


def begun(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "support.journalling", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.readline()
    return process


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(process.communicate()[0])
    return told


def measure(count: int, rate: float, directory: Path) -> dict[str, Any]:
    path = directory / "journal.db"
    ended(begun("write", path, count, 1, 0))  # there is something to read
    reading = begun("read", path)
    wrote = ended(begun("write", path, 0, count, rate))
    read = ended(reading)
    with sqlite3.connect(path) as connection:
        kept = connection.execute("SELECT count(*) FROM signins").fetchone()[0] - 1
    memory = wrote["memory"]
    return {
        "sign_ins": count,
        "events": wrote["sent"],
        "rate": rate or round(count / wrote["seconds"], 1),
        "lost_events": wrote["dropped"],
        "lost_sign_ins": count - kept,
        "behind_seconds": round(wrote["behind"], 3),
        "cpu_ms_per_sign_in": round(1000 * wrote["cpu"] / count, 2),
        "memory_mib": [round(memory[n] / 2**20, 1) for n in (len(memory) // 4, len(memory) // 2, -1)],
        "bytes_per_sign_in": path.stat().st_size // (count + 1),
        "reads": read["lists"] + read["details"],
        "slowest_read_ms": round(1000 * read["slowest"], 1),
        "read_errors": len(read["errors"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="sign-ins")
    parser.add_argument("--rate", type=float, default=60.0, help="sign-ins a second; 0: as fast as it goes")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = measure(options.count, options.rate, Path(directory))
    for name, value in result.items():
        print(f"{name:20} {value}")
    if options.json:
        machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        told = {
            "command": "bench/journal.py --json bench/results/journal.json",
            "machine": machine,
            "result": result,
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
