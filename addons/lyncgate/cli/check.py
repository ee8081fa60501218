"""`lyncgate check rules.yaml`: everything that is wrong with it, at once."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.rules import show_problems
from lyncgate.engine.rules import read_rules
from lyncgate.policy.effective import effective as effective_text
from lyncgate.policy.load import Loaded
from lyncgate.policy.problem import Severity


def check(
    rules: Annotated[Path, typer.Argument(help="The rules to check.")] = Path("rules.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Problems as JSON on standard output.")] = False,
    effective: Annotated[
        bool, typer.Option("--effective", help="Print the rules with every default filled in.")
    ] = False,
) -> None:
    """Say everything that is wrong with rules.yaml and the files it names. Status 1 if it can't be served."""
    try:
        loaded = read_rules(rules)
    except OSError as error:
        typer.echo(f"{rules}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(_document(loaded), indent=2, ensure_ascii=False))
    else:
        show_problems(loaded.problems)
    if effective and loaded.rules and not as_json:
        typer.echo(effective_text(loaded.rules), nl=False)
    if not as_json and not effective:
        typer.echo(f"{rules}: {_verdict(loaded)}", file=sys.stdout if loaded.policy else sys.stderr)
    if loaded.policy is None:
        raise typer.Exit(1)


def _verdict(loaded: Loaded) -> str:
    errors = sum(problem.severity is Severity.ERROR for problem in loaded.problems)
    warnings = len(loaded.problems) - errors
    counted = [
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    if loaded.policy is None:
        return f"not served: {', '.join(counted)}"
    said = f", {counted[0]}" if counted else ""
    return f"fine: version {loaded.policy.version}, {loaded.tests} route tests passed{said}"


def _document(loaded: Loaded) -> dict[str, object]:
    return {
        "ok": loaded.policy is not None,
        "version": loaded.policy.version if loaded.policy else None,
        "tests": loaded.tests,
        "files": loaded.files,
        "problems": [dataclasses.asdict(problem) for problem in loaded.problems],
    }
