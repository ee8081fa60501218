"""New TLS connections: one request each, then closed."""

from __future__ import annotations

from typing import Any

from sidebyside import wrk
from sidebyside.field import Field

NAME = "connections"
WHAT = "a new TLS connection for each small request (Connection: close, no resumption), wrk -t1, c=16"


def measure(field: Field) -> dict[str, Any]:
    """By peer. Whoever passes Connection: close on has a new connection to the origin each time, too."""
    with field.light_origin() as origin, field.instances(NAME, origin) as instances:
        return field.by_turns(
            NAME,
            instances,
            lambda one: dict(
                wrk.measure(one.pid, one.url + "/", 16, field.options.seconds, headers=["Connection: close"])
            ),
            "rate=/s cpu=us p50=ms",
        )
