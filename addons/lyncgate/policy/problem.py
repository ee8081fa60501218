"""What is wrong with rules.yaml: where, what was found, what is allowed.

Every stage of loading (YAML, shape, cross-checks, certificates, route tests) says what it has to say
through one `Report`; nothing raises at the operator, and everything is said at once. A line reads

    rules.yaml:12:5: pools.pool01.bridge.https: found 8080; allowed: 4443, or the pool's own port

with `warning: ` after the position where the rules may still be served.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import json
import re
from collections.abc import Iterable, Mapping

type Key = tuple[str | int, ...]  # ("publications", 0, "hosts"): where a value stands in the file

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 60  # characters of a found value


class Severity(enum.StrEnum):
    """An error keeps the rules from being served, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the text, both from 1 as editors count."""

    line: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`key`: path of the value as the operator would write it, or "" for the file as a whole."""

    file: str
    line: int
    column: int
    key: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        warning = "warning: " if self.severity is Severity.WARNING else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {warning}{key}{self.message}"


class Report:
    """Collects the problems of one file, finding each key's place in it."""

    def __init__(self, file: str, values: Mapping[Key, Mark], keys: Mapping[Key, Mark]) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._values = values
        self._keys = keys

    def error(self, key: Key, message: str) -> None:
        self.at(self._mark(key), key, message)

    def warning(self, key: Key, message: str) -> None:
        self.at(self._mark(key), key, message, Severity.WARNING)

    def at_key(self, key: Key, message: str) -> None:
        """An error about the key itself (unknown, misspelt), so the place is the key's, not its value's."""
        self.at(self._keys.get(key) or self._mark(key), key, message)

    def at(self, mark: Mark, key: Key, message: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(Problem(self.file, mark.line, mark.column, show_key(key), message, severity))

    @property
    def failed(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def _mark(self, key: Key) -> Mark:
        """Place of the value, or of the nearest thing around it that the operator did write."""
        while key and key not in self._values:
            key = key[:-1]
        return self._values.get(key, Mark(1, 1))


def show_key(key: Key) -> str:
    """`("lync", "domains", "contoso.example", "pool")` → `lync.domains."contoso.example".pool`."""
    shown = ""
    for part in key:
        if isinstance(part, int):
            shown += f"[{part}]"
            continue
        text = part if _PLAIN_KEY.fullmatch(part) else show_value(part)
        shown += f".{text}" if shown else text
    return shown


def show_value(value: object) -> str:
    """A found value in a few words; never more than a line, control characters escaped."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            cut = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
            return "".join(
                c if c.isprintable() else ascii(c)[1:-1] for c in json.dumps(cut, ensure_ascii=False)
            )
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case _:
            return str(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "members"? ` or nothing."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f'did you mean "{near[0]}"? ' if near else ""


def listed(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = list(words) or ["none"]
    return f"{', '.join(most)} or {last}" if most else last
