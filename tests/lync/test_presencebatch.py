"""Presence of many at once, there and back."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.presencebatch import BatchError, document, parse, parse_request, request

# As SIPE sends it (seen in its source, sipe-subscriptions.c).
SIPE = b"""<batchSub xmlns="http://schemas.microsoft.com/2006/01/sip/batch-subscribe" \
uri="sip:alice@contoso.example" name="">
<action name="subscribe" id="63792024">
<adhocList>
<resource uri="sip:bob@contoso.example"/>
<resource uri="sip:Carol@emea.contoso.example"><context/></resource>
</adhocList>
<categoryList xmlns="http://schemas.microsoft.com/2006/09/sip/categorylist">
<category name="calendarData"/>
<category name="state"/>
</categoryList>
</action>
</batchSub>"""


def test_sipes_request_is_read():
    assert parse_request(SIPE) == ("bob@contoso.example", "carol@emea.contoso.example")


@given(st.lists(st.emails(domains=st.just("contoso.example")).map(str.lower), max_size=20))
def test_what_is_asked_is_what_is_read(addresses):
    assert parse_request(request("alice@contoso.example", addresses)) == tuple(addresses)


@given(
    st.lists(
        st.binary(min_size=1).map(lambda part: b"<%s>" % part).filter(lambda part: b"--" not in part),
        max_size=5,
    )
)
def test_parts_come_back_as_they_went(parts):
    assert parse(*document(parts)) == tuple(parts)


def test_one_document_needs_no_multipart_and_other_parts_are_passed_over():
    assert parse("application/msrtc-event-categories+xml; charset=utf-8", b"<categories/>") == (
        b"<categories/>",
    )
    body = (
        b"--b\r\nContent-Type: application/rlmi+xml\r\n\r\n<list/>\r\n"
        b"--b\r\ncontent-type: Application/msrtc-event-categories+xml\r\n\r\n<categories/>\r\n--b--"
    )
    assert parse('multipart/related; type="application/rlmi+xml"; boundary="b"', body) == (b"<categories/>",)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b""),
        ("multipart/related", b"--b--"),
        ("multipart/related;boundary=b", b""),
        ("multipart/related;boundary=b", b"--b\r\nContent-Type: x\r\n\r\n"),
        ("multipart/related;boundary=b", b"--b\r\nno body\r\n--b--"),
    ],
)
def test_what_is_no_presence_is_said_to_be_none(content_type, body):
    with pytest.raises(BatchError):
        parse(content_type, body)


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<batchSub", b'<!DOCTYPE a><batchSub xmlns="x"/>', b"\xff"])
def test_what_is_no_request_is_said_to_be_none(body):
    with pytest.raises(BatchError):
        parse_request(body)


@given(st.text(), st.binary())
def test_any_answer_is_presence_or_a_batch_error(content_type, body):
    with contextlib.suppress(BatchError):
        assert all(isinstance(part, bytes) for part in parse(content_type, body))
