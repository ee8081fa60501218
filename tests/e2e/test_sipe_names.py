"""The client's name rules: what maps, and that nothing else exists."""

import ctypes
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.sipe.names import Endpoint, Names, Rule
from e2e.sipe.resolver import sockaddr

PORTS = st.integers(1, 65535)
ADDRESSES = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
HOSTS = st.lists(st.text("abcxyzABC01-", min_size=1, max_size=8), min_size=1, max_size=4).map(".".join)
RULES = st.builds(
    Rule,
    pattern=st.one_of(HOSTS.map(str.lower), HOSTS.map(lambda host: "*." + host.lower()), st.just("*")),
    port=st.none() | PORTS,
    address=st.none() | ADDRESSES,
    to_port=st.none() | PORTS,
)


def as_text(rule: Rule) -> str:
    address = "fail" if rule.address is None else f"[{rule.address}]" if ":" in rule.address else rule.address
    return f"{rule.pattern}:{rule.port or ''}:{address}:{rule.to_port or ''}"


@pytest.mark.parametrize(
    ("rule", "host", "port", "expected"),
    [
        ("*.contoso.example:443:127.0.0.1:18443", "lyncweb.contoso.example", 443, "127.0.0.1:18443"),
        ("*.contoso.example:443:127.0.0.1:18443", "LyncDiscover.Contoso.example", 443, "127.0.0.1:18443"),
        ("*.contoso.example:443:127.0.0.1:18443", "lyncweb.contoso.example", 80, None),
        ("*.contoso.example:443:127.0.0.1:18443", "contoso.example", 443, None),
        ("*.contoso.example:443:127.0.0.1:18443", "lyncweb.contoso.example.fabrikam.example", 443, None),
        ("sip.contoso.example::127.0.0.31:", "sip.contoso.example", 5061, "127.0.0.31:5061"),
        ("sip.contoso.example::[::1]:5061", "sip.contoso.example", 443, "[::1]:5061"),
        ("lyncdiscoverinternal.*::fail:", "lyncdiscoverinternal.contoso.example", 443, None),
    ],
)
def test_a_rule_maps_its_names_only(rule: str, host: str, port: int, expected: str | None) -> None:
    found = Names.parse([rule]).host(host, port)
    assert (str(found) if found else None) == expected


def test_the_first_rule_that_matches_counts() -> None:
    names = Names.parse(["lyncdiscoverinternal.*::fail:", "*::127.0.0.1:8443"])
    assert names.host("lyncdiscoverinternal.contoso.example", 443) is None
    assert names.host("lyncdiscover.contoso.example", 443) == Endpoint("127.0.0.1", 8443)


def test_srv_records() -> None:
    names = Names.parse([], ["_sip._TLS.contoso.example=sip.contoso.example:443"])
    assert names.service("_sip._tls.Contoso.example") == Endpoint("sip.contoso.example", 443)
    assert names.service("_sip._tcp.contoso.example") is None


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "contoso.example",
        "contoso.example:443:127.0.0.1",
        ":443:127.0.0.1:8443",
        "contoso.example:https:127.0.0.1:8443",
        "contoso.example:443:127.0.0.1:70000",
        "contoso.example:0:127.0.0.1:8443",
        "contoso.example:443:fabrikam.example:8443",  # a name would have to be looked up
        "contoso.example:443::8443",
        "contoso.example:443:[127.0.0.1:8443",
    ],
)
def test_a_bad_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError):
        Rule.parse(rule)


@pytest.mark.parametrize("record", ["", "_sip._tls.contoso.example", "a=b", "a=b:0", "a=b:65536", "=b:443"])
def test_a_bad_srv_record_is_refused(record: str) -> None:
    with pytest.raises(ValueError):
        Names.parse([], [record])


@given(RULES)
def test_a_rule_reads_back_as_it_was_written(rule: Rule) -> None:
    assert Rule.parse(as_text(rule)) == rule


@given(st.lists(RULES, max_size=5), HOSTS, PORTS)
def test_no_name_leads_anywhere_that_no_rule_says(rules: list[Rule], host: str, port: int) -> None:
    found = Names(tuple(rules)).host(host, port)
    assert found is None or any(
        rule.address == found.host and (rule.to_port or port) == found.port and rule.port in (None, port)
        for rule in rules
    )
    assert found == Names(tuple(rules)).host(host.upper(), port)


@given(st.text(max_size=30))
def test_any_text_is_a_rule_or_a_value_error(text: str) -> None:
    try:
        rule = Rule.parse(text)
    except ValueError:
        return
    assert Rule.parse(as_text(rule)) == rule


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_the_c_library_reads_our_socket_address(host: str, family: socket.AddressFamily) -> None:
    """A kernel that connects where the structure says has understood it."""
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen()
        address = sockaddr(Endpoint(host, server.getsockname()[1]))
        assert ctypes.CDLL(None).connect(client.fileno(), address, len(address)) == 0
        accepted, peer = server.accept()
        accepted.close()
        assert peer == client.getsockname()
