"""A phone: signs in like a Lync 2013 mobile client, over real TCP, TLS and NTLM, and says how it went.

    report = await sign_in("alice@contoso.example", "P4ss-alice", names=…, tls=…)
    report.ok, report.steps

The order is SIPE's up to the user document (real-clients reference §2), then the mobile client's
(protocol reference §6): lyncdiscover on 80 and 443 at once, root, user (401), mex, RST with NTLM on one
connection, user with the ticket (a Redirect leads to the home pool, where all of that is done again),
UCWA application, event poll held, makeMeAvailable, whose event releases the poll.

Every request, and every connection, is one Step of a stage. The first step that fails ends the sign-in.
HTTP redirects are not followed, as SIPE does not. No SIP: phones do that through their pool.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from urllib.parse import urlsplit

import spnego

from lyncgate.lab import webticket
from lyncgate.lab.httpclient import Headers, HttpConnection, Reply
from lyncgate.lab.names import NameMap
from lyncgate.lab.report import Doing, Recorder, SignInFailedError, SignInReport, Step
from lyncgate.lync import autodiscover
from lyncgate.lync.names import lyncdiscover_host
from lyncgate.lync.stages import Stage

POLL_SLACK = 60.0  # seconds: how much later than its own time-out a poll may be answered
MAX_REDIRECTS = 10  # documents that say `Redirect`, as EXMON has it (protocol reference §2.2)
PORTS = {"http": 80, "https": 443}
USER_AGENT = ("User-Agent", "lyncgate-phone/1 (UCWA)")

_RST = """<s:Envelope xmlns:s="{soap}"><s:Body><RequestSecurityToken xmlns="{wst}" Context="{context}">\
<TokenType>{token_type}</TokenType>\
<RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</RequestType>\
<AppliesTo xmlns="http://schemas.xmlsoap.org/ws/2004/09/policy">\
<EndpointReference xmlns="http://www.w3.org/2005/08/addressing"><Address>{address}</Address>\
</EndpointReference></AppliesTo></RequestSecurityToken></s:Body></s:Envelope>"""


class Phone:
    """One device of one user. `names` stands for DNS; `tls` is whom it trusts."""

    def __init__(
        self,
        user: str,
        password: str,
        *,
        names: NameMap,
        tls: ssl.SSLContext,
        poll_timeout: int = 180,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.report = SignInReport(user)
        self._password = password
        self._names = names
        self._tls = tls
        self._poll_timeout = poll_timeout
        self._record = Recorder(self.report, on_step)
        self._connections: dict[tuple[str, str, str], HttpConnection] = {}
        self._challenged: set[HttpConnection] = set()  # have answered 401 before
        self._ticket: tuple[str, str] | None = None  # the header

    async def sign_in(self) -> SignInReport:
        """Everything, from discovery to the released poll; then the phone signs out."""
        began = time.perf_counter()
        try:
            user_url = await self._discover()
            document = await self._locate(user_url)
            await self._register(document.href("Ucwa") or "")
            self.report.ok = True
        except SignInFailedError:
            pass
        finally:
            self.report.seconds = time.perf_counter() - began
            await self.close()
        return self.report

    async def close(self) -> None:
        """Close all connections."""
        while self._connections:
            await self._connections.popitem()[1].close()

    # discovery

    async def _discover(self) -> str:
        """The URL of the user document. Both schemes at once; HTTPS is believed first, and the redirect
        that HTTP gives is used when HTTPS gives nothing."""
        domain = self.report.user.partition("@")[2]
        urls = [f"{scheme}://{lyncdiscover_host(domain)}/?sipuri={self.report.user}" for scheme in PORTS]
        plain, secure = await asyncio.gather(*map(self._root, urls), return_exceptions=True)
        for found in (secure, plain):
            if isinstance(found, autodiscover.Located):
                return await self._follow_root(found)
            if not isinstance(found, SignInFailedError):
                raise found
        raise SignInFailedError

    async def _root(self, url: str, stage: Stage = Stage.DISCOVER) -> autodiscover.Located:
        async with self._record.step(stage, f"GET {url}") as step:
            reply = step.got(await self._request(url, "GET", [_accept()], stage=stage), 200)
            document = autodiscover.parse_root(reply.header("content-type") or "", reply.body)
            step.detail = _links_seen(document)
        return document

    async def _follow_root(self, document: autodiscover.Located) -> str:
        for _ in range(MAX_REDIRECTS):
            if user := document.href("User"):
                return user
            async with self._record.step(Stage.DISCOVER, "root document") as step:
                redirect = document.href("Redirect")
                if redirect is None:
                    raise ValueError("has neither User nor Redirect")
                step.detail = f"redirected to {redirect}"
            document = await self._root(redirect, Stage.LOCATE)
        raise self._record.failure(Stage.DISCOVER, "root document", "too many redirects")

    # user document and ticket

    async def _locate(self, url: str) -> autodiscover.Located:
        """The user document; where it is a Redirect, everything again at the home pool."""
        for _ in range(MAX_REDIRECTS):
            await self.get_ticket(await self._ask_without_ticket(url), url)
            document = await self._user_document(url)
            home = document.href("Redirect")
            if home is None:
                return document
            url = await self._follow_root(await self._root(home, Stage.LOCATE))
        raise self._record.failure(Stage.LOCATE, "user document", "too many redirects")

    async def _ask_without_ticket(self, url: str) -> str:
        async with self._record.step(Stage.LOCATE, f"GET {url}") as step:
            reply = step.got(await self._request(url, "GET", [_accept()], stage=Stage.LOCATE), 401)
            where = reply.header("x-ms-webticketurl")
            if where is None:
                raise ValueError("no X-MS-WebTicketURL")
            step.detail = f"tickets at {where}"
        return where

    async def _user_document(self, url: str) -> autodiscover.Located:
        async with self._record.step(Stage.LOCATE, f"GET {url} with the ticket") as step:
            reply = step.got(
                await self._request(url, "GET", [_accept(), *self._proof()], stage=Stage.LOCATE), 200
            )
            document = autodiscover.parse_user(reply.header("content-type") or "", reply.body)
            step.detail = _links_seen(document)
        return document

    async def get_ticket(self, service: str, applies_to: str) -> None:
        """A compact web ticket: mex, then RST three times on one connection."""
        async with self._record.step(Stage.TICKET, f"GET {service}/mex") as step:
            reply = step.got(await self._request(f"{service}/mex", "GET", stage=Stage.TICKET), 200)
            location = _negotiate_port(reply.body)
            step.detail = f"WebTicketServiceWinNegotiate is {location}"
        async with self._record.step(Stage.TICKET, f"POST {location}") as step:
            token = await self.request_token(location, applies_to, step.got)
            step.detail = "web ticket issued"
        self._ticket = ("X-MS-WebTicket", token)

    async def request_token(
        self, location: str, applies_to: str, got: Callable[..., Reply] | None = None
    ) -> str:
        """RST by NTLM on one connection: 401, challenge, 200; the compact token. Called again on the kept
        connection, it begins with the type 1 message: a whole handshake each time, as load tests want.
        Raises ValueError, SignInFailedError (no connection) or one of FAILURES."""
        got = got or Doing().got
        ntlm = spnego.client(self.report.user, self._password, protocol="ntlm")
        body = _RST.format(
            soap=webticket.SOAP,
            wst=webticket.WST,
            context=uuid.uuid4(),
            token_type=webticket.COMPACT_TOKEN,
            address=applies_to,
        ).encode()
        headers = [
            ("Content-Type", webticket.XML),
            ("SOAPAction", f'"{webticket.WST}/RST/Issue"'),
        ]
        connection = await self._connection(location, Stage.TICKET)
        if connection not in self._challenged:
            got(await self._on(connection, location, "POST", headers, body), 401)
            self._challenged.add(connection)
        reply = got(await self._on(connection, location, "POST", [*headers, _ntlm(ntlm.step())], body), 401)
        proof = _ntlm(ntlm.step(_ntlm_challenge(reply)))
        reply = got(await self._on(connection, location, "POST", [*headers, proof], body), 200)
        ticket = ET.fromstring(reply.body).find(f".//{{{webticket.WST}}}UserToken")  # noqa: S314 (the lab's own)
        if ticket is None or not ticket.text:
            raise ValueError("no UserToken in the answer")
        return ticket.text

    # UCWA

    async def _register(self, url: str) -> None:
        stage = Stage.REGISTER
        async with self._record.step(stage, f"GET {url}") as step:
            step.got(await self._request(url, "GET", stage=stage), 401)
            step.detail = "asks for a ticket"
        body = {"UserAgent": USER_AGENT[1], "EndpointId": str(uuid.uuid4()), "Culture": "en-US"}
        async with self._record.step(stage, f"POST {url}") as step:
            reply = step.got(await self._post(url, body, stage), 201)
            application = json.loads(reply.body)
            step.detail = f"application at {reply.header('x-ms-server-fqdn')}"
        links, me = application["_links"], application["_embedded"]["me"]["_links"]
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._poll(_join(url, links["events"]["href"])))
                together.create_task(self._make_available(_join(url, me["makeMeAvailable"]["href"])))
        except* SignInFailedError as failures:
            raise failures.exceptions[0] from None
        await self._sign_out(_join(url, links["self"]["href"]))

    async def _make_available(self, url: str) -> None:
        async with self._record.step(Stage.READY, f"POST {url}") as step:
            step.got(await self._post(url, {"signInAs": "Online"}, Stage.READY), 204)
            step.detail = "available"

    async def _poll(self, url: str) -> None:
        url = f"{url}&timeout={self._poll_timeout}"
        stage = Stage.NOTIFICATIONS
        seconds = self._poll_timeout + POLL_SLACK
        async with self._record.step(stage, f"GET {url}", seconds) as step:
            reply = step.got(await self._request(url, "GET", self._proof(), stage=stage, lane="poll"), 200)
            events = json.loads(reply.body)
            if "next" not in events["_links"]:
                raise ValueError("no next link")
            step.detail = "an event came" if events.get("sender") else "timed out without an event"

    async def _sign_out(self, url: str) -> None:
        async with self._record.step(Stage.READY, f"DELETE {url}") as step:
            step.got(await self._request(url, "DELETE", self._proof(), stage=Stage.READY), 204)
            step.detail = "signed out"

    # machinery

    async def _post(self, url: str, value: object, stage: Stage) -> Reply:
        headers = [("Content-Type", "application/json"), *self._proof()]
        return await self._request(url, "POST", headers, json.dumps(value).encode(), stage=stage)

    async def _request(
        self,
        url: str,
        method: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        stage: Stage,
        lane: str = "main",
    ) -> Reply:
        connection = await self._connection(url, stage, lane)
        return await self._on(connection, url, method, headers, body)

    async def _on(
        self, connection: HttpConnection, url: str, method: str, headers: Headers = (), body: bytes = b""
    ) -> Reply:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return await connection.request(method, target or "/", [USER_AGENT, *headers], body)

    async def _connection(self, url: str, stage: Stage, lane: str = "main") -> HttpConnection:
        """The kept connection to the URL's host, or a new one, which is a step of its own. `lane`: polls
        have their own connection, as they block it. Raises SignInFailedError."""
        parts = urlsplit(url)
        key = (parts.scheme, parts.hostname or "", lane)
        known = self._connections.get(key)
        if known and known.reusable:
            return known
        tls = self._tls if parts.scheme == "https" else None
        port = parts.port or PORTS[parts.scheme]
        async with self._record.step(Stage.CONNECT, f"connect {key[1]}:{port}") as step:
            connection = await HttpConnection.open(key[1], port, self._names, tls)
            step.detail = f"{'TCP and TLS' if tls else 'TCP'}, for {stage}"
        self._connections[key] = connection
        return connection

    def _proof(self) -> list[tuple[str, str]]:
        return [self._ticket] if self._ticket else []


async def sign_in(
    user: str,
    password: str,
    *,
    names: NameMap,
    tls: ssl.SSLContext,
    poll_timeout: int = 180,
    on_step: Callable[[Step], None] | None = None,
) -> SignInReport:
    """Sign `user` (a SIP address) in once; `on_step` hears of each step as it ends."""
    phone = Phone(user, password, names=names, tls=tls, poll_timeout=poll_timeout, on_step=on_step)
    return await phone.sign_in()


def _accept() -> tuple[str, str]:
    return ("Accept", autodiscover.XML)


def _links_seen(document: autodiscover.Located) -> str:
    tokens = ", ".join(token for token, _ in document.links[:4])
    return f"AccessLocation {document.access_location}; links {tokens}" + ("…" if document.links[4:] else "")


def _negotiate_port(wsdl: bytes) -> str:
    for port in ET.fromstring(wsdl).iter("{http://schemas.xmlsoap.org/wsdl/}port"):  # noqa: S314 (the lab's own)
        if port.get("name") == "WebTicketServiceWinNegotiate" and len(port):
            return port[0].attrib["location"]
    raise ValueError("no port WebTicketServiceWinNegotiate")


def _ntlm(message: bytes | None) -> tuple[str, str]:
    return ("Authorization", f"NTLM {base64.b64encode(message or b'').decode()}")


def _ntlm_challenge(reply: Reply) -> bytes:
    for value in reply.all("www-authenticate"):
        scheme, _, token = value.partition(" ")
        if scheme == "NTLM" and token:
            return base64.b64decode(token)
    raise ValueError("no NTLM challenge in the 401")


def _join(url: str, path: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{path}"
