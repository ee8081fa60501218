"""A sign-in is all there in the front end's trace, and a notification in those of both servers it passes."""

import datetime
import json
import os
import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from lab.inside.test_trace import HEADER, records
from lyncgate.cli.lab import lab as lab_command
from lyncgate.lab.inside.push import PROXY_URI, PushChannel
from lyncgate.lab.topology import AccessLocation
from support.estate import running_estate

SKEW = 3600.0
COMMAND = [sys.executable, "-c", "import typer; from lyncgate.cli.lab import lab; typer.run(lab)"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A lab in which a phone signed in, got a notification and signed out; the directory of the traces."""
    directory = tmp_path_factory.mktemp("traced")
    with running_estate(directory, trace=True, skew={"fe01": SKEW}) as lab:

        async def one_sign_in():
            mcx = lab.estate._running["fe01"].inside.mcx
            user = lab.estate.people.by_sip("alice@contoso.example")
            async with await PushChannel.open(lab.estate.push.device_address) as device:
                registered = await mcx.sign_in(user, location=AccessLocation.EXTERNAL, endpoint="phone-1")
                await mcx.push(registered, device.token, {"text": "hello"})
                await mcx.sign_out(registered)
                return device.token

        token = lab.run(one_sign_in())
    return directory / "traces", token


def messages(path):
    """(direction, start line, event) of each protocol record, `->` or `<-`."""
    found = []
    for head, lines in records(path):
        if head[2] == "TF_PROTOCOL":
            fields = dict(line.split(": ", 1) for line in lines if ": " in line)
            arrow = {"incoming": "->", "outgoing": "<-"}[fields["Direction"]]
            found.append((arrow, fields["Start-Line"].removesuffix(" SIP/2.0"), fields.get("Event", "")))
    return found


def test_sign_in_as_the_front_end_saw_it(traced):
    directory, _ = traced
    alice = "sip:alice@contoso.example"
    assert messages(directory / "fe01.log") == [
        ("->", "REGISTER sip:contoso.example", ""),
        ("<-", "SIP/2.0 401 Unauthorized", ""),
        ("->", "REGISTER sip:contoso.example", ""),
        ("<-", "SIP/2.0 200 OK", ""),
        ("->", f"SUBSCRIBE {alice}", "vnd-microsoft-provisioning-v2"),
        ("<-", "SIP/2.0 200 OK", "vnd-microsoft-provisioning-v2"),
        ("->", f"SUBSCRIBE {alice}", "vnd-microsoft-roaming-contacts"),
        ("<-", "SIP/2.0 200 OK", "vnd-microsoft-roaming-contacts"),
        ("->", f"SUBSCRIBE {alice}", "presence"),
        ("<-", "SIP/2.0 200 OK", "presence"),
        ("->", f"MESSAGE {PROXY_URI}", ""),
        ("<-", f"MESSAGE {PROXY_URI}", ""),  # on to the Access Edge
        ("->", "SIP/2.0 200 OK", ""),
        ("<-", "SIP/2.0 200 OK", ""),
        ("->", "REGISTER sip:contoso.example", ""),
        ("<-", "SIP/2.0 200 OK", ""),
    ]


def test_access_edge_has_the_notification_only(traced):
    directory, _ = traced
    assert messages(directory / "sip.log") == [
        ("->", f"MESSAGE {PROXY_URI}", ""),
        ("<-", f"MESSAGE {PROXY_URI}", ""),
        ("->", "SIP/2.0 200 OK", ""),
        ("<-", "SIP/2.0 200 OK", ""),
    ]


def test_what_stage_10_and_12_are_read_from(traced):
    directory, _ = traced
    text = (directory / "fe01.log").read_text()
    assert "Contact: <sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=" in text
    assert "Peer: fe01.contoso.local:" in text
    assert '<property name="EnableMobility">' in text
    assert "voiceMailUri>sip:alice@contoso.example;opaque=app:voicemail<" in text


def test_mobility_service_says_what_it_does(traced):
    directory, _ = traced
    said = [head[14] for head, _ in records(directory / "fe01.log") if head[9] == "MCXService"]
    assert [line.split(") ", 1)[1].split(" endpoint=")[0] for line in said] == ["alice@contoso.example"] * 4
    assert "by the External site" in said[0]
    assert "is registered" in said[1]


def test_no_secret_is_in_any_trace(traced):
    directory, token = traced
    text = "".join(path.read_text() for path in directory.iterdir())
    assert 'Authorization: LabTrust realm="SIP Communications Service", opaque=' in text
    assert 'response="***"' in text
    assert token not in text


def test_clocks_are_apart_by_the_skew(traced):
    directory, _ = traced

    def time_of_message(name):
        head = next(
            head
            for head, lines in records(directory / name)
            if f"Start-Line: MESSAGE {PROXY_URI} SIP/2.0" in lines and "Direction: outgoing" in lines
        )
        return datetime.datetime.strptime(f"{head[6]} {head[7]}", "%m/%d/%Y %H:%M:%S.%f")

    ahead = (time_of_message("fe01.log") - time_of_message("sip.log")).total_seconds()
    assert SKEW - 5 < ahead <= SKEW


def test_lab_without_traces_writes_none(tmp_path):
    with running_estate(tmp_path, members=["fe01"]):
        pass
    assert not list(tmp_path.rglob("*.log"))


def test_command_writes_a_file_for_each_server(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "--traces", str(tmp_path / "t"), "--skew", "fe01=2.5", "--json"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        members = json.loads(process.stdout.readline())["members"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert {path.name for path in (tmp_path / "t").iterdir()} == {
        f"{name}.log" for name in members if name != "owa01"
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--traces", "t", "--skew", "fe99=1"], "no such member: fe99"),
        (["--traces", "t", "--skew", "fe01=soon"], "fe01=soon"),
        (["--traces", "t", "--skew", "fe01"], "fe01"),
        (["--skew", "fe01=1"], "--traces"),
    ],
)
def test_command_refuses_a_skew_that_is_none(arguments, said):
    command = typer.Typer()
    command.command()(lab_command)
    result = CliRunner().invoke(command, arguments, env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert result.exit_code == 2
    assert "--skew" in result.output
    assert said in result.output


def test_header_is_the_references_own():
    """The example of §12.2."""
    assert HEADER.match(
        "TL_INFO(TF_PROTOCOL) [0]0A10.1B2C::12/09/2011-06:32:14.101.0000a4f1 "
        "(SIPStack,SIPAdminLog::TraceProtocolRecord:SIPAdminLog.cpp(125))$$begin_record"
    )
