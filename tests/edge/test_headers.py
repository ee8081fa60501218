"""Header fields on their way: what an edge adds and takes away, and that all else passes unharmed."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import re
import tracemalloc
from typing import Any

import pytest

from lyncgate.policy.policy import Publication
from support import certificates
from support.edge import WEB, edge, policy, until, with_listener
from support.origin import OK, members
from support.rawhttp import Fields, get

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
OURS = {b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Request-Id"}


def seen_upstream(*fields: str, trusted: bool = False) -> tuple[Fields, Any]:
    """What arrives of a request with these fields, and its record."""

    async def check() -> tuple[Fields, Any]:
        async with members(1) as origins:
            rules = policy(origins)
            if trusted:
                rules = with_listener(rules, "http", trusted_proxies=LOOPBACK)
            async with edge(rules) as it, it.http() as client:
                assert (await client.ask(get("/", *fields))).status == 200
                return origins[0].requests[0].fields, await it.record()

    return asyncio.run(check())


def values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name]


def seen_downstream(answer: bytes, *, method: str = "GET") -> Any:
    async def check() -> Any:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(answer)
            reply = await client.ask(get(method=method))
            assert (await client.ask(get(method=method))).raw_head == reply.raw_head, "the connection is kept"
            return reply

    return asyncio.run(check())


def test_who_is_asking() -> None:
    fields, record = seen_upstream()
    assert values(fields, b"x-forwarded-for") == [b"127.0.0.1"]
    assert values(fields, b"x-forwarded-proto") == [b"http"]
    assert values(fields, b"x-forwarded-host") == [WEB.encode()]
    assert values(fields, b"x-request-id") == [record.id.encode()]
    assert values(fields, b"host") == [WEB.encode()]
    assert record.source_ip == "127.0.0.1"


def test_what_a_client_says_of_itself_is_dropped() -> None:
    claims = (
        "X-Forwarded-For: 192.0.2.1",
        "x-forwarded-for: 192.0.2.2, 192.0.2.3",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=192.0.2.1",
        "X-Real-IP: 192.0.2.1",
        "X-Request-Id: mine",
        "X-Forwarded-Port: 1192.0.2",
        "X-Original-URL: /evil",
        "X-Rewrite-Url: /evil",
        "x-original-host: evil.example",
    )
    fields, record = seen_upstream(*claims)
    assert not [value for _, value in fields if b"192.0.2" in value or b"evil" in value or value == b"mine"]
    assert values(fields, b"x-forwarded-for") == [b"127.0.0.1"]
    assert record.source_ip == "127.0.0.1"


def test_what_a_trusted_proxy_says_is_kept() -> None:
    fields, record = seen_upstream(
        "X-Forwarded-For: 198.51.100.7, 203.0.113.9",
        "X-Forwarded-For: 127.0.0.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: meet.contoso.example",
        trusted=True,
    )
    assert values(fields, b"x-forwarded-for") == [b"198.51.100.7, 203.0.113.9, 127.0.0.9, 127.0.0.1"]
    assert values(fields, b"x-forwarded-proto") == [b"https"]
    assert values(fields, b"x-forwarded-host") == [b"meet.contoso.example"]
    assert record.source_ip == "203.0.113.9", "the first from the right that is no proxy of ours"


@pytest.mark.parametrize(
    ("chain", "source"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 127.0.0.2, 127.0.0.3", "203.0.113.9"),
        ("198.51.100.7, rubbish", "127.0.0.1"),
        ("203.0.113.9, rubbish, 127.0.0.2", "127.0.0.2"),
        ("2001:db8::7", "2001:db8::7"),
        ("", "127.0.0.1"),
    ],
)
def test_source_behind_proxies(chain: str, source: str) -> None:
    _, record = seen_upstream(f"X-Forwarded-For: {chain}", trusted=True)
    assert record.source_ip == source


def test_sources_of_a_publication_are_judged_behind_proxies() -> None:
    """And not by what anybody may write in a header."""

    async def check() -> None:
        async with members(1) as origins:
            allowed = (ipaddress.ip_network("203.0.113.0/24"),)
            rules = dataclasses.replace(
                policy(origins), publications=(Publication("p", (WEB,), "pool01", sources=allowed),)
            )
            for trusted, expected in ((LOOPBACK, 200), ((), 403)):
                async with (
                    edge(with_listener(rules, "http", trusted_proxies=trusted)) as it,
                    it.http() as client,
                ):
                    assert (await client.ask(get("/", "X-Forwarded-For: 203.0.113.9"))).status == expected

    asyncio.run(check())


def test_hop_by_hop_fields_stay_behind() -> None:
    fields, _ = seen_upstream(
        "Connection: keep-alive, X-Private,X-More",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic c2VjcmV0",
        "TE: trailers",
        "Trailer: Expires",
        "Upgrade: h2c",
        "X-Private: 1",
        "x-more: 2",
        "X-Kept: 3",
    )
    assert {name for name, _ in fields} == {b"Host", b"X-Kept"} | OURS


def test_connection_can_not_strip_what_matters() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            fields = (
                "Connection: Host, Content-Length, Authorization, Transfer-Encoding, X-Forwarded-For",
                "Authorization: NTLM x",
                "Content-Length: 5",
            )
            assert (await client.ask(get("/", *fields, method="POST") + b"hello")).status == 200
            [request] = origins[0].requests
            assert request.body == b"hello"
            assert request.value("authorization") == b"NTLM x"
            assert request.value("host") == WEB.encode()
            assert request.value("x-forwarded-for") == b"127.0.0.1"

    asyncio.run(check())


def test_everything_else_goes_up_as_it_came() -> None:
    """Case, order, spacing inside values, repetitions, and bytes beyond ASCII."""
    sent = (
        "uSER-aGENT: Lync/1.0  (x;  y)",
        "Cookie: a=b; c=d",
        "X-MS-WebTicket: opaque=a,b ,c",
        "X-Twice: 1",
        'SOAPAction: "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue"',
        "x-twice: 2",
        "X-Latin: \xe9\xff",
        "X-Empty:",
    )
    fields, _ = seen_upstream(*sent)
    arrived = [(name, value) for name, value in fields if name not in OURS | {b"Host"}]
    expected = [line.encode("latin-1").partition(b":") for line in sent]
    assert arrived == [(name, value.strip()) for name, _, value in expected]


def test_nothing_says_what_runs_here() -> None:
    reply = seen_downstream(
        b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/8.5\r\nX-Powered-By: ASP.NET\r\n"
        b"X-AspNet-Version: 4.0.30319\r\nContent-Length: 0\r\n"
        b"Via: 1.1 tmg\r\nX-AspNetMvc-Version: 5\r\nX-MS-Server-Fqdn: fe01.contoso.local\r\n\r\n"
    )
    assert reply.fields == [(b"Content-Length", b"0"), (b"X-MS-Server-Fqdn", b"fe01.contoso.local")]


def test_answers_come_down_as_they_are() -> None:
    head = (
        b"HTTP/1.1 207 Something Else\r\ncontent-TYPE: text/html;  charset=utf-8\r\n"
        b"Set-Cookie: a=1\r\nX-Z: 1\r\n"
        b"Set-Cookie: b=2; expires=Wed, 09 Jun 2027 10:18:14 GMT\r\n"
        b'X-A: \xe9\r\nETag: "x"\r\nContent-Length: 2'
    )
    assert seen_downstream(head + b"\r\n\r\nok").raw_head == head


def test_hop_by_hop_fields_of_answers_stay_behind() -> None:
    reply = seen_downstream(
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert reply.fields == [(b"Content-Length", b"0")]


@pytest.mark.parametrize("said", ["close", "Close", "keep-alive, CLOSE"])
def test_a_member_that_closes_ends_the_clients_connection(said: str) -> None:
    """The two sides of an NTLM sign-in live equally long."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            origins[0].answers(OK.replace(b"\r\n\r\n", f"\r\nConnection: {said}\r\n\r\n".encode()))
            await client.send(get())
            raw = await client.rest()
            assert b"\r\nConnection: close\r\n" in raw
            assert raw.endswith(b"ok")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("answer", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", "GET"),
    ],
)
def test_answers_without_a_body(answer: bytes, method: str) -> None:
    assert seen_downstream(answer, method=method).raw_head + b"\r\n\r\n" == answer


def test_chunks_stay_chunks() -> None:
    reply = seen_downstream(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert reply.body == b"abcde"
    assert reply.values("content-length") == []


def test_hsts_over_https_only() -> None:
    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1) as plain, members(1, tls=tls) as secure:
            rules = policy(
                plain, bridge=dataclasses.replace(policy(secure).pools["pool01"].bridge, http=plain[0].port)
            )
            for name in rules.listeners:
                rules = with_listener(rules, name, hsts=31536000)
            async with edge(rules) as it:
                async with it.http() as client:
                    assert (await client.ask(get())).value("strict-transport-security") is None
                async with it.https() as client:
                    for target in ("/", "/x"):
                        reply = await client.ask(get(target))
                        assert reply.value("strict-transport-security") == b"max-age=31536000"
                    denied = await client.ask(get(host="www.contoso.example"))
                    assert denied.status == 404
            async with edge(with_listener(rules, "https", hsts=None)) as it, it.https() as client:
                assert (await client.ask(get())).value("strict-transport-security") is None

    asyncio.run(check())


def test_no_answer_of_our_own_names_a_product() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins, body_limit=10)) as it:
            raw = b""
            for listener in ("http", "redirecting"):
                for request in (
                    get(host="www.contoso.example"),
                    get(host="lyncdiscover.contoso.example"),
                    get("http://mitm.it/", host="mitm.it"),
                    get(host="mitm.it"),
                    get("/", "Content-Length: 11", method="POST") + b"x" * 11,
                    get(method="TRACE"),
                    b"rubbish\r\n\r\n",
                ):
                    async with it.http(listener) as client:
                        await client.send(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                        raw += await client.rest()
            await origins[0].stop()
            async with it.http() as client:
                await client.send(get())
                raw += await client.rest()
            assert raw.count(b"HTTP/1.1") >= 15
            assert not re.search(rb"(?i)mitm|python|lyncgate|\r\nserver:|\r\nvia:|errno|refused", raw)

    asyncio.run(check())


@pytest.mark.engines("lane")  # stock leaves circles, and nothing collects them here
def test_a_client_can_not_fill_the_memory() -> None:
    """Connection and Host are remembered for they say always the same few things. What says others is not."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:

            async def ask(number: int) -> None:
                words = ",".join(f"{number:x}{word:x}" for word in range(0x1000, 0x3000))
                async with it.http() as client:
                    assert (await client.ask(get("/", f"Connection: {words}"))).status == 200
                async with it.http() as client:
                    assert (await client.ask(get(host=f"{number}" + "a" * 50_000))).status == 400

            await ask(0)
            tracemalloc.start()
            try:
                for number in range(1, 33):
                    await ask(number)
                await until(lambda: not it.clients)
                origins[0].requests.clear()
                assert tracemalloc.get_traced_memory()[0] < 2_000_000
            finally:
                tracemalloc.stop()

    asyncio.run(check())


def test_a_method_that_is_not_published_is_told_which_are() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = policy(origins, methods=frozenset({"POST", "GET"}))
            async with edge(rules) as it, it.http() as client:
                reply = await client.ask(get("/", method="DELETE"))
                assert (reply.status, reply.value("allow"), reply.body) == (405, b"GET, POST", b"")
            assert origins[0].connections == 0

    asyncio.run(check())
