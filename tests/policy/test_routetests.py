"""Requests made of URLs, for route tests and `explain`: the path goes as it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.policy.decide import decide
from lyncgate.policy.policy import Scheme
from lyncgate.policy.request import Request
from lyncgate.policy.routetests import RequestError, make_request
from policy.estate import POLICY


def made(url: str, source: str = "192.0.2.1") -> Request:
    return make_request(POLICY, url, method="GET", source=source, user=None)


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://meet.contoso.example", b"meet.contoso.example", b"/"),
        ("https://meet.contoso.example?x=1", b"meet.contoso.example", b"/?x=1"),
        ("HTTPS://Meet.contoso.example:443/A/../%62#part", b"Meet.contoso.example:443", b"/A/../%62"),
        ("https://meet.contoso.example/a\\b//c", b"meet.contoso.example", b"/a\\b//c"),
        ("https://meet.contoso.example/é", b"meet.contoso.example", b"/%C3%A9"),
    ],
)
def test_the_target_is_what_was_written(url: str, host: bytes, target: bytes) -> None:
    request = made(url)
    assert (request.listener, request.scheme) == ("https", Scheme.HTTPS)
    assert (request.host, request.target) == (host, target)


def test_the_first_listener_of_the_scheme_takes_it() -> None:
    assert made("http://meet.contoso.example/").listener == "http"


@pytest.mark.parametrize(
    ("url", "source", "part"),
    [
        ("meet.contoso.example/", "192.0.2.1", "url"),
        ("sip://x/", "::1", "url"),
        ("https://x/", "localhost", "from"),
    ],
)
def test_what_no_client_sends(url: str, source: str, part: str) -> None:
    with pytest.raises(RequestError) as caught:
        made(url, source)
    assert caught.value.part == part


@given(st.text().map("https://{}".format) | st.text(), st.text())
def test_any_url_gets_a_decision_or_an_error(url: str, method: str) -> None:
    try:
        request = make_request(POLICY, url, method=method, source="::1", user=None)
    except RequestError as error:
        said = str(error)
    else:
        said = decide(POLICY, request).rule
    assert said
