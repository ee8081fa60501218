"""The inside of one front end: its inside port, and the mobility services that register there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from lyncgate.lab import topology
from lyncgate.lab.inside import tls
from lyncgate.lab.inside.client import Link
from lyncgate.lab.inside.mobility import MobilityRegistrar, MobilityService
from lyncgate.lab.inside.server import InsideServer
from lyncgate.lab.inside.trace import Tracer
from lyncgate.lab.pool import Pool
from lyncgate.lab.ports import Ports
from lyncgate.lab.topology import MemberSpec


class Inside:
    """`mcx`, `ucwa`: how the web services of this front end sign a user in. `tracer`: its trace."""

    def __init__(
        self,
        spec: MemberSpec,
        pool: Pool,
        pools: Mapping[str, Pool],
        ports: Ports,
        certificates: Path,
        tracer: Tracer,
    ) -> None:
        self.tracer = tracer
        self._listening = tls.listening(certificates, pool.spec.name)
        self._address = (spec.address, ports.sip_mtls)
        connecting = tls.connecting(certificates, pool.spec.name)
        access_edge = topology.MEMBERS["sip"]
        self._server = InsideServer(
            spec.fqdn,
            pool,
            pools,
            Link(
                (access_edge.address, ports.sip_mtls),
                access_edge.fqdn,
                connecting,
                spec.address,
                tracer.message,
            ),
            tracer.message,
        )
        self.mcx, self.ucwa = (
            MobilityRegistrar(service, pool, Link(self._address, spec.fqdn, connecting, spec.address), tracer)
            for service in (MobilityService.MCX, MobilityService.UCWA)
        )

    async def start(self, listen: Callable[[str, int], socket.socket]) -> None:
        """Listen; `listen(address, port)` gives a bound socket."""
        await self._server.listen(listen(*self._address), self._listening)

    async def stop(self, *, reset: bool = False) -> None:
        """Stop listening, close every connection; `reset`: with RST."""
        await self.mcx.close()
        await self.ucwa.close()
        await self._server.close(reset=reset)
