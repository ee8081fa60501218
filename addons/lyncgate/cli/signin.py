"""`lyncgate signin ID`: one sign-in, stage by stage, and what is wrong with it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lyncgate.cli.journal import (
    JournalOption,
    RulesOption,
    SourcesOption,
    journal_reader,
    sources_reader,
)
from lyncgate.cli.waterfall import Story
from lyncgate.observe import har
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import JournalError
from lyncgate.signin.codec import document
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn
from lyncgate.signin.waterfall import waterfall

PIPED_WIDTH = 110  # columns, where there is no terminal to ask


def signin(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="As `lyncgate signins` shows it, its beginning, or `last`.")
    ] = "last",
    events: Annotated[bool, typer.Option("--events", help="Show each event below its stage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
    har_file: Annotated[
        Path | None, typer.Option("--har", help="Write its exchanges into a HAR file.")
    ] = None,
    journal: JournalOption = None,
    rules: RulesOption = Path("rules.yaml"),
    sources: SourcesOption = None,
) -> None:
    """Show one sign-in: its fourteen stages with their times, who saw them, and the finding with its fix."""
    with (
        sources_reader(sources)
        if sources
        else contextlib.nullcontext(journal_reader(journal, rules)) as reader
    ):
        try:
            sign_in, findings = _found(reader, id_)
        except JournalError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    if har_file:
        try:
            har_file.write_text(json.dumps(har.of_sign_in(sign_in), indent=1) + "\n")
        except OSError as error:
            typer.echo(f"{har_file}: {error.strerror}", err=True)
            raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(document(sign_in, findings), indent=2))
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=PIPED_WIDTH)
        console.print(Story(waterfall(sign_in, findings), events=events))


def _found(reader: Reader, id_: str) -> tuple[SignIn, tuple[Finding, ...]]:
    """Leaves with status 1 if there is none, or several that begin so."""
    ids = [row.id for row in reader.list(limit=1)] if id_ == "last" else [id_]
    found = reader.detail(ids[0]) if ids else None
    if found is None and id_ != "last":
        ids = [row.id for row in reader.list(limit=1000) if row.id.startswith(id_)]
        found = reader.detail(ids[0]) if len(ids) == 1 else None
    if found is None:
        several = (
            f"several sign-ins begin so: {', '.join(ids[:5])}" if len(ids) > 1 else "there is no such sign-in"
        )
        typer.echo(f"{id_}: {several}; `lyncgate signins` lists them", err=True)
        raise typer.Exit(1)
    return found
