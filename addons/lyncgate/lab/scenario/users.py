"""A user of the lab, with everything that the directory has about one."""

from __future__ import annotations

import dataclasses

from lyncgate.lab import topology
from lyncgate.lab.scenario.model import Device, GrantRules
from lyncgate.lync.contacts import Availability


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """One person: `name` and SIP `domain` make the address, `home` is the pool.

    `account`: user principal name. `line`: `tel:+…` of a user enabled for Enterprise Voice, else None.
    `buddies`: (group, addresses) in the order of the list.
    """

    name: str
    domain: str
    home: str
    account: str
    password: str = dataclasses.field(repr=False)
    display_name: str
    line: str | None = None
    voicemail: bool = True
    title: str = ""
    department: str = ""
    office: str = ""
    photo: bool = True
    presence: Availability = Availability.Online
    devices: tuple[Device, ...] = ()
    grants: GrantRules = dataclasses.field(default_factory=GrantRules)
    buddies: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def sip(self) -> str:
        """SIP address without the scheme."""
        return f"{self.name}@{self.domain}"

    @property
    def down_level_name(self) -> str:
        """`NETBIOS\\name`: the domain is that of the SIP address, the name that of the UPN."""
        return f"{topology.DOMAINS[self.domain].netbios}\\{self.account.partition('@')[0]}"
