"""DNS as a phone asks it, and what the answers are worth."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence

from mitmproxy_rs.dns import get_system_dns_servers

from lyncgate.client import dns
from lyncgate.client.names import Address
from lyncgate.probe.record import ORIGIN, Record
from lyncgate.signin.events import DnsQuery

MOST_ADDRESSES = 4  # of a name, that are tried
MOST_ANSWERS = 16


def system_servers() -> tuple[Address, ...]:
    """The DNS servers that this machine is set to ask. Raises RuntimeError: none can be found out."""
    return tuple((server, 53) for server in get_system_dns_servers())


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A host's addresses, both families; `queries`: the questions that were asked."""

    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    queries: tuple[DnsQuery, ...]

    @property
    def missing(self) -> bool:
        """The servers say that there is no such name, or none with an address."""
        return not self.addresses and all(q.rcode in ("NOERROR", "NXDOMAIN") for q in self.queries)

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
    """Asks `servers` in turn until one answers, `patience` seconds each."""

    def __init__(self, servers: Sequence[Address], record: Record, patience: float) -> None:
        self._servers = servers
        self._record = record
        self._patience = patience

    async def look_up(self, host: str) -> Found:
        """Both kinds of addresses of a host, asked at once."""
        queries = await asyncio.gather(self.ask(host, "A"), self.ask(host, "AAAA"))
        answers = [answer.partition(" ") for query in queries for answer in query.answers]
        return Found(
            tuple(dict.fromkeys(data for kind, _, data in answers if kind in ("A", "AAAA")))[:MOST_ADDRESSES],
            tuple(dict.fromkeys(data for kind, _, data in answers if kind == "CNAME")),
            tuple(queries),
        )

    async def ask(self, name: str, kind: str) -> DnsQuery:
        """One question; that there is no answer is one, too. No answer of kind AAAA is not noted: many
        servers have none, and phones go by A."""
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
        if kind != "AAAA" or any(answer.startswith("AAAA ") for answer in query.answers):
            self._record.saw(query)
        return query

    async def _reply(self, name: str, kind: str) -> dns.Reply | None:
        for server in self._servers:
            try:
                reply = await dns.ask(server, name, kind, self._patience)
            except OSError:
                continue
            if reply.rcode in ("NOERROR", "NXDOMAIN") or server == self._servers[-1]:
                return reply
        return None
