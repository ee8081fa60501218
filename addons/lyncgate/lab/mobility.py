"""UCWA over HTTP (protocol reference §6): the mobility service of Lync 2013 and later.

`/ucwa/v1/applications` takes web tickets, `/ucwa/oauth/v1/applications` takes Bearer tokens; the two
differ in their 401 and in the links, which are relative and stay under the collection they came from.

A POST makes an application: the user's mobility policy is looked at (403), and the user registered inside
the pool by SIP (`enrolment`). What there is below an application: `ucwaresources`, `ucwapeople`.
"""

from __future__ import annotations

import dataclasses
import secrets
import urllib.parse

from lyncgate.lab import ucwabatch, ucwaformat, ucwaresources
from lyncgate.lab.call import Call, ticket_holder
from lyncgate.lab.channel import Urgency
from lyncgate.lab.enrolment import (
    Enrolment,
    MobilityDisabledError,
    RegistrationError,
    dismiss,
    enrol,
    permitted,
)
from lyncgate.lab.presence import availability_of, publish
from lyncgate.lab.ucwa import Application, ExpiredError, Json, PollReplacedError
from lyncgate.lab.ucwaformat import UcwaError
from lyncgate.lab.ucwapeople import People
from lyncgate.lab.web import BodyTooLargeError, Response

COLLECTIONS = ("/ucwa/v1/applications", "/ucwa/oauth/v1/applications")
REQUIRED = {"culture": "culture", "endpointid": "endpointId", "useragent": "userAgent"}
LONGEST = 100  # characters of a property of a new application (UCWA:applications_ref)
NOT_IN_A_BATCH = ("events", "batch", "photos")


async def applications(call: Call) -> Response:
    """Everything under a collection of applications."""
    refusal = call.pool.ucwa_pool.refusal(call.fqdn)
    if refusal is not None:
        return refusal
    with call.pool.ucwa_pool:
        collection = next(c for c in COLLECTIONS if call.path.startswith(c))
        holder = ticket_holder(call, oauth="oauth" in collection)
        if isinstance(holder, Response):
            return holder
        accept = call.request.header("accept")
        try:
            identifier, _, resource = call.path.removeprefix(collection).strip("/").partition("/")
            if not identifier:
                return await _create(call, holder, collection)
            application, enrolment = await _find(call, holder, identifier)
            asked = _Asked(
                call.request.method,
                tuple(urllib.parse.unquote(resource).split("/")) if resource else (),
                _query(call.request.query),
                accept,
                call.request.header("content-type"),
                b"" if call.request.method == "GET" else await call.request.read(),
            )
            return await _Service(call, application, enrolment).answer(asked)
        except UcwaError as error:
            return ucwaformat.error_answer(error, accept)
        except BodyTooLargeError:
            return ucwaformat.error_answer(UcwaError(413, "None", "The body is too large."), accept)


async def _create(call: Call, owner: str, collection: str) -> Response:
    if call.request.method != "POST":
        raise _method_not_allowed()
    content_type = call.request.header("content-type")
    properties = ucwaformat.properties(content_type, await call.request.read())
    for name, written in REQUIRED.items():
        value = (properties.get(name) or [""])[0]
        if not 0 < len(value) <= LONGEST:
            raise _invalid(f"{written} has to have 1 to {LONGEST} characters.")
    for expired in call.pool.applications.sweep():
        await dismiss(expired.enrolment)
    known = {name: values[0] for name, values in properties.items() if values}
    try:
        enrolment = await enrol(call, call.inside.ucwa, owner, known["endpointid"])
    except MobilityDisabledError as error:
        raise UcwaError(403, "None", str(error)) from error
    except RegistrationError as error:
        raise UcwaError(500, "ServiceFailure", f"The user could not be registered: {error}.") from error
    application = call.pool.applications.create(owner, collection, known, enrolment)
    cookie = f"cwt_ucwa={secrets.token_hex(16)}; path={application.base}/photos; secure; HttpOnly"
    resource = ucwaresources.application(application, enrolment)
    return ucwaformat.answer(201, resource, call.request.header("accept"), ("Set-Cookie", cookie))


async def _find(call: Call, holder: str, identifier: str) -> tuple[Application, Enrolment]:
    try:
        application = call.pool.applications.get(identifier)
    except ExpiredError as error:
        await dismiss(error.application.enrolment)
        raise UcwaError(410, "InactiveApplicationExpired", "The application was left alone.") from error
    if application is None or application.owner != holder or application.enrolment is None:
        raise UcwaError(404, "ApplicationNotFound", "The application does not exist.")
    try:
        permitted(call.pool, holder)
    except MobilityDisabledError as error:  # the policy changed: the status is our guess
        call.pool.applications.delete(identifier)
        await dismiss(application.enrolment)
        raise UcwaError(403, "MobileApplicationNoLongerAllowed", str(error)) from error
    return application, application.enrolment


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """A request below an application, its own or in a batch. `path`: segments, lower-case; `query`: names
    in lower case."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    accept: str | None
    content_type: str | None
    body: bytes

    def properties(self) -> dict[str, list[str]]:
        """What the body says. Raises UcwaError."""
        return ucwaformat.properties(self.content_type, self.body)


class _Service:
    """One application, for the time of one request."""

    def __init__(self, call: Call, application: Application, enrolment: Enrolment) -> None:
        self._call = call
        self._application = application
        self._enrolment = enrolment
        self._people = People(call, application, enrolment)

    async def answer(self, asked: _Asked) -> Response:
        """The answer to a request. Raises UcwaError."""
        self._application.touch(active=asked.path != ("events",))
        match asked.method, asked.path:
            case "GET", ("events",):
                return await self._poll(asked)
            case "POST", ("batch",):
                return await self._batch(asked)
            case "GET", ("photos", sip):
                return self._people.photo(sip)
            case "GET", _:
                return ucwaformat.answer(200, self._get(asked), asked.accept)
            case "POST", _:
                return self._post(asked)
            case "DELETE", ():
                self._call.pool.applications.delete(self._application.id)
                await dismiss(self._enrolment)
                return Response(204)
            case "DELETE", ("people", "presencesubscriptions", name):
                self._people.unsubscribe(name)
                return Response(204)
        raise _method_not_allowed()

    def _get(self, asked: _Asked) -> Json:
        app, enrolment = self._application, self._enrolment
        match asked.path:
            case ():
                return ucwaresources.application(app, enrolment)
            case ("me",):
                return ucwaresources.me(app, enrolment)
            case ("me", "phones"):
                return ucwaresources.phones(app, enrolment)
            case ("me", "callforwardingsettings"):
                if not enrolment.user.line:
                    raise UcwaError(403, "None", "The user is not enabled for Enterprise Voice.")
                return ucwaresources.call_forwarding(app, enrolment)
            case ("me", "presence"):
                self._expect_available()
                return ucwaresources.presence(app, availability_of(self._call.pools, enrolment.user))
            case ("me", "note" | "location" as rel):
                self._expect_available()
                return ucwaresources.said(app, rel)
            case ("policies",):
                return ucwaresources.policies(app, enrolment)
            case ("communication",):
                return ucwaresources.communication(app)
            case ("onlinemeetings",):
                return ucwaresources.online_meetings(app)
            case ("people", *path):
                return self._people.get(tuple(path), asked.query)
        raise UcwaError(404, "ResourceNotFound", "No such resource.")

    def _post(self, asked: _Asked) -> Response:
        match asked.path:
            case ("me", "makemeavailable"):
                self._make_available(asked.properties())
            case ("me", "reportmyactivity"):
                pass  # every request but a poll is activity
            case ("me", "presence"):
                self._expect_available()
                self._publish((asked.properties().get("availability") or ["Online"])[0])
            case ("me", "note" | "location" as rel):
                self._expect_available()
                name = "message" if rel == "note" else rel
                self._application.said[rel] = (asked.properties().get(name) or [""])[0]
            case ("people", *path):
                status, resource = self._people.post(tuple(path), asked.properties())
                return ucwaformat.answer(status, resource, asked.accept) if resource else Response(status)
            case _:
                raise UcwaError(404, "ResourceNotFound", "No such resource.")
        return Response(204)

    def _make_available(self, properties: dict[str, list[str]]) -> None:
        """The application leaves lurker mode: its user is visible, and that is news. The documents call
        this news medium, which is five seconds; here it goes out at once, for a sign-in waits for it."""
        app = self._application
        if app.available:
            raise UcwaError(409, "AlreadyExists", "The user is available already.")
        app.modalities = tuple(properties.get("supportedmodalities", ("Messaging",)))
        self._publish((properties.get("signinas") or ["Online"])[0])
        app.available = True
        for rel in ("presence", "note", "location"):
            app.push({"link": {"rel": rel, "href": f"{app.base}/me/{rel}"}, "type": "added"})
        app.push({"link": {"rel": "me", "href": f"{app.base}/me"}, "type": "updated"})

    def _publish(self, word: str) -> None:
        availability = ucwaresources.AVAILABILITIES.get(word.lower())
        if availability is None:
            raise _invalid(f"{word[:20]!r} is no availability.")
        publish(self._call.pools, self._enrolment.user, availability)
        if self._application.available:
            own = {"rel": "presence", "href": f"{self._application.base}/me/presence"}
            self._application.push({"link": own, "type": "updated"}, urgency=Urgency.MEDIUM)

    def _expect_available(self) -> None:
        if not self._application.available:
            raise UcwaError(409, "MakeMeAvailableRequired", "The user is not available yet.")

    async def _poll(self, asked: _Asked) -> Response:
        ack, priority = asked.query.get("ack", ""), asked.query.get("priority", "0")
        if not (_is_number(ack) and _is_number(priority)):
            raise _invalid("ack is missing, or ack or priority is not a number.")
        patience = self._call.pool.applications.patience(asked.query, self._application.patience)
        try:
            events = await self._application.poll(int(ack), patience, int(priority))
        except PollReplacedError as error:
            raise UcwaError(409, "PGetReplaced", "A newer request took this one's place.") from error
        return ucwaformat.answer(200, events, asked.accept)

    async def _batch(self, asked: _Asked) -> Response:
        """All of them or, when there would be too many, none."""
        try:
            parts = ucwabatch.parse(asked.content_type or "", asked.body)
        except ucwabatch.BatchError as error:
            raise UcwaError(400, "DeserializationFailure", f"The batch can't be read: {error}.") from error
        pool, owner = self._call.pool.applications, self._application.owner
        if not pool.begin_batch(owner, len(parts)):
            raise UcwaError(429, "None", "Too many requests are under way.")
        try:
            return ucwabatch.answer([await self._one_of_batch(part) for part in parts])
        finally:
            pool.end_batch(owner, len(parts))

    async def _one_of_batch(self, part: ucwabatch.Part) -> Response:
        target, _, query = part.target.partition("?")
        path = urllib.parse.unquote(target).lower().rstrip("/")
        accept, base = part.headers.get("accept"), self._application.base
        try:
            if path != base and not path.startswith(base + "/"):
                raise UcwaError(404, "ResourceNotFound", "It is not below this application.")
            below = tuple(path.removeprefix(base).strip("/").split("/")) if path != base else ()
            if below and below[0] in NOT_IN_A_BATCH:
                raise UcwaError(400, "None", f"A batch can't have {below[0]} in it.")
            content_type = part.headers.get("content-type")
            return await self.answer(
                _Asked(part.method, below, _query(query), accept, content_type, part.body)
            )
        except UcwaError as error:
            return ucwaformat.error_answer(error, accept)


def _query(text: str) -> dict[str, str]:
    return {name.lower(): value for name, value in urllib.parse.parse_qsl(text)}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _invalid(message: str) -> UcwaError:
    return UcwaError(400, "ParameterValidationFailure", message)


def _method_not_allowed() -> UcwaError:
    return UcwaError(405, "MethodNotAllowed", "The resource does not take this method.")
