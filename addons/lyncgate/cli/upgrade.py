"""`lyncgate upgrade`: have a running edge replaced by the program that is installed now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.running import asked


def upgrade(
    pid_file: Annotated[
        Path | None, typer.Option(help="The file that `serve --pid-file` wrote, of the edge that is meant.")
    ] = None,
    pid: Annotated[int | None, typer.Option(help="Its process id.")] = None,
) -> None:
    """Replace a running edge by the program that is installed now. Nobody is refused meanwhile; what is in
    flight ends in the old one. If the new one does not start, the old one serves on."""
    said = asked("upgrade", pid_file, pid)
    typer.echo(f"process {said['pid']} serves; the one before it ends when its exchanges have")
