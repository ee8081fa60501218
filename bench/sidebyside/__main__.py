"""lyncgate beside nginx, HAProxy and stock mitmdump: the same work in one run, ratios printed.

    make bench                                        everything, about a quarter of an hour
    make bench ARGS="--quick"                         everything a little, to see that it works
    make bench ARGS="--only keepalive --rounds 5"     some of it; with commas for several

A full run writes bench/results (edge.json, edge.svg, README.md); others print, and write where --results
says. Needs wrk and nginx (Debian: wrk, nginx-light; nginx is an origin as well); haproxy, if it is there,
takes part. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sidebyside import machine, plot, report, targets
from sidebyside.field import TROUBLE, Field, Options
from sidebyside.peers import OURS, PEERS, Peer, chosen
from sidebyside.processes import ROOT, prepare
from sidebyside.works import WORKS

RESULTS = ROOT / "bench" / "results"
NAMES = ("edge.json", "edge.svg", "README.md")


def main() -> int:
    asked = _arguments()
    if missing := [tool for tool in ("wrk", "nginx", "taskset") if not shutil.which(tool)]:
        print(f"bench needs {', '.join(missing)} (Debian packages wrk, nginx-light, util-linux)")
        return 2
    # As the end of the block does: nothing that was started stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    document = _head(asked)
    prepare()
    peers, left_out = chosen(asked.peers)
    with tempfile.TemporaryDirectory(prefix="lyncgate-bench-") as directory:
        document["works"], field = _measured(asked, peers, Path(directory))
    document["peers"] = {peer.name: peer.what for peer in peers}
    document["left_out"] = left_out | field.left_out
    document["minutes"] = (time.monotonic() - began) / 60
    document["targets"] = targets.table({name: work["results"] for name, work in document["works"].items()})
    print("\n" + "\n\n".join([*report.works(document), report.circumstances(document)]))
    print(f"\n## What must be shown\n\n{report.targets(document)}")
    if asked.results:
        write(document, asked.results)
    return 0 if field.well else 1


def write(document: dict[str, Any], directory: Path) -> None:
    """The JSON, its plot, its page."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / NAMES[0]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (directory / NAMES[1]).write_text(plot.drawn(document))
    (directory / NAMES[2]).write_text(report.page(document))
    print(f"\nwritten: {', '.join(NAMES)} in {directory}")


def _measured(asked: argparse.Namespace, peers: list[Peer], directory: Path) -> tuple[dict[str, Any], Field]:
    field = Field(directory, peers, Options(asked.rounds, asked.seconds, asked.quick))
    works = {}
    for name in asked.only:
        work = WORKS[name]
        field.say(f"{name}: {work.WHAT}")
        results = {}
        try:
            results = work.measure(field)
        except TROUBLE as error:
            field.failed(name, OURS, error)
        works[name] = {"what": work.WHAT, "results": results}
    return works, field


def _head(asked: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": machine.command(),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": asked.quick,
        "options": {"rounds": asked.rounds, "seconds": asked.seconds},
        "machine": machine.described(),
        "versions": machine.versions(),
        "plot": NAMES[1],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", help="works, with commas: " + ", ".join(WORKS))
    parser.add_argument("--peers", help="with commas: " + ", ".join(peer.name for peer in PEERS))
    parser.add_argument("--rounds", type=int, help="of what goes by turns; default 5")
    parser.add_argument("--seconds", type=int, help="of each measurement; default 2")
    parser.add_argument("--quick", action="store_true", help="one round, 500 polls, 60 MB")
    parser.add_argument("--results", type=Path, help="where to write; default for a full run: bench/results")
    asked = parser.parse_args()
    for option, known in (("only", list(WORKS)), ("peers", [peer.name for peer in PEERS])):
        names = [name.strip() for name in (getattr(asked, option) or "").split(",") if name.strip()]
        if unknown := [name for name in names if name not in known]:
            parser.error(f"--{option}: found {', '.join(unknown)}; allowed: {', '.join(known)}")
        setattr(asked, option, names)
    full = not (asked.only or asked.peers or asked.quick)
    asked.results = asked.results or (RESULTS if full else None)
    asked.only = asked.only or list(WORKS)
    asked.rounds = asked.rounds or (1 if asked.quick else 5)
    asked.seconds = asked.seconds or 2
    return asked


if __name__ == "__main__":
    sys.exit(main())
