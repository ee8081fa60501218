"""Cross-checks of `journal`: what would overwrite a file, read nothing, or keep nothing. See `checks`."""

from __future__ import annotations

from lyncgate.policy.journalmodel import FollowRules
from lyncgate.policy.model import Rules
from lyncgate.policy.policy import MIB
from lyncgate.policy.problem import Key, Report
from lyncgate.policy.scalars import show_duration, show_size

LEAST_SIZE = MIB  # under that, SQLite's own pages and indexes are most of it
LEAST_AGE = 3600.0  # seconds; a poll may last for 30 minutes, and its sign-in began before


def check_journal(rules: Rules, report: Report) -> None:
    """Bounds that keep something, a file of its own, and each followed file understood and named once."""
    journal = rules.journal
    if journal.size < LEAST_SIZE:
        report.error(
            ("journal", "size"), f"found {show_size(journal.size)}; allowed: at least {show_size(LEAST_SIZE)}"
        )
    if journal.age < LEAST_AGE:
        report.error(
            ("journal", "age"),
            f"found {show_duration(journal.age)}; allowed: at least {show_duration(LEAST_AGE)}",
        )
    taken = {rules.access_log.path: "access_log.path"}
    if journal.path in taken:
        report.error(("journal", "path"), "found the file of access_log.path; allowed: a file of its own")
    if journal.path:
        taken[journal.path] = "journal.path"
    for index, follow in enumerate(journal.follow):
        key: Key = ("journal", "follow", index)
        _check_follow(follow, key, report)
        for name in ("dns", "trace"):
            if path := getattr(follow, name):
                if owner := taken.get(path):
                    report.error((*key, name), f"found the file of {owner}; allowed: each file once")
                taken[path] = f"journal.follow[{index}].{name}"


def _check_follow(follow: FollowRules, key: Key, report: Report) -> None:
    if follow.dns and follow.trace:
        report.error(key, "found dns and trace; allowed: one of them, an entry for each file")
    elif not (follow.dns or follow.trace):
        report.error(key, "found neither dns nor trace; allowed: one of them")
    elif follow.trace and not follow.server:
        report.error(key, "found no server; allowed: the name of the server whose trace it is")
    elif follow.dns and follow.server:
        report.error((*key, "server"), "found beside dns; allowed: beside trace")
