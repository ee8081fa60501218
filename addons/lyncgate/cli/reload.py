"""`lyncgate reload`: have a running edge read its rules again, and hear how that went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.running import asked


def reload(
    pid_file: Annotated[
        Path | None, typer.Option(help="The file that `serve --pid-file` wrote, of the edge that is meant.")
    ] = None,
    pid: Annotated[int | None, typer.Option(help="Its process id.")] = None,
) -> None:
    """Have a running edge read its rules again. If they are wrong it is said here, and
    those before them serve on."""
    said = asked("reload", pid_file, pid)
    typer.echo(f"rules adopted, version {said['version']}")
