"""A DNS server on loopback: UDP and TCP, one listening address a view, every query noted.

The views are told apart by the address that is asked, as outside and inside ask different servers in
the real world. An answer that is too long for UDP is cut and marked so (TC), and the client comes again by
TCP (RFC 1035 §4.2.1); EDNS raises the limit (RFC 6891).

A query log line, in `dns.log` of the lab's directory:

    {"time": 1789.2, "view": "external", "client": "127.0.0.1:50123", "transport": "udp",
     "name": "lyncdiscover.contoso.example", "kind": "A", "rcode": "NOERROR", "answers": ["CNAME …", "A …"],
     "seconds": 0.0004}
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from dnslib import EDNS0, OPCODE, QTYPE, RCODE, RR, SOA, DNSError, DNSRecord

from lyncgate.client.names import Address
from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.zone import NEGATIVE_TTL, Zone
from lyncgate.lab.ports import ATTEMPTS, bound
from lyncgate.lab.web import end

ADDRESSES = {View.EXTERNAL: "127.0.0.61", View.INTERNAL: "127.0.0.62"}
LOG_FILE = "dns.log"
UDP_LIMIT = 512  # bytes, where the client does not ask for more
EDNS_LIMIT = 1232  # bytes, what fits into one packet everywhere
TCP_IDLE = 30.0  # seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A question that was asked, and what was said. `time`: Unix time in seconds; `answers`: `KIND data`;
    `seconds`: how long the server took to find them."""

    time: float
    view: View
    client: str
    transport: str
    name: str
    kind: str
    rcode: str
    answers: tuple[str, ...]
    seconds: float | None = None


class QueryLog:
    """Appends queries to a file, a JSON object a line, and keeps them in `queries`."""

    def __init__(self, file: Path) -> None:
        self.queries: list[Query] = []
        self._file = file.open("a", buffering=1, encoding="utf-8")

    def __call__(self, query: Query) -> None:
        """Note one."""
        self.queries.append(query)
        self._file.write(json.dumps(dataclasses.asdict(query)) + "\n")

    def close(self) -> None:
        """No more will come."""
        self._file.close()


class DnsServer:
    """Answers for one view. `log` hears of each query."""

    def __init__(self, view: View, zone: Zone, log: Callable[[Query], None]) -> None:
        self.view = view
        self.zone = zone
        self.address: Address = (ADDRESSES[view], 0)
        self._log = log
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listen on a free port of the view's address, the same for UDP and TCP; see `address`."""
        tcp, udp = _same_port(self.address[0])
        self.address = tcp.getsockname()
        self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self), sock=udp
        )
        self._tcp = await asyncio.start_server(self._serve, sock=tcp)

    async def stop(self) -> None:
        """Stop listening, cut every connection."""
        if self._udp:
            self._udp.abort()
        if self._tcp:
            self._tcp.close()
        serving = dict(self._serving)
        for writer in serving.values():
            end(writer.transport, reset=False)
        await asyncio.gather(*serving, return_exceptions=True)

    def reply(self, message: bytes, client: Address, transport: str) -> bytes | None:
        """The answer to a message; None for what is no DNS query at all."""
        try:
            asked = DNSRecord.parse(message)
        except DNSError:
            return None
        if asked.header.qr or not asked.questions:
            return None
        reply = asked.reply(ra=0, aa=1)
        edns = next((record for record in asked.ar if record.rtype == QTYPE.OPT), None)
        if edns:
            reply.add_ar(EDNS0(udp_len=EDNS_LIMIT))
        if asked.header.opcode != OPCODE.QUERY or len(asked.questions) != 1:
            reply.header.rcode = RCODE.NOTIMP
        else:
            self._answer(reply, str(asked.q.qname).rstrip("."), QTYPE[asked.q.qtype], client, transport)
        limit = UDP_LIMIT if edns is None else min(max(edns.rclass, UDP_LIMIT), EDNS_LIMIT)
        packed: bytes = reply.pack()
        if transport == "udp" and len(packed) > limit:
            reply.rr, reply.auth, reply.header.tc = [], [], 1
            packed = reply.pack()
        return packed

    def _answer(self, reply: DNSRecord, name: str, kind: str, client: Address, transport: str) -> None:
        asked, began = time.time(), time.perf_counter()
        answer = self.zone.answer(name, kind)
        reply.header.rcode = getattr(RCODE, answer.rcode)
        for record in answer.records:
            reply.add_answer(*RR.fromZone(record.line))
        if answer.rcode == "REFUSED":
            reply.header.aa = 0
        if answer.origin:
            times = (1, 3600, 600, 86400, NEGATIVE_TTL)
            soa = SOA(f"ns.{answer.origin}", f"hostmaster.{answer.origin}", times)
            reply.add_auth(RR(answer.origin, QTYPE.SOA, ttl=NEGATIVE_TTL, rdata=soa))
        self._log(
            Query(
                asked,
                self.view,
                f"{client[0]}:{client[1]}",
                transport,
                name.lower(),
                kind,
                answer.rcode,
                tuple(f"{record.kind} {record.data}" for record in answer.records),
                round(time.perf_counter() - began, 6),
            )
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._serving[task] = writer
            task.add_done_callback(self._serving.pop)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            while True:
                async with asyncio.timeout(TCP_IDLE):
                    message = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                answer = self.reply(message, writer.get_extra_info("peername"), "tcp")
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """UDP's side: one datagram in, one out."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.DatagramTransport):
            raise TypeError(f"no datagrams: {transport!r}")
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        answer = self._server.reply(data, addr, "udp")
        if answer and self._transport:
            self._transport.sendto(answer, addr)


def _same_port(address: str) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on one free port number."""
    for _ in range(ATTEMPTS):
        tcp = bound(address, 0)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        udp.setblocking(False)
        return tcp, udp
    raise OSError(f"no port of {address} is free for both UDP and TCP")
