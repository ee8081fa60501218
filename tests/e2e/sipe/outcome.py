"""How a run ends: the exit status, and the `RESULT <status> <text>` line that closes the output."""

import re
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """The exit statuses of the driver."""

    REACHED = 0  # signed on, or the --until line was seen
    GAVE_UP = 1  # SIPE reported an error and stopped
    USAGE = 2  # the command line, or a file that it names, is wrong
    TIMED_OUT = 3
    MISSING = 4  # libpurple, SIPE or TLS is not there, or does not work


@dataclass(frozen=True)
class Result:
    """The end of a run: its status and one line of text."""

    status: Status
    text: str

    def __str__(self) -> str:
        return f"RESULT {self.status.value} {' '.join(self.text.split())}"


class RunError(Exception):
    """The run cannot start or go on for a reason that lies outside SIPE."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.result = Result(status, text)


def parse_result(output: str) -> Result | None:
    """The result that `output` closes with, or None where the driver did not get to say one."""
    lines = output.rstrip().splitlines()
    found = re.fullmatch(r"RESULT (\d) ?(.*)", lines[-1]) if lines else None
    return Result(Status(int(found[1])), found[2]) if found else None
