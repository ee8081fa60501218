"""Traces as records: both forms of the tool, and what pasting, cutting and mixing does to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.tracefile import LONGEST_RECORD, TraceParser, records

RECORD = "(SIPStack,SIPAdminLog::TraceProtocolRecord:SIPAdminLog.cpp(125))"
FLUSH = "(SIPStack,SIPAdminLog::ProtocolRecord::Flush:ProtocolRecord.cpp(261))"
LATER = r"[pool01\FE02]1A10.1B2C::03/05/2017-06:32:14.500.000000F1"
DIAG = "(SIPStack,SIPAdminLog::TraceDiagRecord:SIPAdminLog.cpp(143))"

# Protocol reference §12.2, as it stands there.
REGISTER = f"""\
TL_INFO(TF_PROTOCOL) [0]0A10.1B2C::12/09/2011-06:32:14.101.0000a4f1 {RECORD}$$begin_record
Trace-Correlation-Id: 1234567890
Instance-Id: 0000C0DE
Direction: incoming
Peer: fe01.contoso.local:50123
Message-Type: request
Start-Line: REGISTER sip:contoso.example SIP/2.0
From: <sip:alice@contoso.example>;tag=a1;epid=b2
CONTACT: <sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=c3>
CSeq: 1 REGISTER
Message-Body: -
$$end_record
"""
# The same of 2013 and later (§12.1): the server in brackets, the correlation behind the place.
NOTIFY = f"""\
TL_INFO(TF_PROTOCOL) {LATER} {FLUSH} [2147483648] $$begin_record
Direction: outgoing;source="local";destination="internal edge"
Start-Line: NOTIFY sip:alice@192.0.2.7 SIP/2.0
Supported: ms-benotify,
  ms-piggyback-first-notify
Message-Body: <a>

TL_NOISE is no record
</a>
$$end_record
"""
# §12.3, and the same with neither marker, as a paste of a KB article has it.
DIAGNOSTIC = f"""\
TL_ERROR(TF_DIAG) [0]0A10.1B2C::12/09/2011-06:32:15.000.0000a4f2 {DIAG}$$begin_record
LogType: diagnostic
Severity: error
Text: Failed to connect to a peer
Result-Code: 0xc3e93c5e SIPPROXY_E_ROUTING
SIP-Call-ID: c1
$$end_record
"""
COMPONENT = (
    "TL_ERROR(TF_COMPONENT) [0]0860.0CDC::12/09/2011-06:32:16.000.0000a4f3 "
    "(SIPStack,CSIPRequest::X:SIPRequest.cpp(2440))( 000000000028FD70 ) "
    "Exit - no route. Result 0xC3E93C5E(SIPPROXY_E_ROUTING)\n"
)
MANAGED = (
    "TL_INFO(TF_COMPONENT) [1]0A6C.1B50::12/09/2011-06:32:17.123.00000ab1 "
    "(MCXService,Session.Create:session.cs(12))(0000000002A3B4C5) "
    "alice@contoso.example signed in\nby the external site\n"
)


def read(text):
    return list(records(text.splitlines(keepends=True)))


def test_a_protocol_record_of_2010():
    (record,) = read(REGISTER)
    assert (record.level, record.flag, record.context, record.server) == ("TL_INFO", "TF_PROTOCOL", "0", None)
    assert (record.component, record.function) == ("SIPStack", "SIPAdminLog::TraceProtocolRecord")
    assert record.time == pytest.approx(1323412334.101)
    assert record.field("start-line") == "REGISTER sip:contoso.example SIP/2.0"
    assert record.field("contact") == "<sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=c3>"
    assert record.field("call-id") is None
    assert (record.body, record.whole, record.result) == ("", True, None)


def test_a_protocol_record_of_2013():
    (record,) = read(NOTIFY)
    assert record.server == "fe02"
    assert record.field("trace-correlation-id") == "2147483648"
    assert record.field("supported") == "ms-benotify, ms-piggyback-first-notify"
    assert record.body == "<a>\n\nTL_NOISE is no record\n</a>"


@pytest.mark.parametrize("without", ["", "$$begin_record", "$$end_record"])
def test_a_diagnostic_record_also_without_a_marker(without):
    text = DIAGNOSTIC.replace(without, "") if without else DIAGNOSTIC
    record, after = read(text + COMPONENT)
    assert record.field("severity") == "error"
    assert record.result == "0xc3e93c5e(SIPPROXY_E_ROUTING)"
    assert record.whole is (without != "$$end_record")
    assert after.result == "0xC3E93C5E(SIPPROXY_E_ROUTING)"


def test_components_say_text():
    native, managed = read(COMPONENT + MANAGED)
    assert native.text == "Exit - no route. Result 0xC3E93C5E(SIPPROXY_E_ROUTING)"
    assert (native.function, native.whole) == ("CSIPRequest::X", True)
    assert (managed.component, managed.function) == ("MCXService", "Session.Create")
    assert managed.text == "alice@contoso.example signed in\nby the external site"
    assert managed.result is None


def test_what_is_between_is_passed_over():
    text = (
        f"\ufeff# pasted\n\n$$begin_record\nDirection: x\n$$end_record\n{REGISTER}\nnoise\n\n{DIAGNOSTIC}more"
    )
    assert [record.flag for record in read(text)] == ["TF_PROTOCOL", "TF_DIAG"]


def test_carriage_returns_change_nothing():
    assert read((REGISTER + NOTIFY).replace("\n", "\r\n")) == read(REGISTER + NOTIFY)


def test_a_cut_record_is_told_as_far_as_it_goes():
    cut, whole = read(REGISTER[: REGISTER.index("CSeq")] + NOTIFY)
    assert (cut.whole, cut.field("from") is not None, cut.field("cseq")) == (False, True, None)
    assert whole.whole


@pytest.mark.parametrize(
    "when", ["13/09/2011-06:32:14.101", "02/30/2011-06:32:14.101", "12/09/2011-25:00:00.000"]
)
def test_a_time_that_there_is_not(when):
    assert read(REGISTER.replace("12/09/2011-06:32:14.101", when)) == []


def test_a_line_that_was_moved_in_forges_nothing():
    text = REGISTER.replace(
        "Message-Body: -", f"Message-Body: x\n {DIAGNOSTIC.splitlines()[0]}\n $$end_record\ny"
    )
    (record,) = read(text)
    assert record.body.endswith("$$end_record\ny")


def test_a_growing_file_tells_each_record_once():
    parser = TraceParser()
    lines = (REGISTER + COMPONENT + MANAGED).splitlines()
    found = [record for line in lines if (record := parser.line(line))]
    assert [record.flag for record in found] == ["TF_PROTOCOL", "TF_COMPONENT"]
    last = parser.end()
    assert last is not None
    assert last.component == "MCXService"
    assert parser.end() is None
    assert [parser.line(line) for line in REGISTER.splitlines()][-1] is not None


def test_a_record_has_an_end():
    big = REGISTER.replace("Message-Body: -", "Message-Body: x\n" + ("y" * 1000 + "\n") * 2000)
    (record,) = read(big)
    assert len(record.body) <= LONGEST_RECORD


PIECES = [
    REGISTER,
    NOTIFY,
    DIAGNOSTIC,
    COMPONENT,
    MANAGED,
    "$$begin_record\n",
    "$$end_record\n",
    "\n",
    "a: b\n",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(), max_size=8).map("".join), st.integers(0, 4000))
def test_takes_anything(text, cut):
    for record in read(text[:cut]) + read(text[cut:]):
        assert record.level.startswith("TL_")
        assert record.result is None or record.result.startswith("0x")
