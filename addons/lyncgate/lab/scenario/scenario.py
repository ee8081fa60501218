"""A scenario: users, and what each of them gets.

scenario.mobility(user)        # Granted(MobilityPolicy(…), name="site:london", scope=Scope.SITE)
scenario.dial_plan(user).policy.normalise("0101").number
scenario.provisioning(user)    # all of that as the phone will get it
scenario.contacts(user), scenario.presence(viewer, of)
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import zlib
from collections.abc import Mapping

from lyncgate.lab import topology
from lyncgate.lab.scenario.model import PoliciesRules
from lyncgate.lab.scenario.policies import (
    ClientPolicy,
    ConferencingPolicy,
    Granted,
    LocationPolicy,
    MobilityPolicy,
    PresencePolicy,
    VoicePolicy,
    resolve,
)
from lyncgate.lab.scenario.users import User
from lyncgate.lync.contacts import Card, Contact, ContactGroup, ContactList, Phone, Photo, Presence
from lyncgate.lync.dialplan import DialPlan
from lyncgate.lync.provisioning import Group, Properties, Provisioning

PHOTOS = "/abs/handler/photos"  # where photos are on the web services; our guess
_NO_DIAL_PLAN = DialPlan("global", ())


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """`sites`: site of each pool that has one. `text`: the file it was made from."""

    organization: str
    sites: Mapping[str, str]
    policies: PoliciesRules
    dial_plans: Mapping[str, DialPlan]
    users: tuple[User, ...]
    text: str
    by_sip: Mapping[str, User] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_sip", {user.sip: user for user in self.users})

    def site(self, user: User) -> str | None:
        """The site of the user's home pool."""
        return self.sites.get(user.home)

    # -- policies -----------------------------------------------------------------------------------

    def mobility(self, user: User) -> Granted[MobilityPolicy]:
        """May the user sign in from a phone, and by which policy."""
        return resolve(self.policies.mobility, MobilityPolicy(), self.site(user), user.grants.mobility)

    def voice(self, user: User) -> Granted[VoicePolicy]:
        """Simultaneous ring, forwarding, delegation, team call."""
        return resolve(self.policies.voice, VoicePolicy(), self.site(user), user.grants.voice)

    def client(self, user: User) -> Granted[ClientPolicy]:
        """How contacts and photos are shown to the user."""
        return resolve(self.policies.client, ClientPolicy(), self.site(user), user.grants.client)

    def location(self, user: User) -> Granted[LocationPolicy]:
        """Emergency calls."""
        return resolve(self.policies.location, LocationPolicy(), self.site(user), user.grants.location)

    def presence_policy(self, user: User) -> Granted[PresencePolicy]:
        """Limits of presence."""
        return resolve(self.policies.presence, PresencePolicy(), self.site(user), user.grants.presence)

    def conferencing(self, user: User) -> Granted[ConferencingPolicy]:
        """What the user's meetings may hold."""
        policies, grant = self.policies.conferencing, user.grants.conferencing
        return resolve(policies, ConferencingPolicy(), self.site(user), grant)

    def dial_plan(self, user: User) -> Granted[DialPlan]:
        """How what the user dials becomes a number."""
        return resolve(self.dial_plans, _NO_DIAL_PLAN, self.site(user), user.grants.dial_plan)

    # -- provisioning -------------------------------------------------------------------------------

    @staticmethod
    def voicemail_uri(user: User) -> str | None:
        """The user's mailbox (form as in UCMA's "Parsing server configuration"), None: has none."""
        return f"sip:{user.sip};opaque=app:voicemail" if user.voicemail and user.line else None

    def provisioning(self, user: User) -> Provisioning:
        """Everything that the registrar tells the user's client."""
        plan = self.dial_plan(user).policy
        return Provisioning(
            {
                Group.SERVER: self._server(user, plan),
                Group.MEETING: self.conferencing(user).policy.properties(),
                Group.VOICE: self.voice(user).policy.properties(),
                Group.ENDPOINT: {
                    **self.client(user).policy.properties(),
                    "DisableMusicOnHold": "false",
                    "EnableTracing": "true",
                },
                Group.LOCATION: self.location(user).policy.properties(),
                Group.MEDIA: {
                    "bypassEnabled": "false",
                    "internalBypassMode": "Off",
                    "externalBypassMode": "Off",
                },
                Group.PRESENCE: self.presence_policy(user).policy.properties(),
                Group.MOBILITY: self.mobility(user).policy.properties(),
            },
            plan if plan.rules else None,
        )

    def _server(self, user: User, plan: DialPlan) -> Properties:
        pool = topology.POOLS[user.home]
        inside, outside = f"https://{pool.fqdn}:443", f"https://{pool.web}:443"
        service = f"sip:{pool.fqdn}@{user.domain};gruu;opaque=srvr"
        server = {
            "lisInternalUrl": f"{inside}/locationinformation/liservice.svc",
            "absInternalServerUrl": f"{inside}/abs/handler",
            "absExternalServerUrl": f"{outside}/abs/handler",
            "absWebServiceEnabled": "true",
            "abwqInternalUrl": f"{inside}/groupexpansion/service.svc",
            "abwqExternalUrl": f"{outside}/groupexpansion/service.svc",
            "dlxInternalUrl": f"{inside}/groupexpansion/service.svc",
            "dlxExternalUrl": f"{outside}/groupexpansion/service.svc",
            "dlxEnabled": "true",
            "updatesServerInternalUrl": f"{inside}/RequestHandler/ucdevice.upx",
            "updatesServerExternalUrl": f"{outside}/RequestHandlerExt/ucdevice.upx",
            "updatesServerEnabled": "true",
            "organization": self.organization,
            "ucPortRangeEnabled": "false",
            "ucPC2PCAVEncryption": "SupportEncryption",
            "poolUri": f"{service}:HomeServer",
            "focusFactoryUri": f"sip:{user.sip};gruu;opaque=app:conf:focusfactory",
        }
        if plan.rules:
            server["ucLocationProfile"] = plan.name
        if voicemail := self.voicemail_uri(user):
            server["voiceMailUri"] = voicemail
        return server

    # -- contacts -----------------------------------------------------------------------------------

    def contacts(self, user: User) -> ContactList:
        """The user's buddy list."""
        groups = tuple(ContactGroup(n, name) for n, (name, _) in enumerate(user.buddies, 1))
        in_groups: dict[str, list[int]] = {}
        for n, (_, addresses) in enumerate(user.buddies, 1):
            for address in addresses:
                in_groups.setdefault(address, []).append(n)
        contacts = (
            Contact(sip, self.by_sip[sip].display_name, tuple(groups)) for sip, groups in in_groups.items()
        )
        return ContactList(groups, tuple(contacts))

    def presence(self, viewer: User, of: User) -> Presence:
        """What `viewer` is told of somebody: a card without a photo if the viewer's policy shows none."""
        pool = topology.POOLS[viewer.home]
        shown = self.client(viewer).policy
        picture = self.photo(of)
        photo = None
        if picture and shown.display_photo != "NoPhoto" and len(picture) <= shown.max_photo_size_kb * 1024:
            digest = hashlib.sha256(picture).hexdigest()[:16]
            photo = Photo(f"https://{pool.web}{PHOTOS}/{of.sip}", digest)
        phones = (Phone("work", of.line),) if of.line else ()
        card = Card(
            of.sip,
            of.display_name,
            of.sip,
            of.title,
            of.department,
            self.organization,
            of.office,
            phones,
            photo,
        )
        return Presence(card, of.presence)

    @staticmethod
    def photo(user: User) -> bytes | None:
        """A PNG of 48 by 48 points in a colour of the user's own, None: has no photo."""
        if not user.photo:
            return None
        colour = hashlib.sha256(user.sip.encode()).digest()[:3]
        rows = (b"\0" + colour * 48) * 48  # each row begins with its filter: none
        header = struct.pack(">IIBBBBB", 48, 48, 8, 2, 0, 0, 0)  # 8 bits each of red, green and blue
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
