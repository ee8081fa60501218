"""Where phones go and who they are: a lab, an edge, or the world; users by pattern.

| `--to`                                   | names lead to |
| ---------------------------------------- | ------------- |
| a lab's directory                        | its front ends, with no edge in between |
| HOST:PORT, and http://HOST:PORT beside   | that edge's HTTPS and HTTP listeners |
| nothing                                  | where the system's resolver says |

With a DNS server, names are asked for there, and `--to` only says on which ports an address listens.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from lyncgate.client.dns import Resolver
from lyncgate.client.names import Address, NameMap, NameRule, NoSuchNameError
from lyncgate.lab import authority, topology
from lyncgate.lab.estate import Estate
from lyncgate.lab.phones.line import PORTS, Names
from lyncgate.lab.plan import PLAN_FILE, Plan

_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_INSIDE_ONLY = (NameRule("lyncdiscoverinternal.*", None, None), NameRule("*.local", None, None))


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """`names` makes a resolver, one for each phone; `tls`: whom they trust; `push`: their push service."""

    names: Callable[[], Names]
    tls: ssl.SSLContext
    push: Address | None = None


def target(to: Sequence[str], dns: Address | None, ca: Path | None) -> Target:
    """What the command's options mean. Raises ValueError."""
    directory = next((Path(where) for where in to if (Path(where) / PLAN_FILE).exists()), None)
    if directory and ca is None:
        ca = directory / authority.CA_FILE
    tls = ssl.create_default_context(cafile=str(ca) if ca else None)
    edge = dict(_edge(where) for where in to if directory is None or Path(where) != directory)
    plan = Plan.read(directory) if directory else None
    push = (topology.PUSH_ADDRESS, plan.ports.push) if plan else None
    straight = Estate(plan).names_without_edge() if plan else None
    if dns:
        ports = {(address, PORTS[scheme]): (address, port) for scheme, (address, port) in edge.items()}
        if straight:
            ports |= {(rule.to[0], rule.port): rule.to for rule in straight.rules if rule.to and rule.port}
        return Target(lambda: Resolver(dns, ports), tls, push)
    if edge:
        rules = (NameRule("*", PORTS[scheme], address) for scheme, address in edge.items())
        everywhere = NameMap((*_INSIDE_ONLY, *rules))
        return Target(lambda: everywhere, tls, push)
    if straight:
        return Target(lambda: straight, tls, push)
    return Target(SystemNames, tls)


def address(text: str) -> Address:
    """HOST:PORT. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _edge(where: str) -> tuple[str, Address]:
    scheme, separator, rest = where.partition("://")
    if not separator:
        scheme, rest = "https", where
    if scheme not in PORTS:
        raise ValueError(f"{where!r}: https:// or http://")
    return scheme, address(rest)


def users(pattern: str) -> list[str]:
    """The SIP addresses that a pattern stands for: `user[01-50]@contoso.example`, as curl has ranges.
    Leading zeros are kept. Raises ValueError."""
    parts = _RANGE.split(pattern)
    choices: list[Sequence[str]] = []
    for index in range(0, len(parts) - 1, 3):
        fixed, first, last = parts[index : index + 3]
        if int(first) > int(last):
            raise ValueError(f"[{first}-{last}] counts down")
        choices += [[fixed], [f"{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]]
    found = ["".join(chosen) for chosen in itertools.product(*choices, [parts[-1]])]
    if not all(user.count("@") == 1 for user in found):
        raise ValueError(f"{pattern!r} is no SIP address user@domain")
    return found


class SystemNames:
    """The machine's own resolver."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    async def look_up(self, host: str) -> str:
        """The first address of `host`. Raises OSError, NoSuchNameError for one."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise NoSuchNameError(f"{host}: no such name") from error
            raise
        self._known[host] = str(found[0][4][0])
        return self._known[host]

    def resolve(self, host: str, port: int) -> Address:
        """Where a host that was looked up is. Raises NoSuchNameError."""
        if host not in self._known:
            raise NoSuchNameError(f"{host}: not looked up")
        return self._known[host], port
