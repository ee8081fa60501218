"""Logs of DNS servers as events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.server import Query, QueryLog
from lyncgate.signin import codec
from lyncgate.signin.dnslog import DnsLogReader
from lyncgate.signin.keys import Hasher

NAME = "lyncdiscover.contoso.example"
LAB = {"time": 1789000000.25, "client": "192.0.2.7:50123", "name": NAME, "kind": "A", "rcode": "NXDOMAIN"}
READER = DnsLogReader(Hasher(b"k" * 16))


def read(line):
    return list(READER.line(line if isinstance(line, str) else json.dumps(line)))


def test_the_lab_s_own(tmp_path):
    log = QueryLog(tmp_path / "dns.log")
    answers = ("CNAME lyncweb.contoso.example", "A 192.0.2.1")
    log(Query(1789000000.25, View.EXTERNAL, "192.0.2.7:50123", "udp", NAME, "A", "NOERROR", answers))
    log.close()
    (query,) = read((tmp_path / "dns.log").read_text())
    assert (query.name, query.kind, query.rcode, query.answers) == (NAME, "A", "NOERROR", answers)
    assert (query.started, query.keys.client, query.view) == (1789000000.25, "192.0.2.7", "external")
    assert query.origin == "dns"


def test_unbound_s():
    (query,) = read(
        f"[1789000000] unbound[52:0] info: 2001:db8::7 {NAME.upper()}. AAAA IN SERVFAIL 0.250000 0 62"
    )
    assert (query.name, query.kind, query.rcode, query.answers) == (NAME, "AAAA", "SERVFAIL", ())
    assert (query.started, query.seconds, query.keys.client) == (1788999999.75, 0.25, "2001:db8::7")


@pytest.mark.parametrize(
    "line",
    [
        *("", "null", "[]", "{", "{}", "[1789000000] unbound[52:0] notice: init module 0: validator"),
        f"[1789000000] unbound[52:0] info: 192.0.2.7 {NAME}. A IN",  # a query whose answer is told elsewhere
        f"Nov 22 23:20:32 dnsmasq[1]: query[A] {NAME} from 192.0.2.7",  # of which year?
        *({**LAB, "time": time} for time in ("1", None, True, -1, 1e18, 10**400, float("nan"), float("inf"))),
        {**LAB, "name": 5},
        "[" * 100_000,
        "{" * 60_000,
    ],
)
def test_what_is_no_query_is_passed_over(line):
    assert read(line) == []


@pytest.mark.parametrize(
    ("client", "known"),
    [
        *(("192.0.2.7", "192.0.2.7"), ("[2001:db8::7]:53", "2001:db8::7"), ("2001:db8::7", "2001:db8::7")),
        *(("somebody", None), (None, None), ("", None)),
    ],
)
def test_clients(client, known):
    assert read({**LAB, "client": client})[0].keys.client == known


def test_the_same_line_is_the_same_event():
    assert read(LAB) == read(LAB)
    assert read(LAB)[0].id != read({**LAB, "client": "192.0.2.8:1"})[0].id
    assert next(DnsLogReader(Hasher(b"k" * 16), "ns2").line(json.dumps(LAB))).id != read(LAB)[0].id
    assert list(READER.end()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=3
)


@given(st.dictionaries(st.sampled_from([*LAB, "answers", "view"]), JSON) | st.text())
def test_takes_anything(said):
    for query in read({**LAB, **said} if isinstance(said, dict) else said):
        assert codec.loads(codec.dumps(query)) == query
