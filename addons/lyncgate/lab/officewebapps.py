"""A stand-in for the Office Web Apps server that shows PowerPoint files in meetings.

It is no part of a pool: one web site on the ordinary ports, 443 and 80, where front ends have 4443 and
8080 for what comes from outside. A proxy that bridges it as it does a front end finds nobody listening
(protocol reference §9.1, F50). What it answers is what a probe of the real one looks at: the WOPI
discovery document, and the page a presentation is shown in; the texts are ours.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from lyncgate.lab.authority import server_context
from lyncgate.lab.call import page
from lyncgate.lab.ports import Ports
from lyncgate.lab.topology import OWA_HOST, MemberSpec
from lyncgate.lab.web import Request, Response, Site

_DISCOVERY_DOCUMENT = f"""<?xml version="1.0" encoding="utf-8"?>
<wopi-discovery><net-zone name="external-https"><app name="PowerPoint">
<action name="present" ext="pptx" urlsrc="https://{OWA_HOST}/m/Presenter.aspx?a=0&amp;e=true&amp;"/>
<action name="attend" ext="pptx" urlsrc="https://{OWA_HOST}/m/ParticipantFrame.aspx?a=0&amp;e=true&amp;"/>
</app></net-zone></wopi-discovery>
"""


class OfficeWebApps:
    """The server. Can be killed and started again."""

    def __init__(self, spec: MemberSpec, ports: Ports, certificates: Path) -> None:
        self.spec = spec
        self._ports = ports
        self._tls = server_context(certificates, spec.name)
        self._sites: list[Site[None]] = []

    async def start(self, listen: Callable[[str, int], socket.socket]) -> None:
        """Listen; `listen(address, port)` gives a bound socket."""
        for port, tls in ((self._ports.internal_https, self._tls), (self._ports.internal_http, None)):
            site: Site[None] = Site(self._handle, lambda: None)
            await site.listen(listen(self.spec.address, port), tls)
            self._sites.append(site)

    async def stop(self, *, reset: bool = False) -> None:
        """Stop listening and cut every connection; `reset`: with RST."""
        while self._sites:
            await self._sites.pop().close(reset=reset)

    async def _handle(self, request: Request, _state: None) -> Response:
        match request.path.lower():
            case "/hosting/discovery":
                return Response(
                    200, [("Content-Type", "text/xml; charset=utf-8")], _DISCOVERY_DOCUMENT.encode()
                )
            case "/m/presenter.aspx" | "/m/participantframe.aspx":
                return page(200, "Office Web Apps: PowerPoint")
            case _:
                return page(404, "404 - File or directory not found.")
