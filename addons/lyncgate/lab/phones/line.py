"""A phone's line to the servers: names looked up, connections made and kept, each noted as a step.

    async with line.ask(Stage.LOCATE, "GET", url, [accept], expect=401) as (step, reply):
        where = reply.header("x-ms-webticketurl")
        step.detail = f"tickets at {where}"

One request is one step of a stage. Looking a name up and connecting are steps of their own, taken before
the request's begins: durations never hold one another. Whatever goes wrong ends as SignInFailedError,
noted already.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Protocol
from urllib.parse import urlsplit

from lyncgate.client.http import Headers, HttpConnection, Reply
from lyncgate.client.names import Address, NoSuchNameError
from lyncgate.lab.report import STEP_TIMEOUT, Doing, Recorder
from lyncgate.lync.stages import Stage

PORTS = {"http": 80, "https": 443}


class Names(Protocol):
    """A resolver, for all a phone knows."""

    async def look_up(self, host: str) -> str:
        """Ask for the addresses of `host`; what the answer was, for people. Raises OSError, of which
        NoSuchNameError says that the name does not exist."""

    def resolve(self, host: str, port: int) -> Address:
        """Where `port` of a host that was looked up is. Raises OSError."""


class Line:
    """Everything that goes over the network. `agent`: the value of User-Agent."""

    def __init__(self, names: Names, tls: ssl.SSLContext, record: Recorder, agent: str) -> None:
        self.record = record
        self.agent = agent
        self._names = names
        self._tls = tls
        self._known: set[str] = set()  # hosts that were looked up
        self._connections: dict[tuple[str, str, str], HttpConnection] = {}

    async def look_up(self, host: str, stage: Stage, *, may_miss: bool = False) -> bool:
        """A step that looks `host` up; whether there is such a name. `may_miss`: no failure if not."""
        async with self.record.step(stage, f"look up {host}") as step:
            try:
                step.detail = await self._names.look_up(host)
            except NoSuchNameError as error:
                if not may_miss:
                    raise
                step.detail = str(error)
                return False
            self._known.add(host)
        return True

    @property
    def kept(self) -> list[tuple[str, str, str]]:
        """The kept connections: scheme, host:port, lane."""
        return list(self._connections)

    @contextlib.asynccontextmanager
    async def ask(
        self,
        stage: Stage,
        method: str,
        url: str,
        headers: Headers = (),
        body: bytes = b"",
        *,
        expect: int | None = 200,
        lane: str = "main",
        seconds: float = STEP_TIMEOUT,
        poll: bool = False,
    ) -> AsyncIterator[tuple[Doing, Reply]]:
        """A request and its answer. `expect`: the only status that is no failure, None: any. `poll`: it is
        meant to hang, for up to `seconds`."""
        connection = await self.connection(url, stage, lane)
        async with self.record.step(stage, f"{method} {url}", seconds, poll=poll) as step:
            reply = await self.on(connection, url, method, headers, body)
            step.status = reply.status
            if expect is not None:
                step.got(reply, expect)
            yield step, reply

    async def on(
        self, connection: HttpConnection, url: str, method: str, headers: Headers = (), body: bytes = b""
    ) -> Reply:
        """A request on this very connection. Raises one of FAILURES."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return await connection.request(method, target or "/", [("User-Agent", self.agent), *headers], body)

    async def connection(self, url: str, stage: Stage, lane: str = "main") -> HttpConnection:
        """The kept connection to the URL's host, or a new one. `lane`: polls have a connection of their
        own, as they block it."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        key = (parts.scheme, f"{host}:{port}", lane)
        known = self._connections.get(key)
        if known and known.reusable:
            return known
        if known:
            await known.close()
        if host not in self._known:
            await self.look_up(host, Stage.DNS_WEB)
        tls = self._tls if parts.scheme == "https" else None
        async with self.record.step(Stage.CONNECT, f"connect {host}:{port}") as step:
            connection = await HttpConnection.open_at(self._names.resolve(host, port), host, tls)
            step.detail = f"{'TCP and TLS' if tls else 'TCP'}, for {stage}"
        self._connections[key] = connection
        return connection

    async def close(self, *, but: str | None = None, lane: str | None = None) -> None:
        """Close all connections, `but` those to this URL's host; or those of one lane."""
        kept = urlsplit(but).hostname if but else None
        for key in self.kept:
            if key[1].rpartition(":")[0] != kept and lane in (None, key[2]):
                await self._connections.pop(key).close()
