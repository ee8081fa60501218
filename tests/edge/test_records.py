"""One record for each request, however it ends, with what happened and what did not."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from support import certificates
from support.edge import DISCOVER, WEB, edge, policy
from support.origin import OK, members
from support.rawhttp import get, post

EVENTS = "/ucwa/oauth/v1/applications/1/events?ack=1"
OURS = {Phase.REQUEST_HEADERS, Phase.TOTAL}  # of an answer that the edge makes itself
FORWARDED = OURS | {Phase.ROUTE, Phase.WAIT, Phase.RESPONSE_BODY}
CONNECTED = FORWARDED | {Phase.CONNECT}


def sums(record: Exchange) -> None:
    """No phase is longer than the whole, and those that follow one another are not together either."""
    total = record.phases[Phase.TOTAL]
    assert total is not None
    follow = [
        seconds for phase, seconds in record.phases.items() if phase not in (Phase.TOTAL, Phase.CLIENT_TLS)
    ]
    assert sum(seconds or 0.0 for seconds in follow) <= total + 0.005, record.phases
    assert all(seconds is None or seconds >= 0 for seconds in record.phases.values())


def pool_tls() -> Any:
    return certificates.server(certificates.issued(certificates.POOL_NAME))


def test_what_a_record_says() -> None:
    async def check() -> None:
        async with members(1, tls=pool_tls()) as origins, edge(policy(origins)) as it, it.https() as client:
            origins[0].answers(
                b"HTTP/1.1 200 OK\r\nX-MS-Server-Fqdn: fe01.contoso.local\r\nContent-Length: 2\r\n\r\nok"
            )
            await client.ask(post(b"hello", "/WebTicket/x?secret=1", "User-Agent: " + "Lync/1.0 " * 40))
            await client.ask(get("/2"))
            first, second = it.records
            assert (first.listener, first.scheme, first.source_ip) == ("https", "https", "127.0.0.1")
            assert (first.method, first.host, first.path) == ("POST", WEB, "/webticket/x")
            assert (first.decision, first.rule, first.publication) == ("forward", 'publication "web"', "web")
            assert (first.pool, first.member, first.attempts) == ("pool01", "fe01", 1)
            assert (first.status, first.outcome, first.ended_by) == (200, Outcome.OK, Source.UPSTREAM)
            assert (first.request_bytes, first.response_bytes) == (5, 2)
            assert (first.server_fqdn, first.kind, first.reason) == ("fe01.contoso.local", Kind.REQUEST, None)
            assert first.user_agent is not None
            assert len(first.user_agent) == 128
            assert first.connection == second.connection
            assert first.id != second.id
            assert [request.value("x-request-id") for request in origins[0].requests] == [
                first.id.encode(),
                second.id.encode(),
            ]
            assert 0 <= second.started - first.started < 5
            assert (first.reused, second.reused) == (False, True)
            assert set(first.phases) == CONNECTED | {Phase.CLIENT_TLS, Phase.UPSTREAM_TLS, Phase.REQUEST_BODY}
            assert set(second.phases) == FORWARDED, "absent, not 0"
            assert None not in first.phases.values()
            sums(first)
            sums(second)

    asyncio.run(check())


def test_phases_measure_what_they_say() -> None:
    """The member takes its time at each step."""
    pause = 0.15

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:

            async def slowly(_: Any, peer: Any) -> None:
                await asyncio.sleep(pause)
                await peer.send(OK[:-2])
                await asyncio.sleep(2 * pause)
                await peer.send(OK[-2:])

            origins[0].answers(slowly)
            request = post(b"hello")
            await client.send(request[:-1])
            await asyncio.sleep(3 * pause)
            await client.send(request[-1:])
            await client.reply()
            [record] = it.records
            for phase, expected in (
                (Phase.REQUEST_BODY, 3 * pause),
                (Phase.WAIT, pause),
                (Phase.RESPONSE_BODY, 2 * pause),
                (Phase.TOTAL, 6 * pause),
            ):
                seconds = record.phases[phase]
                assert seconds is not None
                assert expected - 0.01 <= seconds < expected + pause, phase
            sums(record)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("request_bytes", "status", "decision", "reason", "publication"),
    [
        (get(host="www.contoso.example"), 404, "deny", "not_published", "_none"),
        (get("/%00"), 400, "deny", "ambiguous_path", "_none"),
        (get(host="a/b"), 400, "deny", "bad_host", "_none"),
        (get("/" + "a" * 9000), 414, "deny", "url_too_long", "_none"),
        (get("/?sipuri=bob@contoso.example", host=DISCOVER), 200, "answer", None, "lyncdiscover"),
    ],
)
def test_answers_of_our_own(
    request_bytes: bytes, status: int, decision: str, reason: str | None, publication: str
) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            assert (await client.ask(request_bytes)).status == status
            [record] = it.records
            assert (record.status, record.reason) == (status, reason)
            assert record.ended_by is Source.PROXY
            assert record.outcome is (Outcome.DENIED if reason else Outcome.OK)
            if reason != "url_too_long":  # refused before it was a request
                assert (record.decision, record.publication) == (decision, publication)
                assert set(record.phases) == OURS
            assert (record.pool, record.member, record.attempts, record.reused) == (None, None, 0, None)
            assert it.rejections(reason) == 1 if reason else True

    asyncio.run(check())


def test_exactly_one_record_each() -> None:
    """Whatever clients and members do, at the same time."""

    async def check() -> None:
        rules_timeouts = {"poll": 2.0}
        async with members(2) as origins, edge(policy(origins, body_limit=100, **rules_timeouts)) as it:

            async def moody(request: Any, peer: Any) -> bool:
                match request.target.split(b"?")[0]:
                    case b"/close":
                        return False
                    case b"/half":
                        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
                        return False
                    case b"/garbage":
                        await peer.send(b"garbage\r\n\r\n")
                        return False
                    case b"/never":
                        await peer.gone()
                        return False
                await peer.send(OK)
                return True

            for origin in origins:
                origin.answers(moody)

            async def one(number: int) -> None:
                kinds = ("ok", "close", "half", "garbage", "never", "leave", "large", "deny")
                kind = kinds[number % len(kinds)]
                # A client that leaves is known at once in TLS; else it may have sent all that it had to say.
                async with it.https() if kind == "leave" else it.http() as client:
                    if kind == "leave":
                        await client.send(get("/never?leave"))
                        await asyncio.sleep(0.01 * (number % 7))
                        await client.abort()
                    elif kind == "large":
                        await client.send(post(b"x" * 101, "/large"))
                        await client.rest()
                    elif kind == "deny":
                        assert (await client.ask(get("/deny", host="www.contoso.example"))).status == 404
                    else:
                        await client.send(get(f"/{kind}", "Connection: close"))
                        await client.rest()

            await asyncio.gather(*[one(number) for number in range(160)])
            await it.forgotten()
            ended: dict[str, list[tuple[str, int | None, str]]] = {}
            for record in it.records:
                sums(record)
                ended.setdefault(record.path, []).append(
                    (record.outcome or "", record.status, record.ended_by)
                )
            assert {path: set(how) for path, how in ended.items() if path != "/never"} == {
                "/ok": {("ok", 200, "upstream")},
                "/close": {("upstream_reset", 502, "upstream")},
                "/half": {("upstream_reset", 200, "upstream")},
                "/garbage": {("upstream_invalid", 502, "upstream")},
                "/large": {("body_too_large", 413, "proxy")},
                "/deny": {("denied", 404, "proxy")},
            }
            assert {path: len(how) for path, how in ended.items() if path != "/never"} == dict.fromkeys(
                ("/ok", "/close", "/half", "/garbage", "/large", "/deny"), 20
            )
            # Who left before the head was read was nobody; the others are one record each.
            assert set(ended["/never"]) == {
                ("upstream_timeout", 504, "proxy"),
                ("client_gone", None, "client"),
            }
            assert 20 < len(ended["/never"]) <= 40
            assert len({record.id for record in it.records}) == len(it.records)

    asyncio.run(check())


def test_users_and_polls() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.ask(get("/?sipuri=sip%3AAlice%40contoso.example", host=DISCOVER))
            await client.ask(get(EVENTS))
            found, poll = it.records
            assert found.sip_user == "alice@contoso.example"
            assert found.stage == "redirect"  # over HTTP its document leads to HTTPS
            assert poll.kind is Kind.POLL

    asyncio.run(check())


def test_records_are_of_known_words_only() -> None:
    """Methods and hosts that a client makes up become `_other`, and paths are cut."""

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it, it.http() as client:
            await client.ask(get("/" + "a" * 5000, method="PROPFIND"))
            await client.ask(get(host="bad host"))
            first, second = it.records
            assert first.method == "_other"
            assert len(first.path) == 256
            assert second.host == "_other"

    asyncio.run(check())


def test_a_reload_in_between_loses_no_record() -> None:
    async def check() -> None:
        async with members(1) as origins:
            rules = policy(origins)
            async with edge(rules) as it, it.http() as client:
                let_go = asyncio.Event()

                async def later(_: Any, peer: Any) -> None:
                    await let_go.wait()
                    await peer.send(OK)

                origins[0].answers(later)
                await client.send(get("/1"))
                await origins[0].received(1)
                await it.running.master.adopt(dataclasses.replace(rules, version="1", publications=()))
                let_go.set()
                assert (await client.reply()).status == 200
                assert (await client.ask(get("/2"))).status == 404
                assert [(r.path, r.outcome, r.publication) for r in it.records] == [
                    ("/1", "ok", "web"),
                    ("/2", "denied", "_none"),
                ]

    asyncio.run(check())
