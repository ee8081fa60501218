"""HTTP as a phone speaks it, each request an event. Nothing is asked twice, followed or decoded.

An answer is an `Answer`, whatever came: also none. Connections are kept by lane; NTLM and the tests of
affinity have connections of their own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import h11

from lyncgate.client.http import FAILURES, Headers, HttpConnection, Reply
from lyncgate.policy.paths import canonical
from lyncgate.probe.doors import Doors
from lyncgate.probe.plan import AGENT, PORTS, Plan
from lyncgate.probe.record import ORIGIN, Record
from lyncgate.signin.exchange import Exchange, Outcome, Phase, Source
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import read
from lyncgate.signin.seen import HEAD_LIMIT, RequestSeen, ResponseSeen

LARGEST = 1024 * 1024  # bytes of a body; documents have a few KiB
SERVER = "x-ms-server-fqdn"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came. `reply` None: nothing whole; `problem` says why, and is "" else."""

    url: str
    exchange: Exchange
    reply: Reply | None
    problem: str = ""

    @property
    def status(self) -> int | None:
        """None: no answer."""
        return self.reply.status if self.reply else None

    @property
    def server(self) -> str | None:
        """The front end that says it answered; None: something else did (an inference, protocol reference
        §10)."""
        return self.header(SERVER)

    def header(self, name: str) -> str | None:
        """The first field of this name."""
        return self.reply.header(name) if self.reply else None

    @property
    def body(self) -> bytes:
        """All of it."""
        return self.reply.body if self.reply else b""

    @property
    def html(self) -> bool:
        """A page, where services of Lync have documents."""
        return (self.header("content-type") or "").lower().startswith("text/html")

    @property
    def said(self) -> str:
        """Status and who answered, for people."""
        if self.reply is None:
            return self.problem
        kind = ", an HTML page" if self.html else ""
        return f"{self.status} from {self.server or 'something in front of the pool'}{kind}"


@dataclasses.dataclass(slots=True)
class Line:
    """A connection, or why there is none. `id`: what events call it."""

    id: str
    connection: HttpConnection | None
    problem: str = ""
    outcome: Outcome = Outcome.OK
    seconds: float = 0.0

    async def close(self) -> None:
        """Close it."""
        if self.connection:
            await self.connection.close()


class Web:
    """All requests of a run. `tls`: verifies; `hasher`: for the secrets in keys."""

    def __init__(self, plan: Plan, record: Record, doors: Doors, tls: ssl.SSLContext, hasher: Hasher) -> None:
        self._plan = plan
        self._record = record
        self._doors = doors
        self._tls = tls
        self._hasher = hasher
        self._kept: dict[tuple[str, str, str], Line] = {}

    async def line(self, url: str) -> Line:
        """A new connection to the URL's host."""
        parts = urlsplit(url)
        host, scheme = (parts.hostname or "").lower(), parts.scheme
        door = await self._doors.open(host)
        began = time.perf_counter()
        line = Line(self._record.new_id(), None)
        where = door.at.get(PORTS[scheme])
        if where is None or not door.usable(scheme):
            line.problem, line.outcome = "no connection", Outcome.CONNECT_FAILED
            if where is not None:
                line.problem, line.outcome = "no TLS that a client accepts", Outcome.TLS_FAILED
            return line
        try:
            async with asyncio.timeout(self._plan.patience):
                tls = self._tls if scheme == "https" else None
                line.connection = await HttpConnection.open_at(where, host, tls)
        except FAILURES as error:
            line.problem, line.outcome = _why(error), _connect_outcome(error)
        line.seconds = time.perf_counter() - began
        return line

    async def ask(
        self,
        url: str,
        method: str = "GET",
        headers: Headers = (),
        body: bytes = b"",
        *,
        line: Line | None = None,
        lane: str = "main",
        seconds: float | None = None,
    ) -> Answer:
        """A request and its answer. `line`: a connection of the caller's; else the lane's is used.
        `seconds`: how long it may take; None: as long as any step."""
        parts = urlsplit(url)
        if line is None:
            key = (parts.scheme, parts.netloc.lower(), lane)
            line = self._kept.get(key)
            if line is None or line.connection is None or not line.connection.reusable:
                if line:
                    await line.close()
                line = self._kept[key] = await self.line(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [("User-Agent", AGENT), *headers]
        started, began, reply, problem = time.time(), time.perf_counter(), None, line.problem
        outcome = line.outcome
        if line.connection is not None:
            try:
                async with asyncio.timeout(seconds or self._plan.patience):
                    reply = await line.connection.request(method, target, fields, body, most=LARGEST)
            except FAILURES as error:
                problem, outcome = _why(error), _outcome(error)
        took = time.perf_counter() - began
        exchange = self._exchange(line, started, took, url, method, target, fields, body, reply)
        exchange.outcome = outcome
        self._record.saw(exchange)
        return Answer(url, exchange, reply, problem)

    def _exchange(
        self,
        line: Line,
        started: float,
        took: float,
        url: str,
        method: str,
        target: str,
        fields: Sequence[tuple[str, str]],
        body: bytes,
        reply: Reply | None,
    ) -> Exchange:
        parts = urlsplit(url)
        path = canonical(parts.path.encode() or b"/")
        request = RequestSeen(
            method=method,
            scheme=parts.scheme,
            host=(parts.hostname or "").lower(),
            path=path,
            target=target.encode(),
            headers=_bytes([("Host", parts.netloc), *fields]),
            body=body[:HEAD_LIMIT],
            complete=len(body) <= HEAD_LIMIT,
        )
        response = None
        if reply:
            response = ResponseSeen(
                status=reply.status,
                headers=_bytes(reply.headers),
                body=reply.body[:HEAD_LIMIT],
                complete=len(reply.body) <= HEAD_LIMIT,
            )
        reading = read(self._hasher, request, response, connection=line.id)
        return Exchange(
            id=self._record.new_id(),
            listener=ORIGIN,
            scheme=parts.scheme,
            source_ip="",
            connection=line.id,
            started=started,
            method=method,
            host=request.host,
            path=path[:256],
            kind=reading.kind,
            stage=reading.stage,
            decision="forward",
            rule=ORIGIN,
            sip_user=reading.keys.user,
            ntlm_user=reading.keys.account,
            status=reply.status if reply else None,
            request_bytes=len(body),
            response_bytes=len(reply.body) if reply else 0,
            ended_by=Source.UPSTREAM,
            server_fqdn=reply.header(SERVER) if reply else None,
            user_agent=AGENT,
            phases={Phase.TOTAL: took},
            origin=ORIGIN,
            keys=dataclasses.replace(reading.keys, user=self._plan.user),
            facts=reading.facts,
        )

    async def close(self) -> None:
        """Close the kept connections."""
        for line in self._kept.values():
            await line.close()
        self._kept.clear()


def _bytes(fields: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in fields]


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
    if isinstance(error, h11.ProtocolError):
        return f"no HTTP: {error}"
    if isinstance(error, EOFError):
        return "closed before an answer came"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, TimeoutError):
        return Outcome.UPSTREAM_TIMEOUT
    invalid = isinstance(error, h11.ProtocolError) and "closed" not in str(error)
    return Outcome.UPSTREAM_INVALID if invalid else Outcome.UPSTREAM_RESET


def _connect_outcome(error: BaseException) -> Outcome:
    if isinstance(error, TimeoutError):
        return Outcome.CONNECT_TIMEOUT
    return Outcome.TLS_FAILED if isinstance(error, ssl.SSLError) else Outcome.CONNECT_FAILED
