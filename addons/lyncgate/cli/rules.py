"""Reading rules.yaml from disk, for every command that needs it, and saying what is wrong with it.

This is the thin shell round `lyncgate.policy.load`: the files, the clock and the system's trust.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import certifi
from rich.console import Console
from rich.text import Text

from lyncgate.policy.load import Loaded, load
from lyncgate.policy.problem import Problem, Severity

# Debian's bundle holds what the administrator trusts beside the public authorities.
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def read_rules(path: Path) -> Loaded:
    """Load rules.yaml with the files it names. `Loaded.files` are absolute, without rules.yaml itself.
    Raises OSError if rules.yaml can't be read; whatever is in it becomes a Problem."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"found the byte {content[error.start]:#04x}; allowed: UTF-8 text"
        return Loaded(None, (Problem(str(path), line, column, "", message),))
    return load(
        text,
        filename=str(path),
        directory=str(path.absolute().parent),
        read=lambda name: Path(name).read_bytes(),
        now=time.time(),
        anchors=system_anchors(),
    )


def system_anchors() -> bytes:
    """PEM bundle of the authorities that clients are taken to trust."""
    bundles = [path for path in (Path(certifi.where()), _SYSTEM_BUNDLE) if path.is_file()]
    return b"\n".join(path.read_bytes() for path in bundles)


def show_problems(problems: Iterable[Problem]) -> None:
    """A line each on standard error, in colour on a terminal."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in problems:
        style = "yellow" if problem.severity is Severity.WARNING else "red"
        line = str(problem)
        place = f"{problem.file}:{problem.line}:{problem.column}:"
        console.print(Text.assemble((place, f"bold {style}"), line.removeprefix(place)))
