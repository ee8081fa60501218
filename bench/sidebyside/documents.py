"""What the light origin says and the storm asks: a sign-in of a UCWA phone, with documents of real size.

The documents are made once, by the same code as the lab's; the origin only copies them.
"""

from __future__ import annotations

import json

from lyncgate.lync import autodiscover, mex, wstrust
from lyncgate.lync.autodiscover import SipAccess
from sidebyside.certificates import DISCOVER, ORIGIN, WEB

TICKETS = "/WebTicket/WebTicketService.svc"
TICKET_PORT = f"{TICKETS}/WinNegotiate"
ROOT = f"/?sipuri={{user}}@{DISCOVER.partition('.')[2]}"
USER = "/Autodiscover/AutodiscoverService.svc/root/user"
APPLICATIONS = "/ucwa/v1/applications"
APPLICATION = f"{APPLICATIONS}/101"
EVENTS = f"{APPLICATION}/events?ack=1&low=30&medium=5&timeout=1800"
POLICIES = f"{APPLICATION}/policies"
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


APPLICATION_REQUEST = (
    b'{"UserAgent":"lyncgate-bench/1","EndpointId":"8f3c1f5e-52a3-4f0e-9d6c-0123456789ab","Culture":"en-US"}'
)


def _links(**relations: str) -> dict[str, dict[str, str]]:
    return {name: {"href": APPLICATION + path} for name, path in relations.items()}


APPLICATION_ANSWER = json.dumps(
    {
        "culture": "en-US",
        "userAgent": AGENT,
        "_links": _links(self="", policies="/policies", events="/events?ack=1", batch="/batch"),
        "_embedded": {
            "me": {
                "name": "A User",
                "uri": "sip:user@contoso.example",
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
    }
).encode()
POLICIES_ANSWER = (
    b'{"simultaneousRingNumberMatch":"Disabled","emergencyDialMask":"911","emergencyDialString":"911",'
    b'"emergencyNumbers":"911","htmlMessaging":"Enabled","photos":"Enabled","rel":"policies"}'
)
