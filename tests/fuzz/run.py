"""make fuzz ARGS="--seconds 600 [--target framing|lane|answers]": coverage-guided fuzzing with atheris.

Begins with tests/fuzz/corpus (answers: tests/fuzz/answers) and, for what is new, the shorter streams of
tests/differential. A crash is
written to build/fuzz and ends the run with status 77. `--keep` puts what widens the coverage into the corpus,
minimised.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import atheris

HERE = Path(__file__).parent
CORPORA = {"answers": HERE / "answers"}  # of the others: corpus
BUILD = HERE.parents[1] / "build" / "fuzz"
LONGEST = 600  # bytes of an input

sys.path[:0] = [str(HERE.parents[1] / "addons"), str(HERE.parent)]

with atheris.instrument_imports(
    include=["lyncgate.edge", "lyncgate.engine", "differential.reading", "differential.answers"]
):
    from differential import corpus
    from differential.corpus.answers import answers
    from fuzz import answering
    from fuzz.targets import TARGETS


def seeds_of(target: str) -> Iterator[bytes]:
    """The differential corpus as inputs: whole, and in pieces of seven bytes."""
    for size in (b"\0", b"\7"):
        if target == "answers":
            for answered in answers():
                asked = answering.HEAD if answered.method == b"HEAD" else 0
                asked |= answering.CLOSED if answered.script.ending == "fin" else 0
                for more in (0, answering.WEBSOCKET):
                    yield size + bytes([asked | more]) + answered.data
        else:
            for streams in corpus.requests().values():
                yield from (size + stream.data for stream in streams)


def seed(target: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for data in seeds_of(target):
        if len(data) <= LONGEST:
            (directory / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def launcher(target: str) -> str:
    """libFuzzer starts itself anew to merge, as the program that it takes us for: this one."""
    script = BUILD / "again"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" --target {target} --options "$@"\n')
    script.chmod(0o755)
    return str(script)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--target", choices=TARGETS, default="framing")
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    found, seeds = BUILD / chosen.target, BUILD / f"seeds-{chosen.target}"
    kept = CORPORA.get(chosen.target, HERE / "corpus")
    found.mkdir(parents=True, exist_ok=True)
    program = launcher(chosen.target)
    common = [f"-max_len={LONGEST}", f"-artifact_prefix={BUILD}/", "-timeout=20"]
    run = [
        f"-max_total_time={chosen.seconds}",
        *common,
        "-print_final_stats=1",
        str(found),
        str(kept),
        str(seeds),
    ]
    if chosen.options is None:
        seed(chosen.target, seeds)
        kept.mkdir(exist_ok=True)
    if chosen.keep:
        # libFuzzer leaves the process when its time is over: merging is for one that waits for it.
        status = subprocess.run([program, *run], check=False).returncode
        if status == 0:
            status = subprocess.run(
                [program, "-merge=1", *common, str(kept), str(found), str(seeds)], check=False
            ).returncode
        sys.exit(status)
    atheris.Setup([program, *(chosen.options or run)], TARGETS[chosen.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
