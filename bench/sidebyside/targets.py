"""What must be shown, as the engine's issue has it, and whether it was. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from sidebyside import ratios
from sidebyside.peers import OURS, STOCK
from sidebyside.works.keepalive import DIRECT

type Works = dict[str, Any]  # work → results

FEWEST_WORKERS = 1.6


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """`value` None: not measured. `judged`: the circumstances let it be judged."""

    value: float | None
    note: str = ""
    judged: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """`least`: more is better, else less. `unit` follows the figure."""

    name: str
    reach: float
    hope: float | None
    measure: Callable[[Works], Found]
    least: bool = True
    unit: str = "×"

    def bound(self, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{'≥' if self.least else '≤'} {shown(value, self.unit)}"

    def verdict(self, found: Found) -> str:
        if found.value is None:
            return "not measured"
        if self._kept(found.value, self.hope):
            return "hoped for"
        if self._kept(found.value, self.reach):
            return "yes"
        return "no" if found.judged else "can't be told here"

    def _kept(self, value: float, bound: float | None) -> bool:
        return bound is not None and (value >= bound if self.least else value <= bound)


def shown(value: float, unit: str) -> str:
    digits = 0 if value == int(value) or value >= 100 else 1 if value >= 20 else 2
    return f"{value:.{digits}f}{'' if unit == '×' else ' '}{unit}".strip()


def table(works: Works) -> list[dict[str, Any]]:
    """A row a target, for JSON and for people."""
    rows = []
    for target in TARGETS:
        found = target.measure(works)
        rows.append(
            {
                "work": target.name,
                "to_reach": target.bound(target.reach),
                "hoped_for": target.bound(target.hope),
                "measured": "–" if found.value is None else shown(found.value, target.unit),
                "value": found.value,
                "met": target.verdict(found),
                "note": found.note,
            }
        )
    return rows


def rates(work: str, part: str | None, other: str) -> Callable[[Works], Found]:
    """Our rate over another's, by_capacity."""

    def measure(works: Works) -> Found:
        own, their = _two(works, work, part, other)
        if not own or not their:
            return Found(None)
        value, plain = ratios.by_capacity(own, their), ratios.ratio(own, their, "rate")
        if value is None or plain is None:
            return Found(None, "nothing came through")
        if ratios.saturated(their):
            return Found(value, "by rate")
        busy = 100 * (ratios.middle(their, "busy") or 0)
        return Found(
            value, f"by CPU, for {other} was busy {busy:.0f} % of the time; rates as measured {plain:.2f}×"
        )

    return measure


def costs(work: str, part: str | None, other: str, key: str, note: str = "") -> Callable[[Works], Found]:
    """Our `key` over another's."""

    def measure(works: Works) -> Found:
        own, their = _two(works, work, part, other)
        return Found(ratios.ratio(own, their, key) if own and their else None, note)

    return measure


def _two(works: Works, work: str, part: str | None, other: str) -> tuple[Any, Any]:
    results = works.get(work) or {}
    results = results.get(part, {}) if part else results
    return results.get(OURS), results.get(other)


def _added(works: Works) -> Found:
    results = (works.get("keepalive") or {}).get("1", {})
    three = [results.get(name) for name in (OURS, "haproxy", DIRECT)]
    if not all(three):
        return Found(None)
    middles = [ratios.middle(rounds, "p50") or 0 for rounds in three]
    note = "ms: lyncgate {:.2f}, haproxy {:.2f}, without a proxy {:.2f}".format(*middles)
    return Found(ratios.added(*three), note)


def _buffered(works: Works) -> Found:
    rounds = (works.get("buffers") or {}).get(OURS)
    if not rounds:
        return Found(None)
    last = rounds[-1]
    return Found(last["peak"], f"highest at any time; {last['after']:.1f} MiB afterwards")


def _workers(works: Works) -> Found:
    """Of the kinds of load, the one that leaves most room."""
    best = Found(None)
    most = 0.0
    for kind, rounds in (works.get("workers") or {}).items():
        one, two = rounds["one"], rounds["two"]
        room = _room(one)
        value = ratios.ratio(two, one, "rate")
        if value is not None and room > most:
            most = room
            note = f"{kind} connections; the load leaves room for {room:.2f}×"
            if cost := ratios.ratio(two, one, "cpu"):
                note += f"; CPU a request {cost:.2f}×"
            best = Found(value, note, judged=room >= 1.1 * FEWEST_WORKERS)
    return best


def _room(one: list[ratios.Round]) -> float:
    cpu, load = ratios.middle(one, "cpu"), ratios.middle(one, "load")
    if not cpu or load is None:
        return 0.0
    return min(2.0, float(one[0]["cores"] * cpu / (cpu + load)))


def _growth(works: Works) -> Found:
    results = works.get("growth") or {}
    counts = sorted(results, key=int)
    if len(counts) < 2:
        return Found(None)
    least, most = counts[0], counts[-1]
    value = ratios.ratio(results[most], results[least], "cpu")
    return Found(value, f"{most} open connections against {least}")


def _none(work: str, key: str) -> Callable[[Works], Found]:
    def measure(works: Works) -> Found:
        rounds = (works.get(work) or {}).get(OURS)
        return Found(ratios.total(rounds, key) if rounds else None)

    return measure


def _strangers(works: Works) -> Found:
    """In any of the storms."""
    storms = [rounds for by_peer in (works.get("storm") or {}).values() if (rounds := by_peer.get(OURS))]
    return Found(sum(ratios.total(rounds, "strangers") for rounds in storms) if storms else None)


TARGETS = (
    Target("keepalive c=16, requests/s against stock mitmdump", 10, 18, rates("keepalive", "16", STOCK)),
    Target(
        "keepalive c=16, CPU a request against nginx",
        6,
        3,
        costs("keepalive", "16", "nginx", "cpu"),
        least=False,
    ),
    Target("c=1, median latency added, against HAProxy's", 2, 1.3, _added, least=False),
    Target("new TLS connections/s against HAProxy", 0.5, 0.8, rates("connections", None, "haproxy")),
    Target("sign-in storm, sign-ins/s against stock mitmdump", 8, 12, rates("storm", "1.2", STOCK)),
    Target("the same, front end of TLS 1.3", 8, 12, rates("storm", "1.3", STOCK)),
    Target("sign-in storm, sign-ins/s against HAProxy", 0.4, 0.7, rates("storm", "1.2", "haproxy")),
    Target("the same against HAProxy, front end of TLS 1.3", 0.4, 0.7, rates("storm", "1.3", "haproxy")),
    Target("sign-in storm, answers with another's identity", 0, None, _strangers, False, ""),
    Target("50 MB bodies down, MB/s against nginx", 0.95, 1, rates("bodies", "down", "nginx")),
    Target("50 MB bodies up, MB/s against nginx", 0.95, 1, rates("bodies", "up", "nginx")),
    Target(
        "memory of a held TLS poll against nginx",
        1.5,
        1.1,
        costs("polls", None, "nginx", "memory", "pages of its own"),
        False,
    ),
    Target("held polls lost", 0, None, _none("polls", "lost"), False, ""),
    Target("memory with 300 MB up and down, slow readers", 16, 2, _buffered, False, "MiB"),
    Target("two workers against one", FEWEST_WORKERS, None, _workers),
    Target("CPU a request, 5,000 connections against 16", 1.15, None, _growth, False),
)
