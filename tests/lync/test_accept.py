from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.accept import choose

OFFERS = ("text/own;v=1", "application/xml", "application/json")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "text/own;v=1"),
        (b"", "text/own;v=1"),
        (b"*/*", "text/own;v=1"),
        (b"image/png", "text/own;v=1"),
        (b"application/json", "application/json"),
        (b"Application/JSON", "application/json"),
        (b"application/*", "application/xml"),
        (b"application/xml;q=0.5, application/json", "application/json"),
        (b"application/xml;q=0.5,application/json;q=0.4", "application/xml"),
        (b"application/xml; q=0, application/*;q=0.1", "application/json"),
        (b"*/*;q=0.1, application/json", "application/json"),
        (b"application/json, text/javascript, */*; q=0.01", "application/json"),
        (b"text/own", "text/own;v=1"),
        (b"text/own;v=1;q=0.3, application/xml;q=0.2", "text/own;v=1"),
        (b'text/own; v="1", application/xml;q=0.2', "text/own;v=1"),
        (b"text/own;v=2, application/xml;q=0.2", "application/xml"),
        (b"text/own;v=1;q=0, text/own, application/xml;q=0.2", "application/xml"),
        (b'application/xml;x="a,application/json", application/json;q=0.1', "application/json"),
        (b"application/xml;q=7, application/json;q=0.1", "application/json"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/own;v=1"),
        (b"text/html;q=0, application/json", "application/json"),
        (b'"\\' * 30_000, "text/own;v=1"),
        (b",,;;q=,/", "text/own;v=1"),
        (b'"', "text/own;v=1"),
    ],
)
def test_choose(accept: bytes | None, chosen: str) -> None:
    assert choose(accept, OFFERS) == chosen


@given(st.binary(max_size=80))
def test_choose_is_total(accept: bytes) -> None:
    assert choose(accept, OFFERS) in OFFERS
