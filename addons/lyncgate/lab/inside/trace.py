"""A server's trace, as text: what OCSLogger shows of one server (protocol reference §12).

    TL_INFO(TF_PROTOCOL) [0]0A10.1B2C::12/09/2011-06:32:14.101.0000a4f1 (SIPStack,…)$$begin_record
    Trace-Correlation-Id: 1234567890
    …
    $$end_record
    TL_INFO(TF_COMPONENT) [0]0A10.1B2C::12/09/2011-06:32:14.102.0000a4f2 (MCXService,…)( … ) text

One file a server, in the form of Lync 2010 (§12.2). Not verified: the text of component lines, which is the
lab's own, and that times are UTC. Unlike the real tool's, these traces hold no secrets: what proves who
somebody is, is masked.
"""

from __future__ import annotations

import datetime
import os
import re
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Direction

_SIP_STACK = "SIPStack,SIPAdminLog::TraceProtocolRecord:SIPAdminLog.cpp(125)"
_SECRET = re.compile(r'\b(gssapi-data|response|rspauth)="[^"]*"|("token": ?)"[^"]*"', re.IGNORECASE)
_MARKER = re.compile(r"^(?=TL_|\$\$)", re.MULTILINE)


class Tracer:
    """Traces are off: takes everything, writes nothing."""

    def message(self, direction: Direction, peer: str, message: Message | Answer) -> None:
        """A SIP message went in or out; `peer`: host:port."""

    def line(self, component: str, function: str, text: str, *, level: str = "TL_INFO") -> None:
        """A component says something: `line("MCXService", "McxSession::SignIn", "alice@… signed in")`."""

    def close(self) -> None:
        """Write no more."""


NO_TRACE = Tracer()


class TraceWriter(Tracer):
    """Writes the trace of one server to `path`, which is continued if it exists.

    `skew`: seconds by which the server's clock is ahead. `clock`: seconds since 1970.
    """

    def __init__(self, path: Path, skew: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", newline="\n"
        )
        self._skew = skew
        self._clock = clock
        self._sequence = 0

    def message(self, direction: Direction, peer: str, message: Message | Answer) -> None:
        """A protocol record."""
        call_id = message.header("call-id")
        lines = [
            f"{self._head('TL_INFO', 'TF_PROTOCOL', _SIP_STACK)}$$begin_record",
            f"Trace-Correlation-Id: {zlib.crc32(call_id.encode())}",  # one for a dialogue
            f"Instance-Id: {self._sequence:08X}",
            f"Direction: {direction}",
            f"Peer: {peer}",
            f"Message-Type: {'request' if isinstance(message, Message) else 'response'}",
            f"Start-Line: {message.start_line}",
            *(f"{name}: {_masked(value)}" for name, value in message.headers),
            f"Message-Body: {_body(message)}",
            "$$end_record",
        ]
        self._write(lines)

    def line(self, component: str, function: str, text: str, *, level: str = "TL_INFO") -> None:
        """A component line."""
        place = f"{component},{function}:{function.partition('::')[0]}.cs({100 + len(function)})"
        one_line = " ".join(_masked(text).split())
        self._write([f"{self._head(level, 'TF_COMPONENT', place)}( {id(self):016X} ) {one_line}"])

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _head(self, level: str, flag: str, place: str) -> str:
        self._sequence += 1
        now = datetime.datetime.fromtimestamp(self._clock() + self._skew, datetime.UTC)
        when = f"{now:%m/%d/%Y-%H:%M:%S}.{now.microsecond // 1000:03}"
        ids = f"{os.getpid():04X}.{threading.get_native_id():04X}"
        return f"{level}({flag}) [0]{ids}::{when}.{self._sequence:08x} ({place})"

    def _write(self, lines: list[str]) -> None:
        if not self._file.closed:  # a last message, written while the server goes down
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()


def _masked(text: str) -> str:
    return _SECRET.sub(lambda found: f'{found[2] or f"{found[1]}="}"***"', text)


def _body(message: Message | Answer) -> str:
    """`-` for none. Lines that would begin a record are moved in by a blank: a sender can't forge one."""
    text = message.body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return _MARKER.sub(" ", _masked(text)) if text else "-"
