"""UCWA applications and their event channel (protocol reference §6): the state, without HTTP.

The channel of an application in one picture: the client asks `events?ack=N`, the server holds the
request until something happens or the time-out is over, and answers with a link to `ack=N+1`, by which
the client says that it has got the answer. Exactly one poll can be held:

| ack asked for         | what happens |
| --------------------- | ------------ |
| expected, none held   | held, or answered at once when events wait |
| expected, one held    | the held one ends with 409 PGetReplaced, the new one is held |
| the one before        | the answer was lost on its way: it is given again (our guess) |
| any other             | answered at once with a `resync` link instead of `next` |
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets

type Json = dict[str, object]

POLL_DEFAULT, POLL_MINIMUM, POLL_MAXIMUM = 180.0, 180.0, 1800.0  # seconds


class PollReplacedError(Exception):
    """Another poll with the same ack came: 409 PGetReplaced."""


@dataclasses.dataclass(slots=True)
class Application:
    """One application of one user. `base`: its path, e.g. `/ucwa/v1/applications/1a2b`."""

    id: str
    owner: str
    base: str
    available: bool = False
    expected_ack: int = 1
    events: list[Json] = dataclasses.field(default_factory=list)
    answered: Json | None = None  # the answer to expected_ack - 1
    held: asyncio.Future[None] | None = None
    polling: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)  # set while a poll is held

    def push(self, event: Json) -> None:
        """Something happened: release the held poll, or keep it for the next one."""
        self.events.append(event)
        if self.held:
            _release(self.held)

    async def poll(self, ack: int, timeout: float) -> Json:  # noqa: ASYNC109 (a protocol field, not ours)
        """Answer `events?ack=`: a UCWA events resource. Raises PollReplacedError."""
        if ack == self.expected_ack - 1 and self.answered is not None:
            return self.answered
        if ack != self.expected_ack:
            return self._resource({"resync": {"href": f"{self.base}/events?ack={self.expected_ack}"}}, [])
        if self.held and not self.held.done():
            self.held.set_exception(PollReplacedError())
        if not self.events:
            await self._hold(timeout)
        events, self.events = self.events, []
        self.expected_ack += 1
        self.answered = self._resource(
            {"next": {"href": f"{self.base}/events?ack={self.expected_ack}"}}, events
        )
        return self.answered

    async def _hold(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        held = self.held = loop.create_future()
        self.polling.set()
        timer = loop.call_later(seconds, _release, held)
        try:
            await held
        finally:
            timer.cancel()
            if self.held is held:
                self.held = None
                self.polling.clear()

    def _resource(self, links: Json, events: list[Json]) -> Json:
        resource: Json = {
            "_links": {"self": {"href": f"{self.base}/events?ack={self.expected_ack}"}, **links}
        }
        if events:
            resource["sender"] = [{"rel": "me", "href": f"{self.base}/me", "events": events}]
        return resource


def _release(held: asyncio.Future[None]) -> None:
    if not held.done():
        held.set_result(None)


class Applications:
    """All applications of a pool."""

    def __init__(self, poll_minimum: float = POLL_MINIMUM) -> None:
        self._by_id: dict[str, Application] = {}
        self._poll_minimum = poll_minimum

    def __len__(self) -> int:
        return len(self._by_id)

    def create(self, owner: str, collection: str) -> Application:
        """A new application under the path of its collection."""
        identifier = secrets.token_hex(6)
        application = Application(identifier, owner, f"{collection}/{identifier}")
        self._by_id[identifier] = application
        return application

    def get(self, identifier: str) -> Application | None:
        """The application, or None (404 ApplicationNotFound)."""
        return self._by_id.get(identifier)

    def of(self, owner: str) -> tuple[Application, ...]:
        """The applications of a user, by SIP address."""
        return tuple(a for a in self._by_id.values() if a.owner == owner)

    def delete(self, identifier: str) -> None:
        """The client signs out."""
        self._by_id.pop(identifier, None)

    @property
    def polls_held(self) -> int:
        """How many polls wait at this moment."""
        return sum(1 for a in self._by_id.values() if a.held is not None)

    def poll_timeout(self, asked: str | None) -> float:
        """Seconds a poll shall hang: what was asked for, within the protocol's limits."""
        if asked is None or not asked.isdecimal():
            return POLL_DEFAULT
        return min(max(float(asked), self._poll_minimum), POLL_MAXIMUM)
