"""The client's TLS: the right certificate by name, an alert for names that are not ours, never one that was
made up."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import struct

import pytest
from cryptography import x509

from lyncgate.edge.framing import Fault
from lyncgate.policy.policy import Bridge, Policy
from lyncgate.signin.exchange import Outcome
from support import certificates
from support.certificates import EDGE_NAMES, issued
from support.edge import MEET, WEB, EdgeUnderTest, edge, policy, until, with_listener
from support.origin import Origin, members
from support.rawhttp import PATIENCE, Client, connected, get

UNRECOGNIZED_NAME = bytes([21, 3, 3, 0, 2, 2, 112])  # a fatal alert, RFC 6066
PROTOCOL_VERSION = 70

CERTIFICATES = (issued(WEB), issued(MEET), issued("*.fabrikam.example"))


def rules(origins: list[Origin], **changes: object) -> Policy:
    return with_listener(policy(origins, **changes), "https", certificates=CERTIFICATES)


def shown(client: Client) -> tuple[str, ...]:
    """The DNS names of the certificate that a client was shown."""
    der = client.tls.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return tuple(names.value.get_values_for_type(x509.DNSName))


async def refused(it: EdgeUnderTest, sent: bytes, fault: Fault) -> bytes:
    """What came back for these bytes on the TLS listener; counted and recorded once."""
    counted, recorded = it.rejections(fault), len(it.records)
    async with it.http("https") as client:
        await client.send(sent)
        raw = await client.rest()
    await until(lambda: it.rejections(fault) == counted + 1)
    [record] = it.records[recorded:]
    assert (record.outcome, record.reason, record.listener) == (Outcome.DENIED, fault, "https")
    return raw


def client_hello(name: str) -> bytes:
    """A real one, with this SNI."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = certificates.careless().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (WEB, WEB),
        (MEET, MEET),
        (MEET.upper(), MEET),
        ("lyncweb.fabrikam.example", "*.fabrikam.example"),
    ],
)
def test_certificate_by_name(name: str, expected: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it, it.https(name) as client:
            assert shown(client) == (expected,)

    asyncio.run(check())


def test_without_a_name_the_first() -> None:
    """Old phones send none; some send an address, which is none (RFC 6066 §3)."""

    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it:
            for name in (None, "127.0.0.1"):
                async with it.https(name, tls=certificates.careless()) as client:
                    assert shown(client) == (WEB,)

    asyncio.run(check())


@pytest.mark.parametrize(
    "name", ["www.contoso.example", "fabrikam.example", "a.b.fabrikam.example", "mitm.it"]
)
def test_unknown_names_get_an_alert(name: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it:
            assert await refused(it, client_hello(name), Fault.UNKNOWN_NAME) == UNRECOGNIZED_NAME
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                async with it.https(name, tls=certificates.careless()):
                    pass

    asyncio.run(check())


def test_what_is_no_tls() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it:
            await refused(it, get(), Fault.NOT_TLS)
            await refused(it, bytes(range(256)), Fault.NOT_TLS)
            await refused(it, b"\x16\x03\x01\x00\x09\x01\x00\x00\x05hello", Fault.NOT_TLS)
            await refused(it, b"REGISTER sip:contoso.example SIP/2.0\r\nVia: x\r\n\r\n", Fault.SIP)
            endless = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x4000 - 4)
            assert (
                await refused(it, endless + (b"\x16\x03\x01\x40\x00" + bytes(0x4000)) * 8, Fault.NOT_TLS)
                == b""
            )

    asyncio.run(check())


def test_sip_inside_tls() -> None:
    """A SIP client that fell through from a port 5061 it could not reach (protocol reference F19)."""

    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it, it.https() as client:
            await client.send(b"REGISTER sip:contoso.example SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1\r\n\r\n")
            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
            assert it.rejections("sip") == 1

    asyncio.run(check())


def test_a_client_hello_in_pieces() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it, it.http("https") as client:
            hello = client_hello(WEB)
            for byte in hello:
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                answer = await client.reader.readexactly(6)
            assert (answer[0], answer[5]) == (22, 2), "a ServerHello"

    asyncio.run(check())


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", client_hello(WEB)[:-1], client_hello(WEB)])
def test_a_slow_handshake(sent: bytes) -> None:
    """From silence to a ServerHello that is never answered."""

    async def check() -> None:
        async with members(1) as origins, edge(rules(origins, handshake=0.2)) as it:
            started = asyncio.get_running_loop().time()
            async with it.http("https") as client:
                await client.send(sent)
                await client.rest()
                assert asyncio.get_running_loop().time() - started >= 0.15
            assert it.rejections("handshake_timeout") == 1
            assert (await it.record()).status is None

    asyncio.run(check())


def test_a_handshake_in_time_is_left_alone() -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins, handshake=0.2)) as it, it.https() as client:
            loop = asyncio.get_running_loop()
            until_then = loop.time() + 0.4
            while loop.time() < until_then:
                assert (await client.ask(get(host="www.contoso.example"))).status == 404
            assert it.rejections("handshake_timeout") == 0

    asyncio.run(check())


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None), ([], None)],
)
def test_alpn(offered: list[str], chosen: str | None) -> None:
    async def check() -> None:
        tls = certificates.client()
        if offered:
            tls.set_alpn_protocols(offered)
        async with members(1) as origins, edge(rules(origins)) as it:
            async with it.https(tls=tls) as client:
                assert client.tls.selected_alpn_protocol() == chosen
                assert (await client.ask(get(host="www.contoso.example"))).status == 404
            async with it.https(tls=tls) as client:
                await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                assert (await client.rest()).startswith(b"HTTP/1.1 400 ")

    asyncio.run(check())


def test_tls_1_1_is_refused_with_an_alert() -> None:
    """Sent as bytes: today's OpenSSL won't offer it."""
    suites = b"\x00\x2f\x00\x35\xc0\x09\xc0\x0a\xc0\x13\xc0\x14"
    body = b"\x03\x02" + bytes(32) + b"\x00" + struct.pack(">H", len(suites)) + suites + b"\x01\x00"
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    hello = b"\x16\x03\x01" + struct.pack(">H", len(message)) + message

    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it, it.http("https") as client:
            await client.send(hello)
            raw = await client.rest()
            assert (raw[0], raw[5:]) == (21, bytes([2, PROTOCOL_VERSION]))

    asyncio.run(check())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(version: ssl.TLSVersion) -> None:
    async def check() -> None:
        tls = certificates.client()
        tls.minimum_version = tls.maximum_version = version
        async with members(1) as origins, edge(rules(origins)) as it, it.https(tls=tls) as client:
            assert client.tls.version() == version.name.replace("_", ".").replace("TLSv1", "TLSv1")
            assert (await client.ask(get(host="www.contoso.example"))).status == 404

    asyncio.run(check())


@pytest.mark.parametrize("host", ["www.contoso.example", "lyncweb.fabrikam.example", "mitm.it"])
def test_a_name_that_is_not_published_over_a_good_connection(host: str) -> None:
    async def check() -> None:
        async with members(1) as origins, edge(rules(origins)) as it, it.https() as client:
            reply = await client.ask(get(host=host))
            assert (reply.status, reply.body) == (404, b"")
            assert reply.values("server") == []
            assert origins[0].connections == 0

    asyncio.run(check())


def test_certificates_change_with_a_reload() -> None:
    """New connections get the new one, open ones go on; a file that can't be read changes nothing."""

    async def check() -> None:
        async with members(1) as origins:
            old = with_listener(policy(origins), "https", certificates=(issued(*EDGE_NAMES),))
            new = with_listener(old, "https", certificates=(issued(WEB),))
            broken = dataclasses.replace(issued(WEB), key="/nonexistent.key")
            async with edge(old) as it, it.https() as kept:
                await it.running.master.adopt(dataclasses.replace(new, version="1"))
                async with it.https() as client:
                    assert shown(client) == (WEB,)
                with pytest.raises((OSError, Exception)):
                    await it.running.master.adopt(with_listener(new, "https", certificates=(broken,)))
                async with it.https() as client:
                    assert shown(client) == (WEB,)
                assert it.state.policy.version == "1"
                assert (await kept.ask(get(host="www.contoso.example"))).status == 404

    asyncio.run(check())


def test_upstream_tls_says_who_is_wanted() -> None:
    """SNI to the member is the pool's name, and TLS 1.2 the least that is spoken."""

    async def check() -> None:
        names: list[str | None] = []
        tls = certificates.server(issued(certificates.POOL_NAME))
        tls.sni_callback = lambda _, name, __: names.append(name)
        async with members(1, tls=tls) as origins:
            async with edge(policy(origins)) as it, it.https() as client:
                assert (await client.ask(get())).status == 200
            assert names == [certificates.POOL_NAME]
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
        tls.minimum_version = ssl.TLSVersion.TLSv1
        async with members(1, tls=tls) as origins, edge(policy(origins)) as it, it.https() as client:
            await client.send(get())
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")

    asyncio.run(check())


def test_plain_http_upstream_of_a_tls_client_never_happens() -> None:
    """TLS outside is TLS inside: a member that speaks none on the bridged port gets nothing."""

    async def check() -> None:
        async with members(1) as plain:
            rules = policy(plain, bridge=Bridge(http=plain[0].port, https=plain[0].port), connect=0.2)
            async with edge(rules) as it, it.https() as client:
                await client.send(get())
                assert (await client.rest()).startswith(b"HTTP/1.1 50")
            assert not plain[0].requests

    asyncio.run(check())


def test_connections_are_counted_where_they_came() -> None:
    async def check() -> None:
        async with (
            members(1) as origins,
            edge(rules(origins)) as it,
            it.https(),
            it.http(),
            connected(it.address("http")),
        ):
            await until(lambda: it.metric("lyncgate_connections", listener="http") == 2)
            assert it.metric("lyncgate_connections", listener="https") == 1

    asyncio.run(check())
