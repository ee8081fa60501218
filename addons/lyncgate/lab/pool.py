"""A front-end pool: what its members share.

In one process the members share the UCWA applications and the registrations too, as a real pool's web
layer does by handing a request on to the user's home server (protocol reference §6.6). Members that run
as processes of their own (`lyncgate lab --member`) share the directory and the ticket key only: an
application made at one of them is unknown at the other.
"""

from __future__ import annotations

import copy
import hmac

from lyncgate.lab.apppool import MCX_LIMIT, UCWA_LIMIT, AppPool
from lyncgate.lab.directory import Directory
from lyncgate.lab.mcxsessions import Sessions
from lyncgate.lab.registrar import Registrar
from lyncgate.lab.tickets import TicketOffice
from lyncgate.lab.topology import AccessLocation, PoolSpec
from lyncgate.lab.ucwa import Applications
from lyncgate.lab.websettings import WebSettings
from lyncgate.lync import mcx
from lyncgate.lync.contacts import Availability


class Pool:
    """The state of one pool. `poll_minimum`: seconds, the shortest time-out a poll may ask for;
    `trust_key`: what the pool's servers prove themselves with to each other (inside.trust)."""

    def __init__(self, spec: PoolSpec, directory: Directory, secret: bytes, poll_minimum: float) -> None:
        self.spec = spec
        self.directory = directory
        self._poll_minimum = poll_minimum
        self.trust_key = hmac.digest(secret, f"inside {spec.name}".encode(), "sha256")
        self.tickets = TicketOffice(secret, spec.name, f"https://{spec.fqdn}/webticket/webticketservice.svc")
        self.applications = Applications(poll_minimum)
        self.sessions = Sessions(poll_minimum)
        self.availability: dict[str, Availability] = {}  # by SIP address: what users said since the start
        self.ucwa_pool, self.mcx_pool = AppPool(UCWA_LIMIT), AppPool(MCX_LIMIT)
        self.mcx_form = mcx.DEFAULT
        self.registrar = Registrar()
        self.web = WebSettings()

    def apart(self) -> Pool:
        """The same pool with sessions of its own: as a front end sees it that shares none with the others."""
        pool = copy.copy(self)
        pool.applications, pool.sessions = Applications(self._poll_minimum), Sessions(self._poll_minimum)
        return pool

    def web_url(self, location: AccessLocation, path: str) -> str:
        """An absolute URL of the pool's web services as the site hands it out: the published port, never
        4443 (protocol reference §2.1)."""
        host = self.spec.web if location is AccessLocation.EXTERNAL else self.spec.fqdn
        return f"https://{host}{path}"
