"""Events → sign-ins with findings, by one of the journal's writers: whoever holds the lease.

Phones open several connections, which may be served by several workers; only who sees all of their events
can tell the story. So every worker writes events, and one of them reads what all have written, in the
order of writing, and writes the sign-ins. If it dies, another one goes on when its lease ends.
"""

from __future__ import annotations

import collections
import itertools
import logging
import math
import os
import secrets
import time
from collections.abc import Container

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal import rows
from lyncgate.observe.journal.observer import JournalObserver
from lyncgate.observe.journal.store import Judged, Store
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Outcome
from lyncgate.signin.finding import Finding
from lyncgate.signin.stages import assemble
from lyncgate.signin.story import SignIn, SignInOutcome, StageState
from lyncgate.signin.tracker import KEEP, Tracker

log = logging.getLogger(__name__)

LEASE = 4.0  # seconds until another writer may take over
RENEW = 1.5
EVERY = 1.0  # seconds between two looks at what has changed, at least
IDLE_SHARE = 4.0  # times the CPU that a look took before the next one: an event loop shares the interpreter
BATCH_SHARE = 25.0  # likewise, where there is much: a sign-in that goes on is looked at less often, for less
LONGEST = 4.0  # seconds until then, at most
FED = 5000  # events between two looks; what is more waits in the file, where it costs no memory
TRACKED = 20_000  # events held in memory, about 3 kB each with what is made of them
SPARE = 5000  # of them while sign-ins are over for longer than REST
REST = 120.0  # seconds: a phone that tries again does so within a minute
REMEMBERED = 50_000  # keys of sign-ins that are no longer tracked, twice as many at most; 100 bytes each
LONG = 100  # events of a sign-in whose session goes on
GROWN = 1.25  # times as many events: then it is judged again
ACCOUNTS = 5000  # of which it is remembered whose they are, about 600 bytes each
NAMES = 100_000  # with more, stitching begins anew: one connection may bring any number from outside
YOUNG = 10.0  # seconds from its start in which a sign-in is not diagnosed while all goes well
WRITTEN_AT_ONCE = 5  # sign-ins a transaction: 5 ms of the processor, of which there may be a sixtieth
CROWDED, LONGEST_PAUSE = 0.02, 0.1  # seconds: SQLite looks as often whether a file is free
AROUND = 100  # sign-ins that diagnosis may compare with
EARLIER = 3  # and so many of the same user, of those who are refused
COMPLAIN_EVERY = 60.0  # seconds
RESUME_AFTER = 10.0  # seconds until stitching that has failed begins anew


class Stitcher:
    """Used from the journal's thread. Every method may raise sqlite3.Error, and can be called again then."""

    def __init__(self, observer: JournalObserver) -> None:
        self._observer = observer
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._until = 0.0  # the lease's end, Unix seconds
        self._tracker: Tracker | None = None  # None: somebody else stitches
        self._seq = 0  # of the last event that the tracker has
        self._fed = 0  # events that it was given since the last look
        self._look_at = self._full_at = 0.0  # monotonic; the second one holds when no more is taken in
        self._pending: dict[str, Judged] = {}  # judged, and not yet written
        self._gone: list[str] = []  # to be forgotten with the next write
        self._around: collections.OrderedDict[str, SignIn] = collections.OrderedDict()
        self._complained = self._failed = float("-inf")  # monotonic

    @property
    def leads(self) -> bool:
        return self._tracker is not None

    @property
    def held(self) -> int:
        """Events in memory."""
        return len(self._tracker) if self._tracker else 0

    def step(self, store: Store, now: float, *, at_once: bool = False) -> bool:
        """Take in what was written since, and write the sign-ins that it changed. `at_once`: look at them
        though the last look was just now. True if there is more to do at once."""
        if not self._lead(store, now) or self._tracker is None:
            return False
        self._take_in(self._tracker, store)
        more = False
        full = self._fed >= FED
        if looked := at_once or time.monotonic() >= (self._full_at if full else self._look_at):
            more, self._fed = full, 0
            begun, used = time.monotonic(), time.thread_time()
            # Of what waits in the file we don't know whose end it is: nothing is over yet by the clock.
            self._look(self._tracker, store, min(now, self._tracker.newest) if more else now)
            used = time.thread_time() - used
            self._full_at = begun + max(EVERY, IDLE_SHARE * used)
            self._look_at = max(self._full_at, begun + min(LONGEST, BATCH_SHARE * used))
        self._write(store)
        if looked and self._tracker and self._tracker.names > NAMES:
            self._tracker = None
        return more

    def _write(self, store: Store) -> None:
        """Write what was judged, a little at a time: who has the file waits for the processor when traffic
        wants it, and who writes events would wait for the file. After such a wait it is theirs as long."""
        while self._pending or self._gone:
            some = list(itertools.islice(self._pending.values(), WRITTEN_AT_ONCE))
            gone = self._gone if len(some) == len(self._pending) else []
            begun, used = time.monotonic(), time.thread_time()
            settled = store.put(some, gone)
            waited = time.monotonic() - begun - (time.thread_time() - used)
            for sign_in, _ in some:
                del self._pending[sign_in.id]
            gone.clear()
            self._settle(settled)
            if self._pending and waited > CROWDED:
                time.sleep(min(waited, LONGEST_PAUSE))

    def _settle(self, settled: list[Judged]) -> None:
        for sign_in, findings in settled:
            self._observer.sign_in_settled(sign_in, findings)

    def stop(self, store: Store) -> None:
        """Leave stitching to others: write what is known as if it were over. It is counted by who goes on."""
        if self._tracker:
            self._look(self._tracker, store, None)
            store.put(self._pending.values(), self._gone, count=False)
            store.release(self._owner)
        self.forget()

    def forget(self) -> None:
        """The journal is another one now: nothing that is known holds any more."""
        self._until, self._seq, self._tracker = 0.0, 0, None
        self._pending.clear()
        self._gone.clear()
        self._around.clear()

    def _lead(self, store: Store, now: float) -> bool:
        if not now + LEASE - RENEW < self._until <= now + LEASE:
            if now > self._until:
                store.forget()  # somebody else may have had it meanwhile
            if not store.lease(self._owner, now, LEASE):
                self.forget()
                return False
            self._until = now + LEASE
        if self._tracker is None and time.monotonic() - self._failed > RESUME_AFTER:
            seq = self._seq or store.last_seq()  # what is behind may be more than fits into memory
            tracker = Tracker(TRACKED, KEEP, REMEMBERED, ACCOUNTS, spare=SPARE, rest=REST)
            for event in store.unsettled(now - KEEP, seq, TRACKED):
                self._feed(tracker, event)
            self._tracker, self._seq, self._fed = tracker, seq, 0
        return True

    def _take_in(self, tracker: Tracker, store: Store) -> None:
        """So many events that one look is short, and so is the time until more are written."""
        for seq, event in store.events_after(self._seq, FED - self._fed) if self._fed < FED else ():
            if event:
                self._feed(tracker, event)
            self._seq = seq
            self._fed += 1

    def _feed(self, tracker: Tracker, event: Event) -> None:
        try:
            tracker.add(event)
        except Exception:  # a fault of ours must cost one event, not the journal
            self._complain(f"event {event.id} can't be stitched")

    def _look(self, tracker: Tracker, store: Store, now: float | None) -> None:
        """Judge what has changed. `now`: None if everything is over."""
        try:
            changed = tracker.changed(now)
            self._gone += tracker.gone()
            late = tracker.late()
        except Exception:
            self._complain("sign-ins can't be stitched")
            self._tracker, self._failed = None, time.monotonic()
            return
        for sign_in in changed:
            if _is_young(sign_in, now):
                self._note(sign_in, ())
            else:
                self._judge(sign_in, store)
        tellings: dict[str, list[tuple[Event, bool]]] = {}
        for id_, event, awaited in late:
            tellings.setdefault(id_, []).append((event, awaited))
        for id_, told in tellings.items():
            self._join(id_, told, store)

    def _join(self, id_: str, told: list[tuple[Event, bool]], store: Store) -> None:
        """Give late events to the sign-in they are of. It is judged again where they may say more: at
        the end of what was awaited, when something failed, and else, or when it is LONG, when it has
        GROWN. A session goes on for days, and most of what comes says nothing of how it began."""
        written, whole = self._pending.pop(id_, None), {event.id: event for event, _ in told}
        if written is not None:
            self._settle(store.put([written]))
        before, after = store.join(id_, list(whole.values()), rows.MOST_EVENTS)
        if before >= rows.MOST_EVENTS:
            return
        news = after <= LONG and any(awaited or _says_more(event) for event, awaited in told)
        if news or math.log(max(after, 1), GROWN) // 1 > math.log(max(before, 1), GROWN) // 1:
            events, joined = store.events_of(id_)
            if events:  # nothing is awaited any more: it was over before
                self._judge(assemble(id_, events, joined, store.offsets_of(id_)), store)

    def _judge(self, sign_in: SignIn, store: Store) -> None:
        around = [*_earlier(sign_in, store, self._around), *self._around.values()]
        try:
            findings = diagnose(sign_in, around)
        except Exception:
            self._complain(f"sign-in {sign_in.id} can't be diagnosed")
            findings = ()
        self._note(sign_in, findings)

    def _note(self, sign_in: SignIn, findings: tuple[Finding, ...]) -> None:
        self._pending[sign_in.id] = (sign_in, findings)
        self._around[sign_in.id] = sign_in
        self._around.move_to_end(sign_in.id)
        while len(self._around) > AROUND:
            self._around.popitem(last=False)

    def _complain(self, what: str) -> None:
        """Log the exception at hand, not more often than is of use."""
        if time.monotonic() - self._complained > COMPLAIN_EVERY:
            self._complained = time.monotonic()
            log.exception("%s", what)


def _says_more(event: Event) -> bool:
    """Whether it may change what became of a sign-in that is over, by itself."""
    if not isinstance(event, Exchange):
        return True
    return event.outcome not in (None, Outcome.CLIENT_GONE) and not event.went_well


def _is_young(sign_in: SignIn, now: float | None) -> bool:
    """It goes on, nothing has failed, and it began just now: there is nothing to explain yet, and most are
    over when they are looked at again."""
    if now is None or sign_in.outcome is not SignInOutcome.OPEN or sign_in.started < now - YOUNG:
        return False
    return not any(view.state is StageState.FAILED for view in sign_in.stages)


def _earlier(sign_in: SignIn, store: Store, known: Container[str]) -> list[SignIn]:
    """What tells a wrong password from a wrong name: when the same user was let in, and as whom. Looked up
    for those only who failed there."""
    if sign_in.user is None or sign_in.failed_stage is not Stage.TICKET:
        return []
    found = []
    for id_ in store.let_in(sign_in.user, sign_in.started, EARLIER):
        events, joined = store.events_of(id_)
        if events and id_ not in known:
            found.append(assemble(id_, events, joined, store.offsets_of(id_)))
    return found
