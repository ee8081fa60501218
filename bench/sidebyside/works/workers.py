"""Two workers against one, on all cores."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from typing import Any

from sidebyside import wrk
from sidebyside.field import Field, Instance, Origin, Round, Rounds
from sidebyside.measuring import cpu_seconds
from sidebyside.processes import CORES, unpinned

NAME = "workers"
WHAT = (
    "lyncgate with two workers against one, nothing pinned, wrk -t1 -c64: kept connections, and new ones. "
    "`room`: how many times as fast the load on the same cores lets it be"
)


def measure(field: Field) -> dict[str, Any]:
    """By kind of load, then `one` and `two`; `load`: what wrk and the origin use a request, microseconds."""
    peer = field.ours()
    if peer is None:
        return {}
    if reason := field.why_one_worker:
        field.leave_out(NAME, peer.name, reason)
        return {}
    found: dict[str, Rounds] = {}
    with unpinned(), field.light_origin() as origin, contextlib.ExitStack() as stack:
        instances = []
        for name, workers in (("one", 1), ("two", 2)):
            one = stack.enter_context(field.instance(peer, origin, workers=workers, pinned=False))
            instances.append(dataclasses.replace(one, name=name))
        for kind, headers in (("kept", []), ("new", ["Connection: close"])):
            found[kind] = field.by_turns(
                f"{NAME} {kind}", instances, _round(field, origin, headers), "rate=/s cpu=us load=us"
            )
    return found


def _round(field: Field, origin: Origin, headers: list[str]) -> Callable[[Instance], Round]:
    def act(one: Instance) -> Round:
        before, own = cpu_seconds(origin.pid), os.times()
        said = wrk.measure(one.pid, one.url + "/", 64, field.options.seconds, headers=headers)
        after = os.times()
        load = cpu_seconds(origin.pid) - before
        load += after.children_user + after.children_system - own.children_user - own.children_system
        return {
            **said,
            "load": load / max(said["requests"], 1) * 1e6,
            "cores": len(CORES),
        }

    return act
