"""Files that a capture leaves: whole at every moment, without secrets, and bounded."""

import gzip
import json
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.io import FlowReader
from mitmproxy.test import tflow

from lyncgate.engine.capture.exchanges import KEPT, Exchanges, Tee
from lyncgate.engine.capture.recording import FLOWS_FILE, HAR_FILE, Recording
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.keys import Hasher

TICKET = "cwt=AAEBHAEFAAAAAAAFFQAAAB0vGZ8sLq5hc2VjcmV0"


def flow_with(body: bytes, **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    flow.request.path = "/ucwa/v1/applications?token=sesame-open-sesame-open"
    flow.request.headers["X-MS-WebTicket"] = TICKET
    assert flow.response
    flow.response.data.content = body
    flow.response.headers.update(headers)
    return flow


def test_a_har_is_whole_after_each_entry(tmp_path: Path) -> None:
    with Recording(tmp_path) as recording:
        for count in range(3):
            entries = json.loads((tmp_path / HAR_FILE).read_text())["log"]["entries"]
            assert len(entries) == count
            recording.response(flow_with(b"{}", **{"content-type": "application/json"}))
    har = json.loads((tmp_path / HAR_FILE).read_text())
    assert har["log"]["version"] == "1.2"
    assert len(har["log"]["entries"]) == 3


@pytest.mark.parametrize("with_secrets", [False, True])
def test_secrets_stay_only_when_they_are_asked_for(tmp_path: Path, with_secrets: bool) -> None:
    told = json.dumps({"access_token": "sesame-open-sesame-open"}).encode()
    flow = flow_with(gzip.compress(told), **{"content-type": "application/json", "content-encoding": "gzip"})
    with Recording(tmp_path, with_secrets=with_secrets) as recording:
        recording.response(flow)
    har = (tmp_path / HAR_FILE).read_text()
    (kept,) = FlowReader((tmp_path / FLOWS_FILE).open("rb")).stream()
    assert isinstance(kept, http.HTTPFlow)
    assert kept.response
    texts = har + kept.request.path + str(kept.request.headers) + (kept.response.text or "")
    assert (TICKET in texts) is with_secrets
    assert ("sesame" in texts) is with_secrets
    assert "access_token" in har
    assert flow.request.headers["X-MS-WebTicket"] == TICKET  # the phone's own is not touched


def test_a_compressed_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    with Recording(tmp_path) as recording:
        recording.response(flow_with(bomb, **{"content-type": "text/xml", "content-encoding": "gzip"}))
    assert (tmp_path / HAR_FILE).stat().st_size < 1_000_000


def test_of_a_long_body_the_beginning_is_kept_and_the_length_is_told() -> None:
    events: list[Event] = []
    exchanges = Exchanges(Hasher(b"k" * 32), events.append)
    flow = tflow.tflow(resp=True)
    exchanges.requestheaders(flow)
    exchanges.request(flow)
    exchanges.responseheaders(flow)
    assert flow.response
    assert isinstance(flow.response.stream, Tee)
    for _ in range(100):
        assert flow.response.stream(b"x" * 10_000) == b"x" * 10_000
    flow.response.data.content = None  # as mitmproxy leaves a streamed one
    exchanges.response(flow)
    assert len(flow.response.data.content or b"") == KEPT
    (exchange,) = events
    assert isinstance(exchange, Exchange)
    assert exchange.response_bytes == 1_000_000
