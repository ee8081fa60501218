"""`lyncgate schema`: the JSON Schema of rules.yaml, for editors."""

from __future__ import annotations

import typer

from lyncgate.policy.schema import json_schema_text


def schema() -> None:
    """Print the JSON Schema of rules.yaml. Editors find it through the file's first line."""
    typer.echo(json_schema_text(), nl=False)
