"""`lyncgate serve`: run the edge until SIGTERM or Ctrl-C."""

from __future__ import annotations

import json
import logging
import resource
from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.rules import show_problems
from lyncgate.engine.master import Engine, StartError
from lyncgate.engine.rules import read_rules
from lyncgate.engine.supervisor.begin import Started
from lyncgate.engine.supervisor.supervisor import Supervisor


def serve(
    rules: Annotated[Path, typer.Option(help="The rules to serve by.")] = Path("rules.yaml"),
    engine: Annotated[
        Engine,
        typer.Option(help="How bytes move: lyncgate's own lane, or mitmproxy's stock layers (slow)."),
    ] = Engine.LANE,
    script: Annotated[
        list[Path] | None,
        typer.Option(help="A mitmproxy addon script that sees, and may change, what passes. Repeatable."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens in one line of JSON.")
    ] = False,
    pid_file: Annotated[
        Path | None, typer.Option(help="Write the process id there once it serves, for those who signal.")
    ] = None,
) -> None:
    """Serve by rules.yaml. SIGHUP or a changed file reloads it; SIGTERM lets exchanges end, then stops;
    SIGUSR2 starts the program anew in its place."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # mitmproxy quotes what clients sent, credentials included, in messages below an error.
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    try:
        loaded = read_rules(rules)
    except OSError as error:
        typer.echo(f"{rules}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    show_problems(loaded.problems)
    if loaded.policy is None:
        raise typer.Exit(1)

    def started(running: Started) -> None:
        typer.echo(_json(running) if as_json else _text(rules, running), err=not as_json)

    _allow_open_files()
    try:
        status = Supervisor(
            rules,
            loaded,
            started=started,
            pid_file=pid_file,
            engine=engine,
            scripts=tuple(path.absolute() for path in script or ()),
        ).run()
    except StartError as error:
        typer.echo(f"lyncgate: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)


def _allow_open_files() -> None:
    """As many open files as the system lets us have: a held poll takes two, and shells allow 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _json(running: Started) -> str:
    return json.dumps({"listeners": running.addresses, "admin": running.admin})


def _text(rules: Path, running: Started) -> str:
    lines = [f"serving by {rules}, version {running.version}"]
    for name, addresses in running.addresses.items():
        lines.extend(f"  {name:8} {host}:{port}" for host, port in addresses)
    if running.admin:
        admin = f"http://{running.admin[0]}:{running.admin[1]}"
        lines += [f"  sign-ins {admin}/", f"  metrics  {admin}/metrics"]
    return "\n".join(lines)
