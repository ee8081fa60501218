"""The batch: many requests in one body."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab import ucwabatch
from lyncgate.lab.ucwabatch import BatchError, Part
from lyncgate.lab.web import Response

TYPE = "multipart/batching;boundary=b1"
PARTS = (
    "Content-Type: application/http; msgtype=request\r\n\r\n"
    "GET /a/me HTTP/1.1\r\nHost: lyncweb.contoso.example\r\nAccept: application/json\r\n",
    "Content-Type: application/http;msgtype=request\r\nContent-Length: 12\r\n\r\n"
    "POST /a/me/note HTTP/1.1\r\nHost: lyncweb.contoso.example\r\nContent-Type: application/json\r\n\r\n"
    '{"message":1}',
)


def batch(*parts: str, end: str = "--b1--\r\n") -> bytes:
    return ("".join(f"--b1\r\n{part}\r\n" for part in parts) + end).encode()


def test_requests_are_read_with_their_heads_and_bodies():
    assert ucwabatch.parse(TYPE, batch(*PARTS)) == [
        Part("GET", "/a/me", {"host": "lyncweb.contoso.example", "accept": "application/json"}, b""),
        Part(
            "POST",
            "/a/me/note",
            {"host": "lyncweb.contoso.example", "content-type": "application/json"},
            b'{"message":1}',
        ),
    ]


def test_boundary_may_be_quoted_and_line_breaks_bare():
    body = batch(*PARTS).replace(b"\r\n", b"\n")
    assert len(ucwabatch.parse('multipart/batching; boundary="b1"', body)) == 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/mixed;boundary=b1", batch(PARTS[0])),
        ("multipart/batching", batch(PARTS[0])),
        (TYPE, b""),
        (TYPE, batch(PARTS[0], end="")),
        (TYPE, batch("Content-Type: text/plain\r\n\r\nGET / HTTP/1.1\r\n")),
        (TYPE, batch("Content-Type: application/http; msgtype=request\r\n\r\nHello\r\n")),
        (
            TYPE,
            batch("Content-Type: application/http; msgtype=request\r\n\r\nGET / HTTP/1.1\r\nnonsense\r\n"),
        ),
    ],
)
def test_what_is_no_batch_is_refused(content_type, body):
    with pytest.raises(BatchError):
        ucwabatch.parse(content_type, body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_batch_or_refused(body):
    try:
        parts = ucwabatch.parse(TYPE, body)
    except BatchError:
        return
    assert parts


def test_answer_is_read_by_somebody_else():
    response = ucwabatch.answer(
        [Response(200, [("Content-Type", "application/json")], b'{"rel":"me"}'), Response(404)]
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    message = email.message_from_bytes(head.encode() + b"\r\n" + response.body, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/batching"
    first, second = message.iter_parts()
    assert first.get_content_type() == "application/http"
    assert first.get_param("msgtype") == "response"
    assert first.get_payload() == 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"rel":"me"}'
    assert second.get_payload().startswith("HTTP/1.1 404 Not Found\r\n")
