"""HTTP as a phone speaks it, each request an event. Nothing is followed or decoded, or asked twice; but for a
GET on a kept connection that turns out to be closed.

An answer is an `Answer`, whatever came: also none. Connections are kept by lane; NTLM and the tests of
affinity have connections of their own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from urllib.parse import urlsplit

import h11

from lyncgate.client.http import FAILURES, Headers, HttpConnection
from lyncgate.probe.answer import Answer, exchange
from lyncgate.probe.doors import Doors
from lyncgate.probe.plan import AGENT, PORTS, Plan
from lyncgate.probe.record import Record
from lyncgate.signin.exchange import Outcome
from lyncgate.signin.keys import Hasher

LARGEST = 1024 * 1024  # bytes of a body; documents have a few KiB


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
        if line is not None:
            return (await self._once(line, url, method, headers, body, seconds))[0]
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc.lower(), lane)
        kept = self._kept.get(key)
        if kept and kept.connection and kept.connection.reusable:
            answer, came = await self._once(kept, url, method, headers, body, seconds, told=method != "GET")
            if came or method != "GET":
                return answer
        if kept:  # closed by the server while nobody used it, maybe in this very moment (RFC 9110 §9.2.2)
            await kept.close()
        line = self._kept[key] = await self.line(url)
        return (await self._once(line, url, method, headers, body, seconds))[0]

    async def _once(
        self,
        line: Line,
        url: str,
        method: str,
        headers: Headers,
        body: bytes,
        seconds: float | None,
        *,
        told: bool = True,
    ) -> tuple[Answer, bool]:
        """On this connection; and whether the server did anything but close it. `told` False: if it did not,
        that is no event."""
        parts = urlsplit(url)
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
        event = exchange(
            self._record.new_id(),
            self._plan.user,
            self._hasher,
            connection=line.id,
            local=line.connection.local if line.connection else "",
            started=started,
            took=took,
            url=url,
            method=method,
            target=target,
            fields=fields,
            body=body,
            reply=reply,
        )
        event.outcome = outcome
        came = outcome is not Outcome.UPSTREAM_RESET
        if told or came:
            self._record.saw(event)
        return Answer(url, event, reply, problem), came

    async def close(self) -> None:
        """Close the kept connections."""
        for line in self._kept.values():
            await line.close()
        self._kept.clear()


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
