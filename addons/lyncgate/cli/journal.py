"""Which journal a command reads: the one named, that of the rules, or one made of files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.rules import show_problems
from lyncgate.engine.rules import read_rules
from lyncgate.observe.journal.offline import reader_of
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.sources import SourceError, read
from lyncgate.policy.compile import absolute
from lyncgate.signin.events import Event

JournalOption = Annotated[Path | None, typer.Option(help="The journal, if not that of the rules.")]
RulesOption = Annotated[Path, typer.Option(help="The rules whose journal it is.")]
SourcesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--from", help="No journal: a HAR, a flow file, a DNS log or a trace. Several are taken together."
    ),
]


def journal_reader(journal: Path | None, rules: Path) -> Reader:
    """Of `journal`, else of the one that `rules` name. Leaves with status 2 if there is none to read."""
    if journal is not None:
        return Reader(Place.of(journal))
    try:
        loaded = read_rules(rules)
    except OSError as error:
        typer.echo(f"{rules}: {error.strerror}; --journal names a journal, --rules another file", err=True)
        raise typer.Exit(2) from None
    if loaded.rules is None:
        show_problems(loaded.problems)
        raise typer.Exit(2)
    path = loaded.rules.journal.path
    if path is None:
        typer.echo(f"{rules}: no journal.path; what is in memory is on the edge's own pages only", err=True)
        raise typer.Exit(2)
    return Reader(Place.of(absolute(str(rules.absolute().parent), path)))


@contextlib.contextmanager
def sources_reader(files: Sequence[Path]) -> Iterator[Reader]:
    """Of what `files` tell, stitched together. Leaves with status 2 if one of them can't be read."""
    events: list[Event] = []
    for file in files:
        try:
            events.extend(read(file, problem=lambda what: typer.echo(what, err=True)))
        except SourceError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        except OSError as error:
            typer.echo(f"{file}: {error.strerror}", err=True)
            raise typer.Exit(2) from None
    with reader_of(events) as reader:
        yield reader
