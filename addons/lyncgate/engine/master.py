"""A lean mitmproxy master: the proxy server and the edge's addons, nothing else.

Stock mitmdump loads some thirty addons, a UI's worth of options and a certificate authority; an
edge needs none of them and must not have the last. It starts listeners, swaps policies, and stops
without cutting what is in flight.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import mitmproxy.version
from mitmproxy import options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Connection
from mitmproxy.master import Master
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from lyncgate.edge.addons import EdgeAddons
from lyncgate.engine.lane.demoted import COLLECTED
from lyncgate.engine.lane.lane import Lane
from lyncgate.engine.lane.scripts import Scripts
from lyncgate.engine.listeners import mode_specs_of
from lyncgate.engine.scripting import ScriptError, WatchedAddons, load_script
from lyncgate.engine.sockets import Place, Sockets
from lyncgate.engine.tls.ticketkeys import TicketKeyRing
from lyncgate.policy.policy import Policy

log = logging.getLogger(__name__)

OLDEST_MITMPROXY = (12, 2, 2)  # less has known holes and cuts any connection silent for 600 s
OLDEST_PYTHON = (3, 12)

# mitmproxy's own inactivity limit would end a poll with a bare FIN. Ours answers first, with a 504.
GRACE = 60.0  # seconds


class Engine(enum.StrEnum):
    """How bytes move. `lane`: our own, bodies stream. `stock`: mitmproxy's layers, which see everything, at a
    tenth of the speed."""

    LANE = "lane"
    STOCK = "stock"


class StartError(Exception):
    """Says in one line what is in the way."""


def require_versions(
    mitmproxy_version: str = mitmproxy.version.VERSION, python: tuple[int, ...] = sys.version_info[:3]
) -> None:
    """Raises StartError on a Python or mitmproxy that an edge must not run on."""
    if python[:2] < OLDEST_PYTHON:
        raise StartError(f"lyncgate needs Python 3.12 or newer, this is {'.'.join(map(str, python[:3]))}")
    found = tuple(int(part) for part in mitmproxy_version.split(".")[:3] if part.isdigit())
    if found < OLDEST_MITMPROXY:
        raise StartError(
            f"lyncgate needs mitmproxy 12.2.2 or newer, this is {mitmproxy_version}: older ones have known "
            "security holes and end every poll after 600 s"
        )


def proxy_options(policy: Policy) -> dict[str, object]:
    """mitmproxy options that make it an edge, for our master and for the stock tools alike."""
    return {
        "connection_strategy": "lazy",  # the member is not known before the request is
        "http2": False,  # NTLM is bound to the connection
        "keep_host_header": True,
        "validate_inbound_headers": True,
        "tcp_timeout": math.ceil(policy.timeouts.poll + GRACE),
    }


class EdgeMaster(Master):
    def __init__(self, edge: EdgeAddons, engine: Engine = Engine.LANE, scripts: Sequence[Path] = ()) -> None:
        """Must be called on the running event loop. Raises OSError if a file of the policy can't be used,
        StartError if a script can't be."""
        require_versions()
        super().__init__(options.Options(), event_loop=asyncio.get_running_loop())
        self.edge = edge
        self.lane: Lane | None = None
        self.proxyserver = Proxyserver()
        self.addons = WatchedAddons(self, self._addons_changed)
        self.addons.add(self.proxyserver, edge)  # type: ignore[no-untyped-call]  # mitmproxy does not type it
        self.options.update(**proxy_options(edge.edge.policy))
        self.sockets = Sockets()
        self.ticket_keys = TicketKeyRing()
        loop = asyncio.get_running_loop()
        if engine is Engine.LANE:
            self.lane = Lane(edge.course, loop, self.ticket_keys)
            self.options.update(stream_large_bodies=COLLECTED)
        try:
            for path in scripts:
                load_script(self, path)
        except ScriptError as error:
            raise StartError(str(error)) from error

    def _addons_changed(self) -> None:
        """The lane need not look for hooks on each exchange."""
        if self.lane is not None:
            native = (self.proxyserver, self.edge)
            foreign = [addon for addon in self.addons.chain if addon not in native]
            self.lane.scripts = Scripts.of(foreign, self.lane.loop, self.options)

    async def start(self, sockets: Sockets | None = None) -> None:
        """Open all listeners, on `sockets` where they have some. Raises StartError, with none of them open,
        if one can't be."""
        self.sockets = sockets or self.sockets
        if not await self._listen(self.edge.edge.policy):
            reasons = [
                str(server.last_exception) for server in self.proxyserver.servers if server.last_exception
            ]
            await self.proxyserver.servers.update([])
            raise StartError("; ".join(reasons) or "a listener could not be opened")
        await self.running()

    @property
    def listening(self) -> bool:
        return bool(len(self.proxyserver.servers)) and all(s.is_running for s in self.proxyserver.servers)

    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """Where each listener is bound: host and port, the real one where the rules say port 0."""
        bound: dict[str, list[tuple[str, int]]] = {}
        for server in self.proxyserver.servers:
            bound.setdefault(server.mode.data, []).extend((a[0], a[1]) for a in server.listen_addrs)
        return bound

    async def adopt(
        self, policy: Policy, sockets: Mapping[Place, Sequence[socket.socket]] | None = None
    ) -> None:
        """Put a new policy in force without touching open connections. `sockets`: instead of those it has.

        Raises OSError, OpenSSL.SSL.Error or StartError; then the old policy is in force as before.
        """
        old, old_sockets = self.edge.edge.policy, self.sockets
        use_files = self.lane.prepare(policy) if self.lane else None
        self.edge.adopt(policy)
        if sockets is not None:
            self.sockets = Sockets(sockets)
            await self.proxyserver.servers.update([])  # those who connect meanwhile wait in the kernel
        if (sockets is not None or mode_specs_of(policy) != mode_specs_of(old)) and not await self._listen(
            policy
        ):
            self.edge.adopt(old)
            if sockets is not None:
                self.sockets.close()
                self.sockets = old_sockets
                await self.proxyserver.servers.update([])
            await self._listen(old)
            raise StartError("a listener of the new rules could not be opened")
        if sockets is not None:
            old_sockets.close()
        if use_files is not None:
            use_files()
        self.options.update(**proxy_options(policy))

    async def _listen(self, policy: Policy) -> bool:
        modes = [mode_specs.ProxyMode.parse(spec) for spec in mode_specs_of(policy)]
        return await self.proxyserver.servers.update(modes)

    async def drain(self, deadline: float) -> int:
        """Accept no more, let exchanges in flight end for up to `deadline` seconds.

        Connections without an exchange are closed at once. Returns how many exchanges were cut.
        """
        self.edge.edge.draining = True
        await self.proxyserver.servers.update([])
        self.sockets.close()
        until = time.monotonic() + deadline
        idle: set[ProxyConnectionHandler] = set()
        while time.monotonic() < until:
            was_idle, idle = idle, self._idle()
            for handler in idle & was_idle:  # twice: an exchange's last bytes leave after its record
                _cancel(handler, handler.client, "drain")
            if self.lane:
                self.lane.leave_idle()
            left = len(self.lane.clients) if self.lane else 0
            if (
                not self.edge.edge.transits
                and not left
                and len(idle & was_idle) == len(self.proxyserver.connections)
            ):
                break
            await asyncio.sleep(0.05)
        return len(self.edge.edge.transits)

    def _idle(self) -> set[ProxyConnectionHandler]:
        """Client connections without an exchange and with nothing left to send."""
        busy = {transit.exchange.connection for transit in self.edge.edge.transits}
        return {
            handler
            for handler in self.proxyserver.connections.values()
            if handler.client.id not in busy and not _unsent(handler)
        }

    async def stop(self) -> None:
        """Close what is left and end the addons."""
        if self.lane:
            self.lane.close()
        await hang_up(self.proxyserver)
        await self.done()


async def hang_up(proxyserver: Proxyserver) -> None:
    """End every connection, and wait until they are gone."""
    for handler in list(proxyserver.connections.values()):
        for conn in list(handler.transports):
            _cancel(handler, conn, "shutdown")
    while proxyserver.connections:  # noqa: ASYNC110 (mitmproxy tells nobody when one is gone)
        await asyncio.sleep(0.01)


def _cancel(handler: ProxyConnectionHandler, conn: Connection, why: str) -> None:
    """End one connection of a handler's."""
    transport = handler.transports.get(conn)
    if transport is not None and transport.handler is not None:
        transport.handler.cancel(why)


def _unsent(handler: ProxyConnectionHandler) -> bool:
    """Whether bytes for the client still wait in our own buffer."""
    transport = handler.transports.get(handler.client)
    writer = transport.writer if transport is not None else None
    return isinstance(writer, asyncio.StreamWriter) and writer.transport.get_write_buffer_size() > 0
