"""Large bodies, down and up."""

from __future__ import annotations

from typing import Any

from sidebyside import wrk
from sidebyside.field import LARGE, Field, Instance, Origin, Round, Rounds

NAME = "bodies"
WHAT = "bodies of 50 MB, down and up, two connections, wrk -t1"
LEAST = 1_000_000  # bytes in a round, below which it says nothing
UP = "wrk.method = 'POST'\nwrk.body = string.rep('0123456789', 5000000)\n"


def measure(field: Field) -> dict[str, Any]:
    """By direction, then by peer; `rate` in MB/s, `cpu` in ms for 50 MB. Bytes are counted, not bodies, of
    which few fit into a round: down by wrk, up by the origin."""
    found: dict[str, Rounds] = {}
    script = field.directory / "up.lua"
    script.write_text(UP)
    seconds = max(field.options.seconds, 2)

    def down(one: Instance) -> Round:
        said = wrk.measure(one.pid, f"{one.url}/large", 2, seconds)
        return _by_bytes(said, said["read"])

    def up(one: Instance, origin: Origin) -> Round:
        before = origin.ask("taken")
        said = wrk.measure(one.pid, f"{one.url}/bench/up", 2, seconds, script=script)
        return _by_bytes(said, origin.ask("taken") - before)

    with field.light_origin() as origin, field.instances(NAME, origin) as instances:
        found["down"] = field.by_turns(f"{NAME} down", instances, down, "rate=MB/s cpu=ms")
    with field.lync_origin() as origin, field.instances(NAME, origin) as instances:
        found["up"] = field.by_turns(f"{NAME} up", instances, lambda one: up(one, origin), "rate=MB/s cpu=ms")
    return found


def _by_bytes(said: wrk.Round, moved: int) -> Round:
    used = said["cpu"] * max(said["requests"], 1) / 1000
    if moved < LEAST:  # it has buffered all the time
        return {**said, "rate": 0.0, "cpu": None}
    return {**said, "rate": moved / 1e6 / said["seconds"], "cpu": used * LARGE / moved}
