"""What the light origin says and the storm asks: a sign-in of a UCWA phone, with documents of real size.

The documents are made once, by the same code as the lab's; the origin copies them, and puts
in the user's name where one belongs.
"""

from __future__ import annotations

import json
import uuid

from lyncgate.lync import autodiscover, mex, wstrust
from lyncgate.lync.autodiscover import SipAccess
from sidebyside.certificates import DISCOVER, ORIGIN, WEB

TICKETS = "/WebTicket/WebTicketService.svc"
TICKET_PORT = f"{TICKETS}/WinNegotiate"
ROOT = f"/?sipuri={{user}}@{DISCOVER.partition('.')[2]}"
USER = "/Autodiscover/AutodiscoverService.svc/root/user"
APPLICATIONS = "/ucwa/v1/applications"
TICKET_HEADER = b"X-MS-WebTicket"
IDENTITY = b"X-Bench-User"  # in answers: who the connection is

XML_ACCEPT = autodiscover.XML
AGENT = "lyncgate-bench/1 (UCWA)"

_TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")


def root_plain() -> autodiscover.Document:
    links = autodiscover.redirect_links(f"https://{WEB}/Autodiscover/AutodiscoverService.svc/root")
    return autodiscover.root_document(links, XML_ACCEPT.encode())


def root_secure() -> autodiscover.Document:
    return autodiscover.root_document(autodiscover.service_links(WEB, None), XML_ACCEPT.encode())


def user_document() -> autodiscover.Document:
    access = SipAccess((ORIGIN, 5061), ("sip.contoso.example", 5061))
    return autodiscover.user_document(autodiscover.user_links(WEB, ORIGIN), access, XML_ACCEPT.encode())


def metadata() -> bytes:
    port = mex.Port("WebTicketServiceWinNegotiate", f"https://{WEB}{TICKET_PORT}")
    return mex.document("WebTicketService", [port])


def ticket_request() -> bytes:
    return wstrust.TokenRequest("ctx", wstrust.COMPACT_TOKEN, f"https://{WEB}{USER}").document()


def ticket_answer(user: str) -> bytes:
    """The ticket says whose it is, so that one given to another is seen."""
    return wstrust.TokenResponse("ctx", wstrust.COMPACT_TOKEN, ticket(user), *_TIMES).document()


def ticket(user: str) -> str:
    return f"cwt={user}." + "AAEAAGFzc2VydGlvbg" * 12


def whose(ticket: str) -> str:
    """The user that a ticket was given to."""
    return ticket.partition("=")[2].partition(".")[0]


def application(user: str) -> str:
    """Each user has an application of his own, as in a pool: what belongs to whom is told by it."""
    return f"{APPLICATIONS}/{user}"


def events(user: str, ack: int = 1, seconds: float = 1800) -> str:
    """A poll that may hang for so long."""
    return f"{application(user)}/events?ack={ack}&low=30&medium=5&timeout={seconds:.4g}"


def policies(user: str) -> str:
    return f"{application(user)}/policies"


def application_request(user: str) -> bytes:
    endpoint = uuid.uuid5(uuid.NAMESPACE_DNS, user)
    return f'{{"UserAgent":"lyncgate-bench/1","EndpointId":"{endpoint}","Culture":"en-US"}}'.encode()


def _links(**relations: str) -> dict[str, dict[str, str]]:
    return {name: {"href": application(_USER) + path} for name, path in relations.items()}


_USER = "\N{BULLET}"  # where the user's name belongs
_APPLICATION = json.dumps(
    {
        "culture": "en-US",
        "userAgent": AGENT,
        "_links": _links(self="", policies="/policies", events="/events?ack=1", batch="/batch"),
        "_embedded": {
            "me": {
                "name": _USER,
                "uri": f"sip:{_USER}@contoso.example",
                "_links": _links(
                    self="/me",
                    makeMeAvailable="/me/makeMeAvailable",
                    callForwardingSettings="/me/callForwardingSettings",
                ),
                "rel": "me",
            },
            "people": {
                "_links": _links(myContacts="/people/contacts", myGroups="/people/groups"),
                "rel": "people",
            },
        },
        "rel": "application",
    },
    ensure_ascii=False,
)


def application_answer(user: str) -> bytes:
    return _APPLICATION.replace(_USER, user).encode()


POLICIES_ANSWER = (
    b'{"simultaneousRingNumberMatch":"Disabled","emergencyDialMask":"911","emergencyDialString":"911",'
    b'"emergencyNumbers":"911","htmlMessaging":"Enabled","photos":"Enabled","rel":"policies"}'
)
