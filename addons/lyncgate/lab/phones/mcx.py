"""The phones of Lync 2010: MCX, in the wire form that `lync.mcx` guesses.

InitiateSession answers with the mobility policy; the rest comes by the command channel: in-band
provisioning, which the server fetched by SIP and hands on, so that the phone sees it whole and applies
the dial plan itself; contacts, cards, photos. The poll goes up together with SetPresence, whose event
releases it, which shows that it works.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import ClassVar

from lyncgate.client.http import Reply
from lyncgate.lab.phones.device import POLL_SLACK, Device
from lyncgate.lab.report import STEP_TIMEOUT, Doing, SignInFailedError
from lyncgate.lync import contacts, mcx, provisioning
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.contacts import Contact
from lyncgate.lync.mcx import Answer, Request, WireForm
from lyncgate.lync.provisioning import Provisioning
from lyncgate.lync.stages import Stage

CARDS = 3  # so many of the contacts are looked at
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n")  # how JPEG and PNG begin


class McxDevice(Device):
    """A session, its poll and its command channel. `kind`: what the server calls the device; `form`: the
    names on the wire, the same as the server's."""

    kind: ClassVar[str]
    form: WireForm = mcx.DEFAULT

    _service: str  # URL
    _session: str
    _ack: int

    async def register(self, document: Located) -> None:
        """The session, and what it takes to be ready."""
        service = document.href("External/Mcx")
        if service is None:
            raise self.record.failure(Stage.REGISTER, "user document", "no link External/Mcx")
        self._service = service
        await self.before_session(service)
        await self._initiate()
        await self.line.close(but=service)
        await self._provision()
        await self.subscribe()
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._poll())
                together.create_task(self._make_available())
        except* SignInFailedError as failures:
            raise failures.exceptions[0] from None
        await self._get_contacts()

    async def before_session(self, service: str) -> None:
        """What the device does between the user document and the session: nothing."""

    async def subscribe(self) -> None:
        """How the device hears of things beside the poll: not at all."""

    async def stay_on(self) -> None:
        """Poll after poll."""
        while True:
            await self._poll()

    async def unregister(self) -> None:
        """The session is terminated."""
        request = mcx.TerminateSession(self._session)
        async with self.ask(Stage.READY, request, mcx.SessionTerminated) as (step, _):
            step.detail = "signed out"

    @contextlib.asynccontextmanager
    async def ask[A: Answer](
        self, stage: Stage, request: Request, expected: type[A]
    ) -> AsyncIterator[tuple[Doing, A]]:
        """A request and its answer: a step."""
        poll = isinstance(request, mcx.GetNextEvents)
        method, body = "POST", mcx.encode(request, self.form)
        url = self._service + (self.form.poll_suffix if poll else self.form.command_suffix)
        if isinstance(request, mcx.GetNextEvents) and self.form.poll_method == "GET":
            method, url, body = "GET", f"{url}?{mcx.encode_poll_query(request)}", b""
        headers = [*self.desk.proof, ("SOAPAction", self.form.action(request))]
        if body:
            headers.append(("Content-Type", mcx.CONTENT_TYPE))
        seconds = self.poll_timeout + POLL_SLACK if poll else STEP_TIMEOUT
        lane = "poll" if poll else "main"
        async with self.line.ask(
            stage, method, url, headers, body, expect=None, lane=lane, seconds=seconds, poll=poll
        ) as (step, reply):
            answer = _answer(step, reply, self.form)
            if not isinstance(answer, expected):
                raise ValueError(f"answered with {type(answer).__name__}")
            step.detail = request.operation
            yield step, answer

    @contextlib.asynccontextmanager
    async def _command(self, stage: Stage, name: str, **arguments: str) -> AsyncIterator[tuple[Doing, str]]:
        """A command and the document that it is answered with."""
        request = mcx.Command(self._session, name, arguments)
        async with self.ask(stage, request, mcx.CommandDone) as (step, answer):
            step.detail = name
            yield step, answer.document

    async def _initiate(self) -> None:
        request = mcx.InitiateSession(self.kind, str(uuid.uuid4()), self.agent)
        async with self.ask(Stage.REGISTER, request, mcx.SessionInitiated) as (step, answer):
            self._session, self._ack = answer.session, answer.ack
            step.detail = f"session, lives {answer.expires} s without a request"
        policy = ", ".join(f"{name}={value}" for name, value in answer.policy.items())
        self.record.saw(Stage.MOBILITY_POLICY, f"{answer.policy_name} ({answer.policy_scope})", policy)

    async def _provision(self) -> None:
        async with self._command(Stage.PROVISIONING, "GetProvisioning") as (step, document):
            known = provisioning.parse(document.encode())
            step.detail = f"groups {', '.join(known.groups)}"
        for what, values in _told(known).items():
            said = ", ".join(f"{name} {'not told' if v is None else v}" for name, v in values.items())
            self.record.saw(Stage.PROVISIONING, what, said)
        if plan := known.dial_plan:
            call = plan.normalise(self.dialled)
            by = f"by {call.rule.pattern} → {call.rule.translation}" if call.rule else "by no rule"
            self.record.saw(
                Stage.PROVISIONING, f"dial {self.dialled}", f"calls {call.number} {by}, dial plan {plan.name}"
            )

    async def _make_available(self) -> None:
        async with self._command(Stage.READY, "SetPresence", availability="Online") as (step, _):
            step.detail = "available"

    async def _poll(self) -> None:
        request = mcx.GetNextEvents(self._session, self._ack, self.poll_timeout)
        with self.waiting():
            async with self.ask(Stage.NOTIFICATIONS, request, mcx.Events) as (step, answer):
                self._ack = answer.next_ack
                kinds = ", ".join(event.kind for event in answer.events)
                step.detail = f"events: {kinds}" if kinds else "timed out without an event"

    async def _get_contacts(self) -> None:
        async with self._command(Stage.READY, "GetContacts") as (step, document):
            buddies = contacts.parse_roaming(document.encode())
            step.detail = f"{len(buddies.contacts)} contacts in {len(buddies.groups)} groups"
        for contact in buddies.contacts[:CARDS]:
            await self._get_card(contact)

    async def _get_card(self, contact: Contact) -> None:
        async with self._command(Stage.READY, "GetContactCard", uri=contact.sip) as (step, document):
            presence = contacts.parse_presence(document.encode())
            step.detail = f"{presence.card.display_name} is {presence.availability.name}"
        if presence.card.photo:
            async with self._command(Stage.READY, "GetPhoto", uri=contact.sip) as (step, document):
                photo = base64.b64decode(document, validate=True)
                if not photo.startswith(PICTURES):
                    raise ValueError("the photo is no picture")
                step.detail = f"photo of {contact.sip}, {len(photo)} bytes"


def _answer(step: Doing, reply: Reply, form: WireForm) -> Answer:
    """What the server says. Raises ValueError, for a fault too: a user who may have no mobility is told so
    by one, and then it is the policy's stage that failed."""
    if reply.status != 200 and (reply.header("content-type") or "").startswith("text/xml"):
        fault = mcx.decode_answer(reply.body, form)
        if isinstance(fault, mcx.Fault):
            if fault.code == "MobilityDisabled":
                step.stage = Stage.MOBILITY_POLICY
            raise ValueError(f"{fault.code}: {fault.text}")
    answer = mcx.decode_answer(step.got(reply, 200).body, form)
    if isinstance(answer, mcx.Fault):
        raise ValueError(f"{answer.code}, but status 200")
    return answer


def _told(known: Provisioning) -> dict[str, dict[str, object]]:
    """What a phone makes of in-band provisioning, but for the dial plan."""
    return {
        "voice": {
            "voice mail": known.voicemail_uri,
            "simultaneous ring": known.simultaneous_ring,
            "call forwarding": known.call_forwarding,
            "delegation": known.delegation,
            "team call": known.team_call,
        },
        "addresses": {
            "address book": known.url("abs", external=True),
            "group expansion": known.url("dlx", external=True),
            "location information": known.location_information_url,
        },
        "policies": {"photos": known.photo_usage, "mobility": known.mobility},
    }
