"""DNS as a phone asks it, and what the answers are worth."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence

from dnslib import DNSError
from mitmproxy_rs.dns import get_system_dns_servers

from lyncgate.client import dns
from lyncgate.client.names import Address
from lyncgate.probe.answer import ORIGIN
from lyncgate.probe.record import Record
from lyncgate.signin.events import DnsQuery

MOST_ADDRESSES = 4  # of a name, that are tried
MOST_ANSWERS = 16


def system_servers() -> tuple[Address, ...]:
    """The DNS servers that this machine is set to ask. Raises RuntimeError: none can be found out."""
    return tuple((server, 53) for server in get_system_dns_servers())


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A host's addresses, both families. `missing`: the servers say that there is no such name, or none with
    an address; `queries`: the questions that are events."""

    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    missing: bool
    queries: tuple[DnsQuery, ...]

    @property
    def said(self) -> str:
        """The answer, for people."""
        if self.addresses:
            alias = "".join(f"alias of {name}, " for name in self.aliases)
            return alias + ", ".join(self.addresses)
        return next((q.rcode for q in self.queries if q.rcode not in (None, "NOERROR")), None) or (
            "no address" if self.missing else "no answer"
        )


class Names:
    """Asks `servers` in turn until one answers, `patience` seconds each. Who was silent once is not asked
    again: nobody waits twice."""

    def __init__(self, servers: Sequence[Address], record: Record, patience: float) -> None:
        self._servers = servers
        self._record = record
        self._patience = patience
        self._silent: set[Address] = set()

    async def look_up(self, host: str) -> Found:
        """Both kinds of addresses of a host, asked at once."""
        queries = await asyncio.gather(self.ask(host, "A"), self.ask(host, "AAAA"))
        answers = [answer.partition(" ") for query in queries for answer in query.answers]
        addresses = dict.fromkeys(data for kind, _, data in answers if kind in ("A", "AAAA"))
        return Found(
            tuple(addresses)[:MOST_ADDRESSES],
            tuple(dict.fromkeys(data for kind, _, data in answers if kind == "CNAME")),
            not addresses and all(query.rcode in ("NOERROR", "NXDOMAIN") for query in queries),
            tuple(filter(_tells, queries)),
        )

    async def ask(self, name: str, kind: str) -> DnsQuery:
        """One question; that no answer came is one, too."""
        started, began = time.time(), time.perf_counter()
        reply = await self._reply(name, kind)
        query = DnsQuery(
            id=self._record.new_id(),
            started=started,
            origin=ORIGIN,
            keys=self._record.keys,
            seconds=time.perf_counter() - began,
            name=name,
            kind=kind,
            rcode=reply.rcode if reply else None,
            answers=tuple(f"{k} {data}" for _, k, data, _ in reply.records)[:MOST_ANSWERS] if reply else (),
        )
        if _tells(query):
            self._record.saw(query)
        return query

    async def _reply(self, name: str, kind: str) -> dns.Reply | None:
        reply: dns.Reply | None = None
        for server in self._servers:
            if server in self._silent:
                continue
            try:
                reply = await dns.ask(server, name, kind, self._patience)
            except OSError:
                self._silent.add(server)
                continue
            except (DNSError, UnicodeError):  # a name that DNS can't have
                return None
            if reply.rcode in ("NOERROR", "NXDOMAIN"):
                break
        return reply


def _tells(query: DnsQuery) -> bool:
    """Whether it is an event: that there is no AAAA is none, phones go by A."""
    return query.kind != "AAAA" or any(answer.startswith("AAAA ") for answer in query.answers)
