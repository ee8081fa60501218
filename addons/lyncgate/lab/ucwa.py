"""UCWA applications (protocol reference §6): the state, without HTTP. Their event channels: `channel`.

An application lives as long as its client cares for it. What happens to one that is left alone:

| without                                    | for             | then |
| ------------------------------------------ | --------------- | ---- |
| a poll                                     | RESUME_AFTER    | the next one gets a `resume` link |
| any request, a held poll being one         | IDLE_LIFETIME   | 410 InactiveApplicationExpired, once |
| activity (made available, then only polls) | ACTIVE_LIFETIME | the same |
| …and after that, or never having been      |                 | 404 ApplicationNotFound |

The documents name these ends but give no times: the numbers are our guess. Clients are told to report
activity every four minutes.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lyncgate.lab.channel import Answer, Channel, Outcome, Patience, PollReplacedError, Urgency

if TYPE_CHECKING:  # enrolments know pools, and pools know applications
    from lyncgate.lab.enrolment import Enrolment

__all__ = ["Application", "Applications", "ExpiredError", "Json", "PollReplacedError"]

type Json = dict[str, object]

POLL_DEFAULT, POLL_MINIMUM, POLL_MAXIMUM = 180.0, 180.0, 1800.0  # seconds
LOW_DEFAULT, MEDIUM_DEFAULT, NEWS_MINIMUM = 15.0, 5.0, 5.0  # seconds; at most POLL_MAXIMUM
RESUME_AFTER = 5 * 60.0  # seconds
IDLE_LIFETIME = 15 * 60.0
ACTIVE_LIFETIME = 60 * 60.0
SWEEP_INTERVAL = 60.0
MOST_BATCHED = 100  # requests of one user in batches at a time


class ExpiredError(Exception):
    """The application was left alone for too long: 410 InactiveApplicationExpired. It is gone now."""

    def __init__(self, application: Application) -> None:
        super().__init__(application.id)
        self.application = application


@dataclasses.dataclass(frozen=True, slots=True)
class _Event:
    sender: str  # path below the application: `me`, `people`
    body: Json


class Application:
    """One application of one user. `base`: its path, e.g. `/ucwa/v1/applications/1a2b`; `properties`:
    what the client said of itself, lower-case: `useragent`, `endpointid`, `culture`; `enrolment`: how the
    user is signed in inside the pool."""

    def __init__(
        self,
        identifier: str,
        owner: str,
        base: str,
        properties: dict[str, str] | None = None,
        enrolment: Enrolment | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = identifier
        self.owner = owner
        self.base = base
        self.properties = properties or {}
        self.enrolment = enrolment
        self.available = False
        self.modalities: tuple[str, ...] = ()
        self.said: dict[str, str] = {}  # note and location
        self.subscriptions: dict[str, frozenset[str]] = {}  # SIP addresses whose presence is news
        self._clock = clock
        self._channel: Channel[_Event] = Channel(RESUME_AFTER, clock)
        self.polling = self._channel.polling
        self.last_request = self.last_activity = clock()

    @property
    def held(self) -> bool:
        """A poll waits at this moment."""
        return self._channel.held

    @property
    def patience(self) -> Patience:
        """How long its polls are held."""
        return self._channel.patience

    @property
    def events_path(self) -> str:
        """Where the next poll goes."""
        return self._ack_path(self._channel.expected_ack)

    def push(self, event: Json, *, sender: str = "me", urgency: Urgency = Urgency.HIGH) -> None:
        """Something happened. `event`: with `link` and `type`, as UCWA has it."""
        self._channel.push(_Event(sender, event), urgency)

    async def poll(self, ack: int, patience: Patience | None = None, priority: int = 0) -> Json:
        """Answer `events?ack=`: a UCWA events resource. Raises PollReplacedError."""
        answer = await self._channel.poll(ack, patience, priority)
        link = {Outcome.NEWS: "next", Outcome.RESYNC: "resync", Outcome.RESUME: "resume"}[answer.outcome]
        resource: Json = {
            "_links": {
                "self": {"href": self._ack_path(ack)},
                link: {"href": self._ack_path(answer.next_ack)},
            }
        }
        if answer.events:
            resource["sender"] = self._by_sender(answer)
        return resource

    def touch(self, *, active: bool) -> None:
        """The client asked for something; `active`: for something else than events."""
        self.last_request = self._clock()
        if active:
            self.last_activity = self.last_request

    def is_expired(self) -> bool:
        """It was left alone for too long."""
        now = self._clock()
        if self.available and now - self.last_activity > ACTIVE_LIFETIME:
            return True
        return now - max(self.last_request, self._channel.last_poll) > IDLE_LIFETIME

    def _ack_path(self, ack: int) -> str:
        return f"{self.base}/events?ack={ack}"

    def _by_sender(self, answer: Answer[_Event]) -> list[Json]:
        """Blocks of events in their order; one sender can have several."""
        blocks: list[tuple[str, list[Json]]] = []
        for event in answer.events:
            if not blocks or blocks[-1][0] != event.sender:
                blocks.append((event.sender, []))
            blocks[-1][1].append(event.body)
        return [
            {"rel": sender, "href": f"{self.base}/{sender}", "events": events} for sender, events in blocks
        ]


class Applications:
    """All applications of a pool. `poll_minimum`: seconds, the shortest time-out a poll may ask for; a
    lab with a shorter one than UCWA's has shorter ones for low and medium too."""

    def __init__(
        self, poll_minimum: float = POLL_MINIMUM, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._by_id: dict[str, Application] = {}
        self._batched: dict[str, int] = {}
        self._poll_minimum = poll_minimum
        self._clock = clock
        self._next_sweep = clock() + SWEEP_INTERVAL

    def __len__(self) -> int:
        return len(self._by_id)

    def create(
        self,
        owner: str,
        collection: str,
        properties: dict[str, str] | None = None,
        enrolment: Enrolment | None = None,
    ) -> Application:
        """A new application under the path of its collection."""
        identifier = secrets.token_hex(6)
        base = f"{collection}/{identifier}"
        application = Application(identifier, owner, base, properties, enrolment, self._clock)
        self._by_id[identifier] = application
        return application

    def get(self, identifier: str) -> Application | None:
        """The application, or None (404 ApplicationNotFound). Raises ExpiredError, once."""
        application = self._by_id.get(identifier)
        if application is not None and application.is_expired():
            self.delete(identifier)
            raise ExpiredError(application)
        return application

    def sweep(self) -> list[Application]:
        """Take out those that were left alone and never asked for again, at most once a minute."""
        now = self._clock()
        if now < self._next_sweep:
            return []
        self._next_sweep = now + SWEEP_INTERVAL
        expired = [application for application in self._by_id.values() if application.is_expired()]
        for application in expired:
            self.delete(application.id)
        return expired

    def of(self, owner: str) -> tuple[Application, ...]:
        """The applications of a user, by SIP address."""
        return tuple(a for a in self._by_id.values() if a.owner == owner)

    def watching(self, sip: str) -> tuple[Application, ...]:
        """The applications that have subscribed to a user's presence."""
        return tuple(
            application
            for application in self._by_id.values()
            if any(sip in addresses for addresses in application.subscriptions.values())
        )

    def delete(self, identifier: str) -> None:
        """The client signs out."""
        self._by_id.pop(identifier, None)

    def begin_batch(self, owner: str, requests: int) -> bool:
        """Whether so many requests more of the user may be under way (else 429); if so they are, until
        `end_batch`."""
        under_way = self._batched.get(owner, 0)
        if under_way + requests > MOST_BATCHED:
            return False
        self._batched[owner] = under_way + requests
        return True

    def end_batch(self, owner: str, requests: int) -> None:
        """They are done."""
        self._batched[owner] -= requests
        if not self._batched[owner]:
            del self._batched[owner]

    @property
    def polls_held(self) -> int:
        """How many polls wait at this moment."""
        return sum(1 for application in self._by_id.values() if application.held)

    def patience(self, query: dict[str, str], before: Patience) -> Patience:
        """How long a poll shall hang: what its query asks for, within the protocol's limits; else as
        before."""
        news_minimum = min(NEWS_MINIMUM, self._poll_minimum)

        def seconds(name: str, minimum: float, otherwise: float) -> float:
            asked = query.get(name, "")
            if not (asked.isascii() and asked.isdecimal()):
                return otherwise
            return min(max(float(asked), minimum), POLL_MAXIMUM)

        return Patience(
            timeout=seconds("timeout", self._poll_minimum, before.timeout),
            low=seconds("low", news_minimum, before.low),
            medium=seconds("medium", news_minimum, before.medium),
        )
