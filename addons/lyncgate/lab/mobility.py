"""UCWA over HTTP (protocol reference §6): the mobility service of Lync 2013 and later.

`/ucwa/v1/applications` takes web tickets, `/ucwa/oauth/v1/applications` takes Bearer tokens; the two
differ in their 401 and in the links, which are relative and stay under the collection they came from.
"""

from __future__ import annotations

import urllib.parse

from lyncgate.lab.call import Call, json_answer, method_not_allowed, ticket_holder
from lyncgate.lab.ucwa import Application, ExpiredError, PollReplacedError
from lyncgate.lab.web import Response

COLLECTIONS = ("/ucwa/v1/applications", "/ucwa/oauth/v1/applications")


def ucwa_error(status: int, code: str, subcode: str, message: str) -> Response:
    """An error as UCWA makes it; clients tell it from a proxy's by its Content-Type (§6.5)."""
    return json_answer(status, {"code": code, "subcode": subcode, "message": message})


async def applications(call: Call) -> Response:
    """Everything under a collection of applications."""
    collection = next(c for c in COLLECTIONS if call.path.startswith(c))
    holder = ticket_holder(call, oauth="oauth" in collection)
    if isinstance(holder, Response):
        return holder
    identifier, _, resource = call.path.removeprefix(collection).strip("/").partition("/")
    if not identifier:
        return await _create(call, holder, collection)
    try:
        application = call.pool.applications.get(identifier)
    except ExpiredError:
        return ucwa_error(410, "Gone", "InactiveApplicationExpired", "The application was left alone.")
    if application is None or application.owner != holder:
        return ucwa_error(404, "NotFound", "ApplicationNotFound", "The application does not exist.")
    application.touch(active=resource != "events")
    match call.request.method, resource:
        case "GET", "":
            return json_answer(200, _document(application))
        case "DELETE", "":
            call.pool.applications.delete(application.id)
            return Response(204)
        case "POST", "me/makemeavailable":
            return _make_available(application)
        case "POST", "me/reportmyactivity":
            return Response(204)
        case "GET", "events":
            return await _poll(call, application)
        case "GET" | "POST" | "DELETE", _:
            return ucwa_error(404, "NotFound", "None", "No such resource.")
        case _:
            return method_not_allowed("GET, POST, DELETE")


async def _create(call: Call, owner: str, collection: str) -> Response:
    if call.request.method != "POST":
        return method_not_allowed("POST")
    if not await call.request.read():
        return ucwa_error(400, "BadRequest", "ParameterValidationFailure", "The body is empty.")
    application = call.pool.applications.create(owner, collection)
    cookie = f"cwt_ucwa={application.id}; path={application.base}/photos; secure; HttpOnly"
    return json_answer(201, _document(application), ("Set-Cookie", cookie))


def _document(application: Application) -> dict[str, object]:
    base = application.base
    me: dict[str, object] = {
        "self": {"href": f"{base}/me"},
        "reportMyActivity": {"href": f"{base}/me/reportMyActivity"},
    }
    if not application.available:
        me["makeMeAvailable"] = {"href": f"{base}/me/makeMeAvailable"}
    return {
        "_links": {
            "self": {"href": base},
            "batch": {"href": f"{base}/batch"},
            "events": {"href": application.events_path},
        },
        "_embedded": {"me": {"name": application.owner, "uri": f"sip:{application.owner}", "_links": me}},
        "rel": "application",
    }


def _make_available(application: Application) -> Response:
    """204, and the news of the own presence comes by the event channel."""
    application.available = True
    presence = {"rel": "presence", "href": f"{application.base}/me/presence"}
    application.push({"link": presence, "type": "added"})
    return Response(204)


async def _poll(call: Call, application: Application) -> Response:
    query = dict(urllib.parse.parse_qsl(call.request.query))
    ack = query.get("ack", "")
    if not ack.isdecimal():
        return ucwa_error(400, "BadRequest", "ParameterValidationFailure", "ack is missing or not a number.")
    patience = call.pool.applications.patience(query, application.patience)
    priority = query.get("priority", "0")
    try:
        events = await application.poll(int(ack), patience, int(priority) if priority.isdecimal() else 0)
    except PollReplacedError:
        return ucwa_error(409, "Conflict", "PGetReplaced", "A newer request took this one's place.")
    return json_answer(200, events)
