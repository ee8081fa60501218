"""A transparent capture between namespaces: the phone in one, the lab in another, the capture on the router
between. Afterwards the router is what it was, also when the capture was killed."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.captures import capture_process, refused
from e2e.routed import LAB, LAB_V6, PHONE, Routed, routed_lab
from lyncgate.signin.events import DnsQuery, Handshake
from lyncgate.signin.exchange import Exchange
from support.namespaces import Namespace
from support.processes import ROOT, wait_until
from support.requirements import requires

pytestmark = requires("nft", "nftables")

GATEWAY = ("--transparent", "--interface", "phone", "--dns", "--name-server", LAB)


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routed]:
    with routed_lab(tmp_path_factory.mktemp("lab")) as routed:
        yield routed


def state(router: Namespace) -> dict[str, str]:
    """All that a gateway's capture may touch."""
    sysctls = router.run("sysctl", "-a")
    return {
        "nftables": router.run("nft", "list", "ruleset"),
        "sysctls": "\n".join(re.findall(r"(?m)^net\.ipv[46]\.(?:conf|ip_forward).*$", sysctls)),
        "interfaces": router.run("ip", "addr"),
        "routes": router.run("ip", "route") + router.run("ip", "-6", "route") + router.run("ip", "rule"),
        "listeners": router.run("ss", "-Hltun"),
    }


def test_a_sign_in_is_seen_with_its_stages_and_nothing_stays(routed: Routed, tmp_path: Path) -> None:
    before = state(routed.router)
    options = (*GATEWAY, "--upstream-ca", str(routed.lab.ca))
    with capture_process(tmp_path, *options, prefix=routed.router.prefix) as capture:
        assert "redirect to" in routed.router.run("nft", "list", "table", "inet", "lyncgate_capture")
        assert routed.router.run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
        done = routed.sign_in(ca=capture.ca)
        assert done.returncode == 0, done.stdout + done.stderr
        (sign_in,) = capture.stop()
    assert (sign_in["user"], sign_in["client"]) == ("alice@contoso.example", PHONE)
    seen = {stage for stage, view in sign_in["stages"].items() if view["state"] == "ok"}
    web = {"start", "connect", "redirect", "discover", "locate", "ticket", "certificate", "register"}
    assert seen >= web | {"dns_internal", "dns_discover", "dns_web", "notifications", "ready"}, sign_in
    assert sign_in["failed_stage"] is None
    assert sign_in["findings"] == []
    assert state(routed.router) == before
    assert not list(Path("/run").glob(f"lyncgate-capture-{inode(routed.router)}*"))

    queries = {event.name: event for event in capture.of(DnsQuery)}
    discover = queries["lyncdiscover.contoso.example"]
    assert discover.answers == ("CNAME lyncweb.contoso.example", f"A {LAB}")
    assert queries["lyncdiscoverinternal.contoso.example"].rcode == "NXDOMAIN"
    assert {event.scheme for event in capture.of(Exchange)} == {"http", "https"}
    assert {event.source_ip for event in capture.of(Exchange)} == {PHONE}
    handshakes = capture.of(Handshake)
    assert {(event.side, event.outcome.value) for event in handshakes} == {("upstream", "ok")}
    assert handshakes[0].address == f"{LAB}:443"
    assert handshakes[0].certificate
    assert handshakes[0].certificate.complete


def test_what_a_killed_capture_leaves_goes_at_the_next_start(routed: Routed, tmp_path: Path) -> None:
    before = state(routed.router)
    with capture_process(tmp_path / "killed", *GATEWAY, prefix=routed.router.prefix) as killed:
        again = refused("--transparent", "--out", str(tmp_path / "x"), prefix=routed.router.prefix)
        assert f"another transparent capture is running (pid {killed.process.popen.pid})" in again
        killed.process.kill()
    assert state(routed.router)["nftables"] != before["nftables"]
    assert state(routed.router)["sysctls"] != before["sysctls"]
    with capture_process(tmp_path / "next", *GATEWAY, prefix=routed.router.prefix) as capture:
        said = f"(pid {killed.process.popen.pid}) did not end properly"
        assert said in capture.warnings.replace("\n", " ")
        assert "redirect to" in state(routed.router)["nftables"]
        capture.stop()
    assert state(routed.router) == before


def test_clean_removes_what_is_left_and_says_so(routed: Routed, tmp_path: Path) -> None:
    before = state(routed.router)
    clean = [*routed.router.prefix, sys.executable, "-m", "lyncgate", "capture", "--clean"]
    with capture_process(tmp_path, *GATEWAY, prefix=routed.router.prefix) as capture:
        capture.process.kill()
    done = subprocess.run(clean, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "table inet lyncgate_capture is removed" in done.stdout
    assert state(routed.router) == before


def test_other_tables_stay_and_only_the_phones_traffic_is_taken(routed: Routed, tmp_path: Path) -> None:
    """A table of somebody's own is there before and after; the router's own requests and other networks'
    are left alone, and nobody can use the capture's port straight."""
    router = routed.router
    router.run(
        "nft", "-f", "-", text="table inet own {\nchain c {\ntype filter hook input priority 5\n}\n}\n"
    )
    try:
        before = state(router)
        options = ("--transparent", "--from", f"{PHONE}/32", "--from", "fd71:1::/64")
        with capture_process(tmp_path, *options, prefix=router.prefix) as capture:
            table = router.run("nft", "list", "ruleset")
            assert "table inet own" in table
            _, port = capture.address("transparent")
            straight = ["curl", "-sS", "--max-time", "5", f"http://10.71.1.1:{port}/"]
            done = subprocess.run(
                [*routed.phone.prefix, *straight], capture_output=True, text=True, check=False
            )
            assert done.returncode == 7, done.stderr  # could not connect
            router.run("curl", "-sS", "--max-time", "5", "-o", "/dev/null", f"http://{LAB}/")  # not taken
            routed.phone.run("curl", "-sS", "--max-time", "5", "-o", "/dev/null", f"http://{LAB}/Dialin")
            exchanges = capture.wait_for(Exchange)
            assert {(event.source_ip, event.path) for event in exchanges} == {(PHONE, "/dialin")}
            capture.stop()
        assert state(router) == before
    finally:
        router.run("nft", "delete", "table", "inet", "own")


def test_ipv6_is_captured_too(routed: Routed, tmp_path: Path) -> None:
    server = [*routed.site.prefix, sys.executable, "-m", "http.server", "80", "--bind", LAB_V6]
    with (
        contextlib.closing(Closing(server, tmp_path)),
        capture_process(tmp_path / "capture", *GATEWAY, prefix=routed.router.prefix) as capture,
    ):
        command = ["curl", "-sS", "--max-time", "5", "-o", "/dev/null", f"http://[{LAB_V6}]/"]
        reached = [*routed.phone.prefix, *command]
        wait_until(lambda: subprocess.run(reached, check=False).returncode == 0, "the server by IPv6")
        (exchange,) = capture.wait_for(Exchange)[:1]
        assert exchange.source_ip == "fd71:1::2"
        assert exchange.host == f"[{LAB_V6}]"
        capture.stop()


class Closing:
    """A process that is ended with the `with`."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self.popen = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        self.popen.terminate()
        self.popen.wait()


def inode(namespace: Namespace) -> str:
    return namespace.run("stat", "-Lc", "%i", "/proc/self/ns/net").strip()
