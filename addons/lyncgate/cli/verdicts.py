"""What a probe says, for a terminal and for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.text import Text

from lyncgate.probe.check import Check, Report, Verdict
from lyncgate.signin.codec import document as signin_document
from lyncgate.signin.story import SignInOutcome

_STYLES = {
    Verdict.OK: "green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.SKIPPED: "dim",
}


def line(check: Check) -> Text:
    """One check."""
    text = Text(f"  {check.verdict:8}", _STYLES[check.verdict]) + Text(f"{check.stage or '-':15} ", "bold")
    took = f"{check.seconds * 1000:8.1f} ms  " if check.seconds else " " * 13
    text += Text(took, "yellow") + Text(check.what)
    return text + Text(f": {check.said}", "dim") if check.said else text


def summary(report: Report) -> Text:
    """How many of each verdict, and what that means. The findings come after it, with the stages."""
    counted = report.count()
    numbers = ", ".join(f"{counted[verdict]} {verdict}" for verdict in Verdict if counted[verdict])
    where = "inside" if report.inside else "outside"
    text = Text(f"\n{report.user}, seen from {where}: ") + Text(numbers, "bold")
    text += Text(f", in {report.seconds:.1f} s\n")
    if not report.complete:
        text += Text("Stopped before the end.\n", "bold yellow")
    if report.ok and report.complete:
        far = report.sign_in is not None and report.sign_in.outcome is SignInOutcome.OK
        said = "Nothing stands in a phone's way." if far else "Nothing wrong was seen, as far as it went."
        text += Text(f"{said}\n", "bold green")
    elif not report.findings and not report.ok:
        text += Text("No finding of the catalogue fits: the lines with FAIL are what is known.\n", "bold")
    return text


def document(report: Report) -> dict[str, Any]:
    """All of it in JSON's terms; times in seconds."""
    counted = report.count()
    return {
        "user": report.user,
        "inside": report.inside,
        "ok": report.ok,
        "complete": report.complete,
        "seconds": round(report.seconds, 3),
        "verdicts": {verdict: counted[verdict] for verdict in Verdict},
        "checks": [dataclasses.asdict(check) for check in report.checks],
        "findings": [finding.code for finding in report.findings],
        "sign_in": signin_document(report.sign_in, report.findings) if report.sign_in else None,
    }
