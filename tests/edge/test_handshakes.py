"""Connections that came to nothing before HTTP: what the edge tells of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

import pytest

from lyncgate.signin.events import Handshake, HandshakeOutcome
from support import certificates
from support.certificates import EDGE_NAMES
from support.edge import WEB, EdgeUnderTest, edge, policy, until
from support.origin import members
from support.rawhttp import get

REGISTER = b"REGISTER sip:contoso.example SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.1\r\n\r\n"


async def handshake(it: EdgeUnderTest) -> Handshake:
    """The one that was told, as soon as it is."""
    await until(lambda: told(it))
    [event] = told(it)
    assert event.origin == "edge"
    assert time.time() - 60 < event.started < time.time() + 1
    assert event.seconds is not None
    assert event.keys.connection
    assert event.keys.client == "127.0.0.1"
    return event


def told(it: EdgeUnderTest) -> list[Handshake]:
    return [event for event in it.events if isinstance(event, Handshake)]


def trusting_others() -> ssl.SSLContext:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.load_verify_locations(certificates.ca_file("other"))
    return stranger


def seen_of_client(
    name: str | None, tls: ssl.SSLContext, *, sent: bytes = b"", fails: bool = True
) -> Handshake:
    """What is told of a client that asks for `name`, sends this by TLS, and leaves."""

    async def check() -> Handshake:
        async with members(1) as origins, edge(policy(origins)) as it:
            with contextlib.suppress(ssl.SSLError, OSError) if fails else contextlib.nullcontext():
                async with it.https(name, tls=tls) as client:
                    await client.send(sent)
                    if sent:
                        await client.rest()
            event = await handshake(it)
            host, port = it.address("https")
            assert (event.side, event.scheme, event.address) == ("client", "https", f"{host}:{port}")
            assert event.server_name == name
            return event

    return asyncio.run(check())


def old_client() -> ssl.SSLContext:
    """TLS 1.0 and 1.1 only."""
    context = certificates.careless()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_a_client_that_trusts_somebody_else() -> None:
    """By an alert, as most do. asyncio's TLS just closes."""

    async def check() -> Handshake:
        def ask(address: tuple[str, int]) -> None:
            with (
                socket.create_connection(address) as tcp,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                trusting_others().wrap_socket(tcp, server_hostname=WEB)

        async with members(1) as origins, edge(policy(origins)) as it:
            await asyncio.to_thread(ask, it.address("https"))
            return await handshake(it)

    event = asyncio.run(check())
    assert (event.outcome, event.detail) == (HandshakeOutcome.ALERT, "client: unknown ca")
    assert event.versions == ("TLSv1.2", "TLSv1.3")
    assert event.certificate is not None
    assert event.certificate.names == EDGE_NAMES
    assert event.certificate.chain == 1
    assert event.certificate.not_before < time.time() < event.certificate.not_after


def test_a_client_that_hangs_up_in_the_middle() -> None:
    event = seen_of_client(WEB, trusting_others())
    assert (event.outcome, event.detail) == (HandshakeOutcome.CLOSED, "client closed")


def test_a_name_that_is_not_ours() -> None:
    event = seen_of_client("www.example.org", certificates.careless())
    assert (event.outcome, event.detail) == (HandshakeOutcome.ALERT, "edge: unrecognized name")
    assert event.certificate is None, "none was shown"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_client_of_old() -> None:
    event = seen_of_client(WEB, old_client())
    assert (event.outcome, event.versions) == (HandshakeOutcome.ALERT, ("TLSv1", "TLSv1.1"))
    assert event.detail == "edge: no TLS version in common"
    assert event.version is None


def test_a_client_that_looks_at_the_certificate_and_leaves() -> None:
    event = seen_of_client(WEB, certificates.client(), fails=False)
    assert (event.outcome, event.detail) == (HandshakeOutcome.CLOSED, "no request followed")
    assert event.version == "TLSv1.3"


def test_sip_where_http_is_spoken() -> None:
    event = seen_of_client(WEB, certificates.client(), sent=REGISTER)
    assert (event.outcome, event.first_words) == (HandshakeOutcome.NOT_HTTP, "sip")


def test_something_else_where_http_is_spoken() -> None:
    event = seen_of_client(WEB, certificates.client(), sent=b"\0\1\2\3 hello\r\n\r\n")
    assert (event.outcome, event.first_words) == (HandshakeOutcome.NOT_HTTP, "other")


@pytest.mark.parametrize(
    ("listener", "outcome"), [("http", HandshakeOutcome.NOT_HTTP), ("https", HandshakeOutcome.NOT_TLS)]
)
def test_sip_in_clear(listener: str, outcome: HandshakeOutcome) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            async with it.http(listener) as client:
                await client.send(REGISTER)
                await client.rest()
            event = await handshake(it)
            assert (event.first_words, event.outcome, event.scheme) == ("sip", outcome, listener)
            assert it.records[0].keys.exact == event.keys.exact

    asyncio.run(check())


def test_what_is_no_news() -> None:
    """A connection that is opened and closed, as health checks do; one that served a request."""

    async def check() -> None:
        tls = certificates.server(certificates.issued(certificates.POOL_NAME))
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            for listener in ("http", "https"):
                async with it.http(listener):
                    pass
            async with it.https() as client:
                assert (await client.ask(get("/"))).status == 200
            await until(lambda: not it.running.master.proxyserver.connections)
            assert told(it) == []

    asyncio.run(check())


# -- members ------------------------------------------------------------------------------------------


def seen_of_member(files: certificates.CertificateFiles | None, *, stopped: bool = False) -> Handshake:
    """What is told of a member that shows this certificate, or speaks no TLS, or is not there."""

    async def check() -> Handshake:
        tls = certificates.server(files) if files else None
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it:
            if stopped:
                await origins[0].stop()
            async with it.https() as client:
                assert (await client.ask(get("/"))).status in (502, 504)
            event = await handshake(it)
            record = await it.record()
            assert event.keys.connection == record.connection
            address = f"127.0.0.2:{origins[0].port}"
            assert (event.side, event.scheme, event.address) == ("upstream", "https", address)
            return event

    return asyncio.run(check())


def test_a_member_that_is_not_there() -> None:
    assert seen_of_member(None, stopped=True).outcome is HandshakeOutcome.REFUSED


def test_a_member_with_another_name() -> None:
    event = seen_of_member(certificates.issued("other.contoso.local"))
    assert (event.outcome, event.certificate_problem) == (HandshakeOutcome.UNTRUSTED, "name")
    assert event.server_name == certificates.POOL_NAME
    assert event.certificate is not None
    assert event.certificate.names == ("other.contoso.local",)


def test_a_member_of_another_authority() -> None:
    event = seen_of_member(certificates.issued(certificates.POOL_NAME, by="other"))
    assert (event.outcome, event.certificate_problem) == (HandshakeOutcome.UNTRUSTED, "chain")


def test_a_member_that_signs_for_itself() -> None:
    event = seen_of_member(certificates.self_signed(certificates.POOL_NAME))
    assert (event.outcome, event.certificate_problem) == (HandshakeOutcome.UNTRUSTED, "self_signed")


def test_a_member_whose_certificate_has_expired() -> None:
    event = seen_of_member(certificates.self_signed(certificates.POOL_NAME, days=(-9, -1)))
    assert event.outcome is HandshakeOutcome.UNTRUSTED
    assert event.certificate_problem in ("expired", "self_signed")


def test_a_member_without_tls() -> None:
    async def speak_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()
        writer.close()

    async def check() -> None:
        async with members(1) as origins, edge(policy(origins)) as it:
            await origins[0].stop()
            server = await asyncio.start_server(speak_first, origins[0].address, origins[0].port)
            async with server, it.https() as client:
                assert (await client.ask(get("/"))).status == 502
                assert (await handshake(it)).outcome is HandshakeOutcome.NOT_TLS

    asyncio.run(check())
