"""What a capture shows: a live table for people, lines of JSON for programs, or warnings only."""

from __future__ import annotations

import collections
import io
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lyncgate.cli.signintable import as_document, table
from lyncgate.engine.capture import wireguard
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.rows import SignInRow
from lyncgate.observe.journal.schema import JournalError
from lyncgate.signin.shown import shown

LOOK_EVERY = 0.5  # seconds
_MOST_ROWS = 12
_SAID = 1000  # refusals that are remembered, to say each once

type Addresses = Mapping[str, Sequence[tuple[str, int]]]


class Show:
    """Says nothing but warnings: the base of the others."""

    def __init__(self) -> None:
        self.errors = Console(stderr=True, highlight=False)
        self._refusals: set[tuple[str, str]] = set()
        self._notices: collections.deque[str] = collections.deque(maxlen=_SAID)
        self._revision = 0
        self._install = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        self.errors.print(Text(text, "bold yellow"), soft_wrap=True)

    def refused(self, client: str, name: str, said: str) -> None:
        """A phone did not take our certificate. Said once for each phone and name, and not here: whoever
        calls must not wait for a terminal."""
        if (client, name) not in self._refusals and len(self._refusals) < _SAID:
            self._refusals.add((client, name))
            self._notices.append(
                f"{client} does not trust this capture ({shown(name)}: {shown(said)}). {self._install} "
                "On an iPhone also turn it on: Settings, General, About, Certificate Trust Settings. "
                f"Or leave the name alone: --pass-through {shown(name)}"
            )

    def remember(self, *, listening: Addresses, certificate: Path) -> None:
        """How a phone gets our certificate: mitm.it is answered where all of its web traffic comes by us."""
        if any(mode.startswith(("transparent", "wireguard", "regular")) for mode in listening):
            self._install = f"On the phone, open http://mitm.it and install the certificate ({certificate})."
        else:
            self._install = f"Bring {certificate} to the phone, by mail for one, and install it."

    def started(self, *, listening: Addresses, out: Path, certificate: Path, tunnel: str | None) -> None:
        """The capture listens. `tunnel`: the phone's WireGuard configuration."""

    def follow(self, reader: Reader, ended: threading.Event, gone: Callable[[], None]) -> None:
        """Show what happens until `ended`: a thread's work, for a terminal or a pipe may keep us waiting.
        `gone`: is called if nobody reads any more."""
        try:
            with self:
                while not ended.wait(LOOK_EVERY):
                    self._update(reader)
                self._update(reader)
        except BrokenPipeError:
            gone()

    def _update(self, reader: Reader) -> None:
        """Show notices, and what changed in the journal."""
        while self._notices:
            self.warn(self._notices.popleft())
        try:
            changed = reader.changed(self._revision)
        except JournalError as error:
            self._notices.append(str(error))
            return
        if changed:
            self._revision = changed[-1].revision
            self.changed(changed, reader)

    def changed(self, rows: Sequence[SignInRow], reader: Reader) -> None:
        """Sign-ins are new, or others than before. `reader`: has all of them."""

    def ended(self, out: Path) -> None:
        """It is over, and everything is written."""


class Lines(Show):
    """JSON objects, one a line: `{"listening": …}` first, then sign-ins, as those of `lyncgate signins`."""

    def say(self, text: str) -> None:
        self._print({"said": text})

    def started(self, *, listening: Addresses, out: Path, certificate: Path, tunnel: str | None) -> None:
        where = {"listening": listening, "out": str(out), "certificate": str(certificate)}
        self._print(where | {"wireguard": tunnel})

    def changed(self, rows: Sequence[SignInRow], reader: Reader) -> None:
        for row in rows:
            self._print(as_document(row))

    def _print(self, document: Mapping[str, object]) -> None:
        print(json.dumps(document), flush=True)  # noqa: T201 (what the command is for)


class LiveTable(Show):
    """Where it listens, how phones come, and a table that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(highlight=False)
        self.errors = self.console  # else warnings and table would write over each other
        self._live = Live(console=self.console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        self._draw([])
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def started(self, *, listening: Addresses, out: Path, certificate: Path, tunnel: str | None) -> None:
        self.console.print(Text.assemble("capturing into ", (str(out), "bold"), "; end with Ctrl-C"))
        for mode, addresses in listening.items():
            where = ", ".join(f"{host}:{port}" for host, port in dict.fromkeys(addresses))
            self.console.print(
                f"  {mode.partition('@')[0].partition(':/root')[0]:40} {where}", soft_wrap=True
            )
        self.console.print(f"phones must trust its authority. {self._install}", soft_wrap=True)
        if tunnel:
            self._show_tunnel(tunnel)

    def _show_tunnel(self, tunnel: str) -> None:
        code = io.StringIO()
        wireguard.qr_code(tunnel).terminal(code, compact=True)
        self.console.print("\nin the phone's WireGuard app: add a tunnel by QR code, or with this text")
        self.console.print(Text(code.getvalue(), "bright_white on black"), soft_wrap=True)
        self.console.print(Text(tunnel + "\n", "dim"))

    def changed(self, rows: Sequence[SignInRow], reader: Reader) -> None:
        """All anew: what were two sign-ins may have turned out to be one."""
        self._draw(reader.list(limit=_MOST_ROWS))

    def _draw(self, rows: Sequence[SignInRow]) -> None:
        self._live.update(table(rows, time.time(), self.console.width), refresh=True)

    def ended(self, out: Path) -> None:
        self.console.print(f"{out}: journal.db, capture.flows, capture.har")


def make_show(*, as_json: bool, quiet: bool) -> Show:
    """The one that was asked for."""
    if as_json:
        return Lines()
    return Show() if quiet else LiveTable()
