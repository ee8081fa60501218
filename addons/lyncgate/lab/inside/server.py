"""A front end's inside port: where the mobility services register users, by SIP over mutual TLS.

Who may register is decided three times: by the handshake (a certificate of the lab's authority, for client
use), by the names in it (a server of this pool: 403), and by the answer to the challenge (`trust`: 401).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from lyncgate.lab import sipmessage, topology
from lyncgate.lab.directory import User
from lyncgate.lab.inside import trust
from lyncgate.lab.inside.client import Link
from lyncgate.lab.inside.documents import EXPIRES, subscribed
from lyncgate.lab.inside.forward import domain_of, forward, refusal
from lyncgate.lab.pool import Pool
from lyncgate.lab.registrar import Registration
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Peer, SipListener, SipStream, Trace, answer_each, no_trace


class InsideServer(SipListener):
    """One listening address of `pool`. `name`: this server's FQDN."""

    def __init__(
        self,
        name: str,
        pool: Pool,
        pools: Mapping[str, Pool],
        access_edge: Link,
        trace: Trace = no_trace,
    ) -> None:
        super().__init__(self._talk, trace)
        self.name = name
        self.pool = pool
        self.pools = pools
        self._access_edge = access_edge

    async def close(self, *, reset: bool) -> None:
        """Stop listening and cut all connections, that to the Access Edge too."""
        await self._access_edge.close()
        await super().close(reset=reset)

    async def _talk(self, stream: SipStream, peer: Peer) -> None:
        connection = _Connection(self, peer)
        try:
            await answer_each(stream, connection.answer)
        finally:
            connection.end()

    async def send_on(self, message: Message) -> Answer:
        """Send a request to where its URI leads: other domains are behind the Access Edge."""
        local = domain_of(message.uri) in topology.DOMAINS
        return await forward(message, None if local else self._access_edge, self.name)


class _Connection:
    """Associations and registrations of one mobility service."""

    def __init__(self, server: InsideServer, peer: Peer) -> None:
        self._server = server
        self._trusted = server.pool.spec.fqdn in peer.names
        self._associations: dict[str, trust.Association] = {}
        self._registered: dict[str, tuple[User, str]] = {}  # by the association's name: user, Call-ID
        self._tag = secrets.token_hex(4)

    async def answer(self, message: Message) -> Answer:
        """The answer to a request."""
        if not self._trusted:
            return self._refuse(message, 403, "Forbidden", 4001, "The peer is not a server of this pool")
        sip = sipmessage.sip_user(sipmessage.address(message.header("from"))[0])
        user = self._server.pool.directory.by_sip(sip)
        if user is None:
            return self._refuse(
                message,
                404,
                "Not Found",
                4005,
                "Destination URI either not enabled for SIP or does not exist",
            )
        if user.home != self._server.pool.spec.name:
            home = self._server.pools[user.home].spec.fqdn
            contact = ("Contact", f"<sip:{home}:5061;transport=TLS>")
            return self._reply(message, 301, "Redirect request to Home Server", contact)
        association = self._associations.get(trust.parameters(message).get("opaque", ""))
        if association is None or association.sip != user.sip or not association.verify(message):
            return self._challenge(message, user, association)
        if message.method == "REGISTER":
            return self._register(message, user, association)
        if association.opaque not in self._registered:
            return self._refuse(message, 403, "Forbidden", 4002, "The endpoint is not registered")
        if message.method == "SUBSCRIBE":
            return subscribed(self._server.pool.directory.scenario, user, message, self._tag)
        if message.method == "MESSAGE":
            return await self._server.send_on(message)
        return self._reply(message, 501, "Not Implemented")

    def end(self) -> None:
        """The connection is gone, and with it what was registered over it."""
        for user, call_id in self._registered.values():
            self._server.pool.registrar.remove(user.sip, call_id)

    def _challenge(self, message: Message, user: User, failed: trust.Association | None) -> Answer:
        """401. What was agreed on so far stays with whoever can prove it; a failed first answer does not."""
        if failed and failed.opaque not in self._registered:
            del self._associations[failed.opaque]
        if message.method != "REGISTER":
            return self._refuse(message, 403, "Forbidden", 4002, "The endpoint is not registered")
        fresh = trust.Association(self._server.pool.trust_key, user.sip)
        self._associations[fresh.opaque] = fresh
        return self._reply(message, 401, "Unauthorized", trust.challenge(self._server.name, fresh.opaque))

    def _register(self, message: Message, user: User, association: trust.Association) -> Answer:
        call_id, registrar = message.header("call-id"), self._server.pool.registrar
        if message.header("expires") == "0":
            registrar.remove(user.sip, call_id)
            del self._associations[association.opaque]
            self._registered.pop(association.opaque, None)
            return self._reply(message, 200, "OK", ("Expires", "0"))
        registrar.add(Registration(user.sip, call_id, message.header("contact")))
        self._registered[association.opaque] = user, call_id
        contact = ("Contact", f"{message.header('contact')};expires={EXPIRES}")
        return self._reply(message, 200, "OK", contact, ("Expires", str(EXPIRES)), ("Server", "RTC/5.0"))

    def _refuse(self, message: Message, status: int, reason: str, number: int, text: str) -> Answer:
        return refusal(message, self._server.name, status, reason, number, text)

    def _reply(self, message: Message, status: int, reason: str, *headers: tuple[str, str]) -> Answer:
        return sipmessage.answer(message, status, reason, *headers, tag=self._tag)
