"""DNS over real sockets: both views, both transports, and bytes that are no questions."""

import asyncio
import json
import socket

import pytest
from dnslib import EDNS0, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.client.dns import DnsFailedError, Resolver, ask
from lyncgate.client.http import HttpConnection
from lyncgate.client.names import NameMap, NameRule, NoSuchNameError
from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.server import DnsServer
from lyncgate.lab.dns.zone import Record, Zone
from support.estate import running_estate

MANY = tuple(Record("many.contoso.example", "A", f"127.0.1.{n}") for n in range(60))
ZONE = Zone(("contoso.example",), (Record("web.contoso.example", "A", "127.0.0.1", ttl=77), *MANY))


def serving(use):
    """Run `use(server)` beside a server of ZONE."""

    async def run():
        server = DnsServer(View.EXTERNAL, ZONE, queries.append)
        await server.start()
        try:
            return await use(server)
        finally:
            await server.stop()

    queries = []
    return asyncio.run(run()), queries


def test_answers_by_udp_and_notes_the_query():
    reply, queries = serving(lambda server: ask(server.address, "Web.contoso.example"))
    assert (reply.rcode, reply.records) == ("NOERROR", (("web.contoso.example", "A", "127.0.0.1", 77),))
    (query,) = queries
    assert (query.view, query.transport, query.name, query.kind) == (
        "external",
        "udp",
        "web.contoso.example",
        "A",
    )
    assert query.answers == ("A 127.0.0.1",)


def test_long_answer_is_cut_and_had_by_tcp():
    reply, queries = serving(lambda server: ask(server.address, "many.contoso.example"))
    assert len(reply.data("A")) == 60
    assert [query.transport for query in queries] == ["udp", "tcp"]


def test_edns_makes_room():
    question = DNSRecord.question("many.contoso.example")
    question.add_ar(EDNS0(udp_len=1232))
    server = DnsServer(View.EXTERNAL, ZONE, lambda query: None)
    assert DNSRecord.parse(server.reply(question.pack(), ("127.0.0.1", 1), "udp")).header.tc == 0


@pytest.mark.parametrize(
    ("name", "rcode", "soa"), [("no.contoso.example", 3, 1), ("no.fabrikam.example", 5, 0)]
)
def test_no_comes_with_the_zones_soa_and_refusal_without(name, rcode, soa):
    server = DnsServer(View.EXTERNAL, ZONE, lambda query: None)
    reply = DNSRecord.parse(server.reply(DNSRecord.question(name).pack(), ("127.0.0.1", 1), "udp"))
    assert (reply.header.rcode, len(reply.auth), reply.header.aa) == (rcode, soa, soa)


@given(st.binary(max_size=80))
def test_any_bytes_get_an_answer_or_silence(data):
    server = DnsServer(View.EXTERNAL, ZONE, lambda query: None)
    answer = server.reply(data, ("127.0.0.1", 1), "udp")
    assert answer is None or answer[:2] == data[:2]


@given(st.binary(max_size=30))
def test_any_name_can_be_asked_for(label):
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + bytes([len(label)]) + label + b"\0" * bool(label) + b"\0\1\0\1"
    server = DnsServer(View.EXTERNAL, ZONE, lambda query: None)
    answer = server.reply(question, ("127.0.0.1", 1), "udp")
    assert answer is None or DNSRecord.parse(answer).header.rcode in (0, 3, 5)


def test_silence_and_refusal_are_failures():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.61", 0))
        address = free.getsockname()
    with pytest.raises(DnsFailedError, match="127"):
        asyncio.run(ask(address, "web.contoso.example"))

    async def foreign(server):
        await Resolver(server.address, {}).look_up("web.fabrikam.example")

    with pytest.raises(DnsFailedError, match="REFUSED"):
        serving(foreign)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_estate(tmp_path_factory.mktemp("lab")) as running:
        running.run(running.estate.start_dns())
        yield running


class TestInTheEstate:
    def test_phone_outside_finds_the_front_end_by_dns_alone(self, lab):
        async def ask_root():
            resolver = lab.estate.resolver(View.EXTERNAL)
            with pytest.raises(NoSuchNameError):
                await resolver.look_up("lyncdiscoverinternal.contoso.example")
            said = await resolver.look_up("lyncdiscover.contoso.example")
            assert said == "alias of lyncweb.contoso.example, 127.0.0.11"
            where = resolver.resolve("lyncdiscover.contoso.example", 80)
            names = NameMap((NameRule("*", None, where),))
            connection = await HttpConnection.open("lyncdiscover.contoso.example", 80, names, None)
            try:
                return await connection.request("GET", "/?sipuri=alice@contoso.example")
            finally:
                await connection.close()

        reply = lab.run(ask_root())
        assert (reply.status, reply.header("x-ms-server-fqdn")) == (200, "fe01.contoso.local")

    def test_phone_inside_is_led_to_the_internal_site(self, lab):
        resolver = lab.estate.resolver(View.INTERNAL)
        lab.run(resolver.look_up("lyncdiscoverinternal.contoso.example"))
        where = resolver.resolve("lyncdiscoverinternal.contoso.example", 443)
        assert where == ("127.0.0.11", lab.estate.ports.internal_https)

    def test_an_edge_stands_where_dns_says(self, lab):
        edge = (("127.0.0.1", 8080), ("127.0.0.1", 8443))

        async def resolve():
            await lab.estate.stop_dns()
            await lab.estate.start_dns("127.0.0.1")
            resolver = lab.estate.resolver(View.EXTERNAL, edge)
            await resolver.look_up("lyncdiscover.contoso.example")
            return [resolver.resolve("lyncdiscover.contoso.example", port) for port in (80, 443)]

        assert tuple(lab.run(resolve())) == edge

    def test_queries_are_in_a_file(self, lab):
        lab.run(ask(lab.estate.dns[View.INTERNAL].address, "pool01.contoso.local"))
        lines = (lab.estate.directory / "dns.log").read_text().splitlines()
        last = json.loads(lines[-1])
        assert (last["view"], last["name"], last["rcode"]) == ("internal", "pool01.contoso.local", "NOERROR")
