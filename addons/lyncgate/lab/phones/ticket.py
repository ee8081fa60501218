"""Web tickets as a phone gets them: mex, then RST three times on one connection (protocol reference §3).

Mobile clients ask for the compact form, `cwt=…`; what needs a signature later (certificates) takes the
SAML form with a key, to which both sides give a half.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from weakref import WeakSet

import spnego

from lyncgate.client import ntlm
from lyncgate.client.http import HttpConnection, Reply
from lyncgate.lab.phones.line import Line
from lyncgate.lab.report import Doing
from lyncgate.lync import mex, wstrust
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import COMPACT_TOKEN, SAML_TOKEN, TokenRequest, TokenResponse

type Header = tuple[str, str]

PORT = "WebTicketServiceWinNegotiate"  # Windows authentication on HTTP (protocol reference §3.1)


class TicketDesk:
    """Gets tickets for one user. `saml`: in the form of desktops; `ticket`: the header that carries the
    last one; `location`: where that was had."""

    def __init__(self, line: Line, user: str, password: str, *, saml: bool = False) -> None:
        self.ticket: Header | None = None
        self.location = ""
        self._line = line
        self._user = user
        self._password = password
        self._saml = saml
        self._challenged: WeakSet[HttpConnection] = WeakSet()  # have answered 401 before

    @property
    def proof(self) -> list[Header]:
        """The ticket's header, if there is a ticket."""
        return [self.ticket] if self.ticket else []

    async def get(self, service: str, applies_to: str) -> None:
        """A ticket for autodiscover and mobility: two steps."""
        async with self._line.ask(Stage.TICKET, "GET", f"{service}/mex") as (step, reply):
            self.location = mex.port_location(reply.body, PORT)
            step.detail = f"{PORT} is {self.location}"
        async with self._line.record.step(Stage.TICKET, f"POST {self.location}") as step:
            wanted = TokenRequest(str(uuid.uuid4()), SAML_TOKEN if self._saml else COMPACT_TOKEN, applies_to)
            token = (await self.request(self.location, wanted, step.got)).token
            step.detail = "web ticket issued"
        shown = f"opaque={base64.b64encode(token.encode()).decode()}" if self._saml else token
        self.ticket = ("X-MS-WebTicket", shown)

    async def request_token(
        self, location: str, applies_to: str, got: Callable[..., Reply] | None = None
    ) -> str:
        """A compact token, `cwt=…`, see `request`."""
        wanted = TokenRequest(str(uuid.uuid4()), COMPACT_TOKEN, applies_to)
        return (await self.request(location, wanted, got)).token

    async def request(
        self, location: str, wanted: TokenRequest, got: Callable[..., Reply] | None = None
    ) -> TokenResponse:
        """RST by NTLM on one connection: 401, challenge, 200. Called again on the kept connection, it begins
        with the type 1 message: a whole handshake each time, as load tests want. `got` notes each answer's
        status. Raises ValueError, SignInFailedError (no connection) or one of FAILURES."""
        got = got or Doing(Stage.TICKET).got
        body = wanted.document()
        headers = [("Content-Type", wstrust.XML), ("SOAPAction", f'"{wstrust.ISSUE}"')]
        windows = spnego.client(self._user, self._password, protocol="ntlm")
        connection = await self._line.connection(location, Stage.TICKET)

        async def post(*proof: Header) -> Reply:
            return await self._line.on(connection, location, "POST", [*headers, *proof], body)

        if connection not in self._challenged:
            got(await post(), 401)
            self._challenged.add(connection)
        challenge = ntlm.challenge(got(await post(ntlm.authorization(windows.step())), 401))
        answer = wstrust.parse_token_response(
            got(await post(ntlm.authorization(windows.step(challenge))), 200).body
        )
        if (answer.context, answer.token_type) != (wanted.context, wanted.token_type):
            raise ValueError("the answer to another request")
        return answer
