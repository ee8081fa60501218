"""A capture in front of a server, as an explicit proxy and as a DNS server, and what it leaves in files."""

import base64
import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dnslib
import pytest

from e2e.captures import Captured, capture_process
from e2e.test_ntlm_clients import HEADERS, RST, TICKET
from lyncgate.lab import topology
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Exchange, Kind
from support.processes import LYNCGATE, ROOT, Address, Lab, wait_until
from support.requirements import requires

FIRST = topology.MEMBERS["fe01"].address
DISCOVER = "lyncdiscover.contoso.example"
DEVICES = {"wp75": "alice", "android2010": "bob", "lync2013": "user01"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("lab")
    options = ("--dir", str(directory), "--poll-minimum", "1", "--dns", "127.0.0.1")
    with contextlib.closing(Lab(directory, [*LYNCGATE, "lab", "--json", *options])) as lab:
        assert lab.start("lab").said
        yield lab


def in_front(lab: Lab) -> tuple[str, ...]:
    """A capture in front of the first front end, on free ports."""
    ports = lab.plan.ports
    return (
        *("--listen", "127.0.0.1", "--upstream-ca", str(lab.ca)),
        *("--reverse", f"https://{FIRST}:{ports.external_https}@0"),
        *("--reverse", f"http://{FIRST}:{ports.external_http}@0"),
    )


def sign_in(lab: Lab, device: str, http: int, https: int, ca: Path) -> None:
    said = lab.processes["lab"].said
    command = [*LYNCGATE, "phone", "--device", device, "--poll-timeout", "2", "--ca", str(ca)]
    command += ["--user", f"{DEVICES[device]}@contoso.example", "--push", said["push"]]
    command += ["--to", f"127.0.0.1:{https}", "--to", f"http://127.0.0.1:{http}"]
    command += ["--dns", "{}:{}".format(*said["dns"]["external"])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def sign_in_by(capture: Captured, lab: Lab, device: str) -> None:
    sign_in(lab, device, capture.front.http, capture.front.https, capture.ca)


def secrets_in(directory: Path) -> set[str]:
    """Which kinds of secrets stand in a capture's files."""
    text = b"".join(file.read_bytes() for file in directory.iterdir())
    kinds = {
        "ticket": rb"cwt=(?!removed-)[\w+/]",
        "signature": rb"SignatureValue>(?!removed-)[\w+/]",
    }
    found = {kind for kind, mark in kinds.items() if re.search(mark, text)}
    proofs = re.findall(rb"TlRMTVNTUAADAAAA[\w+/=]+", text)
    if any(struct.unpack_from("<H", base64.b64decode(one + b"=="), 20)[0] for one in proofs):
        found.add("ntlm")
    return found


def test_in_front_of_a_server_every_device_signs_in(lab: Lab, tmp_path: Path) -> None:
    with capture_process(tmp_path, *in_front(lab)) as capture:
        for device in DEVICES:
            sign_in_by(capture, lab, device)
        rows = {row["user"].partition("@")[0]: row for row in capture.stop()}
    assert rows.keys() == set(DEVICES.values())
    for row in rows.values():
        seen = {stage for stage, view in row["stages"].items() if view["state"] == "ok"}
        assert seen >= {"connect", "redirect", "discover", "locate", "ticket", "register", "notifications"}
        assert row["findings"] == []
    exchanges = capture.of(Exchange)
    assert Kind.POLL in {event.kind for event in exchanges}
    assert all(event.outcome for event in exchanges)
    # An upstream connection belongs to one client connection: NTLM stays whole.
    pairs = {(event.connection, event.facts.upstream) for event in exchanges}
    assert len(pairs) == len({connection for connection, _ in pairs})

    assert secrets_in(capture.out) == set()
    assert "SECRETS" not in capture.warnings
    assert {file.stat().st_mode & 0o077 for file in capture.out.iterdir()} == {0}
    har = json.loads((capture.out / "capture.har").read_text())
    assert len(har["log"]["entries"]) == len(exchanges)
    shown = [mitmdump(), "-n", "-r", str(capture.out / "capture.flows")]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert "/ucwa/v1/applications" in done.stdout
    assert "201 Created" in done.stdout


def test_secrets_are_kept_when_asked_for_and_a_warning_says_so(lab: Lab, tmp_path: Path) -> None:
    with capture_process(tmp_path, *in_front(lab), "--with-secrets") as capture:
        for device in DEVICES:
            sign_in_by(capture, lab, device)
        capture.stop()
    assert secrets_in(capture.out) == {"ticket", "signature", "ntlm"}
    assert "SECRETS ARE KEPT" in capture.warnings
    assert {file.stat().st_mode & 0o077 for file in capture.out.iterdir()} == {0}


def mitmdump() -> str:
    return str(Path(sys.executable).with_name("mitmdump"))


def test_stock_mitmdump_captures_as_well(lab: Lab, tmp_path: Path) -> None:
    """With the addon and nothing else of ours; ports must be known beforehand."""
    ports, journal = lab.plan.ports, tmp_path / "journal.db"
    http, https = (19000 + 2 * (ports.external_http % 5000) + number for number in (0, 1))
    command = [mitmdump(), "-s", str(ROOT / "addons" / "capture.py"), "--set", f"journal={journal}"]
    command += ["--mode", f"reverse:https://{FIRST}:{ports.external_https}@127.0.0.1:{https}"]
    command += ["--mode", f"reverse:http://{FIRST}:{ports.external_http}@127.0.0.1:{http}"]
    command += ["--set", f"confdir={tmp_path}", "--set", f"ssl_verify_upstream_trusted_ca={lab.ca}"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        # What it says is waited for, so it must not be kept in a buffer.
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        tool = subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path, env=environment)
    try:
        wait_until(lambda: log.read_text().count("listening at") == 2, log.read_text)
        sign_in(lab, "wp75", http, https, tmp_path / "mitmproxy-ca-cert.pem")
    finally:
        tool.terminate()
        tool.wait()
    listed = [*LYNCGATE, "signins", "--journal", str(journal), "--json"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True, cwd=ROOT)
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["user"] == "alice@contoso.example"
    assert {row["stages"][stage]["state"] for stage in ("connect", "ticket", "register")} == {"ok"}


@requires("curl", "curl")
def test_an_explicit_proxy_lets_ntlm_through(lab: Lab, tmp_path: Path) -> None:
    options = ("--explicit", "0", "--listen", "127.0.0.1", "--upstream-ca", str(lab.ca))
    with capture_process(tmp_path, *options) as capture:
        host, port = capture.address("regular")
        where = f"https://{FIRST}:{lab.plan.ports.external_https}{TICKET.partition('.example')[2]}"
        command = [
            "curl",
            "--disable",
            "-sS",
            "--proxy",
            f"http://{host}:{port}",
            "--cacert",
            str(capture.ca),
        ]
        command += ["--ntlm", "--user", r"CONTOSO\bob:P4ss-bob", "--data-binary", "@-"]
        for name, value in {**HEADERS, "Host": "lyncweb.contoso.example"}.items():
            command += ["--header", f"{name}: {value}"]
        done = subprocess.run([*command, where], input=RST, capture_output=True, check=True)
        assert b"sip:bob@contoso.example</saml:NameIdentifier>" in done.stdout
        capture.wait_for(Exchange, status=200)
        page = ["curl", "--disable", "-sS", "--proxy", f"http://{host}:{port}", "http://mitm.it/cert/pem"]
        got = subprocess.run(page, capture_output=True, check=True)
        assert got.stdout == capture.ca.read_bytes()  # what a phone installs
        legs = capture.of(Exchange, host="lyncweb.contoso.example")
    assert [leg.status for leg in legs] in ([401, 401, 200], [401, 200])
    assert len({leg.facts.upstream for leg in legs}) == 1
    assert legs[-1].keys.account == r"CONTOSO\bob"
    assert legs[-1].host == "lyncweb.contoso.example"


def ask(server: Address, name: str, kind: str) -> dnslib.DNSRecord:
    return dnslib.DNSRecord.parse(dnslib.DNSRecord.question(name, kind).send(*server, timeout=10))


def test_dns_is_passed_on_and_told(lab: Lab, tmp_path: Path) -> None:
    external = lab.processes["lab"].said["dns"]["external"]
    address = "127.53.{}.{}".format(*divmod(external[1], 250))
    options = ("--dns", "--listen", address, "--name-server", "{}:{}".format(*external))
    with capture_process(tmp_path, *options) as capture:
        server = capture.address("reverse:dns")
        assert server == (address, 53)
        assert str(ask(server, DISCOVER.upper(), "A").rr[-1].rdata) == "127.0.0.1"
        nothing = ask(server, "lyncdiscoverinternal.contoso.example", "A")
        assert nothing.header.rcode == dnslib.RCODE.NXDOMAIN
        assert ask(server, "_sipfederationtls._tcp.contoso.example", "SRV").rr
        found = {event.name: event for event in capture.wait_for(DnsQuery, 3)}
    assert found[DISCOVER].answers == ("CNAME lyncweb.contoso.example", "A 127.0.0.1")
    assert found[DISCOVER].rcode == "NOERROR"
    assert found[DISCOVER].seconds is not None
    assert found["lyncdiscoverinternal.contoso.example"].rcode == "NXDOMAIN"
    service = found["_sipfederationtls._tcp.contoso.example"]
    assert service.kind == "SRV"
    assert re.fullmatch(r"SRV \d+ \d+ \d+ sip\.contoso\.example", service.answers[0])


def test_it_ends_by_itself_and_quietly(tmp_path: Path) -> None:
    command = [*LYNCGATE, "capture", "--explicit", "0", "--listen", "127.0.0.1", "--for", "500ms", "--quiet"]
    command += ["--out", str(tmp_path / "out"), "--ca-dir", str(tmp_path / "ca")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)
    assert ended.stdout == ended.stderr == ""
    assert {file.name for file in (tmp_path / "out").iterdir()} > {
        "capture.flows",
        "capture.har",
        "journal.db",
    }
