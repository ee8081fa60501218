"""Lync Mobile 2013 and later: UCWA, pull (protocol reference §6, §7).

GET of the collection without a ticket (401), POST, and then what the application links to: policies,
the poll together with makeMeAvailable, whose event releases the poll, groups, contacts, cards, photos.
What the server does not link to is not asked for, and its stage is not reported. In-band provisioning is
the server's affair here: the phone sees call forwarding, and no dial plan.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import Any
from urllib.parse import urljoin

from lyncgate.client.http import Reply
from lyncgate.lab.phones.device import POLL_SLACK, Device
from lyncgate.lab.report import Doing, SignInFailedError
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.stages import Stage

ACTIVITY = 200.0  # seconds between reports of activity: the server wants one every 4 minutes (§6.2)
CARDS = 3  # so many of the contacts are looked at

type Json = dict[str, Any]


class Lync2013(Device):
    """UCWA, pull."""

    name = "lync2013"
    agent = "lyncgate-phone/1 (UCWA)"

    _links: dict[str, str]  # relation → URL: the application's, and of what is embedded in it
    _events: str  # URL of the next poll

    async def register(self, document: Located) -> None:
        """The application, and what it takes to be ready."""
        url = document.href("Ucwa") or ""
        async with self.line.ask(Stage.REGISTER, "GET", url, expect=401) as (step, _):
            step.detail = "asks for a ticket"
        await self._create(url)
        await self.line.close(but=url)
        await self._get(Stage.MOBILITY_POLICY, "policies")
        await self._get(
            Stage.PROVISIONING, "callForwardingSettings", refused="not enabled for Enterprise Voice"
        )
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._poll())
                together.create_task(self._make_available())
        except* SignInFailedError as failures:
            raise failures.exceptions[0] from None
        await self._get_contacts()

    async def stay_on(self) -> None:
        """Poll after poll, and a sign of life now and then."""
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._poll_on())
                together.create_task(self._be_active())
        except* SignInFailedError as failures:
            raise failures.exceptions[0] from None

    async def unregister(self) -> None:
        """The application is deleted."""
        url = self._links["self"]
        async with self.line.ask(Stage.READY, "DELETE", url, self.desk.proof, expect=204) as (step, _):
            step.detail = "signed out"

    async def _create(self, url: str) -> None:
        body = {"UserAgent": self.agent, "EndpointId": str(uuid.uuid4()), "Culture": "en-US"}
        async with self._post(Stage.REGISTER, url, body, expect=None) as (step, reply):
            if reply.status == 403:
                step.stage = Stage.MOBILITY_POLICY  # the user may have no mobile application (§6.5)
            step.got(reply, 201)
            application = _document(reply)
            self._links = {}
            for resource in (*_embedded(application), application):
                self._links |= _links(resource, url)
            if missing := {"self", "events", "makeMeAvailable"} - set(self._links):
                raise ValueError(f"no link {', '.join(sorted(missing))} in the application")
            self._events = self._links["events"]
            step.detail = f"application at {reply.header('x-ms-server-fqdn')}"

    async def _make_available(self) -> None:
        url = self._links["makeMeAvailable"]
        async with self._post(Stage.READY, url, {"signInAs": "Online"}, expect=204) as (step, _):
            step.detail = "available"

    async def _poll(self) -> None:
        url = f"{self._events}&timeout={self.poll_timeout}"  # low, medium: as the server has them
        seconds = self.poll_timeout + POLL_SLACK
        with self.waiting():
            async with self.line.ask(
                Stage.NOTIFICATIONS, "GET", url, self.desk.proof, lane="poll", seconds=seconds, poll=True
            ) as (step, reply):
                events = _document(reply)
                links = _links(events, url)
                relation = next((name for name in ("next", "resume", "resync") if name in links), None)
                if relation is None:
                    raise ValueError("no link to the next events")
                self._events = links[relation]
                what = "an event came" if events.get("sender") else "timed out without an event"
                step.detail = what if relation == "next" else f"{relation} wanted"

    async def _poll_on(self) -> None:
        while True:
            await self._poll()

    async def _be_active(self) -> None:
        while "reportMyActivity" in self._links:
            await asyncio.sleep(ACTIVITY)
            url = self._links["reportMyActivity"]
            async with self._post(Stage.READY, url, {}, expect=204) as (step, _):
                step.detail = "still there"

    async def _get_contacts(self) -> None:
        await self._get(Stage.READY, "myGroups")
        contacts = await self._get(Stage.READY, "myContacts")
        for contact in _embedded(contacts or {})[:CARDS]:
            links = _links(contact, self._links["self"])
            if url := links.get("contactPresence"):
                async with self.line.ask(Stage.READY, "GET", url, self.desk.proof) as (step, _):
                    step.detail = f"presence of {contact.get('name')}"
            if url := links.get("contactPhoto"):
                async with self.line.ask(Stage.READY, "GET", url, self.desk.proof, expect=None) as (
                    step,
                    reply,
                ):
                    step.detail = f"photo of {contact.get('name')}, {len(reply.body)} bytes"
                    if reply.status == 404:
                        step.detail = f"{contact.get('name')} has no photo"
                    else:
                        step.got(reply, 200)

    async def _get(self, stage: Stage, relation: str, *, refused: str = "") -> Json | None:
        """The resource behind a link, None if there is no such link. `refused`: what a 403 means, if it is
        no failure; None then, too."""
        url = self._links.get(relation)
        if url is None:
            return None
        async with self.line.ask(stage, "GET", url, self.desk.proof, expect=None) as (step, reply):
            if refused and reply.status == 403:
                step.detail = refused
                return None
            document = _document(step.got(reply, 200))
            step.detail = _plain(document) or relation
        return document

    def _post(
        self, stage: Stage, url: str, value: object, *, expect: int | None
    ) -> contextlib.AbstractAsyncContextManager[tuple[Doing, Reply]]:
        headers = [("Content-Type", "application/json"), *self.desk.proof]
        return self.line.ask(stage, "POST", url, headers, json.dumps(value).encode(), expect=expect)


def _document(reply: Reply) -> Json:
    """A resource. Raises ValueError."""
    document = json.loads(reply.body)
    if not isinstance(document, dict):
        raise ValueError("not a resource")
    return document


def _links(resource: Json, base: str) -> dict[str, str]:
    """Relation → absolute URL; a relation that has several links has none here."""
    links = resource.get("_links")
    if not isinstance(links, dict):
        return {}
    single = {relation: link["href"] for relation, link in links.items() if isinstance(link, dict)}
    return {relation: urljoin(base, href) for relation, href in single.items()}


def _embedded(resource: Json) -> list[Json]:
    """The resources that are embedded in one."""
    found: list[Json] = []
    for value in (resource.get("_embedded") or {}).values():
        found += value if isinstance(value, list) else [value]
    return found


def _plain(resource: Json) -> str:
    """The properties of a resource that are plain values, for people."""
    plain = (f"{key}={value}" for key, value in resource.items() if isinstance(value, str | int | float))
    return ", ".join(word for word in plain if not word.startswith(("rel=", "etag=")))
