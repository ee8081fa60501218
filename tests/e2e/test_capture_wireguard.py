"""A phone joins a capture by WireGuard, with an implementation that is not ours (wireguard-go), and signs in
through the tunnel. The kernel needs no WireGuard for that, on either side."""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from e2e.captures import capture_process
from e2e.routed import LAB, Routed, routed_lab
from lyncgate.cli.captureshow import LiveTable
from lyncgate.engine.capture import wireguard
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Exchange
from support.namespaces import Namespace
from support.processes import wait_until
from support.requirements import require, requires

CAPTURE = "10.71.1.1"  # the router, as the phone reaches it
TUNNEL = "10.0.0.1"  # the phone's address in the tunnel
DNS = "10.0.0.53"


@contextlib.contextmanager
def joined(phone: Namespace, configuration: str, directory: Path) -> Iterator[None]:
    """The phone's traffic goes into the tunnel. wg(8) knows no addresses: its wg-quick(8) would set them."""
    interface = f"lyncgate{os.getpid() % 100_000}"  # its control socket is the whole machine's
    lines = [line for line in configuration.splitlines() if not line.startswith(("Address", "DNS"))]
    file = directory / "wg.conf"
    file.write_text("\n".join(lines))
    client = subprocess.Popen(
        [*phone.prefix, require("wireguard-go", "wireguard-go"), "-f", interface],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: Path(f"/run/wireguard/{interface}.sock").exists(), "wireguard-go")
        phone.run("wg", "setconf", interface, str(file))
        phone.run("ip", "addr", "add", f"{TUNNEL}/32", "dev", interface)
        phone.run("ip", "link", "set", interface, "up")
        phone.run("ip", "route", "replace", "default", "dev", interface)
        yield
    finally:
        client.terminate()
        client.wait()


@requires("wireguard-go", "wireguard-go")
@requires("wg", "wireguard-tools")
def test_a_phone_signs_in_through_the_tunnel(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    with routed_lab(tmp_path / "lab") as routed:
        options = ("--wireguard", CAPTURE, "--name-server", LAB, "--upstream-ca", str(routed.lab.ca))
        with capture_process(tmp_path / "capture", *options, prefix=routed.router.prefix) as capture:
            configuration = capture.process.said["wireguard"]
            assert f"Endpoint = {CAPTURE}:51820" in configuration
            with joined(routed.phone, configuration, tmp_path):
                sign_in(routed, capture.ca)
            (row,) = capture.stop()
    assert (row["user"], row["client"]) == ("alice@contoso.example", TUNNEL)
    seen = {stage for stage, view in row["stages"].items() if view["state"] == "ok"}
    assert seen >= {"dns_internal", "dns_discover", "dns_web", "connect", "ticket", "register", "ready"}
    answers = {query.name: query.answers for query in capture.of(DnsQuery)}
    assert answers["lyncdiscover.contoso.example"] == ("CNAME lyncweb.contoso.example", f"A {LAB}")
    assert {exchange.listener for exchange in capture.of(Exchange)} == {"wireguard"}


def sign_in(routed: Routed, ca: Path) -> None:
    done = routed.sign_in("--dns", f"{DNS}:53", ca=ca)
    assert done.returncode == 0, done.stdout + done.stderr


def test_people_see_the_code_and_the_same_text(tmp_path: Path) -> None:
    """The code as a whole; that it is the text's is shown in tests/engine/capture."""
    wireguard.mode(tmp_path, 51820, "")
    configuration = wireguard.client_configuration(tmp_path, (CAPTURE, 51820))
    shown = io.StringIO()
    wireguard.qr_code(configuration).terminal(shown, compact=True)

    show = LiveTable()
    with show.console.capture() as said:
        show.started(listening={}, out=tmp_path, certificate=tmp_path / "ca.pem", tunnel=configuration)
    text = said.get()
    assert configuration in text
    assert shown.getvalue().strip("\n") in text
