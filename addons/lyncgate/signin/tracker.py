"""Sign-ins as their events come in: what `stitch` makes of all events at once, in small steps.

    tracker.add(event)              # any order
    tracker.changed(now)            # sign-ins that look different since they were last returned
    tracker.gone()                  # ids that are no more: two sign-ins turned out to be one, an earlier
                                    # exchange was reported late and gave its id to the sign-in
    tracker.late()                  # (id of the sign-in, event) of sign-ins that were forgotten

What is returned equals `stitch` of the same events, as long as none comes later than `keep` seconds after its
sign-in was over. A sign-in is forgotten `keep` seconds after its last event, or when there are more than
`limit` events, the one that was over first, first. Its exact keys are remembered longer, the latest
`remembered` of them: an event that comes with one, such as the end of a long poll, is not tracked any more;
`late` tells which sign-in it is of.
"""

from __future__ import annotations

import collections

from lyncgate.signin.attempts import Attempt
from lyncgate.signin.events import Event
from lyncgate.signin.stages import assembled
from lyncgate.signin.story import SignIn
from lyncgate.signin.strands import Key, personal
from lyncgate.signin.weave import Weave

KEEP = 900.0  # seconds
LIMIT = 100_000  # events
REMEMBERED = 200_000  # keys
_TIDY_EVERY = 2_000  # events


class Tracker:
    """Not for several threads."""

    def __init__(self, limit: int = LIMIT, keep: float = KEEP, remembered: int = REMEMBERED) -> None:
        self._limit = limit
        self._keep = keep
        self._remembered = remembered
        self._weave = Weave()
        self._shown: dict[str, int] = {}  # id → what it looked like when it was returned
        self._over: dict[str, float] = {}  # id of one that is open → when it will be over
        self._gone: list[str] = []
        self._late: list[tuple[str, Event]] = []
        self._forgotten: collections.OrderedDict[Key, str] = collections.OrderedDict()  # key → sign-in
        self._newest = float("-inf")
        self._since_tidied = 0

    def __len__(self) -> int:
        """Events held."""
        return len(self._weave.events)

    def add(self, event: Event) -> None:
        """Take in an event; or the second, complete telling of one."""
        if (of := self._of_forgotten(event)) is not None:
            self._late.append((of, event))
            return
        self._weave.add(event)
        self._newest = max(self._newest, event.started + (event.seconds or 0.0))
        self._since_tidied += 1

    def changed(self, now: float | None = None) -> list[SignIn]:
        """The sign-ins that changed or were over since they were last returned, in order of their start.
        `now`: as for `stitch`."""
        self._weave.update()
        found: list[SignIn] = []
        alive: set[str] = set()
        for attempt in self._weave.attempts():
            name = attempt.id
            alive.add(name)
            look = hash(
                tuple((event.id, self._weave.tellings[event.id], why) for _, event, why in attempt.events)
            )
            due = name in self._over and (now is None or now >= self._over[name])
            if due or self._shown.get(name) != look:
                self._shown[name] = look
                found.append(self._told(name, attempt, now))
        for name in [name for name in self._shown if name not in alive]:
            self._gone.append(name)
            del self._shown[name]
            self._over.pop(name, None)
        if self._since_tidied >= _TIDY_EVERY:
            self._tidy()
        return sorted(found, key=lambda sign_in: (sign_in.started, sign_in.id))

    def gone(self) -> list[str]:
        """Ids, returned by `changed` earlier, of sign-ins that are no more. Each once."""
        told, self._gone = self._gone, []
        return told

    def late(self) -> list[tuple[str, Event]]:
        """Events of sign-ins that are forgotten, with the sign-in's id. Each once."""
        told, self._late = self._late, []
        return told

    def _told(self, name: str, attempt: Attempt, now: float | None) -> SignIn:
        events = attempt.events
        sign_in, over = assembled(
            name,
            [event for _, event, _ in events],
            {event.id: why for _, event, why in events},
            self._weave.offsets,
            now,
        )
        if now is not None and now < over:
            self._over[name] = over
        else:
            self._over.pop(name, None)
        return sign_in

    def _of_forgotten(self, event: Event) -> str | None:
        if event.id in self._weave.events:
            return None
        if (of := self._forgotten.get(("event", event.id))) is not None:
            return of
        keys = personal(event)
        if any(self._weave.knows(key) for key in keys):
            return None
        return next((self._forgotten[key] for key in keys if key in self._forgotten), None)

    def _tidy(self) -> None:
        """Forget what is over: sign-ins by age, then by number of events; then events of no sign-in."""
        self._since_tidied = 0
        old = self._newest - self._keep
        attempts = sorted(
            (a for a in self._weave.attempts() if a.id not in self._over), key=lambda a: (a.end, a.id)
        )
        surplus = len(self._weave.events) - self._limit
        dropped: list[Event] = []
        for attempt in attempts:
            if attempt.end >= old and len(dropped) >= surplus:
                break
            events = [event for _, event, _ in attempt.events]
            dropped += events
            self._remember(attempt.id, events)
        used = {event.id for a in self._weave.attempts() for _, event, _ in a.events}
        unused = [event for event in self._weave.events.values() if event.id not in used]
        dropped += [event for event in unused if event.started < old]
        self._weave.drop(dropped)

    def _remember(self, name: str, events: list[Event]) -> None:
        for event in events:
            for key in (("event", event.id), *personal(event)):
                if key[0] == "event" or self._weave.is_private(key):
                    self._forgotten[key] = name
                    self._forgotten.move_to_end(key)
        self._shown.pop(name, None)
        self._over.pop(name, None)
        while len(self._forgotten) > self._remembered:
            self._forgotten.popitem(last=False)
