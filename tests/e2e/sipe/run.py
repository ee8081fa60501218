"""The driver for tests: run SIPE in a process of its own, and ask what it saw.

    result = run_sipe("alice@contoso.example", password, cafile=ca, connect_to=["*:443:127.0.0.1:8443"])
    assert result.signed_on, result
    assert result.saw("got ticket for Auth URI")

For the lab, `connect_to` is what its NameMap says.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.requirements import require, requires

from .outcome import Status, parse_result
from .purple import find_plugin
from .transcript import Message

_DRIVER = Path(__file__).parent
_PACKAGE = "pidgin-sipe"
_GRACE = 10  # seconds that the driver has beyond its own time-out to start and to end

requires_sipe = requires(find_plugin("libsipe.so") is not None, _PACKAGE)


@dataclass(frozen=True)
class SipeResult:
    """How a run ended, and all that it wrote down.  `repr()` is fit for an assertion's message."""

    status: Status
    text: str
    log: str = field(repr=False)
    events: list[dict[str, Any]] = field(repr=False)

    @property
    def signed_on(self) -> bool:
        """The SIP REGISTER was answered 200, whatever the run ended with."""
        return bool(self.of("signed-on"))

    @property
    def messages(self) -> list[Message]:
        """Every HTTP and SIP message, in order."""
        return [Message(event["direction"], event["protocol"], event["text"]) for event in self.of("message")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind; journal.py lists the kinds and what they hold."""
        return [event for event in self.events if event["event"] == kind]

    def saw(self, pattern: str) -> bool:
        """Whether the log has a line that matches the regular expression."""
        return re.search(pattern, self.log, re.MULTILINE) is not None

    def sent(self, start: str) -> list[Message]:
        """What the client sent whose first line begins with `start`, such as `POST /WebTicket`."""
        return [m for m in self.messages if m.direction == "sent" and m.start_line.startswith(start)]

    def received(self, start: str) -> list[Message]:
        """What the client received whose first line begins with `start`, such as `SIP/2.0 200`."""
        return [m for m in self.messages if m.direction == "received" and m.start_line.startswith(start)]


def run_sipe(
    user: str,
    password: str,
    *,
    connect_to: Iterable[str] = (),
    srv: Iterable[str] = (),
    cafile: Path | None = None,
    timeout: float = 30,
    options: Iterable[str] = (),
    launcher: Sequence[str] = (sys.executable,),
) -> SipeResult:
    """Sign `user` (an address) in.  `options` are further ones of the command line, `timeout` is in seconds.
    `launcher` is the interpreter, with what shall stand before it.

    It blocks: in an asyncio test, use `asyncio.to_thread`.
    """
    require(find_plugin("libsipe.so") is not None, _PACKAGE)
    with tempfile.TemporaryDirectory() as directory:
        events = Path(directory) / "events.jsonl"
        command = [*launcher, str(_DRIVER), f"--user={user}", f"--timeout={timeout}", f"--events={events}"]
        command += options
        command += [f"--connect-to={rule}" for rule in connect_to]
        command += [f"--srv={record}" for record in srv]
        command += [f"--cafile={cafile}"] if cafile else []
        environment = os.environ | {"SIPE_PASSWORD": password, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout + _GRACE,
            check=False,
        )
        lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    result = parse_result(done.stdout)
    if result is None or result.status != done.returncode:
        raise RuntimeError(
            f"the driver ended with {done.returncode} and no result:\n{done.stderr}\n{done.stdout}"
        )
    return SipeResult(result.status, result.text, done.stdout, [json.loads(line) for line in lines])
