"""Where a run takes place: certificates, origins, and instances of the peers in front of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sidebyside import certificates, configurations
from sidebyside.configurations import Place
from sidebyside.peers import OURS, Peer
from sidebyside.ports import free_ports
from sidebyside.processes import ENVIRONMENT, LOAD_CORES, PROXY_CORES, python, running

# What a peer that is broken, or a generator that meets one, may end with.
TROUBLE = (RuntimeError, OSError, ValueError, subprocess.SubprocessError)
LARGE = 50_000_000  # bytes of the large body

type Round = dict[str, Any]
type Rounds = dict[str, list[Round]]


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """`seconds` of each measurement; `quick`: less of everything, to see that it works."""

    rounds: int
    seconds: int
    quick: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    https: int
    http: int
    pid: int

    def ask(self, what: str) -> int:
        """A number that ours knows, or an order to it (origin.py)."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/bench/{what}", timeout=30) as answer:
            return int(answer.read())


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A peer that runs."""

    name: str
    pid: int
    place: Place

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.place.https}"


class Field:
    """`left_out`: who did not take part in what, and why; `well`: nothing went wrong with lyncgate."""

    def __init__(self, directory: Path, peers: list[Peer], options: Options) -> None:
        self.directory = directory
        self.peers = peers
        self.options = options
        self.left_out: dict[str, str] = {}
        self.well = True
        self._numbers = itertools.count()
        self._began = time.monotonic()
        certificates.write_all(directory)
        self.large = directory / "large.bin"
        self.large.write_bytes(bytes(range(250)) * (LARGE // 250))

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {text}", flush=True)

    def leave_out(self, work: str, name: str, reason: str) -> None:
        self.left_out[f"{work}: {name}"] = reason
        self.say(f"{work}: without {name}: {reason}")

    @contextlib.contextmanager
    def light_origin(self) -> Iterator[Origin]:
        """nginx: faster than whatever stands before it, forgets everything."""
        place = self._place(Origin(0, 0, 0))
        command = configurations.nginx_origin(place, self.large)
        with running(command, (place.https, place.http), place.directory / "log") as pid:
            yield Origin(place.https, place.http, pid)

    @contextlib.contextmanager
    def lync_origin(self, processes: int = 1, tls: str = "1.3") -> Iterator[Origin]:
        """Ours: knows connections (origin.py). `tls`: the newest version that it speaks."""
        place = self._place(Origin(0, 0, 0))
        command = python("origin", place.https, place.http, self.directory, processes, tls)
        with running(command, (place.https, place.http), place.directory / "log") as pid:
            yield Origin(place.https, place.http, pid)

    @contextlib.contextmanager
    def instance(
        self, peer: Peer, origin: Origin, *, workers: int = 1, pinned: bool = True
    ) -> Iterator[Instance]:
        """`peer` in front of `origin`. Raises StartError."""
        place = self._place(origin, None if self.why_one_worker else workers)
        cores = PROXY_CORES if pinned else None
        log = place.directory / "log"
        with running(peer.command(place), (place.https, place.http), log, cores) as pid:
            yield Instance(peer.name, pid, place)

    @contextlib.contextmanager
    def instances(
        self, work: str, origin: Origin, peers: list[Peer] | None = None
    ) -> Iterator[list[Instance]]:
        """All peers that can do `work`, at the same time."""
        with contextlib.ExitStack() as stack:
            up = []
            for peer in self.able(work, peers):
                try:
                    up.append(stack.enter_context(self.instance(peer, origin)))
                except TROUBLE as error:
                    self.failed(work, peer.name, error)
            yield up

    def able(self, work: str, peers: list[Peer] | None = None) -> list[Peer]:
        """Those who can do `work`; of the others the reason is noted."""
        able = []
        for peer in peers or self.peers:
            if reason := peer.why_not(work):
                self.leave_out(work, peer.name, reason)
            else:
                able.append(peer)
        return able

    def failed(self, work: str, name: str, error: Exception) -> None:
        """Note that someone can't be measured. A quarter of an hour is not thrown away for it, but the run
        fails if it was lyncgate."""
        self.well = self.well and name != OURS
        self.leave_out(work, name, " ".join(f"{type(error).__name__}: {error}".split())[-300:])

    def each(self, work: str, act: Callable[[Peer], Round]) -> Rounds:
        """For works in which each peer is started anew: one round of everyone who can."""
        found: Rounds = {}
        for peer in self.able(work):
            try:
                found[peer.name] = [act(peer)]
            except TROUBLE as error:
                self.failed(work, peer.name, error)
        return found

    def ours(self) -> Peer | None:
        return next((peer for peer in self.peers if peer.name == OURS), None)

    @functools.cached_property
    def why_one_worker(self) -> str | None:
        """Why this lyncgate can't have two workers, or None. Where it can, rules say that there is one, for
        its default may be another number."""
        command = configurations.check(self._place(Origin(4443, 8080, 0), 2))
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
        if done.returncode == 0:
            return None
        said = re.search(r"workers: [^;\n]*", done.stdout + done.stderr)
        return f"lyncgate check refuses the rules: {said[0] if said else 'see lyncgate check'}"

    def by_turns(
        self, work: str, instances: list[Instance], act: Callable[[Instance], Round], shown: str
    ) -> Rounds:
        """Everyone once, then everyone again: what drifts, drifts for all. `shown`: what progress tells."""
        found: Rounds = {instance.name: [] for instance in instances}
        for turn in range(self.options.rounds):
            for instance in [instance for instance in instances if instance.name in found]:
                try:
                    result = act(instance)
                except TROUBLE as error:
                    del found[instance.name]
                    self.failed(work, instance.name, error)
                    continue
                found[instance.name].append(result)
                self.say(f"{work} {turn + 1}/{self.options.rounds} {instance.name:16} {told(result, shown)}")
        return found

    def _place(self, origin: Origin, workers: int | None = None) -> Place:
        directory = self.directory / str(next(self._numbers))
        directory.mkdir()
        https, http = free_ports(2)
        return Place(directory, self.directory, https, http, origin.https, origin.http, workers)


def told(result: Round, shown: str) -> str:
    """A result for the eye: `shown` are keys with units, as `rate=/s cpu=us`."""
    words = []
    for word in shown.split():
        key, _, unit = word.partition("=")
        value = result.get(key)
        words.append(f"{key} {value:.1f} {unit}" if isinstance(value, float) else f"{key} {value} {unit}")
    if wrong := {
        key: result[key] for key in ("errors", "failed", "reasons", "strangers", "lost") if result.get(key)
    }:
        words.append(f"!! {wrong}")
    return ", ".join(words)


def load_processes() -> int:
    """How many processes an origin may have."""
    return max(1, min(4, len(LOAD_CORES) - 1))


if sys.platform != "linux":
    raise SystemExit("measures by /proc: Linux only")
