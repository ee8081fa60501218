"""The lab's users: who they are, where they are homed, and how NTLM knows them.

    alice, bob, user01 … user50   @contoso.example        homed in pool01
    erin                          @contoso.example        homed in pool02: discovery at pool01 sends her on
    carol                         @emea.contoso.example   homed in pool02
    dave                          @fabrikam.example       homed in pool01

A user's password is `P4ss-` and the name. NTLM takes the UPN with an empty domain, which is what SIPE
sends, or `NETBIOS\\name` (real-clients reference, §2.8).
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Iterable

# Private to pyspnego, but the only MD4 in reach: OpenSSL 3 has none by default.
from spnego._ntlm_raw.crypto import ntowfv1

from lyncgate.lab import topology


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """One person: mailbox-like `name`, SIP `domain`, `home` pool."""

    name: str
    domain: str
    home: str

    @property
    def sip(self) -> str:
        """SIP address without the scheme; here also the UPN."""
        return f"{self.name}@{self.domain}"

    @property
    def down_level_name(self) -> str:
        """`NETBIOS\\name`."""
        return f"{topology.DOMAINS[self.domain].netbios}\\{self.name}"

    @property
    def password(self) -> str:
        """A lab's password, no secret."""
        return f"P4ss-{self.name}"


def _everybody() -> Iterable[User]:
    for name in ("alice", "bob", *(f"user{n:02}" for n in range(1, 51))):
        yield User(name, "contoso.example", "pool01")
    yield User("erin", "contoso.example", "pool02")
    yield User("carol", "emea.contoso.example", "pool02")
    yield User("dave", "fabrikam.example", "pool01")


class Directory:
    """Look-ups by address and by NTLM principal, both case-insensitive as Active Directory is."""

    def __init__(self, users: Iterable[User] | None = None) -> None:
        self.users = tuple(_everybody() if users is None else users)
        self._by_sip = {user.sip: user for user in self.users}
        self._by_principal = self._by_sip | {user.down_level_name.lower(): user for user in self.users}

    def by_sip(self, address: str) -> User | None:
        """The user with this SIP address, given with or without `sip:`."""
        return self._by_sip.get(address.lower().removeprefix("sip:"))

    def by_principal(self, principal: str) -> User | None:
        """The user with this UPN or `DOMAIN\\name`."""
        return self._by_principal.get(principal.lower())

    def check_password(self, principal: str, password: str) -> User | None:
        """The user, if the password is right (the oauthtoken password grant)."""
        user = self.by_principal(principal)
        if user is None or not hmac.compare_digest(user.password.encode(), password.encode()):
            return None
        return user

    def ntlm_accounts(self) -> str:
        """The text of a file for pyspnego's NTLM_USER_FILE, in smbpasswd form: with the NT hash made
        once here, each handshake costs half of what it costs with passwords in the file."""
        lines = []
        for user in self.users:
            nt_hash = ntowfv1(user.password).hex().upper()
            lines += [
                f"{name}:1000:{'0' * 32}:{nt_hash}:[U]:LCT-0\n" for name in (user.sip, user.down_level_name)
            ]
        return "".join(lines)
