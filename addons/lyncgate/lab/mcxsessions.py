"""MCX sessions (protocol reference §5.3, §5.4): the state, without HTTP. Their event channels: `channel`.

A session lives for a number of seconds without a request, which is Microsoft's and goes by the device:
three days for those that have push, an hour for those that poll. A held poll keeps it alive. What comes
while no poll is held is pushed too, once the device has subscribed; it waits for the next poll all the same.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lyncgate.lab.channel import Channel, Outcome, Patience, Urgency
from lyncgate.lync.mcx import SESSION_SECONDS, Event, Events

if TYPE_CHECKING:  # enrolments know pools, and pools know sessions
    from lyncgate.lab.enrolment import Enrolment

POLL_MAXIMUM = 1800.0  # seconds; our guess, UCWA's. The shortest one is the lab's, too
NEWS_WAITS = 5.0  # seconds that news of contacts may wait; our guess, UCWA's
SWEEP_INTERVAL = 60.0  # seconds


class Session:
    """One session of one device. `enrolment`: how the user is signed in; `push_to_device`: sends an event to
    it, None: it has not subscribed."""

    def __init__(
        self, device: str, enrolment: Enrolment, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.id = secrets.token_hex(16)
        self.device = device
        self.enrolment = enrolment
        self.push_to_device: Callable[[Event], None] | None = None
        self._clock = clock
        self._channel: Channel[Event] = Channel(clock=clock)
        self.polling = self._channel.polling
        self._last_request = clock()

    @property
    def owner(self) -> str:
        """SIP address."""
        return self.enrolment.user.sip

    @property
    def seconds(self) -> int:
        """How long it lives without a request."""
        return SESSION_SECONDS[self.device]

    @property
    def held(self) -> bool:
        """A poll waits at this moment."""
        return self._channel.held

    @property
    def expected_ack(self) -> int:
        """The number of the next poll."""
        return self._channel.expected_ack

    def touch(self) -> None:
        """The device asked for something."""
        self._last_request = self._clock()

    def is_expired(self) -> bool:
        """It was left alone for too long."""
        return self._clock() - max(self._last_request, self._channel.last_poll) > self.seconds

    def push(self, event: Event, urgency: Urgency = Urgency.HIGH) -> None:
        """Something happened."""
        if self.push_to_device and not self.held:
            self.push_to_device(event)
        self._channel.push(event, urgency)

    async def poll(self, ack: int, seconds: float) -> Events:
        """Answer a poll that may be held for so long. Raises PollReplacedError."""
        patience = Patience(timeout=seconds, low=NEWS_WAITS, medium=NEWS_WAITS)
        answer = await self._channel.poll(ack, patience)
        return Events(answer.next_ack, answer.events, resync=int(answer.outcome is not Outcome.NEWS))


class Sessions:
    """All sessions of a pool. `poll_minimum`: seconds, the shortest time that a poll is held."""

    def __init__(self, poll_minimum: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_id: dict[str, Session] = {}
        self._poll_minimum = poll_minimum
        self._clock = clock
        self._next_sweep = clock() + SWEEP_INTERVAL

    def __len__(self) -> int:
        return len(self._by_id)

    def create(self, device: str, enrolment: Enrolment) -> Session:
        """A new session."""
        session = Session(device, enrolment, self._clock)
        self._by_id[session.id] = session
        return session

    def get(self, identifier: str) -> Session | None:
        """The session; one that has expired is returned too, and `take` is due."""
        return self._by_id.get(identifier)

    def take(self, session: Session) -> None:
        """It ends."""
        self._by_id.pop(session.id, None)

    def of(self, owner: str) -> tuple[Session, ...]:
        """The sessions of a user, by SIP address."""
        return tuple(session for session in self._by_id.values() if session.owner == owner)

    def watching(self, sip: str) -> tuple[Session, ...]:
        """The sessions whose user has this address among the contacts."""
        return tuple(
            session
            for session in self._by_id.values()
            if any(contact.sip == sip for contact in session.enrolment.contacts.contacts)
        )

    def sweep(self) -> list[Session]:
        """Take out those that have expired, at most once a minute."""
        now = self._clock()
        if now < self._next_sweep:
            return []
        self._next_sweep = now + SWEEP_INTERVAL
        expired = [session for session in self._by_id.values() if session.is_expired()]
        for session in expired:
            self.take(session)
        return expired

    @property
    def polls_held(self) -> int:
        """How many polls wait at this moment."""
        return sum(1 for session in self._by_id.values() if session.held)

    def hold(self, asked: int) -> float:
        """Seconds for which a poll is held that asks for so many."""
        return min(max(float(asked), self._poll_minimum), POLL_MAXIMUM)
