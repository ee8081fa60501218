"""The lab's users as servers look them up, and how NTLM knows them. Who there is says the scenario.

NTLM takes the UPN with an empty domain, which is what SIPE sends, or `NETBIOS\\name` (real-clients
reference, §2.8).
"""

from __future__ import annotations

import hmac

# Private to pyspnego, but the only MD4 in reach: OpenSSL 3 has none by default.
from spnego._ntlm_raw.crypto import ntowfv1

from lyncgate.lab.scenario.load import default_scenario
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.scenario.users import User

__all__ = ["Directory", "User"]

# In Active Directory, but not enabled for Lync: UPN, down-level name, password.
NOT_ENABLED = (("intern@contoso.example", "CONTOSO\\intern", "P4ss-intern"),)


class Directory:
    """Look-ups by address and by NTLM principal, both case-insensitive as Active Directory is."""

    def __init__(self, scenario: Scenario | None = None) -> None:
        self.scenario = scenario or default_scenario()
        self.users = self.scenario.users
        self._by_principal = {user.account.lower(): user for user in self.users}
        self._by_principal |= {user.down_level_name.lower(): user for user in self.users}

    def by_sip(self, address: str) -> User | None:
        """The user with this SIP address, given with or without `sip:`."""
        return self.scenario.by_sip.get(address.lower().removeprefix("sip:"))

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
        enabled = [(user.account, user.down_level_name, user.password) for user in self.users]
        for *names, password in (*enabled, *NOT_ENABLED):
            nt_hash = ntowfv1(password).hex().upper()
            lines += [f"{name}:1000:{'0' * 32}:{nt_hash}:[U]:LCT-0\n" for name in names]
        return "".join(lines)
