"""A list of sign-ins, for a terminal and for a program."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from lyncgate.cli.waterfall import OUTCOME_STYLES, STATE_STYLES
from lyncgate.observe.journal.rows import SignInRow
from lyncgate.signin.codec import iso
from lyncgate.signin.rows import MARKS, ROWS, outcome_words, row_states
from lyncgate.signin.shown import duration, shown

GAP = 2  # blanks between two columns
FINDING_WIDTH = 32  # characters of a finding that a terminal should have room for
# What a narrow terminal goes without, the least needed first, and what is then cut, to how much.
SPARED = ("client", "device", "took")
CUT = {"user": 14, "outcome": 12}


def table(rows: Sequence[SignInRow], now: float, width: int) -> Text:
    """`rows` as lines of at most `width` characters. Times are UTC, with the date when it is not today's."""
    columns = {
        "time, UTC": _Column(14, [Text(_time(row.started, now)) for row in rows]),
        "id": _Column(16, [Text(row.id, "dim") for row in rows]),
        "user": _Column(32, [Text(shown(row.user or row.account or "–")) for row in rows]),
        "device": _Column(24, [Text(shown(row.device or "–")) for row in rows]),
        "client": _Column(15, [Text(shown(row.client or "–")) for row in rows]),
        "took": _Column(12, [Text(f"{duration(row.seconds):>9}") for row in rows]),
        "stages": _Column(len(ROWS), [marks(row) for row in rows]),
        "outcome": _Column(29, [_outcome(row) for row in rows]),
        "finding": _Column(200, [_finding(row) for row in rows]),
    }
    widths = {name: column.width(name) for name, column in columns.items()}
    widths["finding"], finding = min(widths["finding"], FINDING_WIDTH), widths["finding"]

    def over() -> int:
        return sum(widths.values()) + GAP * (len(widths) - 1) - width

    for name in SPARED:
        if over() > 0:
            del widths[name]
    for name, least in CUT.items():
        widths[name] = max(min(widths[name], least), widths[name] - max(0, over()))
    widths["finding"] = max(4, min(finding, widths["finding"] - over()))
    lines = [_line([(Text(name, "bold"), wide) for name, wide in widths.items()])]
    lines.append(Text("─" * min(width, len(lines[0])), "dim"))
    for number in range(len(rows)):
        lines.append(_line([(columns[name].cells[number], wide) for name, wide in widths.items()]))
    return Text("\n").join(lines if rows else [*lines, Text("none", "dim")])


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    most: int  # characters
    cells: list[Text]

    def width(self, name: str) -> int:
        return min(self.most, max([cell_len(name), *(cell.cell_len for cell in self.cells)]))


def _line(cells: Sequence[tuple[Text, int]]) -> Text:
    parts = [cell.copy() for cell, _ in cells]
    for part, (_, wide) in zip(parts, cells, strict=True):
        part.truncate(wide, overflow="ellipsis", pad=True)
    return Text(" " * GAP).join(parts)


def marks(row: SignInRow) -> Text:
    """The fourteen stages, a mark each."""
    return Text.assemble(*((MARKS[state], STATE_STYLES[state]) for state in row_states(row.states)))


def as_document(row: SignInRow) -> dict[str, Any]:
    """What `--json` prints of a sign-in; `lyncgate signin ID --json` prints all of it."""
    return {
        "id": row.id,
        "user": row.user,
        "account": row.account,
        "client": row.client,
        "device": row.device,
        "started": iso(row.started),
        "ended": iso(row.ended),
        "seconds": round(row.seconds, 6),
        "outcome": row.outcome.value,
        "failed_stage": row.failed_stage and row.failed_stage.value,
        "stages": {
            stage.value: {"state": state.value, "seconds": None if seconds is None else round(seconds, 6)}
            for stage, state, seconds in row.stages
        },
        "findings": [
            {
                "code": finding.code,
                "title": finding.title,
                "stage": finding.stage.value,
                "certainty": finding.certainty.value,
            }
            for finding in row.findings
        ],
    }


def _time(when: float, now: float) -> str:
    then, today = (datetime.datetime.fromtimestamp(t, datetime.UTC) for t in (when, now))
    return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then:%m-%d %H:%M:%S}"


def _outcome(row: SignInRow) -> Text:
    return Text(outcome_words(row.outcome, row.failed_stage), OUTCOME_STYLES[row.outcome])


def _finding(row: SignInRow) -> Text:
    if not row.findings:
        return Text("")
    first, *rest = row.findings
    more = f"  and {len(rest)} more" if rest else ""
    return Text.assemble((first.code, "bold"), f" {shown(first.title)}", (more, "dim"))
