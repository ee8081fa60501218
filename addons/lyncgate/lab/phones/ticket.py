"""Web tickets as a phone gets them: mex, then RST three times on one connection (protocol reference §3).

Mobile clients ask for the compact form, `cwt=…`; what needs a signature later (certificates) takes the
SAML form with a key: the RST carries 32 random bytes, the answer 32 more, and the key is made of both.
"""

from __future__ import annotations

import base64
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable

import spnego

from lyncgate.lab import webticket
from lyncgate.lab.httpclient import HttpConnection, Reply
from lyncgate.lab.phones.line import Line
from lyncgate.lab.report import Doing
from lyncgate.lync.stages import Stage

type Header = tuple[str, str]

PORT = "WebTicketServiceWinNegotiate"  # of the mex's WSDL: NTLM or Negotiate on HTTP (§3.1)

_RST = """<s:Envelope xmlns:s="{soap}"><s:Body><RequestSecurityToken xmlns="{wst}" Context="{context}">\
<TokenType>{token_type}</TokenType>\
<RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</RequestType>\
<AppliesTo xmlns="http://schemas.xmlsoap.org/ws/2004/09/policy">\
<EndpointReference xmlns="http://www.w3.org/2005/08/addressing"><Address>{address}</Address>\
</EndpointReference></AppliesTo>{entropy}</RequestSecurityToken></s:Body></s:Envelope>"""

_ENTROPY = """<Entropy><BinarySecret>{secret}</BinarySecret></Entropy><KeyType>{wst}/SymmetricKey</KeyType>"""


class TicketDesk:
    """Gets tickets for one user. `ticket`: the header that carries the last one."""

    def __init__(self, line: Line, user: str, password: str) -> None:
        self.ticket: Header | None = None
        self._line = line
        self._user = user
        self._password = password
        self._challenged: set[HttpConnection] = set()  # have answered 401 before

    @property
    def proof(self) -> list[Header]:
        """The ticket's header, if there is a ticket."""
        return [self.ticket] if self.ticket else []

    async def get(self, service: str, applies_to: str) -> None:
        """A compact ticket: two steps."""
        location = await self.find_port(service, Stage.TICKET)
        async with self._line.record.step(Stage.TICKET, f"POST {location}") as step:
            token = await self.request_token(location, applies_to, step.got)
            step.detail = "web ticket issued"
        self.ticket = ("X-MS-WebTicket", token)

    async def find_port(self, service: str, stage: Stage) -> str:
        """Where the service takes Windows authentication, by its mex: a step."""
        async with self._line.ask(stage, "GET", f"{service}/mex") as (step, reply):
            location = port_location(reply.body, PORT)
            step.detail = f"{PORT} is {location}"
        return location

    async def request_token(
        self, location: str, applies_to: str, got: Callable[..., Reply] | None = None
    ) -> str:
        """The compact token, see `request`."""
        response = await self.request(location, applies_to, webticket.COMPACT_TOKEN, got=got)
        ticket = response.find(f".//{{{webticket.WST}}}UserToken")
        if ticket is None or not ticket.text:
            raise ValueError("no UserToken in the answer")
        return ticket.text

    async def request(
        self,
        location: str,
        applies_to: str,
        token_type: str,
        *,
        entropy: bytes = b"",
        got: Callable[..., Reply] | None = None,
    ) -> ET.Element:
        """RST by NTLM on one connection: 401, challenge, 200; the answer's envelope. Called again on the
        kept connection, it begins with the type 1 message: a whole handshake each time, as load tests
        want. `got` notes each answer's status. Raises ValueError, SignInFailedError (no connection) or
        one of FAILURES."""
        got = got or Doing(Stage.TICKET).got
        secret = base64.b64encode(entropy).decode()
        body = _RST.format(
            soap=webticket.SOAP,
            wst=webticket.WST,
            context=uuid.uuid4(),
            token_type=token_type,
            address=applies_to,
            entropy=_ENTROPY.format(secret=secret, wst=webticket.WST) if entropy else "",
        ).encode()
        headers = [("Content-Type", webticket.XML), ("SOAPAction", f'"{webticket.WST}/RST/Issue"')]
        ntlm = spnego.client(self._user, self._password, protocol="ntlm")
        connection = await self._line.connection(location, Stage.TICKET)

        async def post(*proof: Header) -> Reply:
            return await self._line.on(connection, location, "POST", [*headers, *proof], body)

        if connection not in self._challenged:
            got(await post(), 401)
            self._challenged.add(connection)
        challenge = _ntlm_challenge(got(await post(_ntlm(ntlm.step())), 401))
        reply = got(await post(_ntlm(ntlm.step(challenge))), 200)
        return ET.fromstring(reply.body)  # noqa: S314 (the server was authenticated by its certificate)


def port_location(wsdl: bytes, name: str) -> str:
    """The address of a port in a WSDL. Raises ValueError."""
    for port in ET.fromstring(wsdl).iter("{http://schemas.xmlsoap.org/wsdl/}port"):  # noqa: S314 (see above)
        if port.get("name") == name and len(port):
            return port[0].attrib["location"]
    raise ValueError(f"no port {name}")


def _ntlm(message: bytes | None) -> Header:
    return ("Authorization", f"NTLM {base64.b64encode(message or b'').decode()}")


def _ntlm_challenge(reply: Reply) -> bytes:
    for value in reply.all("www-authenticate"):
        scheme, _, token = value.partition(" ")
        if scheme == "NTLM" and token:
            return base64.b64decode(token)
    raise ValueError("no NTLM challenge in the 401")
