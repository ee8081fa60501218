"""From a SIP address to the user document: what every device does first (protocol reference §1, §2).

    1 look up lyncdiscoverinternal        outside there is none; inside it is asked like the other
    2 look up lyncdiscover, ask it on 80 and 443 at once; 443 is believed first
    3 root document → user document without a ticket, 401 → ticket → user document
    4 a Redirect in either leads to the home pool, where 3 begins again, with a new ticket

A redirect of HTTP (3xx) is not a document that says `Redirect`, which is the real thing: within the SIP
domain a phone follows it, out of the domain it is a failure (§1.6). SIPE follows none.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin, urlsplit

from lyncgate.lab.phones.line import PORTS, Line
from lyncgate.lab.phones.ticket import TicketDesk
from lyncgate.lab.report import SignInFailedError
from lyncgate.lync import autodiscover
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.names import lyncdiscover_host
from lyncgate.lync.stages import Stage

MAX_REDIRECTS = 10  # documents that say `Redirect`, as EXMON has it (protocol reference §2.2)
ACCEPT = ("Accept", autodiscover.XML)
REDIRECTS = (301, 302, 303, 307, 308)


class Discovery:
    """Finds a user's services. `follows`: redirects of HTTP within the SIP domain, too."""

    def __init__(self, line: Line, desk: TicketDesk, user: str, *, follows: bool) -> None:
        self._line = line
        self._desk = desk
        self._user = user
        self._domain = user.partition("@")[2].lower()
        self._follows = follows

    async def run(self) -> Located:
        """The user document of the home pool."""
        return await self._locate(await self._discover())

    async def _discover(self) -> str:
        """The URL of the user document."""
        internal = f"lyncdiscoverinternal.{self._domain}"
        try:
            if await self._line.look_up(internal, Stage.DNS_INTERNAL, may_miss=True):
                return await self._ask_both(internal)
        except SignInFailedError:
            pass  # a name that leads nowhere, or an answer that is none: the external name is next (§1.4)
        external = lyncdiscover_host(self._domain)
        await self._line.look_up(external, Stage.DNS_DISCOVER)
        return await self._ask_both(external)

    async def _ask_both(self, host: str) -> str:
        urls = [f"{scheme}://{host}/?sipuri={self._user}" for scheme in PORTS]
        plain, secure = await asyncio.gather(*map(self._root, urls), return_exceptions=True)
        if isinstance(plain, Located) and (target := plain.href("Redirect")):
            self._line.record.saw(Stage.REDIRECT, urls[0], f"the document of HTTP leads to {target}")
        for found in (secure, plain):
            if isinstance(found, Located):
                return await self._follow_root(found)
            if not isinstance(found, SignInFailedError):
                raise found
        raise SignInFailedError

    async def _root(self, url: str, stage: Stage = Stage.DISCOVER) -> Located:
        for _ in range(MAX_REDIRECTS):
            async with self._line.ask(stage, "GET", url, [ACCEPT], expect=None) as (step, reply):
                if self._follows and reply.status in REDIRECTS:
                    url = self._redirected(url, reply.header("location"))
                    step.stage, step.detail = Stage.REDIRECT, f"on to {url}"
                    continue
                step.got(reply, 200)
                document = autodiscover.parse_root(reply.header("content-type") or "", reply.body)
                step.detail = _links_seen(document)
            return document
        raise self._line.record.failure(stage, url, "too many redirects")

    def _redirected(self, url: str, location: str | None) -> str:
        """Where a 3xx leads. Raises ValueError when that is out of the SIP domain."""
        target = urljoin(url, location or "")
        parts = urlsplit(target)
        host = parts.hostname or ""
        if parts.scheme not in PORTS or not f".{host}".endswith(f".{self._domain}"):
            raise ValueError(f"redirected to {host or 'nowhere'}, which is not in {self._domain}")
        return target

    async def _follow_root(self, document: Located) -> str:
        for _ in range(MAX_REDIRECTS):
            if user := document.href("User"):
                return user
            document = await self._root(self._next_hop(document), Stage.LOCATE)
        raise self._line.record.failure(Stage.DISCOVER, "root document", "too many redirects")

    def _next_hop(self, document: Located) -> str:
        """Where a document's Redirect leads: HTTPS it has to be, for what follows is a password's proof."""
        redirect = document.href("Redirect")
        why = "has neither User nor Redirect"
        if redirect is not None:
            if redirect.startswith("https://"):
                return redirect
            why = f"redirects to {redirect}, which is not HTTPS"
        raise self._line.record.failure(Stage.DISCOVER, "root document", why)

    async def _locate(self, url: str) -> Located:
        for _ in range(MAX_REDIRECTS):
            await self._desk.get(await self._ask_without_ticket(url), url)
            document = await self._user_document(url)
            if document.href("Redirect") is None:
                return document
            url = await self._follow_root(await self._root(self._next_hop(document), Stage.LOCATE))
        raise self._line.record.failure(Stage.LOCATE, "user document", "too many redirects")

    async def _ask_without_ticket(self, url: str) -> str:
        async with self._line.ask(Stage.LOCATE, "GET", url, [ACCEPT], expect=401) as (step, reply):
            where = reply.header("x-ms-webticketurl")
            if where is None:
                raise ValueError("no X-MS-WebTicketURL")
            step.detail = f"tickets at {where}"
        return where

    async def _user_document(self, url: str) -> Located:
        async with self._line.ask(Stage.LOCATE, "GET", url, [ACCEPT, *self._desk.proof]) as (step, reply):
            document = autodiscover.parse_user(reply.header("content-type") or "", reply.body)
            step.detail = _links_seen(document)
        return document


def _links_seen(document: Located) -> str:
    tokens = ", ".join(token for token, _ in document.links[:4])
    return f"AccessLocation {document.access_location}; links {tokens}" + ("…" if document.links[4:] else "")
