"""Small requests on kept connections; and what a hop adds to the time of one."""

from __future__ import annotations

import functools
from typing import Any

from sidebyside import wrk
from sidebyside.configurations import Place
from sidebyside.field import Field, Instance, Origin, Round, Rounds

NAME = "keepalive"
WHAT = "small answers (50 bytes) over kept TLS connections, wrk -t1, c=1, 16 and 64"
CONNECTIONS = (1, 16, 64)
DIRECT = "direct"  # no proxy at all, for c=1


def measure(field: Field) -> dict[str, Any]:
    """By number of connections, then by peer."""
    found: dict[str, Rounds] = {}
    with field.light_origin() as origin, field.instances(NAME, origin) as instances:
        for instance in instances:
            wrk.measure(instance.pid, instance.url + "/", 16, 1)  # warm
        for count in CONNECTIONS:
            taking = [_direct(field, origin), *instances] if count == 1 else instances
            act = functools.partial(_round, count=count, seconds=field.options.seconds)
            found[str(count)] = field.by_turns(f"{NAME} c={count}", taking, act, "rate=/s cpu=us p50=ms")
    return found


def _round(one: Instance, count: int, seconds: int) -> Round:
    return dict(wrk.measure(one.pid, f"{one.url}/", count, seconds))


def _direct(field: Field, origin: Origin) -> Instance:
    place = Place(field.directory, field.directory, origin.https, origin.http, 0, 0)
    return Instance(DIRECT, origin.pid, place)
