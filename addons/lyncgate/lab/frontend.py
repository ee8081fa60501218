"""A front end or Director: four web sites, its SIP ports, and the table of what is served where.

Sites: external HTTPS and HTTP (4443 and 8080 in a real pool), internal HTTPS and HTTP (443 and 80). On
plain HTTP there is only discovery's redirect document and the pages; the rest wants TLS, as IIS's 403.4
says (our guess for the status). Paths are compared in lower case, as IIS does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from lyncgate.lab import addressbook, autodiscover, certprov, content, mcx, mobility, oauthtoken, webticket
from lyncgate.lab.authority import server_context
from lyncgate.lab.call import Call, foreign_origin, page
from lyncgate.lab.faults.fault import NO_FAULTS, Faults
from lyncgate.lab.inside.member import Inside
from lyncgate.lab.inside.trace import NO_TRACE, Tracer
from lyncgate.lab.ntlm import Accounts, ConnectionAuth
from lyncgate.lab.pool import Pool
from lyncgate.lab.ports import Ports
from lyncgate.lab.scenario.scenario import PHOTOS
from lyncgate.lab.sip import SipServer
from lyncgate.lab.topology import DIALIN_HOST, MEET_HOST, AccessLocation, MemberSpec, Role
from lyncgate.lab.usercertificates import UserCertificates
from lyncgate.lab.web import Handler, Request, Response, Site
from lyncgate.lync.autodiscover import XFRAME

type Service = Callable[[Call], Awaitable[Response]]

_TICKET = "/webticket/webticketservice.svc"
_EXPANSION = "/groupexpansion/service.svc"

# (lower-case path, also for what lies under it, service), first match wins.
SERVICES: tuple[tuple[str, bool, Service], ...] = (
    (autodiscover.ROOT, False, autodiscover.root),
    (f"{autodiscover.ROOT}/user", False, autodiscover.user),
    (f"{autodiscover.ROOT}/oauth/user", False, autodiscover.oauth_user),
    (f"{autodiscover.ROOT}/domain", False, autodiscover.domain),
    (XFRAME.lower(), False, content.xframe),
    (f"{_TICKET}/mex", False, webticket.mex),
    (_TICKET, False, webticket.issue),
    (f"{_TICKET}/winntlm", False, webticket.issue_by_ntlm),
    (f"{_TICKET}/auth", False, webticket.issue_by_password),
    (f"{_TICKET}/cert", False, webticket.issue_by_certificate),
    (f"{_TICKET}/anon", False, webticket.issue_to_guest),
    ("/webticket/oauthtoken", False, oauthtoken.oauth_token),
    (certprov.MEX.lower(), False, certprov.mex),
    (certprov.SIGNED.lower(), False, certprov.get_and_publish),
    *((collection, True, mobility.applications) for collection in mobility.COLLECTIONS),
    (mcx.SERVICE, True, mcx.service),
    (PHOTOS, True, addressbook.photo),
    (addressbook.FILES, True, addressbook.download),
    (_EXPANSION, False, addressbook.expansion),
    (f"{_EXPANSION}/mex", False, addressbook.mex),
    (f"{_EXPANSION}/webticket_bearer", False, addressbook.search),
    ("/datacollabweb/ext/handler", False, content.upload),
    ("/collabcontent", True, content.download),
    ("/meet", True, content.meet),
    ("/dialin", True, content.dialin),
)
PLAIN_HTTP = (autodiscover.root, content.meet, content.dialin)
# What belongs to a user's home pool. Directors have discovery, tickets, certificates and the pages (§5.1).
NOT_ON_DIRECTORS = ("/ucwa", "/mcx", "/abs", "/groupexpansion", "/datacollabweb", "/collabcontent")

COMMON_HEADERS = (
    ("Cache-Control", "no-cache"),
    ("Pragma", "no-cache"),
    ("Server", "Microsoft-IIS/8.5"),
    ("X-Powered-By", "ASP.NET"),
    ("X-Content-Type-Options", "nosniff"),
)


def find_service(host: str, path: str, role: Role) -> Service | None:
    """The service for a lower-case host and path. Simple URLs and discovery's name go by Host."""
    if host == MEET_HOST:
        return content.meet
    if host == DIALIN_HOST:
        return content.dialin
    if path == "/" and host.startswith(("lyncdiscover.", "lyncdiscoverinternal.")):
        return autodiscover.root
    if role is Role.DIRECTOR and path.startswith(NOT_ON_DIRECTORS):
        return None
    for prefix, below, service in SERVICES:
        if path == prefix or (below and path.startswith(prefix + "/")):
            return service
    return None


class FrontEnd:
    """One member of a pool, a Director too, on its own loopback address. Can be killed and started again."""

    def __init__(
        self,
        spec: MemberSpec,
        pool: Pool,
        pools: Mapping[str, Pool],
        accounts: Accounts,
        ports: Ports,
        certificates: Path,
        faults: Faults = NO_FAULTS,
        tracer: Tracer = NO_TRACE,
    ) -> None:
        self.spec = spec
        self.pool = pool
        self._serve = faults.around(self._dispatch)
        self._pools = pools
        self._accounts = accounts
        self._ports = ports
        self._tls = server_context(certificates, pool.spec.name)
        self._user_certificates = UserCertificates(certificates)
        self._sites: list[Site[ConnectionAuth]] = []
        self._sip = SipServer(spec.fqdn, pool.directory, pools, accounts, tracer.message)
        self.inside = Inside(spec, pool, pools, ports, certificates, tracer)

    async def start(self, listen: Callable[[str, int], socket.socket]) -> None:
        """Listen; `listen(address, port)` gives a bound socket."""
        ports, address = self._ports, self.spec.address
        external, internal = AccessLocation.EXTERNAL, AccessLocation.INTERNAL
        plan: tuple[tuple[int, AccessLocation, ssl.SSLContext | None], ...] = (
            (ports.external_https, external, self._tls),
            (ports.external_http, external, None),
            (ports.internal_https, internal, self._tls),
            (ports.internal_http, internal, None),
        )
        for port, location, tls in plan:
            site = Site(self._handler(location, secure=tls is not None), self._new_auth)
            await site.listen(listen(address, port), tls)
            self._sites.append(site)
        await self._sip.listen(listen(address, ports.sip), self._tls)
        await self.inside.start(listen)

    async def stop(self, *, reset: bool = False) -> None:
        """Stop listening and cut every connection; `reset`: with RST, as a killed process."""
        await asyncio.gather(
            *(site.close(reset=reset) for site in self._sites),
            self._sip.close(reset=reset),
            self.inside.stop(reset=reset),
        )
        self._sites.clear()

    def _new_auth(self) -> ConnectionAuth:
        return ConnectionAuth(self._accounts)

    def _handler(self, location: AccessLocation, *, secure: bool) -> Handler[ConnectionAuth]:
        async def handle(request: Request, auth: ConnectionAuth) -> Response:
            host = (request.header("host") or "").lower().partition(":")[0]
            path = request.path.lower()
            response = await self._serve(
                Call(
                    request,
                    auth,
                    location,
                    secure,
                    path,
                    host,
                    self.spec.fqdn,
                    self.pool,
                    self._pools,
                    self.inside,
                    self._user_certificates,
                )
            )
            if auth.farewell:
                response.headers.append(("WWW-Authenticate", f"Negotiate {auth.farewell}"))
                auth.farewell = None
            given = {name.lower() for name, _ in response.headers}
            response.headers += [h for h in COMMON_HEADERS if h[0].lower() not in given]
            response.headers.append(("X-MS-Server-Fqdn", self.spec.fqdn))
            return response

        return handle

    async def _dispatch(self, call: Call) -> Response:
        service = find_service(call.host, call.path, self.spec.role)
        if service is None:
            return page(404, "404 - File or directory not found.")
        if not call.secure and service not in PLAIN_HTTP:
            return page(403, "403.4 - Forbidden: SSL is required to view this resource.")
        return foreign_origin(call) or await service(call)
