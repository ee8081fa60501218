"""A lab, and where an operator watches it from: an edge of ours before the pool, or a capture before the
proxy that somebody else runs. DNS has its log, servers have their traces, and phones use both ways in.

    async with watched(directory, faults, vantage) as site:
        await site.phone("lync2013", "alice@contoso.example").sign_in()
        site.events()                       # what the operator has seen so far
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lyncgate.client.dns import Resolver
from lyncgate.client.names import Address
from lyncgate.engine.capture.master import capturing
from lyncgate.engine.rules import read_rules
from lyncgate.engine.serve import running_edge
from lyncgate.lab import topology
from lyncgate.lab.authority import client_context
from lyncgate.lab.dns import estate as dns
from lyncgate.lab.dns.estate import View
from lyncgate.lab.estate import Estate
from lyncgate.lab.faults.badproxy import DOOR
from lyncgate.lab.faults.fault import NO_FAULTS, Faults
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lab.phones.ticket import TicketDesk
from lyncgate.signin.dnslog import DnsLogReader
from lyncgate.signin.events import Event
from lyncgate.signin.keys import Hasher
from lyncgate.signin.traces import TraceReader

EDGE = "127.0.0.1"
CERTIFICATE = "mitmproxy-ca-cert.pem"
POLL = 30  # seconds that phones ask the server to hold a poll


class Vantage(enum.StrEnum):
    """Where events come from, beside the DNS log and the traces."""

    EDGE = "edge"
    CAPTURE = "capture"


class _File:
    """A log that grows, read as it does."""

    def __init__(self, path: Path, reader: DnsLogReader | TraceReader) -> None:
        self._path = path
        self._reader = reader
        self._position = 0

    def read(self) -> list[Event]:
        """What came since the last time, in whole lines."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._position += len(new)
        lines = new.decode("utf-8", "replace").splitlines()
        return [*(event for line in lines for event in self._reader.line(line)), *self._reader.end()]


@dataclasses.dataclass
class Site:
    """`ports`: (address that DNS names, well-known port) → where that really is."""

    estate: Estate
    tls: ssl.SSLContext
    hasher: Hasher
    seen: list[Event]
    ports: dict[Address, Address]
    good: dict[Address, Address]  # the same past the proxy that is to blame
    web: Address  # HTTPS of what phones meet first

    def resolver(self, view: View = View.EXTERNAL, *, past: bool = False) -> Resolver:
        """What a phone resolves by. `past`: its way leads past the bad proxy, by another one that is fine."""
        more = self.good if past else self.ports
        return Resolver(self.estate.dns[view].address, dns.ports(view, self.estate.ports, None) | more)

    def phone(
        self,
        device: str,
        user: str,
        *,
        account: str | None = None,
        password: str | None = None,
        view: View = View.EXTERNAL,
        past: bool = False,
        **options: Any,
    ) -> Device:
        """A phone that signs in by the operator's vantage. `account`: the name it logs on with, if that is
        not the SIP address."""
        password = password or f"P4ss-{user.partition('@')[0]}"
        options = {"poll_timeout": POLL} | options
        names = self.resolver(view, past=past)
        made = DEVICES[device](user, password, names=names, tls=self.tls, **options)
        if account:
            made.desk = TicketDesk(made.line, account, password, saml=made.saml)
        return made

    def events(self) -> list[Event]:
        """All that was seen so far, each once: what the vantage saw, the DNS log, the traces."""
        for file in self._files:
            self.seen += file.read()
        return list({event.id: event for event in self.seen}.values())

    @functools.cached_property
    def _files(self) -> list[_File]:
        directory = self.estate.directory
        traces = sorted((directory / "traces").glob("*.log"))
        return [
            _File(directory / "dns.log", DnsLogReader(self.hasher)),
            *(_File(trace, TraceReader(trace.stem, self.hasher)) for trace in traces),
        ]


@contextlib.asynccontextmanager
async def watched(
    directory: Path, vantage: Vantage, faults: Faults = NO_FAULTS, poll_minimum: float = 1.0
) -> AsyncIterator[Site]:
    """Run it all on this loop."""
    async with Estate.start(directory, faults=faults, trace=True, poll_minimum=poll_minimum) as estate:
        around = _by_edge if vantage is Vantage.EDGE else _by_capture
        async with around(estate) as site:
            yield site


@contextlib.asynccontextmanager
async def _by_edge(estate: Estate) -> AsyncIterator[Site]:
    path = estate.directory / "edge.yaml"
    path.write_text(f"{estate.rules_yaml()}\naccess_log: {{path: access.log}}\n")
    seen: list[Event] = []
    await estate.start_dns(EDGE)
    async with running_edge(path, read_rules(path), seen.append) as running:
        http, https = running.addresses["http"][0], running.addresses["https"][0]
        ports = {(EDGE, 80): http, (EDGE, 443): https} | estate._proxy_ports()
        tls = client_context(estate.directory)
        yield Site(estate, tls, running.journal.hasher, seen, ports, ports, https)


@contextlib.asynccontextmanager
async def _by_capture(estate: Estate) -> AsyncIterator[Site]:
    hasher, seen = Hasher(bytes(range(32))), list[Event]()
    await estate.start_dns()
    front_end = topology.MEMBERS["fe01"].address
    ways: dict[Address, Address] = dict(estate._proxy_ports())
    past = {
        ("past", 80): (front_end, estate.ports.external_http),
        ("past", 443): (front_end, estate.ports.external_https),
    }
    modes = {place: _mode(place[1], to) for place, to in (ways | past).items()}
    authority = estate.directory / "capture"
    async with capturing(
        list(modes.values()), seen.append, confdir=authority, hasher=hasher, upstream_ca=estate.ca_file
    ) as capture:
        ours = {place: capture.addresses[mode][0] for place, mode in modes.items()}
        ports = {place: ours[place] for place in ways}
        good = {(at, port): ours["past", port] for at, port in ways}
        tls = ssl.create_default_context(cafile=str(authority / CERTIFICATE))
        tls.load_verify_locations(str(estate.ca_file))
        door = ours.get((DOOR, 443)) or ours["past", 443]
        yield Site(estate, tls, hasher, seen, ports, good, door)


def _mode(port: int, to: Address) -> str:
    scheme = "https" if port == 443 else "http"
    return f"reverse:{scheme}://{to[0]}:{to[1]}@{EDGE}:0"
