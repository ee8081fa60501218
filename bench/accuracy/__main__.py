"""How often diagnosis is right: every fault of the lab three times, and 500 healthy sign-ins.

    make accuracy                                     some minutes; writes docs/accuracy.md
    python bench/accuracy --only F20,F34 --healthy 10 --json -

Each fault has a process of its own, for mitmproxy has one master a process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "addons"))

import report  # noqa: E402 (needs the path)
from cases import CASES  # noqa: E402

PATIENCE = 600.0  # seconds for one fault, three times
ALL = 3600.0  # for all of them, and so for the healthy sign-ins, which go on as long
HEALTHY_RATE = 5.0  # sign-ins a second
GOAL = 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", help="codes with commas; default: all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--healthy", type=int, default=500, help="healthy sign-ins, at least; 0: none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="faults at a time")
    parser.add_argument("--json", help="write what was measured there; - for standard output")
    parser.add_argument("--page", type=Path, help="write docs/accuracy.md there")
    parser.add_argument("--meet", help=argparse.SUPPRESS)
    parser.add_argument("--be-healthy", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--beside", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.meet:
        return _meet(asked)
    if asked.be_healthy:
        return _be_healthy(asked)
    wanted = [code.strip().upper() for code in asked.only.split(",")] if asked.only else list(CASES)
    if unknown := [code for code in wanted if code not in CASES]:
        parser.error(f"--only: found {', '.join(unknown)}; allowed: {min(CASES)} to {max(CASES)}")
    return _measure(asked, wanted)


def _measure(asked: argparse.Namespace, wanted: list[str]) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="accuracy-") as directory:
        beside = Path(directory) / "healthy.jsonl"
        results: dict[str, list[dict[str, Any]]] = {}
        healthy = None
        with ThreadPoolExecutor(asked.jobs + 1) as pool:
            if asked.healthy:
                options = ["--healthy", str(asked.healthy), "--beside", str(beside)]
                well = pool.submit(_child, ["--be-healthy", *options], ALL)
            for done, (code, runs) in enumerate(_all(pool, asked, wanted, beside), 1):
                results[code] = runs
                right = report.first(runs, code)
                others = sorted({c for run in runs for c, _ in run["codes"]} - {code})
                _say(f"{done:3}/{len(wanted)} {code} {right}/{len(runs)} {' '.join(others)}")
            beside.with_suffix(".enough").touch()
            if asked.healthy:
                healthy = well.result()
                _say(f"healthy: {report.well(healthy)}")
    told = report.summary(results, healthy)
    _say(f"{told['right_first']} of {told['runs']} in {time.monotonic() - began:.0f} s")
    if asked.json == "-":
        print(json.dumps(told))
    elif asked.json:
        Path(asked.json).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    if asked.page:
        asked.page.write_text(report.page(told))
    fine = told["share"] is not None and told["share"] >= GOAL and not told["misjudged_beside"]
    return 0 if fine and (healthy is None or report.all_well(healthy)) else 1


def _all(
    pool: ThreadPoolExecutor, asked: argparse.Namespace, wanted: list[str], beside: Path
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    options = ["--runs", str(asked.runs), "--beside", str(beside)]
    futures = [(code, pool.submit(_child, ["--meet", code, *options])) for code in wanted]
    for code, future in futures:
        try:
            yield code, future.result()
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            _say(f"{code}: {error}")
            yield code, [{"codes": [], "beside": 0, "misjudged": 0}] * asked.runs


def _child(arguments: list[str], patience: float = PATIENCE) -> Any:
    """What another process of this program says in its last line."""
    command = [sys.executable, str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: status {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _meet(asked: argparse.Namespace) -> int:
    import judge

    print(judge.as_json(judge.meet(asked.meet, asked.beside, asked.runs)))
    return 0


def _be_healthy(asked: argparse.Namespace) -> int:
    import healthy

    print(healthy.sign_in(asked.healthy, HEALTHY_RATE, asked.beside))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
