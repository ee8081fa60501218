"""What signs people in never reaches a log, a metric or a page, whichever way a request ends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import logging
import sqlite3
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest

from lyncgate.policy.policy import AccessLog, Journal
from support.edge import DISCOVER, edge, policy
from support.origin import members
from support.rawhttp import get, post

TICKET = "opaque=owner:AgEDticket-2d6f7c1b"
SECRETS = {
    "authorization": "Basic " + base64.b64encode(b"CONTOSO\\alice:pa55word-9e1f").decode(),
    "password": "pa55word-9e1f",
    "ntlm": "TlRMTVNTUAADAAAAc2VjcmV0LW50bG0=",
    "cookie": "session-1c9ab2",
    "set-cookie": "served-77f0d3",
    "ticket": TICKET,
    "query": "token-5b31aa",
    "body": "body-83cc90",
    "head": "unfinished-41d2e8",
}
FIELDS = (
    f"Authorization: {SECRETS['authorization']}",
    f"Authorization: NTLM {SECRETS['ntlm']}",
    f"Cookie: a={SECRETS['cookie']}",
    f"X-MS-WebTicket: {TICKET}",
    f"Referer: https://lyncweb.contoso.example/?t={SECRETS['query']}",
)
TARGET = f"/WebTicket/x?t={SECRETS['query']}"


def forms(secret: str) -> set[str]:
    """As it is, in base64 at each of three offsets, and URL-encoded."""
    raw = secret.encode()
    encoded = {
        base64.b64encode(bytes(shift) + raw).decode()[(shift * 4 + 2) // 3 + 1 : -4] for shift in range(3)
    }
    return {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)} | encoded


async def use_them_all(listeners: tuple[str, ...], it: Any, origin: Any) -> None:
    """Every way that a request with secrets in it can end."""
    good = get(TARGET, *FIELDS)
    for listener in listeners:
        for request in (
            good,
            get(TARGET, *FIELDS, host="www.contoso.example"),
            get(f"/?sipuri=alice@contoso.example&t={SECRETS['query']}", *FIELDS, host=DISCOVER),
            post(SECRETS["body"].encode(), TARGET, *FIELDS),
            post(SECRETS["body"].encode() * 100, TARGET, *FIELDS),
            get(TARGET, *FIELDS, "Transfer-Encoding: gzip, chunked"),
            get(TARGET, *FIELDS, "X : y"),
            get(f"http://a:b:c{TARGET}", *FIELDS),
            f"GET {TARGET} HTTP/1.0\r\nX: {SECRETS['head']}\r\n\r\n".encode(),
        ):
            async with it.http(listener) as client:
                await client.send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                await client.rest()
        async with it.http(listener) as client:
            await client.send(good[:-2] + f"X: {SECRETS['head']}".encode())
        async with it.http(listener) as client:
            await client.send(get(f"/slow?t={SECRETS['query']}", *FIELDS, "Connection: close"))
            await client.rest()
    await origin.stop()
    async with it.http() as client:
        await client.send(good)
        await client.rest()
    async with it.http("https") as client:
        await client.send(good)
        await client.rest()


@pytest.mark.parametrize("kind", ["json", "line"])
def test_no_secret_is_told(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "access.log"
    caplog.set_level(logging.DEBUG)
    told = ""

    async def check() -> None:
        nonlocal told
        async with members(1) as origins:
            rules = policy(origins, body_limit=500, poll=0.2)
            kept = Journal(str(tmp_path / "journal.db"))
            rules = dataclasses.replace(rules, access_log=AccessLog(str(log), kind), journal=kept)
            async with edge(rules) as it:
                answer = (
                    f"HTTP/1.1 200 OK\r\nSet-Cookie: b={SECRETS['set-cookie']}\r\n"
                    f"X-MS-WebTicket: {TICKET}\r\nContent-Length: 11\r\n\r\n{SECRETS['body']}"
                ).encode()

                async def say(request: Any, peer: Any) -> bool:
                    if request.target.startswith(b"/slow"):
                        await peer.send(answer[:40])
                        await peer.gone()
                        return False
                    await peer.send(answer + SECRETS["body"].encode())  # and more than it promised
                    return True

                origins[0].answers(say)
                await use_them_all(("http", "redirecting"), it, origins[0])
                await it.forgotten()
                told = generate_latest(it.running.metrics.registry).decode()
                told += repr(it.records)
                assert it.running.journal.flush()
                assert len(it.records) > 20

    asyncio.run(check())
    written = log.read_text()
    assert len(written.splitlines()) > 20
    told += written + caplog.text
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        events = journal.execute("SELECT event FROM events").fetchall()
    assert len(events) > 20
    told += "".join(file.read_bytes().decode("latin-1") for file in tmp_path.glob("journal.db*"))
    assert "www.contoso.example" in told, "what is no secret is there"
    for name, secret in SECRETS.items():
        for form in forms(secret):
            assert form not in told, name
