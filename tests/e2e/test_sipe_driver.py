"""The real client under our driver, against a web server that knows two documents.

What it proves is about the driver: that SIPE understands what it is sent, checks certificates, and reaches
nothing but what a test maps.  Signing in through the edge is the business of other tests.
"""

import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from e2e.sipe.outcome import Status
from e2e.sipe.run import SipeResult, requires_sipe, run_sipe
from lyncgate.lab.authority import Authority
from support.estate import running_estate
from support.requirements import require

pytestmark = requires_sipe

ALICE = "alice@contoso.example"
WEB = "https://lyncweb.contoso.example"
ROOT = f"""\
<?xml version="1.0" encoding="utf-8"?>
<AutodiscoverResponse AccessLocation="External"><Root>
<Link token="User" href="{WEB}/Autodiscover/AutodiscoverService.svc/root/user"/>
</Root></AutodiscoverResponse>"""
ROOT_TYPE = "application/vnd.microsoft.rtc.autodiscover+xml; v=1.0"
ASKS_FOR_A_TICKET = r"GET /WebTicket/WebTicketService\.svc/mex"


class Web(BaseHTTPRequestHandler):
    """Answers the root document, a 401 that points to the web ticket service, and 404."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == f"/?sipuri={ALICE}":
            self._answer(200, {"Content-Type": ROOT_TYPE}, ROOT.encode())
        elif self.path == "/Autodiscover/AutodiscoverService.svc/root/user":
            self._answer(401, {"X-MS-WebTicketURL": f"{WEB}/WebTicket/WebTicketService.svc"})
        else:
            self._answer(404, {})

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """The web server on a free port, with TLS for `names` from a root of its own."""

    def __init__(self, directory: Path, names: list[str]) -> None:
        authority = Authority()
        chain, key = authority.issue(names)
        self.cafile = directory / "ca.pem"
        self.cafile.write_bytes(authority.pem)
        (directory / "server.pem").write_bytes(chain + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.pem")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # a client that rejects our certificate hangs up
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def rules(self) -> list[str]:
        port = self._server.server_port
        return [
            f"lyncdiscover.contoso.example:443:127.0.0.1:{port}",
            f"lyncweb.contoso.example:443:127.0.0.1:{port}",
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, ["*.contoso.example"])
    yield site
    site.close()


def until_ticket(site: Site, *options: str, trust: bool = True, launcher: tuple[str, ...] = ()) -> SipeResult:
    return run_sipe(
        ALICE,
        "P4ssword",
        connect_to=site.rules,
        cafile=site.cafile if trust else None,
        options=[f"--until={ASKS_FOR_A_TICKET}", *options],
        launcher=launcher or (sys.executable,),
    )


def system_python() -> str:
    python = "/usr/bin/python3"
    recent = subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    require(recent.returncode == 0, "python3 (3.11 or later)")
    return python


def test_it_understands_the_documents_and_checks_the_certificate(site: Site) -> None:
    result = until_ticket(site)
    assert result.status is Status.REACHED, result
    assert not result.signed_on
    assert result.saw(rf"sipe_lync_autodiscover_parse: user {re.escape(WEB)}/Autodiscover")
    assert result.saw("Successfully verified certificate for lyncdiscover.contoso.example")
    assert result.saw("Successfully verified certificate for lyncweb.contoso.example")
    assert result.of("prompt") == []

    discover = result.sent("GET /?sipuri=")[0]
    assert discover.header("host") == ["lyncdiscover.contoso.example"]
    root = result.received("HTTP/1.1 200")[0]
    assert (root.header("content-type"), root.body) == ([ROOT_TYPE], ROOT)
    assert result.received("HTTP/1.1 401")
    assert result.events[-1]["event"] == "end"


def test_it_runs_under_the_systems_own_python(site: Site) -> None:
    assert until_ticket(site, launcher=(system_python(),)).status is Status.REACHED


def test_an_unknown_authority_is_rejected(site: Site) -> None:
    result = until_ticket(site, trust=False)
    assert result.status is Status.GAVE_UP, result
    assert {prompt["answer"] for prompt in result.of("prompt")} == {"Reject"}
    assert result.messages == []


def test_a_certificate_for_another_name_is_rejected(tmp_path: Path) -> None:
    site = Site(tmp_path, ["*.fabrikam.example"])
    try:
        result = until_ticket(site)
    finally:
        site.close()
    assert result.status is Status.GAVE_UP, result
    assert {prompt["answer"] for prompt in result.of("prompt")} == {"Reject"}
    assert result.messages == []


def test_a_bad_certificate_is_accepted_only_on_demand(site: Site) -> None:
    result = until_ticket(site, "--accept-bad-certs", trust=False)
    assert result.status is Status.REACHED, result
    assert {prompt["answer"] for prompt in result.of("prompt")} == {"Accept"}


def test_names_that_are_not_mapped_do_not_exist() -> None:
    result = run_sipe(ALICE, "P4ssword")
    assert result.status is Status.GAVE_UP, result
    lookups = [(lookup["type"], lookup["name"], lookup["answer"]) for lookup in result.of("dns")]
    assert ("A", "lyncdiscover.contoso.example", None) in lookups
    assert ("SRV", "_sip._tls.contoso.example", None) in lookups
    assert {answer for *_, answer in lookups} == {None}
    assert result.messages == []


def test_a_server_found_by_srv_is_asked() -> None:
    """The record leads to a name, the name to a listener: the client's TLS greeting arrives there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        greetings = []

        def greet() -> None:
            connection, _ = listener.accept()
            greetings.append(connection.recv(3))
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        result = run_sipe(
            ALICE,
            "P4ssword",
            srv=["_sip._tls.contoso.example=access.contoso.example:5061"],
            connect_to=[f"access.contoso.example:5061:127.0.0.1:{listener.getsockname()[1]}"],
        )
        thread.join()
    assert result.status is Status.GAVE_UP, result
    assert greetings[0][:2] == b"\x16\x03"  # a TLS handshake record


def test_a_server_that_says_nothing_runs_into_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rule = f"lyncdiscover.*::127.0.0.1:{listener.getsockname()[1]}"
        result = run_sipe(ALICE, "P4ssword", connect_to=[rule], timeout=1)
    assert (result.status, result.text) == (Status.TIMED_OUT, "no end after 1 s")


def test_no_packet_goes_where_no_rule_leads(site: Site, tmp_path: Path) -> None:
    """The kernel is the witness: strace sees every address that any of its threads and children contacts."""
    strace = require("strace", "strace")
    trace = tmp_path / "trace"
    calls = "trace=connect,bind,sendto,sendmsg,sendmmsg"
    result = until_ticket(site, launcher=(strace, "-f", "-qq", "-e", calls, "-o", str(trace), sys.executable))
    assert result.status is Status.REACHED, result
    addressed = re.findall(r"sa_family=AF_INET.*", trace.read_text())
    assert addressed
    assert [call for call in addressed if 'inet_addr("127.0.0.1")' not in call] == []


def test_messages_are_written_to_files(site: Site, tmp_path: Path) -> None:
    until_ticket(site, f"--messages={tmp_path / 'messages'}")
    first, *_ = sorted((tmp_path / "messages").iterdir())
    assert first.name.startswith("001-sent-http-GET-sipuri-alice-contoso-example")
    assert first.read_text().startswith(
        f"GET /?sipuri={ALICE} HTTP/1.1\nHost: lyncdiscover.contoso.example\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user=alice"],
        ["--user=alice@fabrikam.example", "--domain=contoso.example"],
        ["--user=alice@contoso.example", "--connect-to=nonsense"],
        ["--user=alice@contoso.example", "--until=("],
        ["--user=alice@contoso.example", "--cafile=/nonexistent/ca.pem"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    driver = Path(__file__).parent / "sipe"
    command = [sys.executable, str(driver), "--password=P4ssword", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (Status.USAGE, "")
    assert "error: " in done.stderr


def test_a_quiet_run_prints_its_result_only() -> None:
    result = run_sipe(ALICE, "P4ssword", options=["--quiet"])
    assert result.log == "RESULT 1 NETWORK_ERROR: SSL Connection Failed\n"


@pytest.mark.parametrize("options", [[], [r"--login=CONTOSO\alice"]], ids=["upn", "down-level name"])
def test_it_signs_in_to_the_lab(options: list[str], tmp_path: Path) -> None:
    """All the way, with no edge between: NTLM for the web ticket and for SIP, REGISTER answered 200."""

    with running_estate(tmp_path) as lab:
        names = lab.estate.names_without_edge().connect_to()
        result = run_sipe(ALICE, "P4ss-alice", cafile=lab.estate.ca_file, connect_to=names, options=options)
    assert result.signed_on, result
    assert result.saw("got ticket for Auth URI")
    _, *with_ntlm = result.sent("POST /WebTicket")
    assert [message.header("authorization")[0][:5] for message in with_ntlm] == ["NTLM ", "NTLM "]
    assert result.received("SIP/2.0 200")
