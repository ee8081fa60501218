"""Servers that answer with anything but what they should: a probe ends with lines, in time."""

import asyncio
import json
from pathlib import Path

import pytest

from lyncgate.cli.verdicts import document, summary
from lyncgate.lync import autodiscover
from lyncgate.policy.policy import CertificateFiles
from lyncgate.probe.check import Report, Verdict
from lyncgate.probe.plan import Lead, Plan
from lyncgate.probe.ticket import Credentials
from lyncgate.probe.walk import probe
from probe.walks import bad, trust
from support import certificates
from support.origin import Answer, Origin, Peer, Received, members

ALICE = "alice@contoso.example"
DISCOVER = "lyncdiscover.contoso.example"
WEB = "https://lyncweb.contoso.example"
PATIENCE = 0.5


def walk(answer: bytes | Answer, shown: CertificateFiles | None = None, **options: object) -> Report:
    """Probe one server that stands for all names, and that speaks TLS on the port of 80 as well."""

    async def run() -> Report:
        tls = certificates.server(shown or certificates.issued(*certificates.EDGE_NAMES))
        async with members(1, tls=tls) as (origin,):
            origin.answers(answer)
            return await _probe(origin, options)

    return asyncio.run(run())


async def _probe(origin: Origin, options: dict[str, object]) -> Report:
    plan = Plan(
        user=ALICE,
        leads=(Lead(None, 443, origin.address, origin.port), Lead(None, 80, origin.address, origin.port)),
        inside=False,
        **{"patience": PATIENCE, "poll": 0.0, "connections": 2, **options},  # type: ignore[arg-type]
    )
    async with asyncio.timeout(60):
        return await probe(plan, Credentials(ALICE, "secret"), trust(Path(certificates.ca_file())))


def http(body: bytes, content_type: str = "text/html", status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


def links(**tokens: str) -> bytes:
    listed = [{"token": token, "href": href} for token, href in tokens.items()]
    return json.dumps({"AccessLocation": "External", "Root": {"Links": listed}}).encode()


def said(report: Report, what: str) -> str:
    return "; ".join(check.said for check in report.checks if what in check.what)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "no HTTP"),
        (b"\x00" * 100_000, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "no answer in time"),
        (http(b"{", autodiscover.JSON), "no document that phones take"),
        (http(b'{"Root": {"Links": 5}}', autodiscover.JSON), "no document that phones take"),
        (http(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", autodiscover.XML), "no document that phones take"),
        (http(b"", "text/html", "302 Found", f"Location: https://{DISCOVER}/"), "a circle"),
        (http(b"", "text/html", "302 Found", "Location: https://contoso.example:notaport/"), "no URL"),
        (http(links(User="https://[broken"), autodiscover.JSON), "AccessLocation External"),
        (http(links(Redirect=f"{WEB}:4443/x"), autodiscover.JSON), "port 4443"),
    ],
)
def test_any_answer_ends_in_a_line(answer: bytes, words: str) -> None:
    report = walk(answer)
    assert words in said(report, f"GET https://{DISCOVER}/")
    assert not report.ok
    assert report.sign_in.outcome != "ok"


def test_a_body_without_an_end_is_not_read_for_ever() -> None:
    async def endless(_request: Received, peer: Peer) -> bool:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    report = walk(endless, patience=5.0)
    assert "a body of more than 1048576 bytes" in said(report, f"GET https://{DISCOVER}/")


def test_the_password_is_shown_to_nobody_without_https() -> None:
    """A document that leads to plain HTTP, or to a port of somebody's choice, leads nowhere."""
    for href in ("http://lyncweb.contoso.example/user", f"{WEB}:8443/user"):
        report = walk(http(links(User=href), autodiscover.JSON))
        assert "User, " in "; ".join(check.what for check in report.checks)
        assert not [check for check in report.checks if check.stage == "ticket"]


def test_tickets_are_not_had_at_any_url() -> None:
    async def answer(request: Received, peer: Peer) -> None:
        if b"/user" in request.line:
            url = "X-MS-WebTicketURL: http://lyncweb.contoso.example/WebTicket"
            await peer.send(http(b"", "text/html", "401 Unauthorized", url))
        else:
            await peer.send(http(links(User=f"{WEB}/user"), autodiscover.JSON))

    report = walk(answer)
    assert "where nobody should show a password" in said(report, "web ticket service")
    assert not [event for event in report.events if getattr(event, "method", "") == "POST"]


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    files = certificates.self_signed(*certificates.EDGE_NAMES, days=(-1, 5))

    async def run() -> Report:
        async with members(1, tls=certificates.server(files)) as (origin,):
            plan = Plan(user=ALICE, leads=(Lead(None, None, origin.address, origin.port),), inside=False)
            return await probe(plan, None, trust(Path(files.cert)))

    (check,) = [c for c in asyncio.run(run()).checks if c.what == f"TLS for {DISCOVER}"]
    assert check.verdict is Verdict.WARN
    assert check.said.startswith("expires in ")


def test_an_expired_certificate_is_told_and_not_trusted() -> None:
    files = certificates.self_signed(*certificates.EDGE_NAMES, days=(-5, -1))
    report = walk(http(b""), files)
    assert "expired" in said(report, f"TLS for {DISCOVER}")
    assert bad(report)


def test_a_server_that_speaks_no_tls() -> None:
    async def run() -> Report:
        async with members(1) as (origin,):
            return await _probe(origin, {})

    report = asyncio.run(run())
    (check,) = [c for c in report.checks if c.what == f"TLS for {DISCOVER}"]
    assert check.verdict is Verdict.FAIL


def test_a_kept_connection_that_was_closed_is_no_failure() -> None:
    """The server answers once a connection, says nothing of it, and closes when it is asked again."""
    asked: dict[int, int] = {}

    async def answer(request: Received, peer: Peer) -> bool:
        asked[peer.number] = asked.get(peer.number, 0) + 1
        if asked[peer.number] > 1:
            return False
        await peer.send(http(links(User="https://www.fabrikam.example/user"), autodiscover.JSON))
        return True

    report = walk(answer)
    forms = [check for check in report.checks if check.what.startswith("root as")]
    assert len(forms) == 3
    assert 2 in asked.values()  # so it did close one that was kept
    assert said(report, "root as application/json").startswith("comes as application/vnd")
    assert not any("closed" in check.said for check in forms)


def test_stopped_before_anything_was_seen() -> None:
    async def run() -> Report:
        task = asyncio.ensure_future(
            probe(Plan(user=ALICE, dns=(("192.0.2.1", 53),)), None, trust(Path(certificates.ca_file())))
        )
        await asyncio.sleep(0)
        task.cancel()
        return await task

    report = asyncio.run(run())
    assert not report.complete
    assert report.sign_in is None
    assert document(report)["sign_in"] is None
    assert "Stopped before the end" in str(summary(report))
