"""The catalogue of faults for people and for programs: text, JSON, and the table in docs/faults.md."""

from __future__ import annotations

import json

from lyncgate.lab.faults.catalogue import CATALOGUE
from lyncgate.lab.faults.fault import Fault

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
_PARTS = ("changes", "symptom", "phone")


def as_text() -> str:
    """For a terminal: `lyncgate lab --list-faults`."""
    lines = []
    for fault in CATALOGUE.values():
        lines.append(f"{fault.code}  {fault.title}{_amount(fault)}")
        lines += [f"     {part + ':':9}{getattr(fault, part)}" for part in _PARTS]
        lines.append(f"     {'ends at:':9}{_end(fault)}")
    return "\n".join(lines)


def as_json() -> str:
    """`lyncgate lab --list-faults --json`."""
    faults = [
        {
            "code": fault.code,
            "title": fault.title,
            **{part: getattr(fault, part) for part in _PARTS},
            "stage": fault.stage,
            "user": fault.user,
            "device": fault.device,
            "amount": {"default": fault.amount, "unit": fault.unit} if fault.unit else None,
        }
        for fault in CATALOGUE.values()
    ]
    return json.dumps(faults, ensure_ascii=False)


def as_markdown() -> str:
    """The tables of docs/faults.md."""
    lines = [
        "| code | what is wrong | what it changes | on the wire | the phone | its sign-in ends at |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault in CATALOGUE.values():
        cells = (
            fault.code,
            fault.title + _amount(fault),
            *(getattr(fault, part) for part in _PARTS),
            _end(fault),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '\\|').replace('<', '&lt;') for cell in cells)} |")
    return "\n".join(lines)


def with_tables(document: str) -> str:
    """docs/faults.md with what is between the marks made anew."""
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{as_markdown()}\n{END}{after}"


def _amount(fault: Fault) -> str:
    return f" ({fault.code}={fault.amount:g} {fault.unit})" if fault.unit else ""


def _end(fault: Fault) -> str:
    who = "" if fault.device == "lync2013" else f" ({fault.device})"
    who += "" if fault.user.startswith("alice@") else f" ({fault.user.partition('@')[0]})"
    return (fault.stage or "nowhere: it gets through") + who
