"""`lyncgate signins`: who signed in, how far they came, and what is wrong."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError
from rich.console import Console
from rich.live import Live

from lyncgate.cli.journal import (
    JournalOption,
    RulesOption,
    SourcesOption,
    journal_reader,
    sources_reader,
)
from lyncgate.cli.signintable import as_document, table
from lyncgate.observe.journal.reader import Reader, Wanted
from lyncgate.observe.journal.schema import JournalError
from lyncgate.policy.scalars import read_duration

LOOK_EVERY = 0.5  # seconds
PIPED_WIDTH = 200  # columns, where there is no terminal to ask


def signins(
    user: Annotated[str | None, typer.Option(help="Part of the SIP address or account.")] = None,
    since: Annotated[
        str | None, typer.Option(help="How long ago, as 2h or 7d, or a time such as 2026-11-22T08:00.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed or stopped.")] = False,
    code: Annotated[str | None, typer.Option(help="Only those with this finding, as F20.")] = None,
    device: Annotated[str | None, typer.Option(help="Part of the User-Agent.")] = None,
    client: Annotated[str | None, typer.Option(help="IP address of the client.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and show them as they happen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    journal: JournalOption = None,
    rules: RulesOption = Path("rules.yaml"),
    sources: SourcesOption = None,
) -> None:
    """List sign-ins, newest first: user, device, the fourteen stages, how it ended, and the first finding."""
    if follow and sources:
        raise typer.BadParameter("files do not grow here; follow a journal", param_hint="--follow")
    wanted: Wanted = {
        "user": user,
        "since": None if since is None else _moment(since),
        "failed": True if failed else None,
        "code": code,
        "device": device,
        "client": client,
    }
    with (
        sources_reader(sources)
        if sources
        else contextlib.nullcontext(journal_reader(journal, rules)) as reader
    ):
        try:
            if as_json:
                _print_lines(reader, wanted, limit, follow)
            elif follow:
                _show_live(reader, wanted, limit)
            else:
                console = _console()
                console.print(table(reader.list(limit=limit, **wanted), time.time(), console.width))
        except JournalError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit from None


def _print_lines(reader: Reader, wanted: Wanted, limit: int, follow: bool) -> None:
    """Newest first; with `follow` a row again whenever it changes."""
    revision = reader.revision()
    for row in reader.list(limit=limit, **wanted):
        typer.echo(json.dumps(as_document(row)))
    if follow:
        for row in reader.follow(revision, every=LOOK_EVERY, **wanted):
            typer.echo(json.dumps(as_document(row)))


def _show_live(reader: Reader, wanted: Wanted, limit: int) -> None:
    console = _console()
    limit = min(limit, max(1, console.height - 5)) if console.is_terminal else limit
    with Live(console=console, auto_refresh=False) as live:
        for _ in _ticks():
            rows = reader.list(limit=limit, **wanted)
            live.update(table(rows, time.time(), console.width), refresh=True)


def _ticks() -> Iterator[None]:
    while True:
        yield
        time.sleep(LOOK_EVERY)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


def _moment(since: str) -> float:
    """Unix seconds. A time without a zone is UTC, as the list shows it."""
    with contextlib.suppress(PydanticCustomError):
        return time.time() - read_duration(since)
    try:
        moment = datetime.datetime.fromisoformat(since)
    except ValueError:
        message = f"found {since!r}; allowed: a duration such as 2h or 7d, or a time such as 2026-11-22T08:00"
        raise typer.BadParameter(message, param_hint="--since") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
