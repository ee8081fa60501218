"""Events → sign-ins. `stitch` is a pure function: any order of the same events gives the same sign-ins, and
live traffic, captures, HARs and traces all pass through it.

How: `signin.people` finds out who is who, `signin.weave` ties events by exact keys, `signin.attempts` puts
the strands of one person together to sign-ins, `signin.loose` gives away what names nobody, `signin.clocks`
says which trace's clock is wrong, `signin.stages` tells what each sign-in came to. `signin.tracker` does the
same for events as they come.

A sign-in's id is that of its first exchange: see `signin.weave`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lyncgate.signin.events import Event
from lyncgate.signin.stages import Assembly
from lyncgate.signin.story import SignIn
from lyncgate.signin.weave import Woven, weave


def stitch(events: Iterable[Event], now: float | None = None) -> list[SignIn]:
    """The sign-ins that these events tell of, in order of their start. `now`: Unix seconds, to tell what is
    still going on; None: everything is over. Events that belong to no sign-in are left out."""
    woven = weave(events)
    made = [assembly(sign_in, woven.offsets).sign_in(now) for sign_in in woven.sign_ins.values()]
    return sorted(made, key=lambda sign_in: (sign_in.started, sign_in.id))


def offsets(events: Iterable[Event]) -> dict[str, float]:
    """For each trace among these events (`trace:fe01`) the seconds that its clock is ahead, where there is
    something to go by."""
    return weave(events).offsets


def assembly(woven: Woven, offsets: dict[str, float]) -> Assembly:
    """A sign-in, put together as of what is known."""
    events = woven.events
    joined = {event.id: why for event, why in events}
    return Assembly(woven.id, [event for event, _ in events], joined, offsets)
