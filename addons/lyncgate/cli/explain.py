"""`lyncgate explain URL`: what becomes of a request, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.rules import show_problems
from lyncgate.engine.rules import read_rules
from lyncgate.policy.explain import explain as explain_request
from lyncgate.policy.explain import render, to_json
from lyncgate.policy.routetests import RequestError, make_request


def explain(
    url: Annotated[
        str, typer.Argument(help="What the client asks for, e.g. https://meet.contoso.example/alice.")
    ],
    rules: Annotated[Path, typer.Option(help="The rules to ask.")] = Path("rules.yaml"),
    source: Annotated[str, typer.Option("--from", help="IP address of the client.")] = "127.0.0.1",
    user: Annotated[str | None, typer.Option(help="SIP address, where the URL does not say it.")] = None,
    method: Annotated[str, typer.Option(help="Request method.")] = "GET",
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Print every rule tried for a request, why it did not match, the decision, and what is sent upstream."""
    try:
        loaded = read_rules(rules)
    except OSError as error:
        typer.echo(f"{rules}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if loaded.policy is None:
        show_problems(loaded.problems)
        typer.echo(f"{rules}: not served, so there is nothing to explain", err=True)
        raise typer.Exit(1)
    try:
        request = make_request(loaded.policy, url, method=method, source=source, user=user)
    except RequestError as error:
        typer.echo(f"{error.part}: {error}", err=True)
        raise typer.Exit(2) from None
    explanation = explain_request(loaded.policy, request)
    typer.echo(json.dumps(to_json(explanation), indent=2) if as_json else render(explanation), nl=as_json)
