"""What is read out of SIPE's log and the driver's last line; bundles of authorities."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.sipe.certificates import split_bundle, write_authorities
from e2e.sipe.outcome import Result, Status, parse_result
from e2e.sipe.transcript import Message, message_in

MARK = "HTTP(0x561dbaa3a400) - 2026-11-22T20:03:00.213837Z"
CHALLENGE = """\
HTTP/1.1 401 Unauthorized
WWW-Authenticate: Negotiate
www-authenticate: NTLM
X-MS-WebTicketURL: https://lyncweb.contoso.example/WebTicket/WebTicketService.svc

<html/>"""


def block(text: str, mark: str = MARK, arrow: str = "<" * 10) -> str:
    return f"\nMESSAGE START {arrow} {mark}\n{text}\nMESSAGE END {arrow} {mark}"


def test_a_message_that_came_in() -> None:
    message = message_in(block(CHALLENGE))
    assert message == Message("received", "HTTP", CHALLENGE)
    assert message.start_line == "HTTP/1.1 401 Unauthorized"
    assert message.header("WWW-Authenticate") == ["Negotiate", "NTLM"]
    assert message.header("x-ms-webticketurl") == [
        "https://lyncweb.contoso.example/WebTicket/WebTicketService.svc"
    ]
    assert message.body == "<html/>"
    assert message.file_name(7) == "007-received-http-HTTP-1-1-401-Unauthorized.txt"


def test_a_message_that_went_out_and_has_no_body() -> None:
    request = "REGISTER sip:contoso.example SIP/2.0\nTo: <sip:alice@contoso.example>\nContent-Length: 0\n\n"
    message = message_in(block(request, MARK.replace("HTTP", "SIP"), ">" * 10))
    assert message is not None
    assert (message.direction, message.protocol, message.body) == ("sent", "SIP", "")
    assert message.header("to") == ["<sip:alice@contoso.example>"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sipe_http_transport_new: new lyncweb.contoso.example:443",
        "MESSAGE START",
        f"MESSAGE START <<<< {MARK}\nHTTP/1.1 200 OK\n",
        f"MESSAGE START <<<< {MARK}\nHTTP/1.1 200 OK\nMESSAGE END <<<< SIP(0x1) - 2026-11-22T20:03:00Z",
        f"MESSAGE START <><> {MARK}\nHTTP/1.1 200 OK\nMESSAGE END <><> {MARK}",
    ],
)
def test_other_log_texts_are_no_messages(text: str) -> None:
    assert message_in(text) is None


@given(st.text())
def test_a_message_comes_back_whatever_it_says(text: str) -> None:
    message = message_in(block(text))
    assert message == Message("received", "HTTP", text)
    assert message.file_name(1).isascii()
    assert "/" not in message.file_name(1)


@given(st.text())
def test_any_log_text_can_be_read(text: str) -> None:
    message = message_in(text)
    assert message is None or message.text in text


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True), st.text("abc:;= \t", max_size=9)))
)
def test_headers_keep_their_order_and_their_repetitions(headers: list[tuple[str, str]]) -> None:
    lines = [f"{name}: {value}" for name, value in headers]
    message = Message("sent", "HTTP", "\n".join(["GET / HTTP/1.1", *lines, "", "a: body"]))
    assert message.headers == [(name, value.strip()) for name, value in headers]


@pytest.mark.parametrize("status", list(Status))
def test_the_last_line_tells_the_result(status: Status) -> None:
    result = Result(status, "NETWORK_ERROR: SSL Connection Failed")
    assert parse_result(f"0.1 sipe: RESULT 3 a line of the log\n{result}\n") == result


@pytest.mark.parametrize("output", ["", "RESULT 0 signed on\nTraceback", "RESULT", "RESULT x y"])
def test_without_a_last_line_there_is_no_result(output: str) -> None:
    assert parse_result(output) is None


def test_a_result_is_one_line() -> None:
    assert str(Result(Status.GAVE_UP, "two\n lines")) == "RESULT 1 two lines"


def test_a_bundle_is_split_into_its_certificates(tmp_path: Path) -> None:
    first, second = (f"-----BEGIN CERTIFICATE-----\n{c * 4}\n-----END CERTIFICATE-----" for c in "AB")
    key = "-----BEGIN PRIVATE KEY-----\nCCCC\n-----END PRIVATE KEY-----"
    bundle = f"# the root\n{first}\n{key}\n{second}\n"
    assert split_bundle(bundle) == [first, second]
    assert write_authorities(bundle, tmp_path / "authorities") == 2
    assert sorted(path.read_text() for path in (tmp_path / "authorities").iterdir()) == [
        first + "\n",
        second + "\n",
    ]
    assert split_bundle(key) == []
