"""The results for people, in Markdown that can be read without rendering. Pure: of the JSON document only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sidebyside import ratios
from sidebyside.peers import OURS

type Document = dict[str, Any]
type Column = tuple[str, str, int]  # heading, key, digits

LOAD = (("req/s", "rate", 0), ("p50 ms", "p50", 2), ("p99 ms", "p99", 2), ("CPU µs", "cpu", 0))
HONEST = (("busy %", "busy", 0), ("errors", "errors", 0), ("unclean ends", "read_errors", 0))
STORM = (
    *(("sign-ins/s", "rate", 0), ("p50 ms", "p50", 0), ("p99 ms", "p99", 0), ("CPU µs", "cpu", 0)),
    *(("busy %", "busy", 0), ("failed", "failed", 0), ("identities mixed", "strangers", 0)),
)
BODIES = (("MB/s", "rate", 0), ("CPU ms / 50 MB", "cpu", 0), *HONEST[:2])
POLLS = (
    *(("opened/s", "rate", 0), ("CPU µs / open", "cpu", 0), ("KiB each, own", "memory", 1)),
    *(("RSS", "rss", 1), ("idle CPU %", "idle", 1), ("held", "held", 0), ("lost", "lost", 0)),
)
BUFFERS = (
    *(("before MiB", "before", 0), ("slow down +", "slow_down", 1), ("slow up +", "slow_up", 1)),
    *(("down +", "down", 1), ("up +", "up", 1), ("after +", "after", 1)),
)
WORKERS = (*LOAD, ("load µs", "load", 0), *HONEST[1:])
CONNECTIONS = (("conn/s", "rate", 0), *LOAD[1:], *HONEST)

# Work → part (None: it has no parts) → heading and columns.
TABLES: dict[str, dict[str | None, tuple[str, Sequence[Column]]]] = {
    "keepalive": {count: (f"Kept connections, c={count}", (*LOAD, *HONEST)) for count in ("1", "16", "64")},
    "connections": {None: ("New TLS connections", CONNECTIONS)},
    "storm": {
        "1.2": ("Storm of sign-ins, front end of TLS 1.2", STORM),
        "1.3": ("Storm of sign-ins, front end of TLS 1.3", STORM),
    },
    "bodies": {"down": ("50 MB down", BODIES), "up": ("50 MB up", BODIES)},
    "polls": {None: ("Held polls", POLLS)},
    "buffers": {None: ("Memory with large bodies and slow readers", BUFFERS)},
    "growth": {None: ("lyncgate by number of open connections", (*LOAD, *HONEST[1:]))},
    "workers": {"kept": ("Workers, kept connections", WORKERS), "new": ("Workers, new connections", WORKERS)},
}
COMPARED = ("keepalive", "connections", "storm", "bodies")  # their tables say how we stand to each

QUICK = """**A quick run, to see that the harness works: too short to quote, with 500 polls for 5,000 and
60 MB for 300, and the machine may have had other things to do.**"""

HOW = """All peers do the same work in one run and take turns round by round. A figure is the median of the
rounds, a ratio the median of each round's own ratio. CPU and memory are those of all of a proxy's processes,
from /proc. All show the same EC P-256 certificate and check the origin's; all write a line a request to a
file; bodies stream, except through stock mitmdump, whose default is to buffer. lyncgate has all its features
on: rules, guard, metrics, access log, journal.

Busy is the part of the time in which a proxy ran, or would have run had its core been free. One that was busy
for less than 85 % was not the limit of what was measured, the load beside it was: its rate is a lower bound.
Where that holds for the peer that we are compared with, the target is judged by the CPU that the same work
took, and the note says so."""


def page(document: Document) -> str:
    """bench/results/README.md."""
    parts = [
        "# lyncgate beside its peers",
        "Made by `make bench` of [edge.json](edge.json); do not edit. Beside it lie `journal.json` of "
        "bench/journal.py, `accuracy.json` of `make accuracy`, `upgrade.json` of bench/upgrade.py and "
        "`soak.json` of bench/soak.py.",
        *([QUICK] if document["quick"] else []),
        targets(document),
        f"![The main figures as bars]({document['plot']})" if document.get("plot") else "",
        f"## How\n\n{HOW}",
        circumstances(document),
        *works(document),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def targets(document: Document) -> str:
    """The table that all is about."""
    rows = [
        [row["work"], row["to_reach"], row["hoped_for"], row["measured"], row["met"], row["note"]]
        for row in document["targets"]
    ]
    return aligned(["work", "to reach", "hoped for", "measured", "met?", "how"], rows)


def circumstances(document: Document) -> str:
    """Machine, versions, who was left out."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    options = document["options"]
    lines = [
        f"- `{document['command']}`, commit {document['commit']}, {document['date']}, "
        f"{document['minutes']:.0f} minutes; {options['rounds']} rounds of {options['seconds']} s",
        f"- {machine['cpu']}, {machine['cpus']} cores, {machine['memory_mib']} MiB, {machine['system']}; "
        f"load before it began {machine['load_before']}",
        f"- pinned: {machine['pinned']}",
        f"- {versions}",
        *(f"- {name}: {what}" for name, what in document["peers"].items()),
        *(f"- left out – {what}: {why}" for what, why in document["left_out"].items()),
    ]
    return "\n".join(lines)


def works(document: Document) -> list[str]:
    """A section a work, with a table a part."""
    found = []
    for name, work in document["works"].items():
        texts = []
        for part, (heading, columns) in TABLES[name].items():
            rounds = work["results"].get(part) if part else work["results"]
            if rounds:
                texts.append(f"## {heading}\n\n")
                if len(texts) == 1:
                    texts[0] += work["what"][0].upper() + work["what"][1:] + ".\n\n"
                texts[-1] += _table(rounds, columns, compared=name in COMPARED)
        found += texts
    return found


def _table(rounds: dict[str, list[dict[str, Any]]], columns: Sequence[Column], *, compared: bool) -> str:
    own = rounds.get(OURS) if compared else None
    heads = ["", *(heading for heading, _, _ in columns), *(["lyncgate: rate ×", "CPU ×"] if own else [])]
    rows = []
    for name, those in rounds.items():
        row = [name, *(_figure(those, key, digits) for _, key, digits in columns)]
        if own:
            row += [_times(ratios.ratio(own, those, key)) for key in ("rate", "cpu")]
        rows.append(row)
    return aligned(heads, rows)


def _figure(rounds: list[dict[str, Any]], key: str, digits: int) -> str:
    if key in ("errors", "read_errors", "failed", "strangers", "lost"):
        return f"{ratios.total(rounds, key):,.0f}"
    value = ratios.middle(rounds, key)
    if value is None:
        return "–"
    return f"{100 * value if key == 'busy' else value:,.{digits}f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of equal width; all but the first and the last text ones to the right."""
    texts = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[at]) for row in texts) for at in range(len(heads))]
    right = [at > 0 and all(_numeric(row[at]) for row in rows) for at in range(len(heads))]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        + " |"
        for row in texts
    ]
    rule = "|".join(
        "-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)
    )
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _numeric(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "–-+≥≤"
