"""Saying what is wrong with rules.yaml, for every command that reads it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from lyncgate.policy.problem import Problem, Severity


def show_problems(problems: Iterable[Problem]) -> None:
    """A line each on standard error, in colour on a terminal."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in problems:
        style = "yellow" if problem.severity is Severity.WARNING else "red"
        line = str(problem)
        place = f"{problem.file}:{problem.line}:{problem.column}:"
        console.print(Text.assemble((place, f"bold {style}"), line.removeprefix(place)))
