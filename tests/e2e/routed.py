"""A phone, a router and a lab, each in a network namespace: what a gateway's capture stands in.

    phone 10.71.1.2 ── 10.71.1.1 router 10.71.2.1 ── 10.71.2.2 lab

The lab's servers listen on loopback; at its address each has the port that it has in the real world (80,
443, 53), which is nftables' work there.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lyncgate.lab import topology
from support.namespaces import Namespace, link, namespaces
from support.processes import LYNCGATE, ROOT, Lab

LAB = "10.71.2.2"
LAB_V6 = "fd71:2::2"
PHONE = "10.71.1.2"


@dataclass
class Routed:
    phone: Namespace
    router: Namespace
    site: Namespace
    lab: Lab

    def sign_in(self, *options: str, ca: Path, device: str = "wp75") -> subprocess.CompletedProcess[str]:
        """One phone signs in and leaves."""
        command = [*self.phone.prefix, *LYNCGATE, "phone", "--device", device, "--dns", f"{LAB}:53"]
        push = self.lab.processes["lab"].said["push"].rpartition(":")[2]
        command += ["--push", f"{LAB}:{push}", "--poll-timeout", "2", "--ca", str(ca), *options]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@contextlib.contextmanager
def routed_lab(directory: Path) -> Iterator[Routed]:
    """All three, and the lab started. The router routes nothing yet."""
    with namespaces("phone", "router", "lab") as (phone, router, site):
        link(phone, f"{PHONE}/24,fd71:1::2/64", router, "10.71.1.1/24,fd71:1::1/64")
        link(router, "10.71.2.1/24,fd71:2::1/64", site, f"{LAB}/24,{LAB_V6}/64")
        phone.run("ip", "route", "add", "default", "via", "10.71.1.1")
        phone.run("ip", "-6", "route", "add", "default", "via", "fd71:1::1")
        site.run("ip", "route", "add", "default", "via", "10.71.2.1")
        with contextlib.closing(started_lab(directory, site, LAB)) as lab:
            yield Routed(phone, router, site, lab)


def started_lab(directory: Path, site: Namespace, address: str) -> Lab:
    """A lab in a namespace, reachable at `address`; its public names lead there."""
    options = ("--dir", str(directory), "--poll-minimum", "1", "--dns", address)
    lab = Lab(directory, [*site.prefix, *LYNCGATE, "lab", "--json", *options])
    said, ports = lab.start("lab").said, lab.plan.ports
    first = topology.MEMBERS["fe01"].address
    dns_host, dns_port = said["dns"]["external"]
    push_host, _, push_port = said["push"].rpartition(":")
    rules = [
        f"tcp dport 443 dnat ip to {first}:{ports.external_https}",
        f"tcp dport 80 dnat ip to {first}:{ports.external_http}",
        f"meta l4proto {{ tcp, udp }} th dport 53 dnat ip to {dns_host}:{dns_port}",
        f"tcp dport {push_port} dnat ip to {push_host}:{push_port}",
    ]
    chain = "type nat hook prerouting priority dstnat; policy accept;"
    lines = [f"ip daddr {address} {rule}" for rule in rules]
    site.run("nft", "-f", "-", text="\n".join(["table ip lab {", "chain in {", chain, *lines, "}", "}", ""]))
    site.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    return lab
