"""The edge in mitmproxy's own tools: what they serve is what `lyncgate serve` does, by the same rules."""

import contextlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import clients
from e2e.clients import curl
from e2e.test_ntlm_clients import HEADERS, RST, TICKET
from sidebyside.ports import free_ports
from support.processes import ROOT, Lab, wait_until
from support.requirements import requires

TOOLS = Path(sys.executable).parent
STARTS_WITHIN = 60.0


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@dataclass(frozen=True)
class Tool:
    """A tool that runs the edge. `own`: the port of the proxy that it would be without."""

    process: subprocess.Popen[bytes]
    log: Path
    front: clients.Edge
    own: int


@contextlib.contextmanager
def tool(command: Sequence[str], lab: Lab, directory: Path) -> Iterator[Tool]:
    http, https, admin, own, web = free_ports(5)
    listeners = {"http": {"bind": [f"127.0.0.1:{http}"]}, "https": {"bind": [f"127.0.0.1:{https}"]}}
    rules = lab.rules(directory, listeners=listeners, admin={"bind": f"127.0.0.1:{admin}"})
    options = {"rules": rules, "confdir": directory / "confdir", "listen_port": own}
    if command[0] == "mitmweb":
        options |= {"web_open_browser": "false", "web_port": web}
    with start(command, options, directory) as process:
        log = directory / "tool.log"
        wait_until(
            lambda: process.poll() is not None or listens(https), lambda: log.read_text(), STARTS_WITHIN
        )
        assert process.poll() is None, log.read_text()
        yield Tool(process, log, clients.Edge(http, https, lab.ca), own)


@contextlib.contextmanager
def start(
    command: Sequence[str], options: dict[str, object], directory: Path
) -> Iterator[subprocess.Popen[bytes]]:
    program, *switches = command
    arguments = [str(TOOLS / program), *switches, "-s", str(ROOT / "addons" / "edge.py")]
    for name, value in options.items():
        arguments += ["--set", f"{name}={value}"]
    with (directory / "tool.log").open("wb") as log:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module", params=["mitmdump", "mitmdump -n", "mitmweb"])
def stock(
    request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tool]:
    with tool(request.param.split(), lab, tmp_path_factory.mktemp("tool")) as stock:
        yield stock


@requires("curl", "curl")
def test_it_redirects_answers_and_publishes(stock: Tool) -> None:
    redirect = curl("http://meet.contoso.example/alice/K2J7?x=1", stock.front)
    assert (redirect.status, redirect.header("location")) == (
        307,
        ["https://meet.contoso.example/alice/K2J7?x=1"],
    )
    user = "?sipuri=alice@contoso.example"
    answer = curl(f"http://lyncdiscover.contoso.example/{user}", stock.front)
    ((link),) = json.loads(answer.body)["Root"]["Links"]
    assert link["token"] == "Redirect"
    assert link["href"].startswith("https://lyncweb.contoso.example/")

    forwarded = curl(f"https://lyncdiscover.contoso.example/{user}", stock.front)
    assert {link["token"] for link in json.loads(forwarded.body)["Root"]["Links"]} >= {"User", "Self"}
    assert forwarded.header("x-ms-server-fqdn")

    published = curl("https://meet.contoso.example/alice/K2J7", stock.front)
    assert (published.status, published.header("server")) == (200, [])
    assert b"Join a meeting" in published.body

    excluded = curl("https://lyncweb.contoso.example/cscp", stock.front)
    assert (excluded.status, excluded.body) == (404, b"")


@requires("curl", "curl")
def test_ntlm_passes(stock: Tool) -> None:
    headers = [f"{name}: {value}" for name, value in HEADERS.items()]
    answer = curl(TICKET, stock.front, user=r"CONTOSO\bob:P4ss-bob", data=RST, headers=headers)
    assert answer.status == 200, answer
    assert b"sip:bob@contoso.example" in answer.body


def shown(stock: Tool, name: str | None) -> bytes:
    """The certificate, in DER, that a client sees who asks for `name` and trusts everybody."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    address = (stock.front.host, stock.front.https)
    with (
        socket.create_connection(address, timeout=10) as sock,
        tls.wrap_socket(sock, server_hostname=name) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def test_no_certificate_is_minted(stock: Tool, lab: Lab) -> None:
    """The tools have an authority of their own, and make a certificate for whatever name is asked for."""
    ours = ssl.PEM_cert_to_DER_cert((lab.directory / "edge.pem").read_text())
    for name in ("meet.contoso.example", "LYNCWEB.contoso.example", None):
        assert shown(stock, name) == ours
    for name in ("www.contoso.example", "contoso.example", "mitm.it"):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            shown(stock, name)


def test_the_tools_own_proxy_is_closed(stock: Tool) -> None:
    wait_until(lambda: not listens(stock.own), "the tool is an open proxy")


def test_bad_rules_end_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nlistners: {}\n")
    (port,) = free_ports(1)
    options = {"rules": rules, "confdir": tmp_path / "confdir", "listen_port": port}
    with start(["mitmdump"], options, tmp_path) as process:
        assert process.wait(STARTS_WITHIN) == 1
    assert f"{rules}:2:1: listners" in (tmp_path / "tool.log").read_text()
