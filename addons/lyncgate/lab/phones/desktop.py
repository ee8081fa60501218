"""A desktop client as far as the web goes: tickets in the SAML form, a certificate, and where SIP is.

It follows no redirect of HTTP, as SIPE does not, and shows its ticket as `opaque=`. SIP itself is SIPE's
affair, whose real code signs in to the lab (tests/lab/test_sipe.py).
"""

from __future__ import annotations

import asyncio

from lyncgate.lab.phones.certificate import get_certificate
from lyncgate.lab.phones.device import Device
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.stages import Stage


class Desktop(Device):
    """Tickets and a certificate. It has no session that could be kept or ended."""

    name = "desktop"
    agent = "lyncgate-phone/1 (desktop)"
    follows = False
    saml = True

    async def register(self, document: Located) -> None:
        """The certificate that SIP would be opened with."""
        if document.sip is None:
            raise self.record.failure(Stage.LOCATE, "user document", "no SipClientExternalAccess")
        host, port = document.sip.external
        self.record.saw(Stage.LOCATE, "user document", f"SIP at {host}:{port}")
        await get_certificate(self.line, self.desk, self.user, self.desk.location)

    async def stay_on(self) -> None:
        """Nothing goes on."""
        await asyncio.Event().wait()

    async def unregister(self) -> None:
        """There is nothing to sign out of."""
