"""SIP between organizations, as far as push notifications need it: MESSAGE goes from a front end by the
Access Edge to the federated partner, and the answer comes back the same way.

    mobility service ─ MESSAGE ▶ front end ▶ Access Edge ▶ push relay (inside.push)

Each hop is a `Link` by mutual TLS, and each server accepts only from those it knows by certificate. A hop
that fails is answered 504, which is what Test-CsMcxPushNotification shows then (protocol reference §10,
F49); numbers and words in ms-diagnostics are from memory.
"""

from __future__ import annotations

import dataclasses
import functools
import secrets
import ssl
from collections.abc import Collection, Mapping

from lyncgate.lab import sipmessage
from lyncgate.lab.inside.client import Link
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.sipstream import Peer, SipListener, SipStream, Trace, answer_each, no_trace


async def forward(message: Message, link: Link | None, server: str) -> Answer:
    """Send a request on and bring the answer back. `link` None: no route (404). `server`: who says so.
    What proved the sender to this server goes no further."""
    if link is None:
        return refusal(message, server, 404, "Not Found", 1003, "User does not exist")
    onward = tuple(header for header in message.headers if header[0].lower() != "authorization")
    try:
        answer = await (await link.client()).ask(dataclasses.replace(message, headers=onward))
    except ssl.SSLError:
        reason = "Certificate trust with another server could not be established"
        return refusal(message, server, 504, "Server time-out", 1010, reason)
    except OSError:
        reason = "Failed to connect to a peer server"
        return refusal(message, server, 504, "Server time-out", 1038, reason)
    _, *headers = answer.headers  # the first is our own Via
    return Answer(answer.status, answer.reason, tuple(headers), answer.body)


def refusal(message: Message, server: str, status: int, phrase: str, number: int, reason: str) -> Answer:
    """An answer with ms-diagnostics (protocol reference §3.6)."""
    diagnostics = ("ms-diagnostics", f'{number};reason="{reason}";source="{server}"')
    return sipmessage.answer(message, status, phrase, diagnostics, tag=secrets.token_hex(4))


def domain_of(uri: str) -> str:
    """The domain of a SIP URI, lower case."""
    return sipmessage.sip_user(uri).rpartition("@")[2].partition(":")[0]


class Federation(SipListener):
    """The Access Edge's inside port: takes MESSAGE from `trusted` servers (a name in their certificate),
    sends it on by the domain of its URI. `name`: its own FQDN."""

    def __init__(
        self, name: str, trusted: Collection[str], routes: Mapping[str, Link], trace: Trace = no_trace
    ) -> None:
        super().__init__(self._talk, trace)
        self.name = name
        self._trusted = frozenset(trusted)
        self._routes = routes

    async def close(self, *, reset: bool) -> None:
        """Stop listening and cut all connections, those to partners too."""
        for link in self._routes.values():
            await link.close()
        await super().close(reset=reset)

    async def _talk(self, stream: SipStream, peer: Peer) -> None:
        known = not self._trusted.isdisjoint(peer.names)
        await answer_each(stream, functools.partial(self._answer, known=known))

    async def _answer(self, message: Message, *, known: bool) -> Answer:
        if not known:
            reason = "The peer is not a server of this organization"
            return refusal(message, self.name, 403, "Forbidden", 1017, reason)
        if message.method != "MESSAGE":
            return sipmessage.answer(message, 405, "Method Not Allowed", tag=secrets.token_hex(4))
        return await forward(message, self._routes.get(domain_of(message.uri)), self.name)
