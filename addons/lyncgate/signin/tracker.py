"""Sign-ins as their events come in: what `stitch` makes of all events at once, in small steps.

    tracker.add(event)              # any order
    tracker.changed(now)            # sign-ins that look different since they were last returned
    tracker.gone()                  # ids that are no more: two sign-ins turned out to be one, an earlier
                                    # exchange was reported late and gave its id to the sign-in
    tracker.late()                  # (id of the sign-in, event, whether it was awaited) of those forgotten

What is returned equals `stitch` of the same events, as long as none comes after its sign-in was forgotten:
that is `keep` seconds after it was over, or `rest` seconds where there are more than `spare` events, or at
once when there are more than `limit`; then those go first which were over first, but none that is open. So
a session that goes on for hours is not held for as long as that.

What exact keys tie together is looked at as a whole when something is added to it. So it is forgotten, too,
when it has more than `most` events, as a flood of requests on one connection has: whatever else comes with
its keys is late.

The exact keys of what is forgotten are remembered longer, the latest `remembered` of them at least: an event
that comes with one, such as the end of a long poll, is not tracked any more, but `late` tells which sign-in
it is of. So is whose an account is, of the `accounts` that were named last.
"""

from __future__ import annotations

from collections.abc import Iterable

from lyncgate.signin.attempt import CLOCK
from lyncgate.signin.events import Event, is_complete
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.remembered import Past, Remembered
from lyncgate.signin.stages import Assembly
from lyncgate.signin.stitch import assembly
from lyncgate.signin.story import SignIn, SignInOutcome
from lyncgate.signin.strands import Strand, asks_to_register, is_user_document, personal
from lyncgate.signin.weave import Weave, Woven

KEEP = 2000.0  # seconds: a poll hangs for half an hour at most
LIMIT = 100_000  # events
REMEMBERED = 50_000  # keys
ACCOUNTS = 50_000
MOST = 500  # events that are tied together
_HARD = 4  # times that number: from then on it does not matter that a sign-in is open
_ROOM = 0.9  # of a bound: how much is left when there were too many events
_OFTEN = 0.1  # of `keep`, or `rest`: how often what is too old is looked for
_NOTHING = Woven("", "", ())


class Tracker:
    """Not for several threads."""

    def __init__(
        self,
        limit: int = LIMIT,
        keep: float = KEEP,
        remembered: int = REMEMBERED,
        accounts: int = ACCOUNTS,
        *,
        spare: int | None = None,
        rest: float | None = None,
        most: int = MOST,
    ) -> None:
        self._limit = limit
        self._keep = keep
        self._spare = limit if spare is None else spare
        self._rest = keep if rest is None else rest
        self._most = most
        self._weave = Weave(accounts, most)
        self._over: dict[str, float] = {}  # sign-ins that were returned: id → when it is, or first was, over
        self._open: dict[str, tuple[Woven, Assembly]] = {}  # by id, as they were returned last
        self._gone: list[str] = []
        self._late: list[tuple[str, Event, bool]] = []
        self._forgotten = Remembered(remembered)
        self.newest = float("-inf")  # when the last of what was taken in was over
        self._timed = False  # by a clock that is taken for right
        self._tidied = float("-inf")  # when, by the newest event

    def __len__(self) -> int:
        """Events held."""
        return len(self._weave.events)

    @property
    def names(self) -> int:
        """How many names of people are held: it grows with any number that one connection brings."""
        return self._weave.names

    @property
    def work(self) -> int:
        """Events, and what is made of them, that were looked at since it began, each time."""
        return self._weave.work

    def add(self, event: Event) -> None:
        """Take in an event; or the second, complete telling of one."""
        if event.id not in self._weave.events:
            if (past := self._forgotten.get(("event", event.id))) is not None:
                self._late.append((past.id, event, True))
                return
            if (past := self._of_forgotten(event)) is not None:
                if past.id:
                    self._late.append((past.id, event, False))
                return
        self._weave.add(event)
        self._note_time(event)

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
        self._gone += sorted(gone & self._over.keys())
        for id in gone:
            self._over.pop(id, None)
            self._open.pop(id, None)
        large, others = self._too_large()
        found = [self._told(self._weave.sign_ins[id], None if id in large else now) for id in changed]
        found += [self._told(woven, None) for id, woven in large.items() if id in self._open]
        if large or others:
            self._forget(large.values(), others, flood=True)
        often = _OFTEN * (self._rest if len(self) > self._spare else self._keep)
        if len(self) > self._limit or self.newest >= self._tidied + often:
            self._tidy()
        return sorted(found, key=lambda sign_in: (sign_in.started, sign_in.id))

    def gone(self) -> list[str]:
        """Ids, returned by `changed` earlier, of sign-ins that are no more. Each once."""
        gone, self._gone = self._gone, []
        return gone

    def late(self) -> list[tuple[str, Event, bool]]:
        """Events of sign-ins that are forgotten, with the sign-in's id; and whether it is the end of one that
        was known to be under way. Each once."""
        late, self._late = self._late, []
        return late

    def _told(self, woven: Woven, now: float | None) -> SignIn:
        of, known = self._open.get(woven.id, (None, None))
        if known is None or of is not woven:  # else nothing came to it: it is over, or may be soon
            known = assembly(woven, self._weave.offsets)
        sign_in = known.sign_in(now)
        over = known.over
        if sign_in.outcome is SignInOutcome.OK and woven.id not in self._open:
            over = min(over, self._over.get(woven.id, over))  # what comes now is the life of its session
        self._over[woven.id] = over
        if now is not None and now < known.over:
            self._open[woven.id] = (woven, known)
        else:
            self._open.pop(woven.id, None)
        return sign_in

    def _note_time(self, event: Event) -> None:
        """A trace's clock may be wrong by hours: it counts where nothing else does."""
        at = event.started + (event.seconds or 0.0)
        if event.origin.startswith("trace:"):
            if self._timed:
                return
        elif not self._timed:
            self._timed, self.newest = True, at
        self.newest = max(self.newest, at)

    def _of_forgotten(self, event: Event) -> Past | None:
        keys = personal(event)
        if any(self._weave.knows(key) for key in keys):
            return None
        found = [past for key in keys if (past := self._forgotten.get(key)) is not None]
        return found[0] if found and not self._begins_anew(event, found[0]) else None

    def _begins_anew(self, event: Event, past: Past) -> bool:
        """Whether it repeats what its ticket, or its connection, was used for before, and discovery has
        started over since: then it is of another sign-in (see `signin.attempts`)."""
        if past.person is None or not isinstance(event, Exchange):
            return False
        repeats = (past.located and is_user_document(event)) or (past.registered and asks_to_register(event))
        if not repeats:
            return False
        agent = event.keys.agent
        return self._weave.waits(past.person, past.end - CLOCK, None if agent in past.agents else agent)

    def _too_large(self) -> tuple[dict[str, Woven], set[Strand]]:
        """What is to be forgotten because too much is tied together: sign-ins, and strands of none."""
        sign_ins: dict[str, Woven] = {}
        others: set[Strand] = set()
        for events, woven, unplaced in self._weave.large():
            for one in woven:
                alone = sum(len(strand.events) for strand, _ in one.parts)
                if one.id not in self._open or alone > self._most or events > _HARD * self._most:
                    sign_ins[one.id] = one
            others |= unplaced
        return sign_ins, others

    def _tidy(self) -> None:
        """Forget what is over: sign-ins by age, then by number of events; then strands of no sign-in."""
        self._tidied = self.newest
        held = len(self)
        old, rested = self.newest - self._keep, self.newest - self._rest
        surplus = held - self._limit * _ROOM if held > self._limit else 0
        spare = held - self._spare * _ROOM if held > self._spare else 0
        forgotten: list[Woven] = []
        for over, id in sorted((over, id) for id, over in self._over.items() if id not in self._open):
            if over >= old and surplus <= 0 and (spare <= 0 or over >= rested):
                break
            woven = self._weave.sign_ins[id]
            forgotten.append(woven)
            events = sum(len(strand.events) for strand, _ in woven.parts)
            surplus -= events
            spare -= events
        until = rested if spare > 0 else old
        unplaced = [strand for strand in self._weave.unplaced() if strand.end < until or surplus > 0]
        self._forget(forgotten, unplaced)

    def _forget(self, sign_ins: Iterable[Woven], others: Iterable[Strand], *, flood: bool = False) -> None:
        """Let go of these, and remember the keys of sign-ins; in a `flood` all keys."""
        for woven in sign_ins:
            self._remember(_past(woven), [event for strand, _ in woven.parts for _, event in strand.events])
            self._over.pop(woven.id, None)
            self._open.pop(woven.id, None)
        for strand in others if flood else ():
            self._remember(Past(""), [event for _, event in strand.events])
        self._weave.drop(sign_ins, others)

    def _remember(self, past: Past, events: Iterable[Event]) -> None:
        """Of events that are told again, because they were not over, the id is a key."""
        keys = {key: None for event in events for key in personal(event)}
        for event in events:
            if not is_complete(event):
                self._forgotten.put(("event", event.id), past)
        for key in keys:
            if self._weave.is_private(key):
                self._forgotten.put(key, past)


def _past(woven: Woven) -> Past:
    strands = [strand for strand, _ in woven.parts]
    return Past(
        woven.id,
        next((strand.person for strand in strands if strand.person is not None), None),
        max(strand.end for strand in strands),
        tuple(sorted({agent for strand in strands for agent in strand.agents})),
        any(strand.located is not None for strand in strands),
        any(strand.web and strand.registering for strand in strands),
    )
