"""How a mobility service signs a user in: it registers for the phone, by SIP over mutual TLS.

What goes over the wire, from the mobility service to its front end (protocol reference §5.5, §5.7):

    REGISTER            401, challenged
    REGISTER            200; the Contact's port says by which site the phone came
    SUBSCRIBE           200 with the provisioning document on its back
    SUBSCRIBE           200 with the contact list
    SUBSCRIBE           200 with presence
    MESSAGE             for a push notification, again and again
    REGISTER Expires: 0 200, signed out
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import secrets
from collections.abc import Mapping

from lyncgate.lab.directory import User
from lyncgate.lab.inside import push, trust
from lyncgate.lab.inside.client import Link, SipClient
from lyncgate.lab.inside.documents import EXPIRES
from lyncgate.lab.inside.trace import Tracer
from lyncgate.lab.pool import Pool
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.topology import AccessLocation
from lyncgate.lync import contacts, presencebatch, provisioning


class MobilityService(enum.Enum):
    """The two services, with the SIP ports that stand in a Contact (protocol reference §5.5): the lab's
    Contact names them as a real pool does, whatever ports the lab listens on."""

    MCX = ("MCXService", "McxSession", 5086, 5087)
    UCWA = ("UCWA", "UcwaSession", 5089, 5088)

    def __init__(self, component: str, session: str, internal_port: int, external_port: int) -> None:
        self.component = component  # in traces; `session` is the lab's own name there
        self.session = session
        self.internal_port = internal_port
        self.external_port = external_port

    def port(self, location: AccessLocation) -> int:
        """The port that the Contact names for a phone that came by this site."""
        return self.external_port if location is AccessLocation.EXTERNAL else self.internal_port


class RegistrationError(Exception):
    """The registrar refused, or could not be reached (`status` is None)."""

    def __init__(self, status: int | None, reason: str) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status = status
        self.reason = reason


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """A user's endpoint is registered. The documents are XML as the registrar sent it; what reads them is
    said beside them."""

    user: User
    endpoint: str
    contact: str  # sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=…
    call_id: str
    epid: str
    provisioning: bytes  # lync.provisioning.parse
    contacts: bytes  # lync.contacts.parse_roaming
    presence: tuple[bytes, ...]  # of each contact: lync.contacts.parse_presence
    session: _Session = dataclasses.field(repr=False, compare=False)


class _Session:
    """Requests of one endpoint over the service's connection, signed once there is a challenge."""

    def __init__(self, client: SipClient, user: User, contact: str, epid: str) -> None:
        self.call_id = secrets.token_hex(16)
        self.contact = contact
        self._client = client
        self._from = f"<sip:{user.sip}>;tag={secrets.token_hex(5)};epid={epid}"
        self._user = user
        self._cseq = 0
        self._signer: trust.Signer | None = None

    async def register(self, key: bytes) -> None:
        """REGISTER, be challenged, answer."""
        challenge = await self._ask("REGISTER", ("Expires", str(EXPIRES)))
        opaque = trust.challenged(challenge.header("www-authenticate"))
        if challenge.status != 401 or opaque is None:
            raise RegistrationError(challenge.status, challenge.reason)
        self._signer = trust.Signer(key, opaque)
        _expect_ok(await self._ask("REGISTER", ("Expires", str(EXPIRES))))

    async def documents(self) -> tuple[bytes, bytes, tuple[bytes, ...]]:
        """Provisioning, buddy list and presence. Without them nobody is signed in: should one be refused,
        the registration is taken back."""
        try:
            told = await self._provisioning()
            buddies = await self._contacts()
            return told, buddies, await self._presence(buddies)
        except RegistrationError:
            await self.unregister()
            raise

    async def _provisioning(self) -> bytes:
        """The provisioning document, asked for once: all groups that we know. Which Mcx wants, is unknown."""
        headers = ("Event", provisioning.EVENT), ("Expires", "0"), ("Accept", provisioning.CONTENT_TYPE)
        body = provisioning.request()
        return (await self._subscribe(*headers, content_type=provisioning.CONTENT_TYPE, body=body)).body

    async def _contacts(self) -> bytes:
        """The buddy list, subscribed to."""
        headers = ("Event", contacts.ROAMING_EVENT), ("Accept", contacts.ROAMING_CONTENT_TYPE)
        return (await self._subscribe(*headers)).body

    async def _presence(self, buddies: bytes) -> tuple[bytes, ...]:
        """Cards and states of everybody in a buddy list, subscribed to."""
        addresses = [contact.sip for contact in contacts.parse_roaming(buddies).contacts]
        headers = (
            ("Event", contacts.PRESENCE_EVENT),
            ("Accept", f"multipart/related, {contacts.PRESENCE_CONTENT_TYPE}"),
        )
        body = presencebatch.request(self._user.sip, addresses)
        answer = await self._subscribe(*headers, content_type=presencebatch.REQUEST_CONTENT_TYPE, body=body)
        return presencebatch.parse(answer.header("content-type"), answer.body)

    async def _subscribe(
        self, *headers: tuple[str, str], content_type: str = "", body: bytes = b""
    ) -> Answer:
        typed = (("Content-Type", content_type),) if body else ()
        piggyback = ("Supported", "ms-piggyback-first-notify")
        return _expect_ok(await self._ask("SUBSCRIBE", *headers, piggyback, *typed, body=body))

    async def message(self, uri: str, content_type: str, body: bytes) -> None:
        """MESSAGE to somebody else."""
        _expect_ok(await self._ask("MESSAGE", ("Content-Type", content_type), uri=uri, body=body))

    async def unregister(self) -> None:
        """REGISTER with Expires: 0."""
        _expect_ok(await self._ask("REGISTER", ("Expires", "0")))

    async def _ask(self, method: str, *headers: tuple[str, str], uri: str = "", body: bytes = b"") -> Answer:
        self._cseq += 1
        user = self._user
        message = Message(
            method,
            uri or (f"sip:{user.domain}" if method == "REGISTER" else f"sip:{user.sip}"),
            (
                ("Max-Forwards", "70"),
                ("From", self._from),
                ("To", f"<{uri or f'sip:{user.sip}'}>"),
                ("Call-ID", self.call_id),
                ("CSeq", f"{self._cseq} {method}"),
                ("Contact", f"<{self.contact}>"),
                *headers,
            ),
            body,
        )
        return await self._client.ask(self._signer.signed(message) if self._signer else message)


def _expect_ok(answer: Answer) -> Answer:
    if answer.status != 200:
        raise RegistrationError(answer.status, answer.reason)
    return answer


class MobilityRegistrar:
    """One mobility service of one front end: signs users in at the registrar beside it, by `link`.

    All its users share one connection, as between servers.
    """

    def __init__(self, service: MobilityService, pool: Pool, link: Link, tracer: Tracer) -> None:
        self.service = service
        self.tracer = tracer
        self._pool = pool
        self._link = link

    async def sign_in(self, user: User, *, location: AccessLocation, endpoint: str) -> Registered:
        """Register `endpoint` (the device's id, any text) of a user, fetch what a phone needs.

        `location`: the site by which the phone came. Raises RegistrationError.
        """
        opaque = secrets.token_hex(8)
        contact = f"sip:{self._pool.spec.fqdn}:{self.service.port(location)};transport=Tls;ms-opaque={opaque}"
        epid = hashlib.sha256(endpoint.encode()).hexdigest()[:10]
        self._say("SignIn", f"{user.sip} endpoint={epid} by the {location} site, registers as {contact}")
        try:
            session = _Session(await self._link.client(), user, contact, epid)
            await session.register(self._pool.trust_key)
            told, buddies, presence = await session.documents()
        except RegistrationError as error:
            self._say("SignIn", f"{user.sip} endpoint={epid} refused: {error}", level="TL_ERROR")
            raise
        except OSError as error:
            self._say("SignIn", f"{user.sip} endpoint={epid} no registrar: {error}", level="TL_ERROR")
            raise RegistrationError(None, f"the registrar can't be reached: {error}") from error
        self._say("SignIn", f"{user.sip} endpoint={epid} is registered, Call-ID={session.call_id}")
        return Registered(user, endpoint, contact, session.call_id, epid, told, buddies, presence, session)

    async def sign_out(self, registered: Registered) -> None:
        """Take the registration back. That it is gone already (signed out before, connection lost) is no
        error. Raises RegistrationError."""
        self._say("SignOut", f"{registered.user.sip} endpoint={registered.epid}")
        try:
            await registered.session.unregister()
        except OSError:
            return
        except RegistrationError as error:
            if error.status != 401:  # the registrar knows no such association
                raise

    async def push(self, registered: Registered, token: str, notification: Mapping[str, object]) -> None:
        """Send a notification to the user's device by the push relay (inside.push). `token`: the device's.

        Raises RegistrationError: 404 the relay knows no such token, 480 the device is not connected, 504 the
        relay can't be reached.
        """
        body = json.dumps({"token": token, **notification}).encode()
        who = f"{registered.user.sip} endpoint={registered.epid}"
        try:
            await registered.session.message(push.PROXY_URI, push.CONTENT_TYPE, body)
        except RegistrationError as error:
            self._say("Push", f"{who} failed: {error}", level="TL_ERROR")
            raise
        except OSError as error:
            raise RegistrationError(None, f"the front end can't be reached: {error}") from error
        self._say("Push", f"{who} notified by {push.PROXY_URI}")

    async def close(self) -> None:
        """Close the connection; what was registered over it ends."""
        await self._link.close()

    def _say(self, function: str, text: str, *, level: str = "TL_INFO") -> None:
        self.tracer.line(self.service.component, f"{self.service.session}::{function}", text, level=level)
