"""The address book of the external site: files to download, photos, and questions to `/groupexpansion`.

    GET  /abs/handler/F-0001.lsabs                           Windows authentication (protocol reference §8)
    GET  /abs/handler/photos/bob@contoso.example             a web ticket
    GET  /groupexpansion/service.svc                         Windows authentication, and nothing to see
    GET  /groupexpansion/service.svc/mex
    POST /groupexpansion/service.svc/WebTicket_Bearer        SearchAbEntry, the ticket in the SOAP header

SIPE asks the last two for the photos of its buddies, and then for the photos (tests/lab/test_sipe.py).
The format of the files ([MS-ABS]) is not played: ours list the users as lines of text.
"""

from __future__ import annotations

import re
import time

from lyncgate.lab import webticket
from lyncgate.lab.call import Call, diagnosed, method_not_allowed, page, ticket_holder, windows_challenge
from lyncgate.lab.directory import User
from lyncgate.lab.scenario.scenario import PHOTOS
from lyncgate.lab.tickets import ExpiredTicketError, InvalidTicketError
from lyncgate.lab.web import Response
from lyncgate.lab.webticket import soap_fault
from lyncgate.lync import addressbook, wstrust
from lyncgate.lync import mex as metadata
from lyncgate.lync.addressbook import SIP_ADDRESS, Entry

FILES = "/abs/handler"
BEARER = f"{addressbook.SERVICE}/WebTicket_Bearer"
_FILE = re.compile(r"(f-[0-9a-f]{4}\.lsabs|d-[0-9a-f]{4}-[0-9a-f]{4}\.lsabs)")  # full, and what changed


async def download(call: Call) -> Response:
    """An address book file."""
    await call.request.read()
    if challenge := windows_challenge(call):
        return challenge
    if not _FILE.fullmatch(call.path.removeprefix(FILES + "/")):
        return page(404, "404 - File or directory not found.")
    lines = [f"{user.display_name}\t{user.sip}\t{user.line or ''}\n" for user in call.pool.directory.users]
    return Response(200, [("Content-Type", "application/octet-stream")], "".join(lines).encode())


async def photo(call: Call) -> Response:
    """A user's photo, for another who holds a ticket and may see photos."""
    holder = ticket_holder(call, oauth=False)
    if isinstance(holder, Response):
        return holder
    directory = call.pool.directory
    viewer, of = directory.by_sip(holder), directory.by_sip(call.path.removeprefix(PHOTOS + "/"))
    if viewer is None or of is None or directory.scenario.presence(viewer, of).card.photo is None:
        return page(404, "404 - File or directory not found.")
    return Response(200, [("Content-Type", "image/png")], directory.scenario.photo(of) or b"")


async def expansion(call: Call) -> Response:
    """The service as a browser sees it: a Windows challenge, by which a proxy is tested (§9.12)."""
    await call.request.read()
    return windows_challenge(call) or page(200, f"Hello {call.auth.principal}")


async def mex(call: Call) -> Response:
    """The port that wants a bearer ticket."""
    if call.request.method != "GET":
        return method_not_allowed("GET")
    port = metadata.Port(addressbook.PORT, call.url(BEARER), call.url(webticket.SERVICE))
    return Response(200, [("Content-Type", wstrust.XML)], metadata.document("AddressBook", [port]))


async def search(call: Call) -> Response:
    """SearchAbEntry."""
    body = await call.request.read()
    if call.request.method != "POST":
        return method_not_allowed("POST")
    try:
        assertion, asked = addressbook.parse_search(body)
        holder = call.pool.tickets.open(assertion, time.time())
    except InvalidTicketError:
        refusal = soap_fault("InvalidSecurityToken", "The web ticket is invalid.")
        return diagnosed(call, refusal, 28032, "The web ticket is invalid.", "wsse:InvalidSecurityToken")
    except ExpiredTicketError:
        return soap_fault("MessageExpired", "The ticket has expired.")
    except wstrust.TrustError as error:
        return soap_fault("Client", str(error))
    viewer = call.pool.directory.by_sip(holder.sip)
    if viewer is None:
        return soap_fault("FailedAuthentication", "The ticket is nobody's here.")
    entries = (_entry(call, viewer, user) for user in call.pool.directory.users)
    matching = [asked.shown(entry) for entry in entries if asked.matches(entry)]
    return Response(200, [("Content-Type", wstrust.XML)], addressbook.found(matching[: asked.most]))


def _entry(call: Call, viewer: User, of: User) -> Entry:
    """What the address book has about somebody, for this viewer."""
    card = call.pool.directory.scenario.presence(viewer, of).card
    entry = {
        SIP_ADDRESS: f"sip:{of.sip}",
        "displayName": card.display_name,
        "mail": card.email,
        "title": card.title,
        "company": card.company,
        "department": card.department,
        "physicalDeliveryOfficeName": card.office,
        "telephoneNumber": of.line or "",
    }
    if card.photo:
        entry |= {"PhotoRelPath": f"photos/{of.sip}", "PhotoHash": card.photo.hash}
    return {name: value for name, value in entry.items() if value}
