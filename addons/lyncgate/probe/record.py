"""What was seen and said in a run, in its order."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator

import msgspec

from lyncgate.lync.stages import Stage
from lyncgate.probe.check import Check, Verdict, printable
from lyncgate.signin.events import DnsQuery, Event
from lyncgate.signin.keys import Keys


class Record:
    """`checks`: the lines; `walk`: events of the sign-in itself, `extra`: those of tests beside it; `inside`:
    whether we stand in the company's network, None until that is known. `on_check` hears of each line."""

    def __init__(self, user: str, on_check: Callable[[Check], None] = lambda _check: None) -> None:
        self.user = user
        self.keys = Keys(user=user)
        self.started = time.time()
        self.checks: list[Check] = []
        self.walk: list[Event] = []
        self.extra: list[Event] = []
        self.inside: bool | None = None
        self._beside = False
        self._on_check = on_check

    def new_id(self) -> str:
        """An event's id."""
        return secrets.token_hex(8)

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """What is seen meanwhile is no part of the sign-in."""
        before, self._beside = self._beside, True
        try:
            yield
        finally:
            self._beside = before

    def saw(self, event: Event) -> None:
        """Something happened on the wire."""
        (self.extra if self._beside else self.walk).append(event)

    def check(
        self,
        stage: Stage | None,
        what: str,
        verdict: Verdict,
        said: str,
        *events: Event,
        seconds: float | None = None,
    ) -> Verdict:
        """A line. `seconds`: None is what the last of the events took. Gives the verdict back."""
        took = seconds if seconds is not None else next((e.seconds for e in reversed(events)), None)
        check = Check(
            stage=stage,
            what=printable(what),
            verdict=verdict,
            said=printable(said),
            seconds=took,
            events=tuple(event.id for event in events),
        )
        self.checks.append(check)
        self._on_check(check)
        return verdict

    def events(self) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
        """Those of the walk, and all; DNS queries with the view that turned out to be ours."""
        view = "internal" if self.inside else "external"

        def viewed(event: Event) -> Event:
            return msgspec.structs.replace(event, view=view) if isinstance(event, DnsQuery) else event

        walk = tuple(map(viewed, self.walk))
        return walk, tuple(sorted((*walk, *map(viewed, self.extra)), key=lambda event: event.started))
