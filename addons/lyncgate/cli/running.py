"""Asking a running edge, for the commands that do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lyncgate.engine.supervisor.control import ControlError, ask
from lyncgate.engine.supervisor.pidfile import read_pid


def asked(command: str, pid_file: Path | None, pid: int | None) -> dict[str, Any]:
    """What it says. Ends the command if it is not found (2), or if it says no (1)."""
    if (pid_file is None) == (pid is None):
        typer.echo("which edge? give --pid-file or --pid", err=True)
        raise typer.Exit(2)
    try:
        said = ask(read_pid(pid_file) if pid_file is not None else pid or 0, command)
    except OSError as error:
        typer.echo(f"{pid_file}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    except ValueError:
        typer.echo(f"{pid_file}: holds no process id", err=True)
        raise typer.Exit(2) from None
    except ControlError as error:
        typer.echo(f"lyncgate: {error}", err=True)
        raise typer.Exit(2) from None
    if not said["ok"]:
        for problem in said["problems"]:
            typer.echo(problem, err=True)
        raise typer.Exit(1)
    return said
