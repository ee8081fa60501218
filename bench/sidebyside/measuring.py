"""What a proxy costs, of all its processes together: CPU, memory, descriptors. From /proc."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Usage:
    """Of the tree from now on. `cpu`, `took`: seconds; `busy`: the part of the time in which it ran, or would
    have run had its core been free: about 1 for whoever is the limit of what is measured."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu = cpu_seconds(pid)
        self._waited = waited_seconds(pid)
        self._began = time.monotonic()
        self.cpu = self.busy = self.took = 0.0

    def stop(self) -> None:
        self.took = time.monotonic() - self._began
        self.cpu = cpu_seconds(self._pid) - self._cpu
        self.busy = min((self.cpu + waited_seconds(self._pid) - self._waited) / self.took, 1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """MiB. `own`: pages that hold no file, those that processes share counted in parts (Pss_Anon): what
    grows with work, whoever else maps the same libraries. `rss`: all, shared ones in each process."""

    rss: float
    own: float


def tree(pid: int) -> list[int]:
    """A process with everything below it. Those that end while one looks are left out."""
    found = [pid]
    for each in found:
        try:
            tasks = list(Path(f"/proc/{each}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree; that of children which have ended stands with their parents."""
    total = 0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return total / TICK


def waited_seconds(pid: int) -> float:
    """How long threads of the tree were ready to run while something else had the core: where others work
    beside us, a proxy may be the limit with half a core."""
    total = 0
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").glob("*"):
            try:
                total += int((task / "schedstat").read_text().split()[1])
            except (OSError, IndexError):  # ended, or a kernel without it
                continue
    return total / 1e9


def memory(pid: int) -> Memory:
    rss = own = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        rss += sizes.get("Rss", 0)
        own += sizes.get("Pss_Anon", sizes.get("Pss", 0)) + sizes.get("Pss_Shmem", 0)
    return Memory(rss / 1024, own / 1024)


def descriptors(pid: int) -> int:
    """Open file descriptors of the tree."""
    count = 0
    for each in tree(pid):
        try:
            count += len(os.listdir(f"/proc/{each}/fd"))  # noqa: PTH208 (a count is all that is wanted)
        except OSError:
            continue
    return count
