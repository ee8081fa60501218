"""The NTLM and ticket part of a phone, for tests that need many at once: one call, one connection.

async with opened(names, tls, "lyncweb.contoso.example") as connection:
    ticket = await get_ticket(connection, "alice@contoso.example")
"""

import base64
import contextlib
import json
import ssl
import uuid
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import spnego

from lyncgate.client.http import Headers, HttpConnection, Reply
from lyncgate.client.names import NameMap
from lyncgate.lab import webticket

WEB = "lyncweb.contoso.example"
HEADERS: Headers = [("Content-Type", webticket.XML), ("SOAPAction", f'"{webticket.WST}/RST/Issue"')]
UCWA = "/ucwa/v1/applications"

_RST = (
    f'<s:Envelope xmlns:s="{webticket.SOAP}"><s:Body>'
    f'<RequestSecurityToken xmlns="{webticket.WST}" Context="{{context}}">'
    f"<TokenType>{webticket.COMPACT_TOKEN}</TokenType></RequestSecurityToken></s:Body></s:Envelope>"
)


@contextlib.asynccontextmanager
async def opened(
    names: NameMap, tls: ssl.SSLContext | None, host: str = WEB
) -> AsyncIterator[HttpConnection]:
    """A connection to `host`, by TLS if there is a context for it."""
    connection = await HttpConnection.open(host, 443 if tls else 80, names, tls)
    try:
        yield connection
    finally:
        await connection.close()


class Handshake:
    """NTLM for `user` on one connection, leg by leg; the password is the lab's."""

    def __init__(self, connection: HttpConnection, user: str) -> None:
        self._connection = connection
        self._client = spnego.client(user, f"P4ss-{user.partition('@')[0]}", protocol="ntlm")

    async def begin(self) -> bytes:
        """Type 1; what comes back is the challenge."""
        reply = await ask(self._connection, authorization=self._client.step())
        assert reply.status == 401, reply
        (challenge,) = [v for v in reply.all("www-authenticate") if v.startswith("NTLM ")]
        return base64.b64decode(challenge.removeprefix("NTLM "))

    async def finish(self, challenge: bytes) -> str:
        """Type 3; see `ask_again` for what is returned."""
        return _granted(*await _issue(self._connection, authorization=self._client.step(challenge)))


async def get_ticket(connection: HttpConnection, user: str) -> str:
    """Both legs; see `ask_again` for what is returned."""
    handshake = Handshake(connection, user)
    return await handshake.finish(await handshake.begin())


async def ask_again(connection: HttpConnection) -> str:
    """A ticket on a connection that is somebody already: its text, `cwt=…`, as the pool gave it. Asserts
    that it is the answer to this very request, by the context that each request has for itself."""
    return _granted(*await _issue(connection, authorization=None))


async def ask(connection: HttpConnection, authorization: bytes | None = None) -> Reply:
    """One request for a ticket, with or without an NTLM message."""
    return (await _issue(connection, authorization))[0]


async def _issue(connection: HttpConnection, authorization: bytes | None) -> tuple[Reply, str]:
    context = str(uuid.uuid4())
    headers = [*HEADERS]
    if authorization is not None:
        headers.append(("Authorization", f"NTLM {base64.b64encode(authorization).decode()}"))
    body = _RST.format(context=context).encode()
    return await connection.request("POST", webticket.SERVICE, headers, body), context


def _granted(reply: Reply, context: str) -> str:
    assert reply.status == 200, reply
    document = ET.fromstring(reply.body)
    response = document.find(f".//{{{webticket.WST}}}RequestSecurityTokenResponse")
    assert response is not None
    assert response.get("Context") == context, "the answer to another request"
    ticket = response.findtext(f".//{{{webticket.WST}}}UserToken")
    assert ticket, reply
    return ticket


def holder(ticket: str) -> str:
    """Whose ticket it is, by the pool's word: the lab's tickets can be read by anybody."""
    claims = ticket.removeprefix("cwt=").partition(".")[0]
    sip: str = json.loads(base64.urlsafe_b64decode(claims))["sip"]
    return sip


class Application:
    """A UCWA application of a ticket's holder, with its event channel."""

    def __init__(self, ticket: str, reply: Reply) -> None:
        assert reply.status == 201, reply
        self._proof = ("X-MS-WebTicket", ticket)
        links = json.loads(reply.body)
        self.base: str = links["_links"]["self"]["href"]
        self.events: str = links["_links"]["events"]["href"]

    @classmethod
    async def create(cls, connection: HttpConnection, ticket: str) -> "Application":
        headers = [("Content-Type", "application/json"), ("X-MS-WebTicket", ticket)]
        device = {"UserAgent": "test", "EndpointId": str(uuid.uuid4()), "Culture": "en-US"}
        return cls(ticket, await connection.request("POST", UCWA, headers, json.dumps(device).encode()))

    async def poll(self, connection: HttpConnection, timeout: int) -> bool:  # noqa: ASYNC109 (the protocol's)
        """Hang until an event comes (True), or `timeout` seconds of the lab's clock are over (False)."""
        reply = await connection.request("GET", f"{self.events}&timeout={timeout}", [self._proof])
        assert reply.status == 200, reply
        document = json.loads(reply.body)
        self.events = document["_links"]["next"]["href"]
        return bool(document.get("sender"))

    async def happen(self, connection: HttpConnection) -> None:
        """Something that makes an event, which ends the poll."""
        headers = [("Content-Type", "application/json"), self._proof]
        reply = await connection.request(
            "POST", f"{self.base}/me/makeMeAvailable", headers, b'{"signInAs": "Online"}'
        )
        assert reply.status == 204, reply
