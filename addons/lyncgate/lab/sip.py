"""The SIP TLS port of a front end, or of the Access Edge: REGISTER with NTLM, and short answers.

Good enough for a real client to sign in and stay (SIPE does): REGISTER is challenged, the handshake is
verified, every later message must carry a valid signature, every answer is signed. SUBSCRIBE is answered
with provisioning, buddy list and presence from the scenario (inside.documents); SERVICE and the rest get a
signed 200 without a body.

The port is also what a load balancer's TCP health check looks at (5061, protocol reference §9.11).

A user may register at any server of the lab: the Access Edge and Directors hand REGISTER on to the home
pool; that hop is not played, the registration is simply kept by the user's pool.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping

from lyncgate.lab import sipmessage
from lyncgate.lab.directory import Directory, User
from lyncgate.lab.inside.documents import EVENTS, subscribed
from lyncgate.lab.ntlm import Accounts
from lyncgate.lab.pool import Pool
from lyncgate.lab.registrar import Registration
from lyncgate.lab.sipauth import RefusedError, SecurityAssociation
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Peer, SipListener, SipStream, Trace, no_trace
from lyncgate.lab.topology import REALM, AccessLocation
from lyncgate.lync import certprov

EXPIRES = 7200  # seconds
_REGISTERED = (
    ("Allow-Events", "vnd-microsoft-provisioning-v2,vnd-microsoft-roaming-contacts,presence"),
    ("Supported", "adhoclist"),
    ("Supported", "msrtc-event-categories"),
    ("Server", "RTC/5.0"),
    ("ms-keep-alive", "UAS; tcp=no; hop-hop=yes; end-end=no; timeout=300"),
)


class SipServer(SipListener):
    """One listening address. `name`: this server's FQDN, what NTLM calls the target. `remote`: those who
    connect here are outside, and are told so: which URLs of provisioning they use depends on it."""

    def __init__(
        self,
        name: str,
        directory: Directory,
        pools: Mapping[str, Pool],
        accounts: Accounts,
        trace: Trace = no_trace,
        *,
        remote: bool = False,
    ) -> None:
        super().__init__(self._talk, trace)
        self.remote = remote
        self.name = name
        self.directory = directory
        self.pools = pools
        self.accounts = accounts

    async def _talk(self, stream: SipStream, _peer: Peer) -> None:
        dialog = _Dialog(self)
        try:
            while isinstance(message := await stream.read(), Message):
                if message.method != "ACK":
                    await stream.send(dialog.answer(message))
        finally:
            dialog.end()


class _Dialog:
    """What one connection has agreed on: its security association, its registration."""

    def __init__(self, server: SipServer) -> None:
        self._server = server
        self._association: SecurityAssociation | None = None
        self._user: User | None = None
        self._registered: set[tuple[str, str]] = set()
        self._tag = secrets.token_hex(4)

    def answer(self, message: Message) -> Answer:
        """The answer to a request."""
        scheme, _, rest = message.header("authorization").partition(" ")
        given = sipmessage.parameters(rest) if scheme.upper() == "NTLM" else {}
        if not given:
            return self._reply(message, 401, "Unauthorized", *self._offers(message))
        if given.get("gssapi-data") == "":
            self._association, self._user = SecurityAssociation(self._server.accounts), None
            extra = f', opaque="{self._association.opaque}", gssapi-data="{self._association.challenge()}"'
            return self._reply(message, 401, "Unauthorized", ("WWW-Authenticate", self._offer() + extra))
        if not self._authenticated(message, given):
            self._association = self._user = None
            return self._reply(message, 401, "Unauthorized", ("WWW-Authenticate", self._offer()))
        if (
            self._user is None
            or sipmessage.sip_user(sipmessage.address(message.header("from"))[0]) != self._user.sip
        ):
            return self._reply(message, 403, "Forbidden")
        if message.method == "REGISTER":
            return self._register(message, self._user)
        if message.method == "SUBSCRIBE" and message.header("event").lower() in EVENTS:
            scenario = self._server.directory.scenario
            return self._signed(message, subscribed(scenario, self._user, message, self._tag))
        return self._reply(message, 200, "OK", *self._expires(message))

    def end(self) -> None:
        """The connection is gone, and with it what was registered over it."""
        if self._user:
            for sip, call_id in self._registered:
                self._server.pools[self._user.home].registrar.remove(sip, call_id)

    def _authenticated(self, message: Message, given: dict[str, str]) -> bool:
        association = self._association
        if association is None or given.get("opaque") != association.opaque:
            return False
        if token := given.get("gssapi-data"):
            try:
                association.accept(token)
            except RefusedError:
                return False
            self._user = self._server.directory.by_principal(association.principal or "")
        if association.principal is None:
            return False
        text = sipmessage.signed_text(
            message, given, given.get("crand", ""), given.get("cnum", ""), to=message.header("to"), reply=None
        )
        return association.verify(text, given.get("response", ""))

    def _register(self, message: Message, user: User) -> Answer:
        registrar, call_id = self._server.pools[user.home].registrar, message.header("call-id")
        if message.header("expires") == "0":
            registrar.remove(user.sip, call_id)
            return self._reply(message, 200, "OK", ("Expires", "0"))
        registrar.add(Registration(user.sip, call_id, message.header("contact")))
        self._registered.add((user.sip, call_id))
        remote = (("ms-user-logon-data", "RemoteUser"),) if self._server.remote else ()
        return self._reply(message, 200, "OK", ("Expires", str(EXPIRES)), *_REGISTERED, *remote)

    @staticmethod
    def _expires(message: Message) -> tuple[tuple[str, str], ...]:
        expires = message.header("expires")
        return (("Expires", expires),) if expires else ()

    def _offers(self, message: Message) -> tuple[tuple[str, str], ...]:
        """NTLM, and TLS-DSK by a certificate that is had at `sts-uri` (protocol reference §4). The TLS
        handshake inside SIP, which would follow, is not played."""
        ntlm = ("WWW-Authenticate", self._offer())
        user = self._server.directory.by_sip(
            sipmessage.sip_user(sipmessage.address(message.header("from"))[0])
        )
        if user is None:
            return (ntlm,)
        location = AccessLocation.EXTERNAL if self._server.remote else AccessLocation.INTERNAL
        sts = self._server.pools[user.home].web_url(location, certprov.SERVICE)
        tls_dsk = f'TLS-DSK realm="{REALM}", targetname="{self._server.name}", version=4, sts-uri="{sts}"'
        return (ntlm, ("WWW-Authenticate", tls_dsk))

    def _offer(self) -> str:
        return f'NTLM realm="{REALM}", targetname="{self._server.name}", version=4'

    def _reply(self, message: Message, status: int, reason: str, *headers: tuple[str, str]) -> Answer:
        return self._signed(message, sipmessage.answer(message, status, reason, *headers, tag=self._tag))

    def _signed(self, message: Message, answer: Answer) -> Answer:
        association = self._association
        if association is None or association.principal is None or answer.status == 401:
            return answer
        signature = ("Authentication-Info", self._signature(association, message, answer))
        return dataclasses.replace(answer, headers=(*answer.headers, signature))

    def _signature(self, association: SecurityAssociation, message: Message, answer: Answer) -> str:
        auth = {"realm": REALM, "targetname": self._server.name}
        rand, num = secrets.token_hex(4).upper(), str(association.next_number())
        reply = (str(answer.status), answer.header("expires"))
        text = sipmessage.signed_text(message, auth, rand, num, to=answer.header("to"), reply=reply)
        return (
            f'NTLM qop="auth", opaque="{association.opaque}", srand="{rand}", snum="{num}", '
            f'rspauth="{association.sign(text)}", targetname="{self._server.name}", '
            f'realm="{REALM}", version=4'
        )
