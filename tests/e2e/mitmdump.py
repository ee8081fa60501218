"""Stock mitmdump between clients and an edge, which writes down all that it sees."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

from sidebyside.ports import free_ports
from support.processes import Address, Lab, wait_until

MITMDUMP = Path(sys.executable).with_name("mitmdump")


@dataclass(frozen=True)
class InFront:
    """Where it listens; `file`: its flows, complete once it has ended."""

    http: Address
    https: Address
    file: Path

    def flows(self) -> list[HTTPFlow]:
        return http_flows(self.file)


@contextlib.contextmanager
def mitmdump(lab: Lab, http: Address, https: Address, directory: Path, *, trusted: Path) -> Iterator[InFront]:
    """In front of `http` and `https`, with the certificate of the lab's edge, so that clients trust it.
    `trusted`: authorities (PEM) of what stands behind it."""
    front = InFront(*(("127.0.0.1", port) for port in free_ports(2)), directory / "front.flows")
    certificate, log = directory / "front.pem", directory / "front.log"
    certificate.write_bytes(
        (lab.directory / "edge.key").read_bytes() + (lab.directory / "edge.pem").read_bytes()
    )
    command = [str(MITMDUMP), "-w", str(front.file), "--certs", str(certificate)]
    for option in (
        f"confdir={directory}",
        "keep_host_header=true",
        f"ssl_verify_upstream_trusted_ca={trusted}",
    ):
        command += ["--set", option]
    for scheme, at, to in (("http", front.http, http), ("https", front.https, https)):
        command += ["--mode", f"reverse:{scheme}://{to[0]}:{to[1]}@{at[0]}:{at[1]}"]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=written, stderr=written)
    try:
        wait_until(lambda: _listens(front.http) and _listens(front.https), log.read_text)
        yield front
    finally:
        process.terminate()
        process.wait(20)


def http_flows(file: Path) -> list[HTTPFlow]:
    """The HTTP flows of a file."""
    with file.open("rb") as opened:
        return [flow for flow in FlowReader(opened).stream() if isinstance(flow, HTTPFlow)]


def _listens(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True
