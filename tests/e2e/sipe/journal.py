"""Where a run is written down: the log on standard output, events as JSON lines, messages as files.

Every event has `at` (seconds since the start) and `event`, which is one of

    dns         type (A, SRV, TXT), name, port, answer (null where there is none)
    message     number, direction, protocol, text
    prompt      text, choices, answer (what libpurple would have asked a person)
    signed-on
    error       name, text (libpurple's connection error)
    end         status, text
"""

import json
import sys
import time
from pathlib import Path

from .transcript import Message, message_in


class Journal:
    """Writes down one run; `events` and `messages` are a file and a directory, or None for neither."""

    def __init__(
        self, *, quiet: bool = False, events: Path | None = None, messages: Path | None = None
    ) -> None:
        self._quiet = quiet
        self._messages = messages
        self._message_count = 0
        self._started = time.monotonic()
        if messages:
            messages.mkdir(parents=True, exist_ok=True)
        # Line buffered: what was seen is on disk even when the client takes the process down with it.
        self._events = events.open("w", encoding="utf-8", buffering=1) if events else None

    def log(self, category: str, text: str) -> None:
        """One debug text of libpurple (`category` names its part) or of the driver itself."""
        if not self._quiet:
            print(f"{self._elapsed():8.3f} {category}: {text}", flush=True)
        if message := message_in(text):
            self._message(message)

    def event(self, kind: str, **details: object) -> None:
        if self._events:
            record = {"at": round(self._elapsed(), 3), "event": kind, **details}
            self._events.write(json.dumps(record) + "\n")

    def complaint(self, text: str) -> None:
        """Something is wrong with the driver: said even when it is quiet."""
        print(f"driver: {text}", file=sys.stderr, flush=True)

    def _message(self, message: Message) -> None:
        self._message_count += 1
        number = self._message_count
        self.event("message", number=number, **vars(message))
        if self._messages:
            (self._messages / message.file_name(number)).write_text(message.text + "\n", encoding="utf-8")

    def _elapsed(self) -> float:
        return time.monotonic() - self._started
