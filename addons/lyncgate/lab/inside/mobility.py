"""How a mobility service signs a user in: it registers for the phone, by SIP over mutual TLS.

What goes over the wire, from the mobility service to its front end (protocol reference §5.5, §5.7):

    REGISTER            401, challenged
    REGISTER            200; the Contact's port says by which site the phone came
    SUBSCRIBE           200 with the provisioning document on its back
    SUBSCRIBE           200 with the contact list
    SUBSCRIBE           200 with presence
    …
    REGISTER Expires: 0 200, signed out
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import hashlib
import secrets
import ssl

from lyncgate.lab.directory import User
from lyncgate.lab.inside import trust
from lyncgate.lab.inside.client import SipClient
from lyncgate.lab.inside.documents import CONTACTS, CONTENT_TYPES, PRESENCE, PROVISIONING
from lyncgate.lab.names import Address
from lyncgate.lab.pool import Pool
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lab.topology import AccessLocation, MemberSpec

EXPIRES = 7200  # seconds


class MobilityService(enum.Enum):
    """The two services, with the SIP ports that stand in a Contact (protocol reference §5.5): the lab's
    Contact names them as a real pool does, whatever ports the lab listens on."""

    MCX = ("MCXService", 5086, 5087)
    UCWA = ("UCWA", 5089, 5088)

    def __init__(self, component: str, internal_port: int, external_port: int) -> None:
        self.component = component
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
    """A user's endpoint is registered. The documents are XML as the registrar sent it."""

    user: User
    endpoint: str
    contact: str  # sip:pool01.contoso.local:5087;transport=Tls;ms-opaque=…
    call_id: str
    epid: str
    provisioning: bytes
    contacts: bytes
    presence: bytes
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

    async def subscribe(self, event: str, body: bytes = b"") -> bytes:
        """SUBSCRIBE; the document that the answer carries."""
        content_type = CONTENT_TYPES[event]
        headers = [("Event", event), ("Accept", content_type), ("Supported", "ms-piggyback-first-notify")]
        if event == PROVISIONING:
            headers.append(("Expires", "0"))  # a question asked once
        if body:
            headers.append(("Content-Type", content_type))
        return _expect_ok(await self._ask("SUBSCRIBE", *headers, body=body)).body

    async def unregister(self) -> None:
        """REGISTER with Expires: 0."""
        _expect_ok(await self._ask("REGISTER", ("Expires", "0")))

    async def _ask(self, method: str, *headers: tuple[str, str], body: bytes = b"") -> Answer:
        self._cseq += 1
        user = self._user
        message = Message(
            method,
            f"sip:{user.domain}" if method == "REGISTER" else f"sip:{user.sip}",
            (
                ("Max-Forwards", "70"),
                ("From", self._from),
                ("To", f"<sip:{user.sip}>"),
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
    """One mobility service of one front end, `member`: signs users in at the registrar beside it.

    All its users share one connection, as between servers; it is made when the first one signs in, and
    again after it was lost. `registrar`: address of the front end's inside port.
    """

    def __init__(
        self,
        service: MobilityService,
        member: MemberSpec,
        pool: Pool,
        registrar: Address,
        tls: ssl.SSLContext,
    ) -> None:
        self.service = service
        self._member = member
        self._pool = pool
        self._address = registrar
        self._tls = tls
        self._client: SipClient | None = None
        self._connecting = asyncio.Lock()

    async def sign_in(self, user: User, *, location: AccessLocation, endpoint: str) -> Registered:
        """Register `endpoint` (the device's id, any text) of a user, fetch what a phone needs.

        `location`: the site by which the phone came. Raises RegistrationError.
        """
        opaque = secrets.token_hex(8)
        contact = f"sip:{self._pool.spec.fqdn}:{self.service.port(location)};transport=Tls;ms-opaque={opaque}"
        epid = hashlib.sha256(endpoint.encode()).hexdigest()[:10]
        try:
            session = _Session(await self._connection(), user, contact, epid)
            await session.register(self._pool.trust_key)
            provisioning = await session.subscribe(PROVISIONING, _PROVISIONING_GROUPS)
            contacts = await session.subscribe(CONTACTS)
            presence = await session.subscribe(PRESENCE)
        except OSError as error:
            raise RegistrationError(None, f"the registrar can't be reached: {error}") from error
        return Registered(
            user, endpoint, contact, session.call_id, epid, provisioning, contacts, presence, session
        )

    async def sign_out(self, registered: Registered) -> None:
        """Take the registration back. That it is gone already (signed out before, connection lost) is no
        error. Raises RegistrationError."""
        try:
            await registered.session.unregister()
        except OSError:
            return
        except RegistrationError as error:
            if error.status != 401:  # the registrar knows no such association
                raise

    async def close(self) -> None:
        """Close the connection; what was registered over it ends."""
        if self._client:
            await self._client.close()

    async def _connection(self) -> SipClient:
        async with self._connecting:
            if self._client is None or self._client.closed:
                self._client = await SipClient.open(
                    self._address, self._member.fqdn, self._tls, local=self._member.address
                )
            return self._client


# What a phone needs to know (protocol reference §5.7); that Mcx asks for these is inferred from issue 3.
_PROVISIONING_GROUPS = (
    b'<provisioningGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisioninggrouplist">'
    + b"".join(
        b'<provisioningGroup name="%s"/>' % name
        for name in (
            b"ServerConfiguration",
            b"meetingPolicy",
            b"ucPolicy",
            b"endpointConfiguration",
            b"locationPolicy",
            b"mediaConfiguration",
            b"presencePolicyV2",
        )
    )
    + b"</provisioningGroupList>"
)
