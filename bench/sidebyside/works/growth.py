"""Does a request cost more when many connections are open? lyncgate beside itself."""

from __future__ import annotations

import contextlib
from typing import Any

from sidebyside import wrk
from sidebyside.crowds import crowd
from sidebyside.field import Field, Instance

NAME = "growth"
WHAT = "CPU a request of lyncgate, 16 active connections beside 0, 100, 1,000 and 5,000 idle ones"
IDLE, QUICK = (0, 100, 1000, 4984), (0, 100, 500)


def measure(field: Field) -> dict[str, Any]:
    """By number of open connections. The instances take turns; each has its own crowd."""
    peer = field.ours()
    if peer is None:
        return {}
    found = []
    with field.light_origin() as origin, contextlib.ExitStack() as stack:
        for count in QUICK if field.options.quick else IDLE:
            one = stack.enter_context(field.instance(peer, origin))
            if count:
                there = stack.enter_context(crowd(one.place.https, count, "idle")).opened["there"]
                field.say(f"{NAME}: {there} of {count} idle connections are there")
            found.append(Instance(str(count + 16), one.pid, one.place))
        for one in found:
            wrk.measure(one.pid, one.url + "/", 16, 1)  # warm
        return field.by_turns(
            NAME,
            found,
            lambda one: dict(wrk.measure(one.pid, one.url + "/", 16, field.options.seconds)),
            "rate=/s cpu=us",
        )
