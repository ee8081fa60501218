"""A whole mitmproxy for one capture, apart from the edge's lean one.

    async with capturing(["reverse:https://192.0.2.1:443@443"], sink, confdir=ca) as capture:
        capture.addresses     # {"reverse:https://192.0.2.1:443@443": [("0.0.0.0", 443), …]}

mitmproxy keeps its master in a global: one capture a process, and no edge beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import certifi
from mitmproxy import connection, dns, options
from mitmproxy.addons import core, disable_h2c, dns_resolver, next_layer, onboarding, proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.proxy import mode_servers, mode_specs
from mitmproxy.utils.asyncio_utils import install_exception_handler, set_eager_task_factory
from mitmproxy_rs.udp import UdpServer
from mitmproxy_rs.wireguard import WireGuardServer

from lyncgate.engine.capture.exchanges import Exchanges, Sink
from lyncgate.engine.capture.handshakes import Handshakes, Refused
from lyncgate.engine.master import StartError, hang_up, require_versions
from lyncgate.policy.certificates import der_blocks
from lyncgate.signin.keys import Hasher

LONGEST_POLL = 2100  # seconds without a byte: a poll may be held for 30 minutes
NATIVE_END = 5.0  # seconds that the ends of UDP servers are waited for
TUNNEL_DNS = ("10.0.0.53", 53)  # the name server that mitmproxy gives a WireGuard client

OPTIONS: Mapping[str, object] = {
    "connection_strategy": "eager",  # the server's certificate is seen even if the phone refuses ours
    "http2": False,  # NTLM is bound to the connection
    "keep_host_header": True,
    "ssl_insecure": True,  # upstream certificates are judged, and used anyway: see handshakes
    "tcp_timeout": LONGEST_POLL,
    "tls_version_client_min": "TLS1",  # old phones offer nothing newer
    "tls_version_server_min": "TLS1",
}

type Address = tuple[str, int]


class _TlsConfig(tlsconfig.TlsConfig):
    """mitmproxy's, which fails with a pyOpenSSL of 2025 when it looks for versions of TLS to warn about."""

    name = "tlsconfig"

    def _warn_unsupported_version(self, attribute: str, warn_unbound: bool) -> None:
        pass


class Capture(Master):
    """Made by `capturing`."""

    def __init__(self, confdir: Path, *addons: object) -> None:
        require_versions()
        super().__init__(options.Options(), event_loop=asyncio.get_running_loop())
        self.proxyserver = proxyserver.Proxyserver()
        self.addons.add(
            *addons,  # first: they give streamed bodies back, and make TLS before tlsconfig does
            core.Core(),
            disable_h2c.DisableH2C(),
            onboarding.Onboarding(),  # http://mitm.it, where phones get the certificate
            self.proxyserver,
            dns_resolver.DnsResolver(),
            next_layer.NextLayer(),
            _TlsConfig(),
        )
        self.options.update(**OPTIONS, confdir=str(confdir))

    @property
    def addresses(self) -> dict[str, list[Address]]:
        """Where each mode listens, by its specification."""
        return {
            server.mode.full_spec: [(address[0], address[1]) for address in server.listen_addrs]
            for server in self.proxyserver.servers
        }

    async def listen(self, modes: Sequence[str]) -> None:
        """Raises StartError, with nothing left open."""
        try:
            specs = [_by_tcp(mode_specs.ProxyMode.parse(mode)) for mode in modes]
        except ValueError as error:
            raise StartError(str(error)) from error
        if not await self.proxyserver.servers.update(specs):
            reasons = [str(one.last_exception) for one in self.proxyserver.servers if one.last_exception]
            await self.proxyserver.servers.update([])
            raise StartError("; ".join(reasons) or "could not listen")

    async def stop(self) -> None:
        """Servers on UDP are threads of mitmproxy_rs. One that still lets go of Python objects while the
        interpreter ends is unwound through Rust and crashes (mitmproxy issue 7409): wait for them."""
        native = _native_servers(self.proxyserver)
        await self.proxyserver.servers.update([])
        await hang_up(self.proxyserver)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NATIVE_END):
                await asyncio.gather(*(server.wait_closed() for server in native))
        await self.done()


def _by_tcp(mode: mode_specs.ProxyMode) -> mode_specs.ProxyMode:
    """In front of HTTPS mitmproxy also listens for QUIC, which no client of Lync speaks: not we."""
    if isinstance(mode, mode_specs.ReverseMode) and mode.scheme == "https":
        mode.transport_protocol = mode_specs.TCP
    return mode


def _native_servers(proxyserver: proxyserver.Proxyserver) -> list[UdpServer | WireGuardServer]:
    """Those that mitmproxy closes without waiting."""
    return [
        server
        for instance in proxyserver.servers
        if isinstance(instance, mode_servers.AsyncioServerInstance)
        for server in instance._servers
        if isinstance(server, UdpServer | WireGuardServer)
    ]


class Doorkeeper:
    """Who may use us, and whom we ask for names."""

    def __init__(self, name_server: Address | None) -> None:
        self._name_server = name_server

    def client_connected(self, client: connection.Client) -> None:
        host = client.peername[0].partition("%")[0]
        if isinstance(client.proxy_mode, mode_specs.RegularMode) and ipaddress.ip_address(host).is_global:
            client.error = "an open proxy is not for the whole world"

    def dns_request(self, flow: dns.DNSFlow) -> None:
        """Pass a tunnel's questions on as they are: mitmproxy's own answers lack the aliases."""
        if self._name_server and flow.server_conn.address == TUNNEL_DNS:
            flow.server_conn.address = self._name_server


@contextlib.asynccontextmanager
async def capturing(
    modes: Sequence[str],
    sink: Sink,
    *,
    confdir: Path,
    hasher: Hasher | None = None,
    upstream_ca: Path | None = None,
    name_server: Address | None = None,
    passed: Sequence[str] = (),
    refused: Refused = lambda client, name, said: None,
    addons: Sequence[object] = (),
) -> AsyncIterator[Capture]:
    """Intercept on the running loop, by mitmproxy's mode specifications. `sink` hears of every event.

    `confdir`: where the authority is kept that phones must trust; it is made if there is none.
    `upstream_ca`: PEM of authorities that servers' certificates are judged by, beside the public ones.
    `name_server`: who is asked what comes through a WireGuard tunnel. `passed`: names whose TLS stays
    closed, `*` for any part. `refused`: see Handshakes. `addons`: of mitmproxy's kind, after ours.

    Raises OSError or StartError.
    """
    anchors = _prepare(confdir, upstream_ca)
    capture = Capture(
        confdir,
        Doorkeeper(name_server),
        Exchanges(hasher or Hasher(secrets.token_bytes(32)), sink),
        Handshakes(sink, anchors, passed, refused),
        *addons,
    )
    with install_exception_handler(capture._asyncio_exception_handler), set_eager_task_factory():
        try:
            await capture.listen(modes)
            await capture.running()
            yield capture
        finally:
            await capture.stop()


def _prepare(confdir: Path, upstream_ca: Path | None) -> tuple[bytes, ...]:
    """Make the directory of the authority; the anchors."""
    confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = [Path(certifi.where()), *([upstream_ca] if upstream_ca else [])]
    return tuple(der for file in files for der in der_blocks(file.read_bytes()))
