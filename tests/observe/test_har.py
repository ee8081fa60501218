"""HARs are what HAR 1.2 says, and hold no secret."""

import json

import pytest
from mitmproxy.test import tflow

from lyncgate.observe import har
from lyncgate.observe.flowhar import entry_of
from lyncgate.observe.sources import read
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Outcome, Phase
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Keys
from lyncgate.signin.stages import assemble
from lyncgate.signin.story import Joined
from support.changed import changed
from support.events import exchange

# http://www.softwareishard.com/blog/har-12-spec/: what must be there, by object, and of which type.
NUMBER = (int, float)
RULES = {
    "log": {"version": str, "creator": dict, "entries": list},
    "creator": {"name": str, "version": str},
    "entry": {
        **{"startedDateTime": str, "time": NUMBER, "request": dict, "response": dict, "cache": dict},
        "timings": dict,
    },
    "request": {
        **{"method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list},
        **{"queryString": list, "headersSize": NUMBER, "bodySize": NUMBER},
    },
    "response": {
        **{"status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list},
        **{"content": dict, "redirectURL": str, "headersSize": NUMBER, "bodySize": NUMBER},
    },
    "content": {"size": NUMBER, "mimeType": str},
    "timings": {"send": NUMBER, "wait": NUMBER, "receive": NUMBER},
    "pair": {"name": str, "value": str},
}
KNOWN = {  # beside these only what begins with `_`
    "log": {"browser", "pages", "comment"},
    "entry": {"pageref", "serverIPAddress", "connection", "comment"},
    "request": {"postData", "comment"},
    "response": {"comment"},
    "content": {"compression", "text", "encoding", "comment"},
    "timings": {"blocked", "dns", "connect", "ssl", "comment"},
    "creator": {"comment"},
    "pair": {"comment", "path", "domain", "expires", "httpOnly", "secure", "sameSite"},
}


def conforms(kind, value):
    for name, wanted in RULES[kind].items():
        assert isinstance(value.get(name), wanted), f"{kind}.{name}: {value.get(name)!r}"
    odd = {name for name in value if not name.startswith("_")} - RULES[kind].keys() - KNOWN[kind]
    assert not odd, f"{kind}: {odd}"


def check_entry(entry):
    conforms("entry", entry)
    for part in ("request", "response", "timings"):
        conforms(part, entry[part])
    conforms("content", entry["response"]["content"])
    for message in (entry["request"], entry["response"]):
        for pair in (*message["headers"], *message["cookies"]):
            conforms("pair", pair)
    timings = {name: took for name, took in entry["timings"].items() if name != "ssl" and took > 0}
    assert entry["time"] == pytest.approx(sum(timings.values()), abs=0.01)
    if entry["timings"].get("ssl", -1) > 0:
        assert entry["timings"]["connect"] >= entry["timings"]["ssl"]


EXCHANGE = exchange(
    method="POST",
    path="/webticket/webticketservice.svc",
    stage="ticket",
    status=401,
    request_bytes=7,
    response_bytes=5,
    outcome=Outcome.OK,
    server_fqdn="fe01.contoso.local",
    user_agent="Lync/1.0",
    phases={Phase.CONNECT: 0.01, Phase.UPSTREAM_TLS: 0.02, Phase.WAIT: 0.1, Phase.RESPONSE_BODY: None},
    keys=Keys(connection="c1", user="alice@contoso.example"),
    facts=Facts(
        document=Document.FAULT,
        content_type="text/xml",
        auth_offered=("NTLM", "Negotiate"),
        auth_used="NTLM",
        diagnostics=28000,
        diagnostics_text="no ticket",
        cookies=("MS-WSMAN=; path=/",),
        cookies_sent=("a",),
        warning="said so",
    ),
)
QUERY = DnsQuery(id="q", started=1789000000.0, name="lyncdiscover.contoso.example", kind="A", rcode="NOERROR")


@pytest.fixture
def sign_in():
    events = [QUERY, EXCHANGE]
    return assemble("1", events, {e.id: Joined.KEY for e in events}, {}, 1789000100.0)


def test_a_sign_in(sign_in):
    log = json.loads(json.dumps(har.of_sign_in(sign_in)))["log"]
    conforms("log", log)
    conforms("creator", log["creator"])
    (entry,) = log["entries"]
    check_entry(entry)
    assert entry["startedDateTime"] == "2026-09-10T00:26:40.250Z"
    assert entry["request"]["url"] == "https://lyncweb.contoso.example/webticket/webticketservice.svc"
    assert entry["timings"]["connect"] == 30
    headers = [(header["name"], header["value"]) for header in entry["response"]["headers"]]
    assert ("X-Ms-diagnostics", '28000;reason="no ticket"') in headers
    assert ("Set-Cookie", "MS-WSMAN=removed; path=/") in headers
    assert [value for name, value in headers if name == "WWW-Authenticate"] == ["NTLM", "Negotiate"]
    assert {"name": "Authorization", "value": "NTLM removed"} in entry["request"]["headers"]


def test_comes_back_as_the_same_events(sign_in, tmp_path):
    path = tmp_path / "signin.har"
    path.write_text(json.dumps(har.of_sign_in(sign_in)))
    assert sorted(read(path), key=lambda event: event.id) == [EXCHANGE, QUERY]


def test_what_never_ended_and_what_never_was(sign_in):
    lost = changed(EXCHANGE, status=None, outcome=Outcome.CONNECT_FAILED, phases={}, facts=Facts())
    sign_in = changed(sign_in, events=(lost,))
    (entry,) = har.of_sign_in(sign_in)["log"]["entries"]
    check_entry(entry)
    assert (entry["response"]["status"], entry["timings"]["connect"]) == (0, -1)
    assert entry["comment"] == "ticket connect_failed"


@pytest.mark.parametrize("options", [{"resp": True}, {"err": True}, {"resp": True, "ws": True}])
def test_flows(options):
    flow = tflow.tflow(**options)
    flow.client_conn.timestamp_start, flow.client_conn.timestamp_tls_setup = 1.0, 1.5
    told = set()
    first, second = (json.loads(json.dumps(entry_of(flow, told))) for _ in range(2))
    for entry in (first, second):
        check_entry(entry)
        assert entry["connection"] == flow.client_conn.id
        assert entry["_client"] == flow.client_conn.peername[0]
    assert (first["_client_tls"], second.get("_client_tls")) == (500, None)
    assert (first["timings"]["connect"] > 0, second["timings"]["connect"]) == (True, -1)
