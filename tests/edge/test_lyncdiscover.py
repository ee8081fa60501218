"""Discovery: answered by the edge on port 80, forwarded to the pool's service on 443."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import xml.etree.ElementTree as ET

import pytest

from lyncgate.lync.names import AUTODISCOVER_ROOT
from lyncgate.policy.policy import Discover
from support import certificates
from support.edge import DISCOVER, WEB, edge, policy
from support.origin import members
from support.rawhttp import get

V1_JSON = b"application/vnd.microsoft.rtc.autodiscover+json;v=1"
V1_XML = b"application/vnd.microsoft.rtc.autodiscover+xml;v=1"
ROOT_URL = f"https://{WEB}{AUTODISCOVER_ROOT}"


def pool_tls() -> object:
    return certificates.server(certificates.issued(certificates.POOL_NAME))


@pytest.mark.parametrize("listener", ["http", "redirecting"])
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, V1_JSON),
        ("*/*", V1_JSON),
        ("application/vnd.microsoft.rtc.autodiscover+xml;v=1", V1_XML),  # SIPE: must start with exactly this
        ("application/vnd.microsoft.rtc.autodiscover+json;v=1", V1_JSON),
        ("application/json", b"application/json"),
        ("application/xml", b"application/xml"),
    ],
)
def test_answered_on_http(listener: str, accept: str | None, content_type: bytes) -> None:
    """200 with the single Redirect token, in the representation asked for, whole and with its length."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http(listener) as client:
            fields = [f"Accept: {accept}"] if accept else []
            reply = await client.ask(get("/?sipuri=alice@contoso.example", *fields, host=DISCOVER))
            assert reply.status == 200
            assert reply.value("content-type") == content_type
            assert reply.value("content-length") == str(len(reply.body)).encode()
            assert reply.value("transfer-encoding") is None
            wanted = f"{ROOT_URL}?sipuri=alice@contoso.example"
            if b"json" in content_type:
                document = json.loads(reply.body)
                text = json.dumps(document)
                assert wanted in text
                assert text.lower().count("redirect") == 1
            else:
                [link] = [e for e in ET.fromstring(reply.body).iter() if e.get("href") == wanted]
                assert "edirect" in (link.get("token") or link.get("rel") or "")
            head = await client.ask(
                get("/?sipuri=alice@contoso.example", *fields, host=DISCOVER, method="HEAD")
            )
            assert head.body == b""
            assert head.value("content-length") == reply.value("content-length")
            assert head.value("content-type") == content_type
            assert (await client.ask(get("/", host=DISCOVER))).status == 200, "the connection is kept"
            first, second = it.records[:2]
            assert (first.decision, first.outcome, first.ended_by, first.pool) == (
                "answer",
                "ok",
                "proxy",
                None,
            )
            assert (first.response_bytes, second.response_bytes) == (len(reply.body), 0)
            assert first.sip_user == "alice@contoso.example"
            assert origins[0].connections == 0

    asyncio.run(check())


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?sipuri=alice@contoso.example",
        "?sipuri=sip:alice@contoso.example",
        "?sipuri=sip%3Aalice%40contoso.example",
        "?SIPURI=SIP:ALICE@CONTOSO.EXAMPLE",
        "?sipuri=alice@contoso.example&sipuri=bob@contoso.example",
        "?sipuri=",
        "?sipuri=%zz%%&&==",
        "?sipuri=mallory@elsewhere.example",
        "?",
    ],
)
def test_forwarded_on_https(query: str) -> None:
    """The query arrives byte for byte, and so do the fields that clients and pools know each other by."""

    async def check() -> None:
        async with members(1, tls=pool_tls()) as origins, edge(policy(origins)) as it:
            async with it.https(DISCOVER) as client:
                fields = (
                    "Accept: application/vnd.microsoft.rtc.autodiscover+xml;v=1",
                    "X-MS-WebTicket: opaque=secret",
                    "x-ms-CLIENT: Lync Mobile",
                )
                reply = await client.ask(get(f"/{query}", *fields, host=DISCOVER))
                assert reply.status == 200
            [request] = origins[0].requests
            assert request.target == f"{AUTODISCOVER_ROOT}{query}".encode()
            assert request.value("host") == DISCOVER.encode()
            assert request.value("accept") == V1_XML
            assert (b"X-MS-WebTicket", b"opaque=secret") in request.fields
            assert (b"x-ms-CLIENT", b"Lync Mobile") in request.fields
            record = await it.record()
            assert (record.publication, record.pool, record.stage) == ("lyncdiscover", "pool01", "discover")

    asyncio.run(check())


def test_the_service_itself_is_forwarded_as_asked() -> None:
    async def check() -> None:
        async with (
            members(1, tls=pool_tls()) as origins,
            edge(policy(origins)) as it,
            it.https(DISCOVER) as client,
        ):
            target = "/Autodiscover/autodiscoverservice.SVC/root/user?originalDomain=contoso.example"
            assert (await client.ask(get(target, host=DISCOVER))).status == 200
            assert origins[0].requests[0].target == target.encode()
            assert (await client.ask(get("/other", host=DISCOVER))).status == 404

    asyncio.run(check())


def test_separate_challenges_stay_separate() -> None:
    """Merged into one line they can't be told apart by every client (protocol reference §2.4)."""
    challenges = [b'Bearer trusted_issuers="a@b, c@d", client_id="00000004"', b"NTLM", b"Negotiate"]

    async def check() -> None:
        async with (
            members(1, tls=pool_tls()) as origins,
            edge(policy(origins)) as it,
            it.https(DISCOVER) as client,
        ):
            lines = b"".join(b"WWW-Authenticate: %s\r\n" % challenge for challenge in challenges)
            origins[0].answers(
                b"HTTP/1.1 401 Unauthorized\r\n"
                + lines
                + b"X-MS-WebTicketURL: https://lyncweb.contoso.example/WebTicket\r\n"
                b"X-MS-WebTicketSupported: cwt,saml\r\nContent-Length: 0\r\n\r\n"
            )
            reply = await client.ask(get("/", host=DISCOVER))
            assert reply.status == 401
            assert reply.values("www-authenticate") == challenges
            assert reply.value("x-ms-webticketurl") == b"https://lyncweb.contoso.example/WebTicket"
            assert reply.value("x-ms-webticketsupported") == b"cwt,saml"

    asyncio.run(check())


def test_redirected_where_the_rule_says_so() -> None:
    async def check() -> None:
        async with members(1, tls=pool_tls()) as origins:
            rules = policy(origins)
            domain = dataclasses.replace(rules.domains["contoso.example"], https=Discover.REDIRECT)
            rules = dataclasses.replace(rules, domains={"contoso.example": domain})
            async with edge(rules) as it, it.https(DISCOVER) as client:
                reply = await client.ask(get("/?sipuri=alice%40contoso.example", host=DISCOVER))
                assert reply.status == 307
                assert reply.value("location") == f"{ROOT_URL}?sipuri=alice%40contoso.example".encode()
                assert origins[0].connections == 0

    asyncio.run(check())


def test_discovery_is_read_only() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            reply = await client.ask(get("/", "Content-Length: 0", host=DISCOVER, method="POST"))
            assert (reply.status, reply.body) == (405, b"")
            assert reply.value("allow") == b"GET, HEAD, OPTIONS"

    asyncio.run(check())
