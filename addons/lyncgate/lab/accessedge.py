"""The Access Edge: where SIP clients outside connect, and where SIP leaves for federated partners. SIP only;
it never carries web traffic."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from lyncgate.lab import topology
from lyncgate.lab.authority import server_context
from lyncgate.lab.directory import Directory
from lyncgate.lab.inside import tls
from lyncgate.lab.inside.client import Link
from lyncgate.lab.inside.forward import Federation
from lyncgate.lab.inside.trace import Tracer
from lyncgate.lab.ntlm import Accounts
from lyncgate.lab.pool import Pool
from lyncgate.lab.ports import Ports
from lyncgate.lab.sip import SipServer
from lyncgate.lab.topology import MemberSpec


class AccessEdge:
    """A SIP server with the public SIP name's certificate."""

    def __init__(
        self,
        spec: MemberSpec,
        pools: Mapping[str, Pool],
        directory: Directory,
        accounts: Accounts,
        ports: Ports,
        certificates: Path,
        tracer: Tracer,
    ) -> None:
        self.spec = spec
        self._ports = ports
        self._tls = server_context(certificates, spec.name)
        self._sip = SipServer(spec.fqdn, directory, pools, accounts, tracer.message, remote=True)
        self._inside = tls.listening(certificates, spec.name)
        partner = Link(
            (topology.PUSH_ADDRESS, ports.sip_mtls),
            topology.PUSH_HOST,
            tls.connecting(certificates, spec.name),
            spec.address,
            tracer.message,
        )
        trusted = [pool.spec.fqdn for pool in pools.values()]
        self._federation = Federation(spec.fqdn, trusted, {topology.PUSH_HOST: partner}, tracer.message)

    async def start(self, listen: Callable[[str, int], socket.socket]) -> None:
        """Listen; `listen(address, port)` gives a bound socket."""
        await self._sip.listen(listen(self.spec.address, self._ports.sip), self._tls)
        await self._federation.listen(listen(self.spec.address, self._ports.sip_mtls), self._inside)

    async def stop(self, *, reset: bool = False) -> None:
        """Stop listening and cut every connection; `reset`: with RST."""
        await self._sip.close(reset=reset)
        await self._federation.close(reset=reset)
