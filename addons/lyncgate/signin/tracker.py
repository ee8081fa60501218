"""Sign-ins as their events come in: what `stitch` makes of all events at once, in small steps.

    tracker.add(event)              # any order
    tracker.changed(now)            # sign-ins that look different since they were last returned
    tracker.gone()                  # ids that are no more: two sign-ins turned out to be one, an earlier
                                    # exchange was reported late and gave its id to the sign-in
    tracker.late()                  # (id of the sign-in, event) of sign-ins that were forgotten

What is returned equals `stitch` of the same events, as long as none comes after its sign-in was forgotten:
`keep` seconds after its last event began, or when there are more than `limit` events; then those go first
whose last event is the oldest, but none that is open. The exact keys of what is forgotten are remembered
longer, the latest `remembered` of them: an event that comes with one, such as the end of a long poll, is not
tracked any more, but `late` tells which sign-in it is of. So is whose an account is, of the `accounts` that
were named last.
"""

from __future__ import annotations

import collections

from lyncgate.signin.events import Event
from lyncgate.signin.stages import Assembly
from lyncgate.signin.stitch import assembly
from lyncgate.signin.story import SignIn
from lyncgate.signin.strands import Key, personal
from lyncgate.signin.weave import Weave, Woven, is_complete

KEEP = 2000.0  # seconds: a poll hangs for half an hour at most
LIMIT = 100_000  # events
REMEMBERED = 50_000  # keys
ACCOUNTS = 50_000
_ROOM = 0.9  # of the limit: how much is left when there were too many events
_OFTEN = 0.1  # of `keep`: how often what is too old is looked for
_NOTHING = Woven("", "", ())


class Tracker:
    """Not for several threads."""

    def __init__(
        self,
        limit: int = LIMIT,
        keep: float = KEEP,
        remembered: int = REMEMBERED,
        accounts: int = ACCOUNTS,
    ) -> None:
        self._limit = limit
        self._keep = keep
        self._remembered = remembered
        self._weave = Weave(accounts)
        self._shown: set[str] = set()  # ids that were returned
        self._open: dict[str, tuple[Woven, Assembly]] = {}  # by id, as they were returned last
        self._gone: list[str] = []
        self._late: list[tuple[str, Event]] = []
        self._forgotten: collections.OrderedDict[Key, str] = collections.OrderedDict()  # key → sign-in
        self.newest = float("-inf")  # when the last of what was taken in was over
        self._tidied = float("-inf")  # when, by the newest event

    def __len__(self) -> int:
        """Events held."""
        return len(self._weave.events)

    @property
    def names(self) -> int:
        """How many names of people are held: it grows with any number that one connection brings."""
        return self._weave.names

    def add(self, event: Event) -> None:
        """Take in an event; or the second, complete telling of one."""
        if (of := self._of_forgotten(event)) is not None:
            self._late.append((of, event))
            return
        self._weave.add(event)
        self.newest = max(self.newest, event.started + (event.seconds or 0.0))

    def changed(self, now: float | None = None) -> list[SignIn]:
        """The sign-ins that changed or were over since they were last returned, in order of their start.
        `now`: as for `stitch`."""
        offsets = self._weave.offsets.copy()
        changed, gone = self._weave.update()
        if offsets != self._weave.offsets:  # each sign-in tells of the clocks that it was seen by
            moved = self._weave.seen_by(offsets)
            changed |= moved
            for id in moved & self._open.keys():
                self._open[id] = (_NOTHING, self._open[id][1])
        changed |= {
            id
            for id, (_, known) in self._open.items()
            if id not in gone and (now is None or now >= known.over)
        }
        self._gone += sorted(gone & self._shown)
        self._shown -= gone
        for id in gone:
            self._open.pop(id, None)
        found = [self._told(self._weave.sign_ins[id], now) for id in changed]
        if len(self) > self._limit or self.newest >= self._tidied + _OFTEN * self._keep:
            self._tidy()
        return sorted(found, key=lambda sign_in: (sign_in.started, sign_in.id))

    def gone(self) -> list[str]:
        """Ids, returned by `changed` earlier, of sign-ins that are no more. Each once."""
        gone, self._gone = self._gone, []
        return gone

    def late(self) -> list[tuple[str, Event]]:
        """Events of sign-ins that are forgotten, with the sign-in's id. Each once."""
        late, self._late = self._late, []
        return late

    def _told(self, woven: Woven, now: float | None) -> SignIn:
        of, known = self._open.get(woven.id, (None, None))
        if known is None or of is not woven:  # else nothing came to it: it is over, or may be soon
            known = assembly(woven, self._weave.offsets)
        sign_in = known.sign_in(now)
        self._shown.add(woven.id)
        if now is not None and now < known.over:
            self._open[woven.id] = (woven, known)
        else:
            self._open.pop(woven.id, None)
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
        """Forget what is over: sign-ins by age, then by number of events; then strands of no sign-in."""
        self._tidied = self.newest
        old = self.newest - self._keep
        surplus = len(self) - self._limit * _ROOM if len(self) > self._limit else 0
        forgotten: list[Woven] = []
        for latest, id in sorted((woven.latest, id) for id, woven in self._weave.sign_ins.items()):
            if latest >= old and surplus <= 0:
                break
            if id not in self._open:
                woven = self._weave.sign_ins[id]
                forgotten.append(woven)
                surplus -= self._remember(woven)
        unplaced = [strand for strand in self._weave.unplaced() if strand.end < old or surplus > 0]
        self._weave.drop(forgotten, unplaced)

    def _remember(self, woven: Woven) -> int:
        """Keeps its keys, and returns how many events it had. Of events that are told again, because they
        were not over, the id is one."""
        events = woven.events
        keys: dict[Key, None] = {}
        for event, _ in events:
            if not is_complete(event):
                keys["event", event.id] = None
            keys.update(dict.fromkeys(personal(event)))
        for key in keys:
            if key[0] == "event" or self._weave.is_private(key):
                self._forgotten[key] = woven.id
                self._forgotten.move_to_end(key)
        self._shown.discard(woven.id)
        while len(self._forgotten) > self._remembered:
            self._forgotten.popitem(last=False)
        return len(events)
