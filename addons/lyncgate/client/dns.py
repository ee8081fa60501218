"""Asks a DNS server, as a phone's stub resolver does: UDP first, TCP when the answer was cut.

    resolver = Resolver(estate.dns[View.EXTERNAL].address, ports)
    await resolver.look_up("lyncdiscover.contoso.example")     # "alias of lyncweb.contoso.example, 127.0.0.1"
    resolver.resolve("lyncdiscover.contoso.example", 443)      # ("127.0.0.1", 40443)

On one machine nothing listens on 443, so a look-up is followed by a step that the real world doesn't have:
`ports` says where a well-known port of an address really is.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from lyncgate.client.names import Address, NoSuchNameError

TIMEOUT = 10.0  # seconds
ATTEMPTS = 2  # by UDP, in that time

type Ports = Mapping[Address, Address]  # (address, well-known port) → where that really is


class DnsFailedError(OSError):
    """No answer, or one that says neither yes nor no."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """`records`: (name, kind, data, ttl) as they came, aliases first."""

    rcode: str
    records: tuple[tuple[str, str, str, int], ...]

    def data(self, kind: str) -> list[str]:
        """The data of all records of this kind, names without their last dot."""
        return [data for _, known, data, _ in self.records if known == kind]


async def ask(server: Address, name: str, kind: str = "A", seconds: float = TIMEOUT) -> Reply:
    """One question, which may take `seconds` by UDP, and as long again by TCP. Raises DnsFailedError when
    there is no readable answer."""
    question = DNSRecord.question(name, kind)
    reply = DNSRecord.parse(await _by_udp(server, question.pack(), seconds))
    if reply.header.tc:
        reply = DNSRecord.parse(await _by_tcp(server, question.pack(), seconds))
    records = tuple((_bare(rr.rname), QTYPE[rr.rtype], _bare(rr.rdata), rr.ttl) for rr in reply.rr)
    return Reply(RCODE[reply.header.rcode], records)


class Resolver:
    """A phone's names by the DNS `server`, then `ports`. What was looked up is kept, as a phone keeps it."""

    def __init__(self, server: Address, ports: Ports) -> None:
        self._server = server
        self._ports = ports
        self._known: dict[str, str] = {}

    async def look_up(self, host: str) -> str:
        """Ask for the addresses of `host`; aliases and addresses, for people. Raises NoSuchNameError, or
        DnsFailedError."""
        reply = await ask(self._server, host)
        if reply.rcode not in ("NOERROR", "NXDOMAIN"):
            raise DnsFailedError(f"{host}: the DNS server says {reply.rcode}")
        addresses = reply.data("A")
        if not addresses:
            raise NoSuchNameError(f"{host}: no such name")
        self._known[host] = addresses[0]
        return ", ".join([*(f"alias of {alias}" for alias in reply.data("CNAME")), *addresses])

    def resolve(self, host: str, port: int) -> Address:
        """Where `port` of a host that was looked up really is. Raises NoSuchNameError."""
        if host not in self._known:
            raise NoSuchNameError(f"{host}: not looked up")
        here = (self._known[host], port)
        return self._ports.get(here, here)


async def _by_udp(server: Address, question: bytes, seconds: float) -> bytes:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Waiting(answered, question[:2]), remote_addr=server
    )
    try:
        for _ in range(ATTEMPTS):
            transport.sendto(question)
            done, _ = await asyncio.wait({answered}, timeout=seconds / ATTEMPTS)
            if done:
                return answered.result()
    except OSError as error:
        raise DnsFailedError(f"DNS server {server[0]}:{server[1]}: {error}") from error
    finally:
        transport.abort()
    raise DnsFailedError(f"DNS server {server[0]}:{server[1]}: no answer")


async def _by_tcp(server: Address, question: bytes, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(*server)
            try:
                writer.write(len(question).to_bytes(2) + question)
                return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            finally:
                writer.close()
    except (OSError, EOFError) as error:
        raise DnsFailedError(f"DNS server {server[0]}:{server[1]} by TCP: {error}") from error


class _Waiting(asyncio.DatagramProtocol):
    """Fulfils a future with the first datagram that is an answer to our question."""

    def __init__(self, answered: asyncio.Future[bytes], identity: bytes) -> None:
        self._answered = answered
        self._identity = identity

    def datagram_received(self, data: bytes, _addr: Address) -> None:
        if data[:2] != self._identity or self._answered.done():
            return
        try:
            DNSRecord.parse(data)
        except DNSError as error:
            self._answered.set_exception(DnsFailedError(f"unreadable answer: {error}"))
        else:
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


def _bare(name: object) -> str:
    return str(name).lower().rstrip(".")
