"""`lyncgate explain-finding F20`: what a finding means, and what to do about it."""

from __future__ import annotations

import difflib
import json
from typing import Annotated

import typer

from lyncgate.cli import runbook
from lyncgate.signin.catalogue.catalogue import CATALOGUE


def explain_finding(
    code: Annotated[str, typer.Argument(help="The finding, e.g. F20.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Print what a finding means: how it shows, why, how to make sure, what to do, and who says so."""
    known = code.strip().upper()
    if known not in CATALOGUE:
        near = difflib.get_close_matches(known, CATALOGUE, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        typer.echo(f'code: found "{code}"; allowed: {min(CATALOGUE)} to {max(CATALOGUE)}{hint}', err=True)
        raise typer.Exit(2)
    typer.echo(json.dumps(runbook.document(known), indent=2) if as_json else runbook.text(known))
