"""Whoever asks over whatever connection: the answer is his, and what he posted was posted once.

A hundred users, some with NTLM, some with a token of their own, some with nothing, ask the same members while
connections break at random on both sides: idle ones and busy ones, by FIN and by RST. An engine may share
connections to members between clients, but never one that NTLM was seen on.

The suite sends 2,000 requests. LYNCGATE_IDENTITY=20000 sends as many as were promised.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from differential.engines import ENGINES, inspected
from support.edge import WEB, EdgeUnderTest, policy
from support.ntlm_origin import ANONYMOUS, NtlmOrigin, authenticate, challenge_in, negotiate
from support.rawhttp import Client, Message, connected

USERS = 100
REQUESTS = int(os.environ.get("LYNCGATE_IDENTITY", "2000"))
MEMBERS = 2
WHIMS = ["answer"] * 40 + ["before", "after", "reset before", "reset after"]


@dataclasses.dataclass
class Counts:
    """`answered`: whose request, who it was answered as, and what the client had shown. `broken`: without an
    answer."""

    answered: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    wrong: list[str] = dataclasses.field(default_factory=list)
    refused: int = 0
    broken: int = 0
    sent: int = 0
    ids: int = 0

    @property
    def over(self) -> bool:
        return self.sent >= REQUESTS


class User:
    """One who goes on asking. `kind`: how he shows who he is: ntlm, bearer or anonymous."""

    def __init__(self, number: int, it: EdgeUnderTest, counts: Counts, dice: random.Random) -> None:
        self.kind = ("ntlm", "ntlm", "bearer", "anonymous")[number % 4]
        self.name = ANONYMOUS if self.kind == "anonymous" else f"user{number:03}"
        self._it, self._counts, self._dice = it, counts, dice

    async def go_on(self) -> None:
        while not self._counts.over:
            async with connected(self._it.address("http")) as client:
                # Broken by the edge, as it has to when a member breaks, or by us.
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await self._session(client)

    async def _session(self, client: Client) -> None:
        proven = False
        for _ in range(self._dice.randrange(1, 15)):
            if self._counts.over:
                return
            match self._dice.randrange(30):
                case 0:
                    await client.abort()
                    return
                case 1:  # leaves while it is being answered
                    await client.send(self._request(self._dice.choice(["GET", "POST"]), ""))
                    await client.abort()
                    return
            if self.kind == "ntlm" and not proven:
                proven = await self._prove(client)
                continue
            authorization = f"Authorization: Bearer {self.name}\r\n" if self.kind == "bearer" else ""
            await self._ask(client, authorization)

    async def _prove(self, client: Client) -> bool:
        challenged = await self._ask(client, f"Authorization: {negotiate()}\r\n")
        if challenged.status != 401:
            return False
        answer = authenticate(self.name, challenge_in(challenged.fields))
        return (await self._ask(client, f"Authorization: {answer}\r\n")).status == 200

    async def _ask(self, client: Client, authorization: str) -> Message:
        counts, request_id = self._counts, counts_id(self._counts)
        try:
            method = self._dice.choice(["GET", "GET", "POST"])
            reply = await client.ask(self._request(method, authorization, request_id))
        except (ConnectionError, asyncio.IncompleteReadError):
            counts.broken += 1
            raise
        except TimeoutError:
            counts.wrong.append(f"{self.name} ({self.kind}) asked {request_id}, and no answer came")
            raise ConnectionAbortedError from None
        if reply.status != 200:
            counts.refused += 1
            if reply.status not in (401, 502):
                counts.wrong.append(f"{self.name}: {reply.line!r}")
            return reply
        shown = (reply.value("x-user") or b"").decode()
        counts.answered[self.kind, method] += 1
        if shown != self.name or reply.value("x-id") != request_id.encode():
            counts.wrong.append(f"{self.name} ({self.kind}) asked {request_id} and was given {reply}")
        return reply

    def _request(self, method: str, authorization: str, request_id: str = "") -> bytes:
        request_id = request_id or counts_id(self._counts)
        wants = "X-As: me\r\n" if self.kind == "ntlm" else ""
        head = f"{method} /{self.kind} HTTP/1.1\r\nHost: {WEB}\r\nX-Id: {request_id}\r\n"
        head += wants + authorization
        body = "hello" if method == "POST" else ""
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def counts_id(counts: Counts) -> str:
    counts.ids += 1
    counts.sent += 1
    return str(counts.ids)


@pytest.mark.timeout(120 + REQUESTS // 20)
@pytest.mark.parametrize(("engine", "demoted"), [("lane", False), ("lane", True), ("stock", False)])
def test_every_answer_is_for_who_asked(engine: str, demoted: bool, tmp_path: Path) -> None:
    dice = random.Random(20_000)
    counts = Counts()

    def whim(origins: list[NtlmOrigin], answers: Iterator[int]) -> str:
        if next(answers) % 50 == 0:
            dice.choice(origins).drop_idle(dice)
        return dice.choice(WHIMS)

    async def check() -> list[NtlmOrigin]:
        answers = itertools.count()
        async with members(lambda origins: whim(origins, answers)) as origins:
            rules = policy(origins)  # type: ignore[arg-type]  # it needs their address and port
            runs = ENGINES[engine] if not demoted else inspected(tmp_path, requests=True)
            async with runs.run(rules) as it, asyncio.TaskGroup() as group:
                for number in range(USERS):
                    group.create_task(User(number, it, counts, dice).go_on())
        return origins

    origins = asyncio.run(check())
    assert counts.wrong == []
    posted = [request_id for origin in origins for request_id, method in origin.begun if method == "POST"]
    assert [request_id for request_id, times in collections.Counter(posted).items() if times > 1] == []

    # So that this was worth something: all kinds were answered, to both members, and much was broken.
    assert {kind for kind, _ in counts.answered} == {"ntlm", "bearer", "anonymous"}
    assert sum(counts.answered.values()) > REQUESTS / 3
    assert all(origin.begun for origin in origins)
    assert counts.broken + counts.refused > REQUESTS / 50
    assert sum(origin.connections for origin in origins) > REQUESTS / 50


def test_a_connection_that_is_shared_is_noticed() -> None:
    """Two clients on one connection to a member: the second is answered as the first, or its proof fails."""

    async def check() -> None:
        async with (
            members(lambda _: "answer") as [origin, *_],
            connected((origin.address, origin.port)) as shared,
        ):

            async def ask(authorization: str) -> Message:
                head = "GET / HTTP/1.1\r\nHost: a\r\nX-Id: 1\r\nX-As: me\r\n"
                return await shared.ask(f"{head}Authorization: {authorization}\r\n\r\n".encode())

            first = challenge_in((await ask(negotiate())).fields)
            second = challenge_in((await ask(negotiate())).fields)
            assert (await ask(authenticate("user1", first))).status == 401
            assert (await ask(negotiate())).status == 401
            assert (await ask(authenticate("user2", second))).status == 401
            third = challenge_in((await ask(negotiate())).fields)
            assert (await ask(authenticate("user3", third))).value("x-user") == b"user3"
            anonymous = await shared.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Id: 2\r\n\r\n")
            assert anonymous.value("x-user") == b"user3"
            assert (await ask("Bearer user4")).value("x-user") == b"user4"

    asyncio.run(check())


@contextlib.asynccontextmanager
async def members(whim: Callable[[list[NtlmOrigin]], str]) -> AsyncIterator[list[NtlmOrigin]]:
    """Members on one port, as a pool's are."""
    origins: list[NtlmOrigin] = []
    try:
        for number in range(MEMBERS):
            port = origins[0].port if origins else 0
            origins.append(NtlmOrigin(f"127.0.0.{2 + number}", port, lambda: whim(origins)))
            await origins[-1].start()
        yield origins
    finally:
        for origin in origins:
            await origin.stop()
