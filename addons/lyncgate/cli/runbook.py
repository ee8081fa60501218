"""What to do about each finding, for people: the pages of docs/runbook, and `lyncgate explain-finding`.

Both are the catalogue's entry and, of the lab's catalogue of faults, how to meet it on purpose.
"""

from __future__ import annotations

import textwrap

from lyncgate.lab.faults.catalogue import CATALOGUE as FAULTS
from lyncgate.signin.catalogue.catalogue import CATALOGUE
from lyncgate.signin.catalogue.entry import Entry
from lyncgate.signin.diagnose import fill
from lyncgate.signin.finding import Fix, Grade

_GRADES = {
    Grade.DOCUMENT: "a document of Microsoft's",
    Grade.FIELD: "a report from the field",
    Grade.OBSERVED: "seen in our own runs",
    Grade.INFERRED: "concluded",
}
_WIDTH, _PAGE = 100, 110  # characters: of a terminal, of a document
_INDEX = """# Runbook

A page for each finding: how it shows, why, how to make sure, what to do, and how well that is known. The
codes are those of `lyncgate signins`, `lyncgate signin`, `lyncgate probe`, the pages of the admin listener,
and the metric `lyncgate_findings_total`. `lyncgate explain-finding F20` prints a page in the terminal.

A finding says how certain it is. *Certain*: nothing else looks like this. *Likely*: the usual cause of what
was seen. *Possible*: one of several, each of which is named. How often the right one comes first is measured:
[accuracy.md](../accuracy.md). What each does to a lab is in [faults.md](../faults.md).

Grades tell how well symptom and cause are known to belong together: A a document of Microsoft's, B a report
from the field, C seen in our own runs, D concluded.
"""


def page(code: str) -> str:
    """The page of docs/runbook, Markdown."""
    entry = CATALOGUE[code]
    parts = [
        f"# {code}: {entry.title}",
        f"Stage `{entry.stage}`, grade {entry.grade}.",
        f"**Symptom.** {_plain(entry.symptom)}",
        f"**In lyncgate.** {_plain(entry.looks)}",
        f"**Cause.** {_plain(entry.cause)}",
        f"**How to make sure.** {_plain(entry.sure)}",
    ]
    if entry.alike:
        parts.append(f"**What looks like it.** {_plain(entry.alike)}")
    parts.append("## What to do")
    for fix in _fixes(entry):
        parts.append(_plain(fix.said))
        if fix.command:
            parts.append(f"```\n{fix.command}\n```")
    parts.append("## How well this is known")
    parts.append("\n".join(f"- {grade}, {_GRADES[grade]}: {_plain(said)}" for grade, said in entry.sources))
    parts += ["## In the lab", f"```sh\n{_lab(code)}\n```", _what_the_lab_does(code)]
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _wrapped(part: str) -> str:
    """A paragraph in lines of this project's width; headings, lists and commands as they are."""
    return part if part.startswith(("#", "-", "```")) else textwrap.fill(part, _PAGE, break_long_words=False)


def index() -> str:
    """docs/runbook/README.md."""
    lines = ["| code | what is wrong | stage | grade |", "| --- | --- | --- | --- |"]
    lines += [f"| [{e.code}]({e.code}.md) | {e.title} | {e.stage} | {e.grade} |" for e in CATALOGUE.values()]
    return _INDEX + "\n" + "\n".join(lines) + "\n"


def text(code: str) -> str:
    """The same for a terminal."""
    entry = CATALOGUE[code]
    told = [f"{code}  {entry.title}", f"stage {entry.stage}, grade {entry.grade}: {_GRADES[entry.grade]}", ""]
    rows = [
        ("symptom", entry.symptom),
        ("looks", entry.looks),
        ("cause", entry.cause),
        ("make sure", entry.sure),
        ("alike", entry.alike),
    ]
    for fix in _fixes(entry):
        rows += [("to do", fix.said), ("", fix.command or "")]
    rows += [("source", f"{grade}: {said}") for grade, said in entry.sources]
    rows += [("in the lab", line) for line in _lab(code).splitlines()[:1]]
    for name, said in rows:
        if not said:
            continue
        if not name:
            told.append(f"{'':12}  {said}")  # a command: as it is, for copying
            continue
        told += textwrap.wrap(said, _WIDTH, initial_indent=f"{name:12}", subsequent_indent=" " * 12)
    return "\n".join(told)


def document(code: str) -> dict[str, object]:
    """The same for programs. Commands have `<user>` and the like where a sign-in would fill in its own."""
    entry = CATALOGUE[code]
    return {
        "code": code,
        "title": entry.title,
        "stage": entry.stage,
        "symptom": entry.symptom,
        "looks": entry.looks,
        "cause": entry.cause,
        "make_sure": entry.sure,
        "alike": entry.alike,
        "fixes": [{"said": fix.said, "command": fix.command} for fix in _fixes(entry)],
        "grade": entry.grade,
        "sources": [{"grade": grade, "source": said} for grade, said in entry.sources],
        "explains": list(entry.explains),
        "lab": _lab(code).splitlines(),
    }


def _fixes(entry: Entry) -> list[Fix]:
    return [fill(fix, {}) for fix in entry.fixes]


def _plain(said: str) -> str:
    """Not HTML, for `<domain>` is a word here."""
    return said.replace("<", "&lt;")


def _lab(code: str) -> str:
    """Commands that meet it on purpose."""
    fault = FAULTS[code]
    amount = f"={fault.amount:g}" if fault.unit else ""
    lines = [
        f"lyncgate lab --dir LAB --fault {code}{amount}",
        f"lyncgate phone --to LAB --device {fault.device} --user {fault.user}",
    ]
    return "\n".join(lines)


def _what_the_lab_does(code: str) -> str:
    fault = FAULTS[code]
    end = f"its sign-in ends at `{fault.stage}`" if fault.stage else "its sign-in gets through"
    return (
        f"What changes: {_plain(fault.changes)}. On the wire: {_plain(fault.symptom)}. "
        f"The phone: {_plain(fault.phone)}; {end}."
    )
