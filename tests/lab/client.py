"""Requests to a lab from a test that blocks, and the tickets that they need."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from lyncgate.client.http import Headers, HttpConnection, Reply
from lyncgate.client.names import NameMap, NameRule
from lyncgate.lab import authority, meetings, topology, websettings
from lyncgate.lab.phone import Phone
from support.estate import RunningEstate

WEB = "https://lyncweb.contoso.example"
EMEA = "https://lyncweb-emea.contoso.example"
DISCOVER = "https://lyncdiscover.contoso.example"
AUTODISCOVER = "/Autodiscover/AutodiscoverService.svc/root"
TICKET = "/WebTicket/WebTicketService.svc"
XML = ("Accept", "application/vnd.microsoft.rtc.autodiscover+xml;v=1")

RST = b"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<RequestSecurityToken xmlns="http://docs.oasis-open.org/ws-sx/ws-trust/200512" Context="c1"/>
</s:Body></s:Envelope>"""


class Client:
    """Blocking requests, each connection to the external site of a front end."""

    def __init__(self, lab: RunningEstate) -> None:
        self._lab = lab
        self._tls = authority.client_context(lab.estate.directory)

    def ask(
        self, method: str, url: str, headers: Headers = (), body: bytes = b"", *, member: str = "fe01"
    ) -> Reply:
        """One request on a connection of its own."""
        return self.ask_in_turn(url, [(method, headers, body)], member=member)[0]

    def ask_in_turn(
        self, url: str, requests: Sequence[tuple[str, Headers, bytes]], *, member: str = "fe01"
    ) -> list[Reply]:
        """Several requests for one URL, on one connection."""

        async def exchange() -> list[Reply]:
            connection = await self.connect(url, member=member)
            try:
                target = url.partition(parts.netloc)[2] or "/"
                return [await connection.request(m, target, h, b) for m, h, b in requests]
            finally:
                await connection.close()

        parts = urlsplit(url)
        return self._lab.run(exchange())

    async def connect(self, url: str, *, member: str = "fe01") -> HttpConnection:
        """A connection to the URL's host; to be used on the lab's loop."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        names = self._lab.estate.names_without_edge(member)
        tls = self._tls if secure else None
        return await HttpConnection.open(parts.hostname or "", 443 if secure else 80, names, tls)

    def ask_internal(self, scheme: str, target: str, headers: Headers = ()) -> Reply:
        """A request to the internal site of fe01, by the pool's internal name."""

        async def exchange() -> Reply:
            estate = self._lab.estate
            secure = scheme == "https"
            port = estate.ports.internal_https if secure else estate.ports.internal_http
            names = NameMap((NameRule("*", None, (topology.MEMBERS["fe01"].address, port)),))
            connection = await HttpConnection.open(
                "pool01.contoso.local", port, names, self._tls if secure else None
            )
            try:
                return await connection.request("GET", target, headers)
            finally:
                await connection.close()

        return self._lab.run(exchange())

    def ticket(self, user: str, web: str = WEB) -> tuple[str, str]:
        """A compact web ticket, got by NTLM: the header that carries it."""
        return ("X-MS-WebTicket", self._lab.run(self.get_ticket(user, web)))

    def guest_ticket(self, organiser: str) -> tuple[str, str]:
        """The ticket of somebody without an account who joins the organiser's meeting."""
        user = self._lab.estate.people.by_sip(organiser)
        assert user is not None
        form = {
            "grant_type": websettings.ANONYMOUS,
            "ms_rtc_conferenceuri": meetings.conference_uri(user),
            "password": meetings.conference_key(user),
        }
        reply = self.ask("POST", f"{WEB}/WebTicket/oauthtoken", (), urlencode(form).encode())
        assert reply.status == 200, reply
        return ("X-MS-WebTicket", json.loads(reply.body)["access_token"])

    async def get_ticket(self, user: str, web: str = WEB) -> str:
        """The same as a coroutine, and the bare value."""
        phone = self.phone(user)
        try:
            return await phone.request_token(f"{web}{TICKET}", web)
        finally:
            await phone.close()

    def phone(self, user: str, password: str | None = None, *, member: str = "fe01") -> Phone:
        """A phone of that user; public names lead it to `member`."""
        return Phone(
            user,
            password or f"P4ss-{user.partition('@')[0]}",
            names=self._lab.estate.names_without_edge(member),
            tls=self._tls,
            poll_timeout=5,
        )
