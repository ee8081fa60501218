"""Files of every form, whole and broken, as events."""

import codecs
import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow, tutils

from lync.test_tracefile import COMPONENT, DIAGNOSTIC, NOTIFY, REGISTER
from lyncgate.lync.stages import Stage
from lyncgate.observe.sources import SourceError, read
from lyncgate.signin.events import DnsQuery, SipMessage
from lyncgate.signin.exchange import Exchange, Outcome

DNS_LINE = json.dumps(
    {
        "time": 1789000000.25,
        "client": "192.0.2.7:50123",
        "name": "lyncdiscover.x.example",
        "kind": "A",
        "rcode": None,
    }
)


def flows(*which):
    file = io.BytesIO()
    for flow in which:
        FlowWriter(file).add(flow)
    return file.getvalue()


def web_flow(path=b"/?sipuri=alice@contoso.example", **options):
    request = tutils.treq(
        host="lyncdiscover.contoso.example",
        authority=b"",
        path=path,
        headers=((b"Host", b"lyncdiscover.contoso.example"), (b"User-Agent", b"Lync/1.0")),
    )
    return tflow.tflow(req=request, **options)


@pytest.fixture
def told(tmp_path):
    """Writes a file and reads it: events and problems."""

    def written(content, name="file", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        problems = []
        return list(read(path, problem=problems.append, **options)), problems

    return written


# -- flows --------------------------------------------------------------------------------------------


def test_flows(told):
    (exchange, lost, query), problems = told(
        flows(web_flow(resp=True), web_flow(err=True), tflow.tdnsflow(resp=True), tflow.ttcpflow())
    )
    assert problems == []
    assert isinstance(exchange, Exchange)
    assert (exchange.origin, exchange.stage, exchange.status) == ("flows", Stage.DISCOVER, 200)
    assert (exchange.keys.user, exchange.keys.agent) == ("alice@contoso.example", "Lync/1.0")
    assert exchange.outcome is Outcome.OK
    assert lost.outcome not in (Outcome.OK, None)
    assert isinstance(query, DnsQuery)
    assert (query.name, query.rcode) == ("dns.google", "NOERROR")


def test_a_flow_that_was_saved_in_the_middle_is_not_over(told):
    (exchange,), _ = told(flows(web_flow()))
    assert (exchange.status, exchange.outcome) == (None, None)


def test_a_cut_flow_file_is_read_up_to_there(told):
    whole = flows(web_flow(resp=True))
    events, (problem,) = told(whole + whole[:-100])
    assert len(events) == 1
    assert f"/file: flow 2, at byte {len(whole)}, can't be read" in problem


def test_what_is_no_flow_is_passed_over(told):
    whole = flows(web_flow(resp=True))
    second = flows(web_flow(resp=True))
    events, problems = told(whole + b"13:4:type;3:odd;}" + b"3:abc;" + second)
    assert len(events) == 2
    assert ["flow 2," in problems[0], "flow 3," in problems[1]] == [True, True]


# -- HAR ----------------------------------------------------------------------------------------------


def entry(url="https://lyncdiscover.contoso.example/?sipuri=sip:alice@contoso.example", **changes):
    """As Chromium's devtools export it."""
    response = {
        **{"status": 200, "statusText": "OK", "httpVersion": "http/2.0", "cookies": [], "redirectURL": ""},
        "headers": [
            {"name": "content-type", "value": "application/json"},
            {"name": "content-encoding", "value": "gzip"},
        ],
        "content": {
            "size": 60,
            "mimeType": "application/json",
            "text": '{"_links":{"user":{"href":"https://lyncweb.contoso.example/x"}}}',
        },
        **{"headersSize": -1, "bodySize": -1, "_error": None},
    }
    return {
        "startedDateTime": "2026-09-10T02:26:40.250+02:00",
        "time": 150.5,
        "request": {
            **{"method": "GET", "url": url, "httpVersion": "http/2.0", "cookies": [], "queryString": []},
            "headers": [{"name": ":authority", "value": "x"}, {"name": "User-Agent", "value": "Mozilla/5.0"}],
            **{"headersSize": -1, "bodySize": 0},
        },
        "response": response,
        "cache": {},
        "timings": {
            **{"blocked": 0.5, "dns": 1, "connect": 40, "ssl": 30, "send": 1, "wait": 100, "receive": 8},
            "_blocked_queueing": 0.2,
        },
        "serverIPAddress": "192.0.2.1",
        "connection": "1234",
        **changes,
    }


def archive(*entries, creator="WebInspector"):
    return json.dumps(
        {"log": {"version": "1.2", "creator": {"name": creator}, "pages": [], "entries": entries}}
    )


def test_a_browsers_har(told):
    (exchange,), problems = told(archive(entry()))
    assert problems == []
    assert (exchange.origin, exchange.stage, exchange.status) == ("har", Stage.DISCOVER, 200)
    assert (exchange.started, exchange.seconds) == (1789000000.25, 0.1505)
    assert (exchange.keys.user, exchange.host) == ("alice@contoso.example", "lyncdiscover.contoso.example")
    assert exchange.facts.links == (("OAuth", "https://lyncweb.contoso.example/x"),), "compressed no more"
    assert exchange.phases == {
        **{"client_tls": 0.04, "request_body": 0.001, "wait": 0.1, "response_body": 0.008, "total": 0.1505}
    }
    assert (exchange.source_ip, exchange.keys.client) == ("", None), "a HAR does not say who the client is"


def test_a_proxys_har_has_its_own_way_to_the_server(told):
    (exchange,), _ = told(archive(entry(), creator="Fiddler"))
    assert (exchange.phases["connect"], exchange.phases["upstream_tls"]) == (pytest.approx(0.01), 0.03)
    (exchange,), _ = told(archive(entry(), creator="mitmproxy"))
    assert (exchange.phases["connect"], exchange.phases["upstream_tls"]) == (0.04, 0.03)


def test_connections_are_those_of_one_file(told):
    port = entry(connection="443")
    (first, second, third), _ = told(archive(entry(), entry(), port))
    assert first.keys.connection == second.keys.connection != None  # noqa: E711
    assert third.keys.connection is None
    (other, _), _ = told(archive(entry(), entry(connection="9")))
    assert other.keys.connection != first.keys.connection
    assert len({first.id, second.id, third.id}) == 3


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("net::ERR_CONNECTION_REFUSED", Outcome.CONNECT_FAILED),
        ("net::ERR_CERT_COMMON_NAME_INVALID", Outcome.TLS_FAILED),
        ("net::ERR_TIMED_OUT", Outcome.UPSTREAM_TIMEOUT),
        ("net::ERR_ABORTED", Outcome.CLIENT_GONE),
        (None, Outcome.UPSTREAM_RESET),
    ],
)
def test_a_request_without_an_answer(told, said, outcome):
    failed = {"status": 0, "headers": [], "content": {}, "_error": said}
    (exchange,), _ = told(archive(entry(response=failed)))
    assert (exchange.status, exchange.outcome, exchange.phases["wait"]) == (None, outcome, None)


def test_entries_that_make_no_sense_are_named_and_passed_over(told):
    broken = [
        5,
        {},
        entry(startedDateTime="now"),
        entry(url="chrome://x"),
        entry(request=None),
        entry(_lyncgate={}),
    ]
    events, problems = told(archive(entry(), *broken, entry()))
    assert len(events) == 2
    assert len(problems) == len(broken)
    assert problems[1].endswith("/file: log.entries[2]: there is no 'request'")
    assert "log.entries[4]: request.url: 'chrome://x' is neither http nor https" in problems[3]


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_an_entry_may_be_anything(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("har") / "x.har"
    for name in ("request", "response", "timings", "connection", "startedDateTime", "time"):
        path.write_text(archive(entry(**{name: value}), entry()))
        assert len(list(read(path, problem=lambda _: None))) >= 1


# -- text ---------------------------------------------------------------------------------------------


def test_a_dns_log(told):
    (query,), problems = told(DNS_LINE + "\nnoise\n" + DNS_LINE)
    assert (query.name, query.origin) == ("lyncdiscover.x.example", "dns")
    assert problems == []


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        *(("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE)),
        *(("utf-16-be", codecs.BOM_UTF16_BE), ("utf-16-le", b""), ("utf-16-be", b"")),
    ],
)
def test_a_trace_in_any_encoding_of_windows(told, encoding, mark):
    text = (REGISTER + DIAGNOSTIC + COMPONENT).replace("\n", "\r\n")
    events, problems = told(mark + text.encode(encoding), "FE01.log")
    assert [event.origin for event in events] == ["trace:fe01"] * 3
    assert problems == []


def test_a_trace_tells_each_event_once(told):
    answer = REGISTER.replace("incoming", "outgoing").replace(
        "REGISTER sip:contoso.example SIP/2.0", "SIP/2.0 200 OK"
    )
    events, _ = told(REGISTER + answer.replace("a4f1", "a4f2").replace("14.101", "14.351"), server="edge01")
    asked, answered = events
    assert isinstance(asked, SipMessage)
    assert (asked.seconds, asked.origin, answered.status) == (0.25, "trace:edge01", 200)


def test_bytes_that_are_no_text_are_told(told):
    events, (problem,) = told(REGISTER.encode() + b"\xff\xfe\xfa\n" + NOTIFY.encode())
    assert len(events) == 2
    assert problem.endswith("/file: 1 lines are not all UTF-8; read as far as they are")


# -- what is none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xd4\xc3\xb2\xa1\x02\x00", "packets (pcap)"),
        (b"PK\x03\x04...", "export a HAR"),
        (b"\x1f\x8b\x08", "gunzip it first"),
        (b"SQLite format 3\0", "lyncgate signins --journal"),
        (
            b"Dear Sir or Madam",
            "neither a HAR, nor mitmproxy's flows, nor a log of a DNS server, nor a trace",
        ),
        (b"12:30:00 all is well", "neither"),
        (b'{"log": {"entries": [}}', "not a HAR: line 1, column 22"),
        (b'{"log": {"entries": 5}}', "not a HAR: TypeError"),
        (b'{"log": {}}', "not a HAR: KeyError('entries')"),
    ],
)
def test_what_can_not_be_read_says_why(told, content, said):
    with pytest.raises(SourceError) as raised:
        told(content)
    assert "/file: " in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\n\n \0"])
def test_an_empty_file_is_told_and_no_error(told, content):
    """A server that saw nobody, among several that did."""
    events, (problem,) = told(content)
    assert events == []
    assert problem.endswith("/file: there is nothing in it")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "x"))


@pytest.mark.parametrize("content", [flows(web_flow(resp=True)), archive(entry()), DNS_LINE, REGISTER])
def test_the_same_file_again_is_the_same_events(told, content):
    assert told(content) == told(content)
    assert told(content)[0]


@given(
    st.binary(max_size=2000)
    | st.sampled_from([b"5:", b"{", b"TL_INFO(TF_X)", b"10:4:type;"]).flatmap(
        lambda start: st.binary(max_size=200).map(lambda rest: start + rest)
    )
)
def test_a_file_may_be_anything(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content)
    with contextlib.suppress(SourceError):
        list(read(path, problem=lambda _: None))
