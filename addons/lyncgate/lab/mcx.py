"""MCX over HTTP: the mobility service of Lync 2010, in the wire form that `lync.mcx` guesses.

    GET  /Mcx/McxService.svc                  a page, without a ticket: Microsoft's own check that it lives
    POST /Mcx/McxService.svc/WebTicket_Bearer operations, with a web ticket in X-MS-WebTicket (our guess)
    POST or GET …/Poll                        the poll, with a ticket too

A session is made as a UCWA application is: policy first, then SIP inside the pool. What the registrar told
then, the phone gets by the command channel as it came.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools

from lyncgate.lab.call import HTML, Call, ticket_holder
from lyncgate.lab.channel import PollReplacedError
from lyncgate.lab.directory import User
from lyncgate.lab.enrolment import (
    Enrolment,
    MobilityDisabledError,
    RegistrationError,
    dismiss,
    enrol,
    permitted,
)
from lyncgate.lab.inside.push import PROXY_URI
from lyncgate.lab.mcxsessions import Session
from lyncgate.lab.presence import presence_event, presence_of, publish
from lyncgate.lab.web import BodyTooLargeError, Response
from lyncgate.lync import contacts, mcx
from lyncgate.lync.contacts import Availability
from lyncgate.lync.mcx import Answer, Fault, Request

SERVICE = mcx.SERVICE_PATH.lower()

_pushing: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected before its end


class _FaultError(Exception):
    """An operation that fails."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(code, text)


async def service(call: Call) -> Response:
    """Everything under /Mcx/McxService.svc."""
    refusal = call.pool.mcx_pool.refusal(call.fqdn)
    if refusal is not None:
        return refusal
    form, below = call.pool.mcx_form, call.path.removeprefix(SERVICE)
    with call.pool.mcx_pool:
        match call.request.method, below:
            case "GET", "" | "/":
                return _alive()
            case method, suffix if suffix == form.poll_suffix.lower() and method == form.poll_method:
                return await _operate(call, poll=True)
            case "POST", suffix if suffix == form.command_suffix.lower():
                return await _operate(call, poll=False)
            case "GET" | "POST", _:
                return Response(404)
        return Response(405, [("Allow", "GET, POST")])


def _alive() -> Response:
    text = "<!DOCTYPE html><html><head><title>McxService Service</title></head><body>"
    return Response(200, [("Content-Type", HTML)], f"{text}<p>This is a service.</p></body></html>".encode())


async def _operate(call: Call, *, poll: bool) -> Response:
    holder = ticket_holder(call, oauth=False)
    if isinstance(holder, Response):
        return holder
    form = call.pool.mcx_form
    try:
        request = await _request(call)
        if poll is not isinstance(request, mcx.GetNextEvents):
            raise _FaultError("InvalidRequest", f"{request.operation} has another address.")
        answer: Answer | Fault = await _answer(call, holder, request)
    except _FaultError as error:
        answer = error.fault
    except mcx.McxError as error:
        answer = Fault("InvalidRequest", str(error))
    status = answer.status if isinstance(answer, Fault) else 200
    return Response(status, [("Content-Type", mcx.CONTENT_TYPE)], mcx.encode(answer, form))


async def _request(call: Call) -> Request:
    if call.request.method == "GET":
        return mcx.decode_poll_query(call.request.query)
    try:
        return mcx.decode_request(await call.request.read(), call.pool.mcx_form)
    except BodyTooLargeError as error:
        raise _FaultError("InvalidRequest", "The message is too large.") from error


async def _answer(call: Call, holder: str, request: Request) -> Answer:
    if isinstance(request, mcx.InitiateSession):
        return await _initiate(call, holder, request)
    session = await _find(call, holder, request.session)
    match request:
        case mcx.GetNextEvents():
            try:
                return await session.poll(request.ack, call.pool.sessions.hold(request.timeout))
            except PollReplacedError as error:
                raise _FaultError("PollReplaced", "A newer poll took this one's place.") from error
        case mcx.Command():
            return mcx.CommandDone(request.name, _command(call, session, request))
        case mcx.SubscribePush():
            return _subscribe_push(call, session, request)
        case mcx.TerminateSession():
            await _end(call, session, "terminated")
            return mcx.SessionTerminated()


async def _initiate(call: Call, holder: str, request: mcx.InitiateSession) -> mcx.SessionInitiated:
    if request.device not in mcx.SESSION_SECONDS:
        raise _FaultError("InvalidRequest", f"{request.device[:40]!r} is no device of ours.")
    for expired in call.pool.sessions.sweep():
        await _end(call, expired, "expired")
    try:
        enrolment = await enrol(call, call.inside.mcx, holder, request.endpoint)
    except MobilityDisabledError as error:
        raise _FaultError("MobilityDisabled", str(error)) from error
    except RegistrationError as error:
        raise _FaultError("RegistrationFailed", f"The registrar said {error}.") from error
    session = call.pool.sessions.create(request.device, enrolment)
    granted = enrolment.granted
    lifetime = f"{session.owner} device={session.device} lifetime={session.seconds} s"
    _trace(call, "InitiateSession", lifetime)
    return mcx.SessionInitiated(
        session.id,
        session.seconds,
        session.expected_ack,
        granted.name,
        granted.scope,
        granted.policy.properties(),
    )


async def _find(call: Call, holder: str, identifier: str) -> Session:
    session = call.pool.sessions.get(identifier)
    if session is None or session.owner != holder:
        raise _FaultError("SessionNotFound", "There is no such session.")
    if session.is_expired():
        await _end(call, session, "expired")
        raise _FaultError("SessionNotFound", "The session has expired.")
    try:
        permitted(call.pool, holder)
    except MobilityDisabledError as error:
        await _end(call, session, "no longer enabled")
        raise _FaultError("MobilityDisabled", str(error)) from error
    session.touch()
    return session


async def _end(call: Call, session: Session, why: str) -> None:
    call.pool.sessions.take(session)
    _trace(call, "Terminate", f"{session.owner} device={session.device} {why}")
    await dismiss(session.enrolment)


def _command(call: Call, session: Session, command: mcx.Command) -> str:
    """The document that answers a command."""
    enrolment = session.enrolment
    match command.name:
        case "GetProvisioning":
            return enrolment.registered.provisioning.decode()
        case "GetContacts":
            return enrolment.registered.contacts.decode()
        case "GetContactCard":
            of = _user(call, command)
            return contacts.presence_document(presence_of(call.pools, enrolment.user, of)).decode()
        case "GetPhoto":
            of = _user(call, command)
            shown = presence_of(call.pools, enrolment.user, of).card.photo
            picture = call.pool.directory.scenario.photo(of) if shown else None
            return base64.b64encode(picture or b"").decode()
        case "SetPresence":
            _set_presence(call, session, command.arguments.get("availability", ""))
            return ""
    raise _FaultError("InvalidRequest", f"{command.name[:40]!r} is no command.")


def _user(call: Call, command: mcx.Command) -> User:
    user = call.pool.directory.by_sip(command.arguments.get("uri", ""))
    if user is None:
        raise _FaultError("InvalidRequest", "There is nobody with this uri.")
    return user


def _set_presence(call: Call, session: Session, word: str) -> None:
    """The user can be reached, or not: news for others, and for the session itself, whose poll ends."""
    availability = Availability.__members__.get(word)
    if availability is None:
        raise _FaultError("InvalidRequest", f"{word[:40]!r} is no availability.")
    user = session.enrolment.user
    publish(call.pools, user, availability)
    session.push(presence_event(user, availability))


def _subscribe_push(call: Call, session: Session, request: mcx.SubscribePush) -> mcx.PushSubscribed:
    policy = session.enrolment.granted.policy
    if session.device not in mcx.PUSH_DEVICES or not policy.enable_push_notifications:
        raise _FaultError("PushNotAllowed", f"No push for {session.device}, or by policy.")
    if request.provider not in mcx.PUSH_PROVIDERS or not request.token:
        raise _FaultError("InvalidRequest", f"provider is one of {', '.join(mcx.PUSH_PROVIDERS)}.")
    session.push_to_device = functools.partial(_start_push, session.enrolment, request.token)
    _trace(call, "SubscribePush", f"{session.owner} device={session.device} by {request.provider}")
    return mcx.PushSubscribed(PROXY_URI)


def _start_push(enrolment: Enrolment, token: str, event: mcx.Event) -> None:
    task = asyncio.create_task(_push(enrolment, token, event))
    _pushing.add(task)
    task.add_done_callback(_pushing.discard)


async def _push(enrolment: Enrolment, token: str, event: mcx.Event) -> None:
    """By SIP to the relay. That it failed stands in the trace; the event waits for the next poll."""
    with contextlib.suppress(RegistrationError):
        notification = {"kind": event.kind, **event.fields}
        await enrolment.registrar.push(enrolment.registered, token, notification)


def _trace(call: Call, function: str, text: str) -> None:
    service = call.inside.mcx.service
    call.inside.tracer.line(service.component, f"{service.session}::{function}", text)
