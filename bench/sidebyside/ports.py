"""Ports for processes that have to be told one before they listen."""

import random
import socket
from pathlib import Path

_LOWEST = 10_000
_OF_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")

# By port; held until this process ends, so that no other one that asks here is given it meanwhile.
_claims: dict[int, socket.socket] = {}


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens and which nobody else is given as long as this process lives.

    They lie below those that the kernel gives to outgoing connections: one of those may be taken by any
    connection between the question and the listening.
    """
    highest = int(_OF_CONNECTIONS.read_text().split()[0])
    candidates = iter(random.sample(range(_LOWEST, highest), 1000))
    ports: list[int] = []
    while len(ports) < count:
        port = next(candidates)
        if port not in _claims and _claim(port):
            ports.append(port)
    return ports


def free_port() -> int:
    """One of `free_ports`."""
    (port,) = free_ports(1)
    return port


def _claim(port: int) -> bool:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0lyncgate-port-{port}")
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("", port))
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True
