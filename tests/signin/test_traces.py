"""A server's trace as events. The lab writes traces in the same form."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lync.test_tracefile import COMPONENT, DIAGNOSTIC, NOTIFY, PIECES, REGISTER
from lyncgate.lab.inside.trace import TraceWriter
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Direction
from lyncgate.lync import contacts, provisioning
from lyncgate.lync.provisioning import Group, Provisioning
from lyncgate.signin import codec
from lyncgate.signin.events import SipMessage, TraceLine
from lyncgate.signin.keys import Hasher
from lyncgate.signin.traces import TraceReader
from support.changed import changed

HASHER = Hasher(b"k" * 16)
ALICE = "alice@contoso.example"
SECRET = "Wq7x9ZkT2mB4vN8sL1cR5yH3dF6gJ0pA"
IN, OUT = Direction.INCOMING, Direction.OUTGOING


def told(text, server="fe01"):
    """All events, in order, those that are told twice twice."""
    reader = TraceReader(server, HASHER)
    found = [event for line in text.splitlines(keepends=True) for event in reader.line(line)]
    return [*found, *reader.end()]


def events(text, server="fe01"):
    """Each event once, as it was told last."""
    return list({event.id: event for event in told(text, server)}.values())


@pytest.fixture
def trace(tmp_path):
    """Writes messages as the lab does, a quarter of a second apart, and reads them as events."""

    def written(*said):
        now = iter(range(100))
        path = tmp_path / "fe01.log"
        path.unlink(missing_ok=True)
        writer = TraceWriter(path, clock=lambda: 1323432000 + next(now) / 4)
        for one in said:
            if isinstance(one, str):
                writer.line("MCXService", "McxSession::SignIn", one)
            else:
                writer.message(one[0], "fe01.contoso.local:50123", one[1])
        writer.close()
        return path.read_text()

    return written


def request(method, number=1, *headers, body=b"", sender=f"<sip:{ALICE}>;tag=a1;epid=b2"):
    known = (("From", sender), ("To", f"<sip:{ALICE}>"), ("Call-ID", "c1"), ("CSeq", f"{number} {method}"))
    return Message(method, "sip:contoso.example", (*known, *headers), body)


def answer(asked, status, *headers, body=b""):
    return Answer(status, "OK" if status == 200 else "No", (*asked.headers[:4], *headers), body)


def test_a_registration(trace):
    contact = ("Contact", "<sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=c3>")
    asked = request("REGISTER", 1, contact)
    first, second = events(trace((IN, asked), (OUT, answer(asked, 200, contact))))
    assert isinstance(first, SipMessage)
    assert isinstance(second, SipMessage)
    assert (first.incoming, first.method, first.status, first.cseq) == (True, "REGISTER", None, 1)
    assert (first.contact, first.peer) == ("pool01.contoso.local:5087", "fe01.contoso.local:50123")
    assert (first.origin, first.started, first.seconds) == ("trace:fe01", 1323432000.0, 0.25)
    assert (first.keys.user, first.keys.endpoint, first.keys.dialog) == (ALICE, "b2", "c1")
    assert (second.incoming, second.method, second.status, second.reason) == (False, "REGISTER", 200, "OK")
    assert second.keys == first.keys
    assert second.seconds is None


def test_a_request_is_told_at_once_and_again_with_its_time(trace):
    asked = request("REGISTER")
    text = trace((IN, asked), (OUT, answer(asked, 100)), (OUT, answer(asked, 403)))
    asked_first, trying, asked_again, refused = told(text)
    assert asked_first.id == asked_again.id
    assert (asked_first.seconds, asked_again.seconds) == (None, 0.5)
    assert (trying.status, refused.status) == (100, 403)


def test_each_hop_of_a_proxy_has_its_own_answer(trace):
    asked = request("REGISTER")
    text = trace((IN, asked), (OUT, asked), (IN, answer(asked, 200)), (OUT, answer(asked, 200)))
    assert [e.seconds for e in events(text) if e.status is None] == [0.75, 0.25]


def test_provisioning_becomes_settings(trace):
    asked = request("SUBSCRIBE", 2, ("Event", "vnd-microsoft-provisioning-v2;x=1"))
    said = Provisioning(
        {
            Group.SERVER: {"voiceMailUri": f"sip:{ALICE};opaque=app:voicemail"},
            Group.MOBILITY: {"EnableMobility": "true"},
        }
    )
    body = provisioning.document(said)
    in_parts = b"--b\r\nContent-Type: x\r\n\r\n" + body + b"\r\n--b--"
    for form in (body, in_parts):
        _, told_it = events(trace((IN, asked), (OUT, answer(asked, 200, body=form))))[-2:]
        assert ("voicemail", f"sip:{ALICE};opaque=app:voicemail") in told_it.settings
        assert ("EnableMobility", "true") in told_it.settings
    assert events(trace((IN, asked)))[-1].package == "vnd-microsoft-provisioning-v2"


def test_contact_lists_are_counted(trace):
    asked = request("SUBSCRIBE", 3)
    listed = contacts.ContactList((), tuple(contacts.Contact(f"u{n}@x.example", "", ()) for n in range(3)))
    document = contacts.roaming_document(listed)
    assert events(trace((OUT, answer(asked, 200, body=document))))[0].contacts == 3
    assert events(trace((OUT, answer(asked, 200, body=document[:-20]))))[-1].contacts is None, "cut"


def test_who_it_is_done_for():
    (notify,) = events(
        NOTIFY.replace("Supported", f"From: <sip:bob@x.example>\nTo: <sip:{ALICE}>;epid=B2\nSupported")
    )
    assert (notify.keys.user, notify.keys.endpoint) == (ALICE, "b2")
    (register,) = events(REGISTER)
    assert (register.keys.user, register.keys.endpoint) == (ALICE, "b2")


def test_the_server_is_the_record_s_own_if_it_says_so():
    assert [e.origin for e in events(REGISTER + NOTIFY, server="Frontend")] == [
        "trace:frontend",
        "trace:fe02",
    ]


def test_lines_of_components(trace):
    text = trace(f"{ALICE} endpoint=55616b5143 is registered, Call-ID=c1", "nobody did anything")
    (line,) = events(text)
    assert isinstance(line, TraceLine)
    assert (line.keys.user, line.keys.endpoint, line.keys.dialog) == (ALICE, "55616b5143", "c1")
    assert (line.component, line.function, line.level) == ("MCXService", "McxSession::SignIn", "TL_INFO")


def test_what_went_wrong_is_kept_whosever_it_is():
    diagnostic, component = events(DIAGNOSTIC + COMPONENT)
    assert (diagnostic.text, diagnostic.keys.dialog) == ("Failed to connect to a peer", "c1")
    assert {e.result.lower() for e in (diagnostic, component)} == {"0xc3e93c5e(sipproxy_e_routing)"}
    assert component.keys.exact == ()


def test_the_same_file_again_is_the_same_events():
    text = REGISTER + NOTIFY + DIAGNOSTIC + COMPONENT
    assert told(text) == told(text)
    assert len({e.id for e in events(text + text)}) == 4
    assert {e.id for e in events(REGISTER, "fe01")} != {e.id for e in events(REGISTER, "fe02")}


def test_a_dialog_is_told_apart_however_long_its_name():
    calls = [
        REGISTER.replace("CSeq", f"Call-ID: {'x' * 400}{n}\nCSeq").replace("a4f1", f"a4f{n}") for n in (2, 3)
    ]
    first, second = events("".join(calls))
    assert first.keys.dialog != second.keys.dialog
    assert len(first.keys.dialog) == 16


def test_ntlm_s_user_is_the_account():
    places = [
        (0, 64),
        (0, 64),
        (14, 64),
        (10, 78),
        (0, 88),
        (0, 88),
    ]  # domain and user are the third and fourth
    head = b"".join(struct.pack("<HHI", length, length, at) for length, at in places)
    names = "CONTOSOalice".encode("utf-16-le")
    ntlm = base64.b64encode(
        b"NTLMSSP\0" + struct.pack("<I", 3) + head + struct.pack("<I", 1) + names
    ).decode()
    written = f'Authorization: NTLM qop="auth", gssapi-data="{ntlm}", response="{SECRET}"\nCSeq'
    (register,) = events(REGISTER.replace("CSeq", written))
    assert register.keys.account == "CONTOSO\\alice"
    assert ntlm not in codec.dumps(register)


def test_no_secret_is_kept():
    """Unlike the lab's, the real tool's traces have them."""
    headers = f'Authorization: TLS-DSK gssapi-data="{SECRET}"\nms-diagnostics: 1;token="{SECRET}"\nCSeq'
    body = f"Message-Body: <a><Password>{SECRET}</Password></a>"
    text = REGISTER.replace("CSeq", headers).replace("Message-Body: -", body)
    text += COMPONENT.replace("no route", f"no route, Authorization: Bearer {SECRET}, password={SECRET}")
    text += DIAGNOSTIC.replace("to a peer", f'to a peer gssapi-data="{SECRET}"')
    found = events(text)
    assert len(found) == 3
    assert not [event for event in found if SECRET in codec.dumps(event)]


@given(st.lists(st.sampled_from(PIECES) | st.text(), max_size=8).map("".join))
def test_takes_anything(text):
    for event in told(text):
        assert codec.loads(codec.dumps(event)) == event
        assert event.origin == "trace:fe01" or event.origin == "trace:fe02"


@given(
    st.text(),
    st.sampled_from(["From", "To", "Call-ID", "Contact", "CSeq", "Peer", "Event", "ms-diagnostics"]),
)
def test_takes_any_header(value, name):
    value = " ".join(value.split())
    for event in told(REGISTER.replace("From: ", f"{name}: {value}\nFrom: ")):
        assert codec.loads(codec.dumps(event)) == event
        assert changed(event) == event
