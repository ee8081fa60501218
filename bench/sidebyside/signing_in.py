"""One sign-in of a phone, step by step: what is asked, and what must come back. Pure.

    steps = sign_in("user17")
    request = next(steps); request = steps.send(answer) …; StopIteration: signed in

A request names its line: `plain` (port 80), `discover` and `web` (TLS). Each line is a connection of its
own, new for each sign-in; NTLM's three legs and all that follows share `web`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

from sidebyside import documents, ntlm
from sidebyside.asking import Answer
from sidebyside.certificates import DISCOVER, WEB

REQUESTS = 10  # in one sign-in
LINES = ("plain", "discover", "web")
NAMES = {"plain": None, "discover": DISCOVER, "web": WEB}  # for SNI


class BrokenError(Exception):
    """Not the answer that must come."""


class StrangerError(BrokenError):
    """An answer with another's identity, or without the one that the connection has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    line: str
    data: bytes


type Steps = Generator[Ask, Answer, None]

_ACCEPT = b"Accept: " + documents.XML_ACCEPT.encode() + b"\r\n"
_SOAP = b'Content-Type: text/xml; charset=utf-8\r\nSOAPAction: "Issue"\r\n'
_TICKET_REQUEST = documents.ticket_request()


def sign_in(user: str) -> Steps:
    """Everything from lyncdiscover to the policies of the UCWA application."""
    root = documents.ROOT.format(user=user)
    _expect(200, (yield Ask("plain", _request("GET", DISCOVER, root, _ACCEPT))))
    _expect(200, (yield Ask("discover", _request("GET", DISCOVER, root, _ACCEPT))))
    answer = yield _web("GET", documents.USER, _ACCEPT)
    if not _expect(401, answer).header(b"x-ms-webticketurl"):
        raise BrokenError("no X-MS-WebTicketURL")
    _expect(200, (yield _web("GET", f"{documents.TICKETS}/mex")))
    _expect(401, (yield _web("POST", documents.TICKET_PORT, _SOAP, _TICKET_REQUEST)))
    answer = yield _ntlm(ntlm.negotiate())
    nonce = _challenge(_expect(401, answer))
    answer = _own(user, _expect(200, (yield _ntlm(ntlm.authenticate(user, nonce)))))
    ticket = documents.ticket(user)
    if ticket.encode() not in answer.body:
        raise StrangerError("the web ticket of another")
    proof = documents.TICKET_HEADER + b": " + ticket.encode() + b"\r\n"
    _own(user, _expect(200, (yield _web("GET", documents.USER, _ACCEPT + proof))))
    json = b"Content-Type: application/json\r\n" + proof
    created = yield _web("POST", documents.APPLICATIONS, json, documents.application_request(user))
    _own(user, _expect(201, created))
    _own(user, _expect(200, (yield _web("GET", documents.policies(user), proof))))


def _web(method: str, target: str, headers: bytes = b"", body: bytes = b"") -> Ask:
    return Ask("web", _request(method, WEB, target, headers, body))


def _ntlm(message: bytes) -> Ask:
    headers = _SOAP + b"Authorization: " + message + b"\r\n"
    return _web("POST", documents.TICKET_PORT, headers, _TICKET_REQUEST)


def _request(method: str, host: str, target: str, headers: bytes = b"", body: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if method == "POST" else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {documents.AGENT}\r\n".encode()
    return head + headers + length + b"\r\n" + body


def _expect(status: int, answer: Answer) -> Answer:
    if answer.status != status:
        raise BrokenError(f"{answer.status} where {status} belongs")
    return answer


def _challenge(answer: Answer) -> bytes:
    try:
        return ntlm.nonce_of(answer.header(b"www-authenticate"))
    except ValueError as error:
        raise BrokenError(str(error)) from None


def _own(user: str, answer: Answer) -> Answer:
    who = answer.header(documents.IDENTITY.lower()).decode()
    if who != user and not (answer.anew and who == "-"):  # who came anew has logged on nowhere yet
        raise StrangerError(f"the connection is {who or 'nobody'}, not {user}")
    return answer
