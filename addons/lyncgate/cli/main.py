"""The command line: `lyncgate <command>`. A command is a file here, and a line in COMMANDS.

A command's file is imported only when it is used, so that `lyncgate check` does not wait for the
proxy engine. Exit codes: 0 fine, 1 the command's own bad outcome (said on stderr), 2 wrong usage.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.metadata
import platform
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lyncgate import __version__
from lyncgate.cli.allocator import choose_allocators

# The function of that name in lyncgate.cli.<name>, `_` for `-`; its docstring is the help.
COMMANDS = (
    "capture",
    "check",
    "demo",
    "explain",
    "explain-finding",
    "lab",
    "phone",
    "probe",
    "reload",
    "schema",
    "serve",
    "signin",
    "signins",
    "upgrade",
)


class _Commands(TyperGroup):
    """The commands of COMMANDS, imported on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        name = cmd_name.replace("-", "_")
        alone.command(cmd_name)(getattr(importlib.import_module(f"lyncgate.cli.{name}"), name))
        command = typer.main.get_command(alone)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # there may be a password among them
)


def _version(wanted: bool) -> None:
    if wanted:
        mitmproxy = importlib.metadata.version("mitmproxy")
        typer.echo(f"lyncgate {__version__}, mitmproxy {mitmproxy}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def lyncgate(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Versions, and nothing else.")
    ] = False,
) -> None:
    """A reverse proxy for Lync and Skype for Business pools that knows what Lync is."""


def main() -> None:
    """Entry point of the `lyncgate` script."""
    if sys.argv[1:2] == ["serve"]:
        choose_allocators()
    faulthandler.enable()  # mitmproxy brings native code: a crash is to say where
    app(prog_name="lyncgate")
