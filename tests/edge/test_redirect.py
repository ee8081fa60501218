"""From HTTP to HTTPS: the same URL, and never to a name that is not published."""

from __future__ import annotations

import asyncio

import pytest

from support.edge import DISCOVER, WEB, edge, policy, with_listener
from support.origin import members
from support.rawhttp import get, post


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_status_by_rule_and_method(status: int) -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = with_listener(policy(origins), "redirecting", redirect_status=status)
            async with edge(rules) as it, it.http("redirecting") as client:
                for method, expected in {
                    "GET": status,
                    "HEAD": status,
                    "OPTIONS": 308,
                    "DELETE": 308,
                }.items():
                    reply = await client.ask(get("/x", method=method))
                    assert reply.status == expected
                    assert reply.value("location") == f"https://{WEB}/x".encode()
                    assert reply.value("content-length") == b"0"
                assert (await client.ask(post(b"body", "/x"))).status == 308, "keeps method and body"
                records = it.records
            assert origins[0].connections == 0
            assert [(r.decision, r.outcome, r.ended_by) for r in records] == [("redirect", "ok", "proxy")] * 5
            assert records[0].status == status

    asyncio.run(check())


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/alice/K2J7?a=b&c=%2F%3d%20+&&=",
        "/a%20b/%C3%A9;x=y?",
        "/?q=https://evil.example/",
        "//evil.example/x",
        "/A/b/C?D=E",
    ],
)
def test_path_and_query_byte_for_byte(target: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http("redirecting") as client:
            reply = await client.ask(get(target))
            assert reply.value("location") == f"https://{WEB}{target}".encode()

    asyncio.run(check())


@pytest.mark.parametrize("host", [f"{WEB}:80", f"{WEB}:8080", WEB.upper(), f"{WEB}.", f"{WEB}.:80"])
def test_other_ways_to_write_the_host(host: str) -> None:
    """All of them are that name, and the answer has it in its plain form."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http("redirecting") as client:
            reply = await client.ask(get("/x", host=host))
            assert (reply.status, reply.value("location")) == (307, f"https://{WEB}/x".encode())

    asyncio.run(check())


@pytest.mark.parametrize(
    "host",
    [
        "www.contoso.example",
        "evil.example",
        f"{WEB}.evil.example",
        f"{WEB}@evil.example",
        f"evil.example@{WEB}",
        f"evil.example/{WEB}",
        f"{WEB}/evil.example",
        f"{WEB},evil.example",
        f"{WEB} evil.example",
        f"{WEB}:443@evil.example",
        f"{WEB}#evil.example",
        f"{WEB}\\evil.example",
        f"{WEB}%0d%0aLocation: evil.example",
        "",
    ],
)
def test_no_redirect_for_anything_else(host: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http("redirecting") as client:
            await client.send(get("/x", "X-Forwarded-Host: evil.example", "Connection: close", host=host))
            raw = await client.rest()
            assert raw.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), raw
            assert b"ocation" not in raw
            assert b"evil" not in raw

    asyncio.run(check())


def test_what_a_publication_excludes_is_not_redirected() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(policy(origins, excluded=("/cscp",))) as it,
            it.http("redirecting") as client,
        ):
            assert (await client.ask(get("/CSCP/x"))).status == 404
            assert (await client.ask(get("/other"))).status == 307

    asyncio.run(check())


def test_lyncdiscover_is_answered_not_redirected() -> None:
    """Real clients follow no 3xx there (protocol reference F10)."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http("redirecting") as client:
            for target in ("/", "/?sipuri=sip:alice@contoso.example"):
                reply = await client.ask(get(target, host=DISCOVER))
                assert reply.status == 200
                assert reply.value("location") is None
            assert [record.decision for record in it.records] == ["answer", "answer"]

    asyncio.run(check())


def test_a_client_that_leaves_before_its_body_is_through() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http("redirecting") as client:
                await client.send(get("/x", "Content-Length: 10", method="POST") + b"half")
                await client.abort()
                record = await it.record()
            assert (record.outcome, record.status, record.ended_by) == ("client_gone", None, "client")

    asyncio.run(check())


def test_a_question_about_the_server_stays_with_that_server() -> None:
    """`*` is no path (RFC 9112 §3.2.4): behind the host it would be part of its name."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http("redirecting") as client:
            reply = await client.ask(get("*", method="OPTIONS"))
            assert (reply.status, reply.value("location")) == (308, f"https://{WEB}".encode())

    asyncio.run(check())
