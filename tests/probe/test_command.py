"""`lyncgate probe` as an operator runs it: against a lab behind an edge, all in processes of their own."""

import base64
import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import termios
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from lyncgate.cli.main import app
from lyncgate.lab.dns import estate as dns
from lyncgate.lab.dns.estate import View
from support.processes import LYNCGATE, ROOT, Edge, Lab, edge_process, wait_until

ALICE = "alice@contoso.example"
PASSWORD = "P4ss-alice"


class Deployment:
    """A lab and an edge in front of it, and a probe that finds its way there."""

    def __init__(self, lab: Lab, edge: Edge) -> None:
        self.lab = lab
        self.edge = edge
        ports = dns.ports(View.EXTERNAL, lab.plan.ports, (edge.http, edge.https))
        self.options = [
            "--ca",
            str(lab.ca),
            "--dns",
            "{}:{}".format(*lab.processes["lab"].said["dns"]["external"]),
        ]
        for (host, port), (to, to_port) in ports.items():
            self.options += ["--connect-to", f"{host}:{port}:{to}:{to_port}"]

    def probe(self, *more: str, user: str = ALICE, password: str | None = PASSWORD) -> tuple[int, str]:
        """Status, and everything that it said."""
        with self.started(*more, user=user, password=password) as process:
            said, _ = process.communicate(timeout=60)
            return process.returncode, said

    @contextlib.contextmanager
    def started(
        self, *more: str, user: str = ALICE, password: str | None = PASSWORD
    ) -> Iterator[subprocess.Popen[str]]:
        """A probe under way; the password comes by a file descriptor."""
        command = [*LYNCGATE, "probe", user, *self.options, *more]
        descriptors: Sequence[int] = ()
        if password is not None:
            reading, writing = os.pipe()
            os.write(writing, f"{password}\n".encode())
            os.close(writing)
            command += ["--password-fd", str(reading)]
            descriptors = (reading,)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=descriptors,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "addons"), "PYTHONUNBUFFERED": "1"},
        )
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A probe without a terminal, from start to end."""
    return subprocess.run(
        [*LYNCGATE, "probe", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "addons"), **environment},
    )


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("lab")
    options = ("--dir", str(directory), "--poll-minimum", "0.05", "--dns", "127.0.0.1")
    with contextlib.closing(Lab(directory, [*LYNCGATE, "lab", "--json", *options])) as lab:
        assert lab.start("lab").said
        with edge_process(lab.rules()) as edge:
            yield Deployment(lab, edge)


@pytest.fixture(scope="module")
def healthy(deployment: Deployment) -> dict[str, Any]:
    """What a probe says in JSON, everything asked for."""
    status, said = deployment.probe("--owa", "owa.contoso.example", "--mcx", "--poll", "1", "--json")
    document: dict[str, Any] = json.loads(said)
    assert status == 0, document
    return document


DOORS = ("look up", "TCP 443 of", "TCP 80 of", "TLS for")
# stage, and how each line begins, in order; `{}` stands for the lines of a host's door.
EXPECTED = [
    ("dns_internal", "look up lyncdiscoverinternal.contoso.example"),
    ("dns_discover", "look up lyncdiscover.contoso.example"),
    *[("connect", f"{what} lyncdiscover.contoso.example") for what in DOORS[1:]],
    *[("connect", f"{version} at lyncdiscover") for version in ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")],
    ("discover", "GET https://lyncdiscover.contoso.example/"),
    ("redirect", "GET http://lyncdiscover.contoso.example/"),
    *[("discover", "root as application/")] * 3,
    ("dns_web", "look up lyncweb.contoso.example"),
    *[("connect", f"{what} lyncweb.contoso.example") for what in DOORS[1:]],
    ("locate", "GET /Autodiscover/AutodiscoverService.svc/root/user without a ticket"),
    ("ticket", "GET /WebTicket/WebTicketService.svc/mex"),
    ("ticket", "POST /WebTicket/WebTicketService.svc without credentials"),
    ("ticket", "POST /WebTicket/WebTicketService.svc, NTLM begins"),
    ("ticket", "POST /WebTicket/WebTicketService.svc, NTLM ends"),
    ("certificate", "GET /CertProv/CertProvisioningService.svc/mex"),
    ("locate", "GET /Autodiscover/AutodiscoverService.svc/root/user with the ticket"),
    ("register", "External/Mcx, lyncweb.contoso.example/Mcx/McxService.svc"),
    ("register", "External/Ucwa, lyncweb.contoso.example/ucwa/v1/applications"),
    ("locate", "External/XFrame"),
    ("locate", "Self"),
    ("register", "GET /ucwa/v1/applications on 4 connections"),
    ("register", "POST /ucwa/v1/applications"),
    ("mobility_policy", "GET policies"),
    ("register", "the application on 4 new connections"),
    ("notifications", "poll, held for 1 s"),
    ("register", "DELETE the application"),
    ("register", "MCX InitiateSession"),
    ("register", "MCX TerminateSession"),
    (None, "https://lyncweb.contoso.example/cscp/"),
    (None, "https://lyncweb.contoso.example/OcsPowerShell/"),
    (None, "http://lyncweb.contoso.example/"),
    *[(None, f"{what} meet.contoso.example") for what in DOORS],
    (None, "https://meet.contoso.example/"),
    *[(None, f"{what} dialin.contoso.example") for what in DOORS],
    (None, "https://dialin.contoso.example/"),
    *[(None, f"{what} owa.contoso.example") for what in DOORS],
    (None, "https://owa.contoso.example/hosting/discovery"),
    (None, "SRV _sipinternaltls._tcp"),
    (None, "SRV _sip._tls"),
    (None, "SRV _sipfederationtls._tcp"),
    (None, "SIP at sip.contoso.example"),
    (None, "look up sipexternal.contoso.example"),
]


def test_a_healthy_deployment_passes_everything(healthy: dict[str, Any]) -> None:
    assert [(c["stage"], c["what"], c["verdict"]) for c in healthy["checks"] if c["verdict"] != "ok"] == []
    seen = [(check["stage"], check["what"]) for check in healthy["checks"]]
    assert len(seen) == len(EXPECTED), seen
    for (stage, what), (wanted, begins) in zip(seen, EXPECTED, strict=True):
        assert (stage, what[: len(begins)]) == (wanted, begins)
    assert healthy["ok"]
    assert healthy["findings"] == []
    assert not healthy["inside"]


def test_the_walk_is_a_sign_in_of_every_stage_a_phone_sees(healthy: dict[str, Any]) -> None:
    sign_in = healthy["sign_in"]
    assert sign_in["outcome"] == "ok"
    states = {row["stage"]: row["state"] for row in sign_in["stages"]}
    unseen = {"certificate", "provisioning", "ready"}  # none is asked for, and nobody is made available
    assert {stage for stage, state in states.items() if state == "not_observed"} == unseen
    assert {state for stage, state in states.items() if stage not in unseen} == {"ok"}
    assert all(event["origin"] == "probe" for event in sign_in["events"])


def test_the_edge_saw_what_the_probe_says(deployment: Deployment, healthy: dict[str, Any]) -> None:
    """NTLM once, and what was made is deleted."""
    assert healthy["ok"]
    deployment.edge.so_far()
    exchanges = deployment.edge.exchanges()
    handshakes = [x for x in exchanges if x["path"] == "/webticket/webticketservice.svc"]
    assert [x["status"] for x in handshakes] == [401, 401, 200]
    assert handshakes[-1]["ntlm_user"] == ALICE
    made = [x for x in exchanges if x["method"] == "POST" and x["path"].endswith("/applications")]
    gone = [x for x in exchanges if x["method"] == "DELETE" and x["status"] == 204]
    assert len(made) == len(gone) == 1


def test_no_secret_is_told(deployment: Deployment, healthy: dict[str, Any]) -> None:
    """In neither form; the password comes by the environment this time."""
    done = run(ALICE, *deployment.options, "--poll", "0", LYNCGATE_PROBE_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stdout
    for said in (done.stdout + done.stderr, json.dumps(healthy, ensure_ascii=False)):
        assert "a web ticket, until" in said
        for form in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), urllib.parse.quote(PASSWORD)):
            assert form not in said
        for secret in ("cwt=", "TlRMTVNTUA"):  # a ticket; how an NTLM message begins in Base64
            assert secret not in said


def test_the_terminal_is_asked_and_does_not_show_it(deployment: Deployment) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LYNCGATE, "probe", ALICE, *deployment.options, "--poll", "0"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "addons"),
            "COLUMNS": "400",
            "TERM": "xterm",
            "NO_COLOR": "",
        },
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # getpass opens /dev/tty
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
        while data := os.read(ours, 4096):
            said += data
            if said.endswith(b"go without): "):
                os.write(ours, f"{PASSWORD}\n".encode())
    os.close(ours)
    assert process.wait(timeout=20) == 0, said
    assert said.startswith(f"Password of {ALICE} (Enter alone: go without): ".encode())
    assert b"a web ticket, until" in said
    assert b"\x1b[" in said  # colours, on a terminal
    assert PASSWORD.encode() not in said


@pytest.mark.parametrize(("options", "again"), [((), []), (("--second-try",), [400])])
def test_a_wrong_password_is_shown_once_unless_allowed(
    deployment: Deployment, options: tuple[str, ...], again: list[int]
) -> None:
    """Each refusal counts toward a lockout."""
    since = deployment.edge.so_far()
    status, said = deployment.probe("--no-color", "--poll", "0", *options, password="P4ss-wrong")
    assert status == 1
    assert ("not tried" in said) is not bool(again)
    assert "F21 " in said
    assert "\x1b" not in said
    deployment.edge.so_far()
    seen = [(x["path"], x["status"]) for x in deployment.edge.exchanges()[since:]]
    assert [status for path, status in seen if path == "/webticket/webticketservice.svc"] == [401] * 3
    assert [status for path, status in seen if path == "/webticket/oauthtoken"] == again


def test_without_a_password_it_ends_at_the_401(deployment: Deployment) -> None:
    status, said = deployment.probe(password=None)
    assert status == 0
    assert "no password was given: the walk ends at the 401" in said
    assert "offers Negotiate, NTLM" in said
    assert "/ucwa/v1/applications" not in said


def test_another_name_to_sign_in_with(deployment: Deployment) -> None:
    status, said = deployment.probe("--account", "CONTOSO\\alice", "--poll", "0")
    assert status == 0, said


def test_ctrl_c_leaves_nothing_behind(deployment: Deployment) -> None:
    since = deployment.edge.so_far()
    with deployment.started("--poll", "600") as process:
        assert process.stdout is not None
        seen = ""
        while "new connections" not in seen:  # the poll is next
            line = process.stdout.readline()
            assert line, seen
            seen += line
        deployment.edge.wait_for("lyncgate_polls_held", 1.0)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 130
    assert "Stopped before the end." in said
    assert "deleted again" in said
    wait_until(
        lambda: any(x["method"] == "DELETE" for x in deployment.edge.exchanges()[since:]),
        "no DELETE at the edge",
    )


@pytest.fixture
def hole() -> Iterator[int]:
    """A port whose connections are never answered: its backlog is full, the kernel drops what comes."""
    with contextlib.ExitStack() as open_:
        listener = open_.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = open_.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_an_address_that_drops_costs_one_time_out(deployment: Deployment, hole: int) -> None:
    """All names are at one address that never answers. Each is waited for once, both ports at a time."""
    leads = ("--connect-to", f":443:127.0.0.1:{hole}", "--connect-to", f":80:127.0.0.1:{hole}")
    began = time.monotonic()
    deployment_free = [
        *LYNCGATE,
        "probe",
        ALICE,
        *leads,
        "--dns",
        "127.0.0.1:9",
        "--anonymous",
        "--timeout",
        "0.5",
    ]
    done = subprocess.run(
        [*deployment_free, "--json", "--outside"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "addons")},
    )
    took = time.monotonic() - began
    document = json.loads(done.stdout)
    assert done.returncode == 1
    waited = [c["seconds"] for c in document["checks"] if c["what"].startswith("TCP ")]
    assert len(waited) == 6  # lyncdiscover, meet, dialin, two ports each
    assert all(0.4 < seconds < 1.0 for seconds in waited), waited
    assert document["seconds"] < 3 * 0.5 + 2.0, document["seconds"]  # and DNS, refused at once
    assert took < 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nobody"], "is no SIP address"),
        ([ALICE, "--password", "x"], "No such option"),
        ([ALICE, "--connect-to", "a:b"], "NAME:PORT:HOST:PORT"),
        ([ALICE, "--dns", "[::1"], "HOST or HOST:PORT"),
        ([ALICE, "--server", ""], "HOST or HOST:PORT"),
        ([ALICE, "--ca", "/nonexistent"], "No such file"),
        ([ALICE, "--owa", "not a host"], "a host name"),
        ([ALICE, "--mcx", "--mcx-form", "nonsense"], "field=value"),
        ([ALICE, "--connect-to", "::a:99999"], "1 to 65535"),
    ],
)
def test_what_makes_no_sense_is_said(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["probe", *options, "--anonymous"], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert said in done.output


def test_the_system_s_resolver_is_asked_by_default() -> None:
    """Of a domain that exists nowhere (RFC 2606): whatever that resolver is, it is no way in."""
    done = run("alice@probe.invalid", "--anonymous", "--timeout", "0.5", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert [c["verdict"] for c in document["checks"] if c["stage"] == "dns_discover"] == ["FAIL"]
    assert document["seconds"] < 10 * 0.5


def test_a_dns_server_that_is_silent_is_waited_for_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        done = run(ALICE, "--anonymous", "--timeout", "1", "--json", "--dns", server)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["seconds"] < 3.0
    assert {c["said"] for c in document["checks"] if c["stage"] in ("dns_internal", "dns_discover")} == {
        "no answer"
    }
