"""A results document as a run makes it, small and made up."""

from __future__ import annotations

from typing import Any

from sidebyside import targets
from sidebyside.works import WORKS


def load(rate: float, cpu: float, busy: float = 1.0, p50: float = 1.0) -> dict[str, Any]:
    return {
        **{"requests": 100, "rate": rate, "cpu": cpu, "busy": busy, "p50": p50, "p99": 2 * p50},
        **{"errors": 0, "read_errors": 0},
    }


def sign_ins(rate: float, cpu: float, strangers: int = 0) -> dict[str, Any]:
    return {**load(rate, cpu), "signed_in": 100, "failed": 0, "strangers": strangers}


def results() -> dict[str, Any]:
    """Every work, one round, all targets reached and some hopes."""
    kept = {
        "mitmdump": [load(600, 1500)],
        "lyncgate": [load(12000, 60)],
        "haproxy": [load(26000, 30)],
        "nginx": [load(30000, 24)],
    }
    one = {
        "direct": [load(9000, 0, p50=0.1)],
        "lyncgate": [load(4000, 200, p50=0.3)],
        "haproxy": [load(5000, 150, p50=0.2)],
    }
    polls = {
        name: [
            {"memory": memory, "rss": memory, "rate": 500.0, "cpu": 900.0, "idle": 0.0, "held": 9, "lost": 0}
        ]
        for name, memory in (("lyncgate", 60.0), ("nginx", 50.0))
    }
    buffers = {
        "lyncgate": [
            {
                "before": 90.0,
                "slow_down": 3.0,
                "slow_up": 4.0,
                "down": 5.0,
                "up": 2.0,
                "after": 1.0,
                "peak": 5.0,
            }
        ]
    }
    workers = {
        "one": [{**load(500, 800), "load": 40, "cores": 2}],
        "two": [{**load(900, 800), "load": 40, "cores": 2}],
    }
    return {
        "keepalive": {"1": one, "16": kept},
        "connections": {"lyncgate": [load(900, 1100)], "haproxy": [load(1500, 600)]},
        "storm": {
            "1.2": {
                "mitmdump": [sign_ins(30, 33000)],
                "lyncgate": [sign_ins(400, 2500)],
                "haproxy": [sign_ins(800, 1200)],
            },
            "1.3": {
                "mitmdump": [sign_ins(30, 33000)],
                "lyncgate": [sign_ins(210, 5000)],
                "haproxy": [sign_ins(300, 1200)],
            },
        },
        "bodies": {way: {"lyncgate": [load(480, 90)], "nginx": [load(500, 80)]} for way in ("down", "up")},
        "polls": polls,
        "buffers": buffers,
        "growth": {"16": [load(500, 100)], "5000": [load(500, 110)]},
        "workers": {"kept": workers},
    }


def document(**changes: Any) -> dict[str, Any]:
    works = {name: {"what": WORKS[name].WHAT, "results": found} for name, found in results().items()}
    made = {
        "command": "make bench",
        "commit": "abc",
        "date": "2026-01-01",
        "quick": False,
        "minutes": 12.3,
        "plot": "edge.svg",
        "options": {"rounds": 1, "seconds": 2},
        "machine": {
            **{"cpu": "A <CPU>", "cpus": 2, "memory_mib": 1024, "system": "Linux 6"},
            **{"pinned": "each proxy to core 0", "load_before": 0.1},
        },
        "versions": {"lyncgate": "0.1.0"},
        "peers": {"lyncgate": "lyncgate serve"},
        "left_out": {"storm: nginx": "no NTLM"},
        "works": works,
        "targets": targets.table(results()),
    }
    return made | changes
