"""What time limits may not be, wherever they stand: nothing, too short for Lync, or without effect."""

from __future__ import annotations

from lyncgate.policy.model import Rules
from lyncgate.policy.policy import Scheme
from lyncgate.policy.problem import Key, Report
from lyncgate.policy.scalars import show_duration
from lyncgate.policy.section import Section

POLL_NEEDED = 960.0  # seconds; Microsoft asks for it where mobile clients are (§9.5)
POLL_WANTED = 1860.0  # seconds; UCWA may hold an event request for 1800 s (§6.3)

# A time-out of nothing times everything out. Of `queue` and `drain` it makes sense; `poll` has its own check.
_SOME = ("handshake", "head", "body", "write", "idle", "connect", "response")


def check_general(rules: Rules, report: Report) -> None:
    _check(rules.timeouts, ("timeouts",), report)


def check_listeners(rules: Rules, report: Report) -> None:
    for name, listener in rules.listeners.items():
        key = ("listeners", name, "timeouts")
        _check(listener.timeouts, key, report)
        if listener.protocol is Scheme.HTTP and listener.timeouts.handshake is not None:
            report.error((*key, "handshake"), "found on an http listener; allowed: on https listeners")


def check_publications(rules: Rules, report: Report) -> None:
    for index, publication in enumerate(rules.publications):
        _check(publication.timeouts, ("publications", index, "timeouts"), report)


def check_pools(rules: Rules, report: Report) -> None:
    """slow_start may be nothing."""
    for name, pool in rules.pools.items():
        for part in ("every", "timeout"):
            if getattr(pool.health, part) <= 0:
                report.error(("pools", name, "health", part), "found 0s; allowed: more than nothing")


def _check(times: Section, key: Key, report: Report) -> None:
    for name in _SOME:
        seconds = getattr(times, name, None)
        if seconds is not None and seconds <= 0:
            report.error((*key, name), "found 0s; allowed: more than nothing")
    poll = getattr(times, "poll", None)
    if poll is not None:
        _check_poll(poll, (*key, "poll"), report)


def _check_poll(poll: float, key: Key, report: Report) -> None:
    """A poll that is cut is a client that loses its calls and messages without noticing."""
    found = f"found {show_duration(poll)}"
    if poll < POLL_NEEDED:
        report.error(key, f"{found}; allowed: 16m (960 s) or more; mobile clients' polls would be cut (§9.5)")
    elif poll < POLL_WANTED:
        report.warning(key, f"{found}; better: 31m (1860 s); UCWA clients may poll for 1800 s (§6.3, §9.5)")
