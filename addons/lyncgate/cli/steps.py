"""A phone's step as a line of text."""

from __future__ import annotations

from rich.text import Text

from lyncgate.lab.report import Step


def step_line(step: Step) -> Text:
    """What it was, whether it worked, how long it took, and what came of it."""
    mark = Text("  ok   " if step.ok else "  FAIL ", "green" if step.ok else "bold red")
    line = mark + Text(f"{step.stage:15} ", "bold") + Text(f"{step.seconds * 1000:8.1f} ms  ", "yellow")
    line += Text(f"{step.status or '':>3}  {step.what}")
    return line + Text(f"  {step.detail}", "dim") if step.detail else line
