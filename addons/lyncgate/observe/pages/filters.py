"""What the list of sign-ins is filtered by: its URL's arguments, read and bounded.

Filter.read({"user": ["alice"], "since": ["1h"]}) -> Filter
filter.query(now)      arguments of Reader.list
filter.url(before)     the URL that says the same
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Mapping, Sequence

from lyncgate.observe.journal.reader import Wanted

OUTCOMES = (("", "all"), ("bad", "failed or stopped"), ("good", "signed in or under way"))
SINCES = (("", "ever"), ("15m", "15 minutes"), ("1h", "an hour"), ("24h", "a day"), ("7d", "a week"))
LIMITS = {"user": 128, "device": 128, "client": 64, "code": 8}  # characters
_SECONDS = {"15m": 900.0, "1h": 3600.0, "24h": 86_400.0, "7d": 604_800.0}
_CURSOR = re.compile(r"\d{1,12}(\.\d{1,9})?~[0-9A-Za-z_-]{1,64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Empty strings filter nothing. `problems`: what was asked for and can't be, for the person who asked."""

    user: str = ""
    outcome: str = ""
    device: str = ""
    client: str = ""
    code: str = ""
    since: str = ""
    before: str = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, arguments: Mapping[str, Sequence[str]]) -> Filter:
        """The last of each argument counts; unknown ones don't."""

        def last(name: str) -> str:
            return (arguments.get(name) or [""])[-1].strip()

        problems = []
        texts = {name: last(name)[:limit] for name, limit in LIMITS.items()}
        for name, allowed in (("outcome", OUTCOMES), ("since", SINCES)):
            texts[name] = last(name)
            if texts[name] not in dict(allowed):
                words = ", ".join(value for value, _ in allowed if value)
                problems.append(f"{name}: {texts[name][:40]!r} is none of {words}")
                texts[name] = ""
        before = last("before")
        return cls(**texts, before=before if _CURSOR.fullmatch(before) else "", problems=tuple(problems))

    @property
    def is_set(self) -> bool:
        return any((self.user, self.outcome, self.device, self.client, self.code, self.since))

    def wanted(self, now: float) -> Wanted:
        """What to ask a reader for. `now`: Unix seconds."""
        return {
            "user": self.user or None,
            "device": self.device or None,
            "client": self.client or None,
            "code": self.code or None,
            "failed": {"bad": True, "good": False}.get(self.outcome),
            "since": now - _SECONDS[self.since] if self.since else None,
        }

    def arguments(self, before: str = "") -> str:
        """As a query string, without what is empty."""
        names = ("user", "outcome", "device", "client", "code", "since")
        pairs = [(name, getattr(self, name)) for name in names] + [("before", before)]
        return urllib.parse.urlencode([(name, value) for name, value in pairs if value])
