"""Phones and servers that do not do what they should, as a capture tells of them: one capture in front of a
good server, of one that is down, and of two with bad certificates."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import clients
from e2e.captures import Captured, capture_process
from e2e.clients import curl
from lyncgate.lab import topology
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.exchange import Exchange, Kind, Outcome
from support.processes import LYNCGATE, Lab, Process, wait_until

DISCOVER = "lyncdiscover.contoso.example"
FABRIKAM = "lyncdiscover.fabrikam.example"
PASSED = "dialin.contoso.example"
MEET = "meet.contoso.example"
SIP = "sip.contoso.example"


@dataclass
class Site:
    capture: Captured
    lab_ca: Path
    down: int  # ports of the capture that lead to bad servers
    wrong_name: int
    wrong_chain: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("handshakes")
    with contextlib.ExitStack() as stack:
        labs = {}
        for name, options in (("good", ()), ("name", ("--fault", "F03")), ("chain", ("--fault", "F05"))):
            (directory / name).mkdir()
            command = [*LYNCGATE, "lab", "--json", "--dir", str(directory / name), *options]
            lab = stack.enter_context(contextlib.closing(Lab(directory / name, command)))
            lab.start("lab")
            labs[name] = lab
        trusted = directory / "authorities.pem"
        trusted.write_text("".join(lab.ca.read_text() for lab in labs.values() if lab.processes["lab"].said))
        nobody = stack.enter_context(socket.socket())  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        first, ports = topology.MEMBERS["fe01"].address, labs["good"].plan.ports
        targets = [f"{first}:{ports.external_https}", f"127.0.0.1:{nobody.getsockname()[1]}"]
        for name in ("name", "chain"):
            (proxy,) = labs[name].processes["lab"].said["proxies"].values()
            targets.append("{}:{}".format(*proxy["https"]))
        reverse = [f"https://{target}@0" for target in targets] + [f"http://{first}:{ports.external_http}@0"]
        options = [word for target in reverse for word in ("--reverse", target)]
        options += ["--listen", "127.0.0.1", "--upstream-ca", str(trusted), "--pass-through", PASSED]
        capture = stack.enter_context(capture_process(directory / "capture", *options))
        bad = [capture.address(f"reverse:https://{target}@")[1] for target in targets[1:]]
        yield Site(capture, labs["good"].ca, *bad)


def tls(capture: Captured, name: str, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(capture.ca))
    if version is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    plain = socket.create_connection(("127.0.0.1", capture.front.https), 10)
    return context.wrap_socket(plain, server_hostname=name)


def test_a_phone_that_does_not_trust_us_is_noticed_and_told_what_to_do(site: Site) -> None:
    front = site.capture.front
    with pytest.raises(subprocess.CalledProcessError) as failed:  # it trusts the lab's authority only
        curl(f"https://{DISCOVER}/", clients.Edge(front.http, front.https, site.lab_ca))
    assert failed.value.returncode == 60  # the certificate does not verify
    (told,) = site.capture.wait_for(Handshake, side="client", server_name=DISCOVER)
    assert told.outcome is HandshakeOutcome.ALERT
    assert "our own certificate" in told.detail
    (upstream,) = site.capture.of(Handshake, side="upstream", keys=told.keys)
    assert upstream.outcome is HandshakeOutcome.OK
    said = f"127.0.0.1 does not trust this capture ({DISCOVER}: "
    wait_until(lambda: said in site.capture.warnings, lambda: site.capture.warnings)
    assert f"Bring {site.capture.ca} to the phone" in site.capture.warnings
    assert f"--pass-through {DISCOVER}" in site.capture.warnings


def test_what_is_passed_through_stays_closed(site: Site) -> None:
    front = site.capture.front
    answer = curl(f"https://{PASSED}/", clients.Edge(front.http, front.https, site.lab_ca))
    assert answer.status in (200, 404)
    assert curl(f"https://{MEET}/", front).status in (200, 404)
    site.capture.wait_for(Exchange, host=MEET)
    assert not site.capture.of(Exchange, host=PASSED)
    assert not site.capture.of(Handshake, server_name=PASSED)


def test_sip_where_http_is_spoken_is_told_and_passed_on(site: Site) -> None:
    register = b"REGISTER sip:contoso.example SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n"
    with tls(site.capture, SIP) as connection:
        connection.sendall(register)
        connection.recv(1000)
    with socket.create_connection(("127.0.0.1", site.capture.front.http), 10) as plain:
        plain.sendall(register)
        plain.recv(1000)
    strange = site.capture.wait_for(Handshake, 2, outcome=HandshakeOutcome.NOT_HTTP)
    assert [(event.first_words, event.side) for event in strange] == [("sip", "client"), ("sip", "client")]
    assert [event.server_name for event in strange] == [SIP, None]
    assert not [
        event for event in site.capture.of(Exchange) if event.connection == strange[0].keys.connection
    ]


def test_upstream_only_what_the_phone_offers_is_spoken(site: Site) -> None:
    """An old phone must not be better off with a capture than without."""
    with tls(site.capture, DISCOVER, ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.version() == "TLSv1.2"
    offered = ("TLSv1", "TLSv1.1", "TLSv1.2")  # as such a hello can be read: all up to this one
    (seen,) = site.capture.wait_for(Handshake, versions=offered)
    assert (seen.side, seen.version) == ("upstream", "TLSv1.2")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
def test_a_phone_of_tls_1_0_is_taken_and_the_server_still_refuses_it(site: Site) -> None:
    with tls(site.capture, DISCOVER, ssl.TLSVersion.TLSv1) as connection:
        assert connection.version() == "TLSv1"
    (failed,) = site.capture.wait_for(Handshake, versions=("TLSv1",), side="upstream")
    assert failed.outcome in (HandshakeOutcome.ALERT, HandshakeOutcome.CLOSED)


def test_a_certificate_without_the_name_is_told_and_the_phone_goes_on(site: Site) -> None:
    assert curl(f"https://{FABRIKAM}/", clients.Edge(0, site.wrong_name, site.capture.ca)).status == 200
    (seen,) = site.capture.wait_for(Handshake, certificate_problem="name", server_name=FABRIKAM)
    assert (seen.side, seen.outcome) == ("upstream", HandshakeOutcome.UNTRUSTED)
    assert seen.certificate
    assert FABRIKAM not in seen.certificate.names
    assert seen.certificate.complete


def test_a_chain_that_is_not_sent_is_told_and_the_phone_goes_on(site: Site) -> None:
    assert curl(f"https://{DISCOVER}/", clients.Edge(0, site.wrong_chain, site.capture.ca)).status == 200
    (seen,) = site.capture.wait_for(Handshake, certificate_problem="chain")
    assert (seen.side, seen.outcome) == ("upstream", HandshakeOutcome.UNTRUSTED)
    assert seen.certificate
    assert (seen.certificate.complete, seen.certificate.chain) == (False, 1)


def test_a_server_that_is_down_is_told(site: Site) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        curl(f"https://{DISCOVER}/", clients.Edge(0, site.down, site.capture.ca))
    (seen,) = site.capture.wait_for(Handshake, outcome=HandshakeOutcome.REFUSED)
    assert seen.side == "upstream"
    assert "Connect call failed" in seen.detail


def test_a_poll_is_told_while_it_hangs(site: Site, tmp_path: Path) -> None:
    capture = site.capture
    phone = Process(
        *(*LYNCGATE, "phone", "--device", "lync2013", "--hold", "60", "--poll-timeout", "180"),
        *("--to", f"127.0.0.1:{capture.front.https}", "--ca", str(capture.ca)),
        log=tmp_path / "phone.log",
    )
    with contextlib.closing(phone):

        def hanging() -> list[str]:
            under_way = capture.of(Exchange, kind=Kind.POLL, outcome=None)
            return [poll.id for poll in under_way if time.time() - poll.started > 2]

        wait_until(hanging, "a poll that hangs")
        (poll,) = hanging()
        phone.kill()
    capture.wait_for(Exchange, id=poll, outcome=Outcome.CLIENT_GONE)
