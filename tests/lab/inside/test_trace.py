"""Traces in the form of §12: read here by the reference's own regular expression."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab.inside.trace import Tracer, TraceWriter
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Direction

# Protocol reference §12.1, as it stands there.
HEADER = re.compile(
    r"^(TL_\w+)\((TF_\w+)\) \[([^\]]*)\]([0-9A-Fa-f]+)\.([0-9A-Fa-f]+)::"
    r"(\d\d/\d\d/\d{4})-(\d\d:\d\d:\d\d\.\d{3})\.([0-9A-Fa-f]+) "
    r"\(([^,]+),(.+?):([^:()]+)\((\d+)\)\)\s*(?:\[(\d+)\]\s*)?(.*)$"
)
NOON = 1323432000.25  # 2011-12-09 12:00:00.25 UTC
REGISTER = Message(
    "REGISTER",
    "sip:contoso.example",
    (
        ("From", "<sip:alice@contoso.example>;tag=a1"),
        ("Call-ID", "c1"),
        ("CSeq", "1 REGISTER"),
        ("Authorization", 'NTLM qop="auth", gssapi-data="TlRMTVNTUAAD", response="0102", cnum="1"'),
    ),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traces" / "fe01.log"


def records(path):
    """Header line and the rest, of each record."""
    found = []
    for line in path.read_text().splitlines():
        if line.startswith("TL_"):
            found.append((HEADER.match(line), []))
            assert found[-1][0], line
        else:
            found[-1][1].append(line)
    return found


def write(path, *messages, **options):
    tracer = TraceWriter(path, clock=lambda: NOON, **options)
    for direction, message in messages:
        tracer.message(direction, "fe01.contoso.local:50123", message)
    tracer.close()


def test_record_of_a_request(path):
    write(path, (Direction.INCOMING, REGISTER))
    ((head, lines),) = records(path)
    assert head.group(1, 2, 6, 7, 9, 10, 11) == (
        *("TL_INFO", "TF_PROTOCOL", "12/09/2011", "12:00:00.250"),
        *("SIPStack", "SIPAdminLog::TraceProtocolRecord", "SIPAdminLog.cpp"),
    )
    assert head[14] == "$$begin_record"
    assert [line.partition(":")[0] for line in lines[:6]] == [
        *("Trace-Correlation-Id", "Instance-Id", "Direction", "Peer", "Message-Type", "Start-Line")
    ]
    assert lines[2:6] == [
        "Direction: incoming",
        "Peer: fe01.contoso.local:50123",
        "Message-Type: request",
        "Start-Line: REGISTER sip:contoso.example SIP/2.0",
    ]
    assert lines[-2:] == ["Message-Body: -", "$$end_record"]


def test_request_and_answer_share_their_correlation(path):
    answer = Answer(200, "OK", (("Call-ID", "c1"),), b"<a>\r\n</a>")
    write(path, (Direction.INCOMING, REGISTER), (Direction.OUTGOING, answer))
    (_, asked), (_, answered) = records(path)
    assert asked[0] == answered[0]
    assert asked[1] != answered[1]
    assert answered[-3:] == ["Message-Body: <a>", "</a>", "$$end_record"]
    assert "Message-Type: response" in answered


def test_secrets_are_masked_and_the_rest_is_not(path):
    push = Message("MESSAGE", "sip:push@fabrikam.example", (), b'{"token": "5ec7e7", "text": "hello"}')
    write(path, (Direction.INCOMING, REGISTER), (Direction.INCOMING, push))
    text = path.read_text()
    assert 'gssapi-data="***", response="***", cnum="1"' in text
    assert 'Message-Body: {"token": "***", "text": "hello"}' in text
    for secret in ("TlRMTVNTUAAD", "0102", "5ec7e7"):
        assert secret not in text


def test_skewed_clock_is_ahead(path):
    write(path, (Direction.INCOMING, REGISTER), skew=2.5)
    ((head, _),) = records(path)
    assert head[7] == "12:00:02.750"


def test_component_lines_are_one_line_each(path):
    tracer = TraceWriter(path, clock=lambda: NOON)
    tracer.line("MCXService", "McxSession::SignIn", "alice@contoso.example\nby the external site")
    tracer.line("MCXService", "McxSession::SignIn", "refused", level="TL_ERROR")
    tracer.close()
    (said, nothing), (error, _) = records(path)
    assert said.group(1, 2, 9, 10, 11) == (
        *("TL_INFO", "TF_COMPONENT"),
        *("MCXService", "McxSession::SignIn", "McxSession.cs"),
    )
    assert re.fullmatch(r"\( [0-9A-F]{16} \) alice@contoso.example by the external site", said[14])
    assert nothing == []
    assert error[1] == "TL_ERROR"


def test_file_is_continued_and_its_owners_only(path):
    write(path, (Direction.INCOMING, REGISTER))
    write(path, (Direction.INCOMING, REGISTER))
    assert len(records(path)) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_when_traces_are_off():
    tracer = Tracer()
    tracer.message(Direction.INCOMING, "x:1", REGISTER)
    tracer.line("MCXService", "A::B", "text")
    tracer.close()


@given(body=st.text(alphabet=st.sampled_from("TL_INFO(TF_PROTOCOL) $$begin_record\r\nendx")))
def test_no_body_forges_a_record(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("forged") / "fe01.log"
    write(path, (Direction.INCOMING, Message("MESSAGE", "sip:x", (), body.encode())))
    (record,) = records(path)
    assert record[1].count("$$end_record") == 1
