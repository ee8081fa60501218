"""What `--to`, `--dns` and `--user` mean."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.client.names import NoSuchNameError
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.phones.target import SystemNames, address, target, users

HTTPS, HTTP = ("127.0.0.1", 8443), ("127.0.0.1", 8080)


def test_laboratory_directory_is_all_that_phones_need(lab):
    where = target([str(lab.estate.directory)], None, None)
    phone = Lync2013("carol@emea.contoso.example", "P4ss-carol", names=where.names(), tls=where.tls)
    report = lab.run(phone.sign_in())
    assert report.ok, report.failed


def test_every_public_name_leads_to_the_edge_and_no_internal_one():
    names = target(["127.0.0.1:8443", "http://127.0.0.1:8080"], None, None).names()
    assert names.resolve("lyncdiscover.contoso.example", 443) == HTTPS
    assert names.resolve("lyncdiscover.contoso.example", 80) == HTTP
    for host in ("lyncdiscoverinternal.contoso.example", "pool01.contoso.local"):
        with pytest.raises(NoSuchNameError):
            names.resolve(host, 443)


def test_with_dns_names_are_asked_for_there_and_ports_are_those_of_the_edge(lab):
    async def asked():
        await lab.estate.start_dns(proxy="127.0.0.1")
        try:
            server = next(dns.address for view, dns in lab.estate.dns.items() if view == "external")
            names = target(["127.0.0.1:8443"], server, None).names()
            said = await names.look_up("lyncdiscover.contoso.example")
            with pytest.raises(NoSuchNameError):
                await names.look_up("lyncdiscoverinternal.contoso.example")
            return said, names.resolve("lyncdiscover.contoso.example", 443)
        finally:
            await lab.estate.stop_dns()

    assert lab.run(asked()) == ("alias of lyncweb.contoso.example, 127.0.0.1", HTTPS)


@pytest.mark.parametrize("bad", ["8443", "127.0.0.1", ":8443", "ftp://127.0.0.1:21", "127.0.0.1:port"])
def test_address_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match=r"HOST:PORT|https://"):
        target([bad], None, None)


def test_address_of_ipv6():
    assert address("[::1]:8443") == ("::1", 8443)


def test_system_names():
    names = SystemNames()
    with pytest.raises(NoSuchNameError):
        names.resolve("localhost", 443)
    found = asyncio.run(names.look_up("localhost"))
    assert names.resolve("localhost", 443) == (found, 443)


def test_users_of_a_pattern():
    assert users("alice@contoso.example") == ["alice@contoso.example"]
    assert users("user[08-11]@contoso.example") == [f"user{n}@contoso.example" for n in ("08", "09", 10, 11)]
    assert users("[1-2]x[3-4]@d") == ["1x3@d", "1x4@d", "2x3@d", "2x4@d"]


@given(st.integers(0, 500), st.integers(0, 500))
def test_range_is_as_long_as_it_says(first, more):
    found = users(f"u[{first}-{first + more}]@contoso.example")
    assert len(set(found)) == len(found) == more + 1


@pytest.mark.parametrize("bad", ["alice", "user[5-1]@contoso.example", "a@b@c"])
def test_pattern_without_users_is_refused(bad):
    with pytest.raises(ValueError, match=r"SIP address|down"):
        users(bad)
