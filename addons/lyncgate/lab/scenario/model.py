"""The shape of a scenario file: every key with its meaning and default.

docs/scenario.md and the shape errors are made from these classes. They hold what was written; `scenario`
has the users and policies that follow, and `load` says what does not fit together.
"""

from __future__ import annotations

import enum
import re
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from lyncgate.lab.scenario.policies import (
    SITE,
    ClientPolicy,
    ConferencingPolicy,
    LocationPolicy,
    MobilityPolicy,
    PresencePolicy,
    VoicePolicy,
)
from lyncgate.lync.contacts import Availability
from lyncgate.lync.dialplan import DialPlan, Rule
from lyncgate.lync.names import sip_address
from lyncgate.policy.scalars import Name, refuse
from lyncgate.policy.section import Section

RANGE = re.compile(r"\[(\d{1,4})-(\d{1,4})\]")
_LINE = re.compile(r"tel:\+[1-9][0-9]{3,14}(;ext=[0-9]{1,8})?")
_POLICY = re.compile(r"(site:)?[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")


class Device(enum.StrEnum):
    """Clients that the lab's phones can be."""

    WP75 = "wp75"
    ANDROID2010 = "android2010"
    LYNC2013 = "lync2013"
    DESKTOP = "desktop"


def _read_address(value: object) -> str:
    allowed = "a SIP address such as alice@contoso.example, in lower case and without sip:"
    return value if isinstance(value, str) and sip_address(value) == value else refuse(allowed)


def _read_users(value: object) -> str:
    allowed = "a SIP address such as alice@contoso.example, or several such as user[01-50]@contoso.example"
    if not isinstance(value, str):
        refuse(allowed)
    span = RANGE.search(value)
    if span and (int(span[1]) > int(span[2]) or len(span[1]) != len(span[2])):
        refuse("a range such as [01-50], its two numbers of one length")
    one = RANGE.sub("0", value, count=1)
    return value if sip_address(one) == one else refuse(allowed)


def _read_line(value: object) -> str:
    allowed = "a line URI such as tel:+31205550101 or tel:+31205550100;ext=101"
    return value if isinstance(value, str) and _LINE.fullmatch(value.replace("{n}", "0")) else refuse(allowed)


def _read_policy_name(value: object) -> str:
    allowed = "global, site: and a site, or a name of letters, digits, blanks, '.', '_' and '-'"
    return value if isinstance(value, str) and _POLICY.fullmatch(value) else refuse(allowed)


def _read_availability(value: object) -> Availability:
    words = ", ".join(Availability.__members__)
    member = Availability.__members__.get(value) if isinstance(value, str) else None
    return member or refuse(words)


Address = Annotated[str, PlainValidator(_read_address)]
Users = Annotated[str, PlainValidator(_read_users)]
Line = Annotated[str, PlainValidator(_read_line)]
PolicyName = Annotated[str, PlainValidator(_read_policy_name)]
Presence = Annotated[
    Availability,
    PlainValidator(_read_availability),
    PlainSerializer(lambda presence: presence.name, return_type=str),
]


class PoolRules(Section):
    """A pool of the lab. Its servers, names and addresses are fixed (lab/topology.py)."""

    site: Name = Field(description="The site it stands at: one of `sites`.")


class PoliciesRules(Section):
    """Policies by name: `global`, `site:<site>`, or a name of its own, which is granted to users.

    A policy that is not written has its defaults; one without a `global` has the defaults there.
    """

    mobility: dict[PolicyName, MobilityPolicy] = Field(default={}, description="Sign-in from phones.")
    voice: dict[PolicyName, VoicePolicy] = Field(default={}, description="Enterprise Voice.")
    client: dict[PolicyName, ClientPolicy] = Field(default={}, description="Contacts and photos.")
    location: dict[PolicyName, LocationPolicy] = Field(default={}, description="Emergency calls.")
    presence: dict[PolicyName, PresencePolicy] = Field(default={}, description="Presence.")
    conferencing: dict[PolicyName, ConferencingPolicy] = Field(default={}, description="Meetings.")


class RuleRules(Section):
    """A normalisation rule of a dial plan; the first that matches is applied."""

    pattern: str = Field(description="A .NET regular expression: what was dialled.")
    translation: str = Field(description="A .NET replacement pattern: the number; `$1` is the first group.")
    internal: bool = Field(default=False, description="The result is a number of the company itself.")


class DialPlanRules(Section):
    """A dial plan, under `global`, `site:<site>` or a name of its own, as policies are."""

    rules: list[RuleRules] = Field(min_length=1, description="Normalisation rules, in order.")
    external_access_prefix: str = Field(default="", description="What is dialled to get an outside line.")

    def as_plan(self, name: str) -> DialPlan:
        """The plan as it is provisioned."""
        rules = tuple(Rule(rule.pattern, rule.translation, internal=rule.internal) for rule in self.rules)
        return DialPlan(name.removeprefix(SITE), rules, self.external_access_prefix)


class GrantRules(Section):
    """What is granted to the user, by the name under `policies` and `dial_plans`."""

    mobility: Name | None = Field(default=None, description="A policy under `policies.mobility`.")
    voice: Name | None = Field(default=None, description="A policy under `policies.voice`.")
    client: Name | None = Field(default=None, description="A policy under `policies.client`.")
    location: Name | None = Field(default=None, description="A policy under `policies.location`.")
    presence: Name | None = Field(default=None, description="A policy under `policies.presence`.")
    conferencing: Name | None = Field(default=None, description="A policy under `policies.conferencing`.")
    dial_plan: Name | None = Field(default=None, description="A plan under `dial_plans`.")


class UserRules(Section):
    """A user by SIP address, or several alike: `user[01-50]@contoso.example`.

    In a range, `{n}` in a text of the user stands for the number. An address of its own wins over a range.
    """

    pool: Name = Field(description="Home pool: one of `pools`. The user's site is the pool's.")
    name: str | None = Field(
        default=None, min_length=1, description="Display name. Default: made from the address."
    )
    upn: str | None = Field(
        default=None,
        description="User principal name, what the user signs in as. Default: the SIP address.",
    )
    password: str | None = Field(
        default=None, min_length=1, description="Default: `P4ss-` and what stands before the @."
    )
    line: Line | None = Field(default=None, description="Line URI, tel:+…: enabled for Enterprise Voice.")
    voicemail: bool = Field(default=True, description="Has a mailbox that takes calls.")
    title: str = Field(default="", description="On the contact card.")
    department: str = Field(default="", description="On the contact card.")
    office: str = Field(default="", description="On the contact card.")
    photo: bool = Field(default=True, description="Has a photo.")
    presence: Presence = Field(
        default=Availability.Online,
        description="What others see: Online, IdleOnline, Busy, IdleBusy, DoNotDisturb, BeRightBack, Away "
        "or Offline.",
    )
    devices: list[Annotated[Device, Field(strict=False)]] = Field(
        default=[], description="Phones the user has: wp75, android2010, lync2013, desktop."
    )
    grants: GrantRules = Field(default=GrantRules(), description="Policies granted to the user.")
    contacts: dict[str, list[Address]] = Field(
        default={}, description="Buddy list: SIP addresses of users, by group."
    )


class ScenarioFile(Section):
    """A scenario: who there is in the lab, and what they may do."""

    version: Literal[1] = Field(description="Of this format: 1.")
    organization: str = Field(default="Contoso", min_length=1, description="Name of the company.")
    sites: list[Name] = Field(min_length=1, description="Names of the sites.")
    pools: dict[Name, PoolRules] = Field(min_length=1, description="Pools by name: pool01, pool02.")
    policies: PoliciesRules = Field(default=PoliciesRules(), description="Policies by kind and name.")
    dial_plans: dict[PolicyName, DialPlanRules] = Field(default={}, description="Dial plans by name.")
    users: dict[Users, UserRules] = Field(min_length=1, description="Users by SIP address.")
