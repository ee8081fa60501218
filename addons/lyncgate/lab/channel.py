"""An event channel: what a held poll waits for. UCWA's (protocol reference §6.3), and MCX's as we guess it.

The client asks with a number, `ack`; the server holds the request until there is something to tell or
the time is over, and gives with the answer the next number, by which the client says that it has got
this one. One poll is held at a time.

| ack asked for         | what happens |
| --------------------- | ------------ |
| expected, none held   | held; answered when the news that waits is due |
| expected, one held    | the held one is replaced, unless its `priority` is higher: then the new one is |
| the one before        | the answer was lost on its way: it is given again (our guess) |
| any other             | resync: start again from the number that is expected |
| any, after an absence | resume: the state is gone, news of the meantime too |

News has an urgency: high is due at once, medium and low when they have waited for a while, so that
several go out together. What the client says of times is kept for its later polls, until a resume.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import time
from collections.abc import Callable

MOST_WAITING = 1000  # events that are kept for a client that doesn't come; then the oldest are lost: resync


class PollReplacedError(Exception):
    """Another poll took this one's place: 409 PGetReplaced."""


class Urgency(enum.Enum):
    """How soon news is due. The documents name one for each kind of event."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """For how long a poll is held, in seconds: without news at all, with news of low urgency, of medium."""

    timeout: float = 180.0
    low: float = 15.0
    medium: float = 5.0

    def of(self, urgency: Urgency) -> float:
        """How long news may wait."""
        return {Urgency.LOW: self.low, Urgency.MEDIUM: self.medium, Urgency.HIGH: 0.0}[urgency]


class Outcome(enum.Enum):
    """What an answer is."""

    NEWS = "news"  # or the time was over
    RESYNC = "resync"
    RESUME = "resume"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer[E]:
    """`ack`: what was asked for; `next_ack`: what to ask for next."""

    outcome: Outcome
    ack: int
    next_ack: int
    events: tuple[E, ...] = ()


@dataclasses.dataclass(slots=True)
class _News[E]:
    event: E
    urgency: Urgency
    since: float


class Channel[E]:
    """`resume_after`: seconds without a poll after which the state is lost. `clock`: as time.monotonic."""

    def __init__(
        self, resume_after: float = float("inf"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.patience = Patience()
        self.expected_ack = 1
        self.polling = asyncio.Event()  # set while a poll is held
        self._resume_after = resume_after
        self._clock = clock
        self._last_poll = clock()  # when the last one began or ended
        self._waiting: list[_News[E]] = []
        self._lost = False
        self._answered: Answer[E] | None = None  # to expected_ack - 1
        self._held: asyncio.Future[None] | None = None
        self._priority = 0  # of the held poll
        self._until = 0.0  # clock: when the held poll ends without news
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> bool:
        """A poll waits at this moment."""
        return self._held is not None

    @property
    def last_poll(self) -> float:
        """When the client last asked, on the clock; now while a poll is held."""
        return self._clock() if self.held else self._last_poll

    def push(self, event: E, urgency: Urgency = Urgency.HIGH) -> None:
        """Something happened."""
        self._waiting.append(_News(event, urgency, self._clock()))
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[0]
            self._lost = True
        self._arm()

    async def poll(self, ack: int, patience: Patience | None = None, priority: int = 0) -> Answer[E]:
        """The answer to a poll. `patience` None: as before. Raises PollReplacedError."""
        if self._is_absent():
            return self._resume(ack)
        self._last_poll = self._clock()
        if ack == self.expected_ack - 1 and self._answered is not None:
            return self._answered
        if ack != self.expected_ack or self._lost:
            self._lost = False
            return Answer(Outcome.RESYNC, ack, self.expected_ack)
        if patience is not None:
            self.patience = patience
        await self._hold(priority)
        events, self._waiting = tuple(news.event for news in self._waiting), []
        self.expected_ack += 1
        self._answered = Answer(Outcome.NEWS, ack, self.expected_ack, events)
        return self._answered

    def _is_absent(self) -> bool:
        return self._clock() - self.last_poll > self._resume_after

    def _resume(self, ack: int) -> Answer[E]:
        self._waiting.clear()
        self._lost = False
        self._answered = None
        self.patience = Patience()
        self._last_poll = self._clock()
        self.expected_ack += 1
        return Answer(Outcome.RESUME, ack, self.expected_ack)

    async def _hold(self, priority: int) -> None:
        if self._held is not None and not self._held.done():
            if priority < self._priority:
                raise PollReplacedError
            self._held.set_exception(PollReplacedError())
        held = self._held = asyncio.get_running_loop().create_future()
        self._priority = priority
        self._until = self._clock() + self.patience.timeout
        self._arm()
        if not held.done():
            self.polling.set()
        try:
            await held
        finally:
            if self._held is held:
                self._held = None
                self.polling.clear()
                self._last_poll = self._clock()
                self._disarm()

    def _arm(self) -> None:
        """Release the held poll when something of what waits is due, or at the end of its time."""
        held = self._held
        if held is None or held.done():
            return
        self._disarm()
        due = (news.since + self.patience.of(news.urgency) for news in self._waiting)
        seconds = min(due, default=self._until) - self._clock()
        seconds = min(seconds, self._until - self._clock())
        if seconds <= 0:
            held.set_result(None)
        else:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._arm)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
