"""A reverse proxy that stands where the edge would, good in itself, and bad in the ways it is told to be.

It takes HTTP and HTTPS on an address of its own, sends each request to the pool that its Host belongs to
(443 to 4443, 80 to 8080; the Office Web Apps server to its own ports) with Host, Authorization and the rest
as they came, and keeps one upstream connection for each client connection, so that NTLM works. That is what
a proxy has to do (protocol reference §9); everything else are steps, which see a `Passing` and may send it
on changed, answer it themselves, or spoil the answer.

It holds whole bodies in memory and has no limits: an instrument, not a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from lyncgate.client.http import FAILURES, HttpConnection
from lyncgate.client.names import Address
from lyncgate.lab import topology
from lyncgate.lab.authority import Authority, client_context, server_context
from lyncgate.lab.call import page
from lyncgate.lab.faults.steps import Step, chain
from lyncgate.lab.ports import Ports, bound
from lyncgate.lab.topology import AccessLocation
from lyncgate.lab.web import Handler, Request, Response, Site
from lyncgate.lync.names import lyncdiscover_domain

DOOR = "127.0.0.71"  # where public names lead when there is a bad proxy
HOLE = "127.0.0.72"  # an address behind a firewall that drops
CLOUD = "127.0.0.73"  # somebody else's server: the stand-in for Office 365
HOP_BY_HOP = ("host", "connection", "content-length", "transfer-encoding", "keep-alive", "expect")


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """What a proxy shows: DNS `names`; `complete` False: the intermediate certificate between it and the
    root is not sent."""

    names: tuple[str, ...]
    complete: bool = True

    def issue(self, authority: Authority) -> tuple[bytes, bytes]:
        """Certificate and key, PEM, signed by the lab's authority or under it."""
        return (authority if self.complete else Authority(authority)).issue(self.names)


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """A bad proxy at the address `at`. The defaults are those of a good one.

    `certificate`: None is one for all public names; `oldest_tls`: what it refuses to go below; `http`,
    `https`: whether the port is open; `silent`: accepts connections and never says a word, which to a client
    looks as a firewall that drops; `steps`: what it does with requests.
    """

    at: str = DOOR
    certificate: Certificate | None = None
    oldest_tls: ssl.TLSVersion = ssl.TLSVersion.MINIMUM_SUPPORTED
    http: bool = True
    https: bool = True
    silent: bool = False
    steps: tuple[Step[Passing], ...] = ()

    def __or__(self, other: Proxy) -> Proxy:
        """The faults of both."""
        return Proxy(
            self.at,
            other.certificate or self.certificate,
            max(self.oldest_tls, other.oldest_tls),
            self.http and other.http,
            self.https and other.https,
            self.silent or other.silent,
            self.steps + other.steps,
        )


class Client:
    """A client connection: its `number`, from 0; how many `requests` came; its upstream connections."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.requests = 0
        self.upstreams: dict[tuple[Address, str], HttpConnection] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Passing:
    """One request on its way. `host`, `path`: lower case, what the client asked; `member` and `location`
    say where it goes, `send_host` with what Host; `kept`: by the client's kept upstream connection."""

    request: Request
    body: bytes
    client: Client
    host: str
    path: str
    secure: bool
    member: str
    location: AccessLocation
    send_host: str
    kept: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Passed:
    """What the proxy remembers of a request."""

    method: str
    host: str
    path: str
    status: int


class BadProxy:
    """Runs one. `passed`: the requests so far; `hellos`: server names of TLS handshakes that began."""

    def __init__(self, spec: Proxy, ports: Ports, directory: Path) -> None:
        self.spec = spec
        self.http: Address = (spec.at, 0)
        self.https: Address = (spec.at, 0)
        self.passed: list[Passed] = []
        self.hellos: list[str | None] = []
        self._ports = ports
        self._tls = self._server_context(directory)
        self._upstream_tls = client_context(directory)
        self._serve = chain(spec.steps, self._forward)
        self._numbers = itertools.count()
        self._sites: list[Site[Client]] = []
        self._mute: list[socket.socket] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on free ports: see `http` and `https`. A port that is closed has a number all the same."""
        http, https = bound(self.spec.at, 0), bound(self.spec.at, 0)
        self.http, self.https = http.getsockname(), https.getsockname()
        await self._listen(http, None, is_open=self.spec.http)
        await self._listen(https, self._tls, is_open=self.spec.https)

    async def stop(self) -> None:
        """Stop listening, cut every connection."""
        for sock in self._mute:
            sock.close()
        await asyncio.gather(*(site.close(reset=False) for site in self._sites))
        await asyncio.gather(*self._closing)

    async def _listen(self, sock: socket.socket, tls: ssl.SSLContext | None, *, is_open: bool) -> None:
        if is_open and not self.spec.silent:
            handler = self._handler(secure=tls is not None)
            site = Site(handler, lambda: Client(next(self._numbers)), self._drop)
            await site.listen(sock, tls)
            self._sites.append(site)
            return
        self._mute.append(sock)  # bound, not listening: the kernel refuses
        if is_open:
            sock.listen()  # the kernel accepts, and nobody ever reads

    def _server_context(self, directory: Path) -> ssl.SSLContext:
        context = server_context(directory, self.spec.at if self.spec.certificate else "edge")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # what old clients need beside their version of TLS
        context.minimum_version = self.spec.oldest_tls
        context.sni_callback = lambda _tls, name, _context: self.hellos.append(name)
        return context

    def _handler(self, *, secure: bool) -> Handler[Client]:
        async def handle(request: Request, client: Client) -> Response:
            host = (request.header("host") or "").lower().partition(":")[0]
            member, location = route(host)
            body = await request.read()
            passing = Passing(
                request, body, client, host, request.path.lower(), secure, member, location, send_host=host
            )
            response = await self._serve(passing)
            client.requests += 1
            self.passed.append(Passed(request.method, host, request.path, response.status))
            return response

        return handle

    async def _forward(self, passing: Passing) -> Response:
        request = passing.request
        if not passing.member:
            return page(404, "404 - Not published")
        headers = [field for field in request.headers if field[0] not in HOP_BY_HOP]
        try:
            async with self._upstream(passing) as upstream:
                reply = await upstream.request(request.method, request.target, headers, passing.body)
        except FAILURES:
            return page(502, "502 - Bad gateway")
        return Response(reply.status, [f for f in reply.headers if f[0] not in HOP_BY_HOP], reply.body)

    @contextlib.asynccontextmanager
    async def _upstream(self, passing: Passing) -> AsyncIterator[HttpConnection]:
        where = self._where(passing)
        key = (where, passing.send_host)
        connection = passing.client.upstreams.get(key) if passing.kept else None
        if connection is None or not connection.reusable:
            tls = self._upstream_tls if passing.secure else None
            connection = await HttpConnection.open_at(where, passing.send_host, tls)
            if passing.kept:
                passing.client.upstreams[key] = connection
        try:
            yield connection
        finally:
            if not passing.kept:
                await connection.close()

    def _where(self, passing: Passing) -> Address:
        ports = self._ports
        if passing.location is AccessLocation.EXTERNAL:
            port = ports.external_https if passing.secure else ports.external_http
        else:
            port = ports.internal_https if passing.secure else ports.internal_http
        return topology.MEMBERS[passing.member].address, port

    def _drop(self, client: Client) -> None:
        for connection in client.upstreams.values():
            task = asyncio.get_running_loop().create_task(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def route(host: str) -> tuple[str, AccessLocation]:
    """The member and the site that a public name leads to; member "" when the name is not published."""
    if host == topology.OWA_HOST:
        return "owa01", AccessLocation.INTERNAL  # its only site is on the ordinary ports (§9.1)
    names = {pool.web: name for name, pool in topology.POOLS.items()}
    names |= {topology.MEET_HOST: "pool01", topology.DIALIN_HOST: "pool01"}
    domain = topology.DOMAINS.get(lyncdiscover_domain(host) or "")
    pool = domain.pool if domain else names.get(host)
    return (topology.POOLS[pool].members[0] if pool else ""), AccessLocation.EXTERNAL
