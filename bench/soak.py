"""lyncgate under a steady load for hours: does it keep anything it should not?

    .venv/bin/python bench/soak.py                                   two hours, on a machine of its own
    .venv/bin/python bench/soak.py --for 90s --every 1               to see that it works
    .venv/bin/python bench/soak.py --results bench/results/soak.json

The load (sidebyside/mix.py): 200 requests/s on kept connections, 500 polls held for up to a minute each, some
abandoned, 2 sign-ins/s with NTLM, 5 connections/s for a request each. Every ten seconds: memory, descriptors,
CPU, latency, what failed. At the end all clients leave, then the origin, and the descriptors must be as many
as before anyone came. Status 1: they are not, or somebody saw another's identity, or nothing came through.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from sidebyside import configurations, machine
from sidebyside.field import Field, Instance, Options, Origin
from sidebyside.flat import LEFT, verdicts
from sidebyside.measuring import cpu_seconds, descriptors, memory
from sidebyside.mix import Mix, Rates
from sidebyside.peers import OURS, Peer, chosen
from sidebyside.processes import prepare

UNITS = {"s": 1, "m": 60, "h": 3600}
SETTLE = 60.0  # seconds that the descriptors have to go


def main() -> int:
    asked = _arguments()
    # Now: who works on the code in the meantime shall not be the one that was measured.
    head = {
        "command": " ".join(["bench/soak.py", *sys.argv[1:]]),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.described(),
        "versions": machine.versions(),
    }
    prepare()
    began = time.monotonic()
    [peer], _ = chosen([OURS])
    command = configured(asked.engine)
    with tempfile.TemporaryDirectory(prefix="lyncgate-soak-") as directory:
        field = Field(Path(directory), [], Options(1, 1, quick=False))
        found = soak(field, Peer(peer.name, peer.what, command), asked.seconds, asked.every, asked.rates)
    document = head | {"minutes": (time.monotonic() - began) / 60, **found}
    for name, value in {**found["verdict"], "done": found["done"], "failures": found["failures"]}.items():
        print(f"{name:22} {f'{value:.2f}' if isinstance(value, float) else value}")
    if asked.results:
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        asked.results.write_text(json.dumps(document, indent=1) + "\n")
    return int(bool(found["verdict"]["leak"] or found["strangers"] or not found["done"].get("request")))


def configured(engine: str | None) -> Any:
    """The command of lyncgate with everything on, but nothing on the disk that grows without bound."""

    def command(place: configurations.Place) -> list[str]:
        words = configurations.lyncgate(place, *(["--engine", engine] if engine else []))
        path = place.directory / "rules.yaml"
        rules = configurations.rules(place)
        rules["access_log"] = {"path": "/dev/null"}
        rules["journal"]["size"] = "128MiB"
        path.write_text(yaml.safe_dump(rules, sort_keys=False))
        return words

    return command


def soak(field: Field, peer: Peer, seconds: float, every: float, rates: Rates) -> dict[str, Any]:
    samples: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(contextlib.ExitStack())
        origin = behind.enter_context(field.lync_origin())
        one = stack.enter_context(field.instance(peer, origin))
        before = _settled(one, _warmed(one, origin, rates))
        mix = Mix(one.place.https, one.place.http, rates)
        mix.start()
        began = time.monotonic()
        sampler = _Sampler(mix, one, began)

        def sample() -> None:
            samples.append(sampler.sample())
            field.say(_line(samples[-1]))
            mix.loop.later(every, sample)

        mix.loop.later(every, sample)
        mix.loop.run(lambda: time.monotonic() - began >= seconds)
        mix.stop()
        behind.close()  # whoever keeps connections to the origin in store loses them now
        after = _settled(one, before)
    return {
        "seconds": seconds,
        "rates": {name: getattr(rates, name) for name in Rates.__slots__},
        "verdict": verdicts(samples, before, after),
        "done": dict(mix.done) | {"sign-in": len(mix.took)},
        "failures": dict(mix.failures.most_common(20)),
        "strangers": mix.strangers,
        "samples": samples,
    }


def _warmed(one: Instance, origin: Origin, rates: Rates) -> int:
    """A second of everything, so that what is opened once is open. How many descriptors there were before."""
    before = descriptors(one.pid)
    small = Rates(20, 2, 5, 5, 1.0)
    mix = Mix(one.place.https, one.place.http, small)
    mix.start()
    end = time.monotonic() + 2
    mix.loop.run(lambda: time.monotonic() >= end)
    mix.stop()
    return before


def _settled(one: Instance, wanted: int) -> int:
    """Descriptors once they are `wanted` or nearly, or when they had a minute for it."""
    end = time.monotonic() + SETTLE
    while (now := descriptors(one.pid)) > wanted + LEFT and time.monotonic() < end:
        time.sleep(0.5)
    return now


class _Sampler:
    def __init__(self, mix: Mix, one: Instance, began: float) -> None:
        self._mix = mix
        self._pid = one.pid
        self._began = began
        self._cpu = cpu_seconds(one.pid)
        self._then = began
        self._failed: collections.Counter[str] = collections.Counter()

    def sample(self) -> dict[str, Any]:
        now, cpu, used = time.monotonic(), cpu_seconds(self._pid), memory(self._pid)
        latencies = sorted(self._mix.latencies)
        self._mix.latencies = []
        failed = self._mix.failures - self._failed
        self._failed = self._mix.failures.copy()
        taken = {
            "at": round(now - self._began, 2),
            "memory": round(used.own, 2),
            "rss": round(used.rss, 2),
            "descriptors": descriptors(self._pid),
            "cpu": round((cpu - self._cpu) / (now - self._then), 3),
            "requests": len(latencies),
            "p50": _at(latencies, 0.5),
            "p99": _at(latencies, 0.99),
            "failed": dict(failed),
        }
        self._cpu, self._then = cpu, now
        return taken


def _at(ordered: list[float], part: float) -> float | None:
    """A quantile in milliseconds."""
    return round(1000 * ordered[int(len(ordered) * part)], 3) if ordered else None


def _line(sample: dict[str, Any]) -> str:
    failed = f"  failed {sample['failed']}" if sample["failed"] else ""
    return (
        f"memory {sample['memory']:.1f} MiB, descriptors {sample['descriptors']}, "
        f"CPU {100 * sample['cpu']:.0f} %, {sample['requests']} requests, "
        f"p50 {sample['p50']} ms, p99 {sample['p99']} ms{failed}"
    )


def duration(text: str) -> float:
    """`90s`, `10m`, `2h`. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * UNITS[match[2]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    usual = Rates()
    parser.add_argument("--for", dest="seconds", type=duration, default=7200.0, help="as 90s, 10m, 2h")
    parser.add_argument("--every", type=float, default=10.0, help="seconds from sample to sample")
    parser.add_argument("--requests", type=float, default=usual.requests, help="a second")
    parser.add_argument("--polls", type=int, default=usual.polls, help="held at a time")
    parser.add_argument("--sign-ins", type=float, default=usual.sign_ins, help="a second")
    parser.add_argument("--connections", type=float, default=usual.connections, help="new ones a second")
    parser.add_argument("--longest-poll", type=float, default=usual.longest, help="seconds")
    parser.add_argument("--engine", help="of lyncgate serve")
    parser.add_argument("--results", type=Path, help="write them there")
    asked = parser.parse_args()
    asked.rates = Rates(asked.requests, asked.sign_ins, asked.connections, asked.polls, asked.longest_poll)
    return asked


if __name__ == "__main__":
    sys.exit(main())
