"""Who is who. A person is called by the SIP address; NTLM knows the same one as `CONTOSO\\alice`, or by a UPN
that may differ from the address (F22). That an account is a user's is learnt from events that carry both, or
else from connections where exactly one user and one account were seen. An account seen with several users
means the one whose name before the @ it has, or nobody but itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Container

from lyncgate.signin.keys import Keys


@dataclasses.dataclass(slots=True)
class _Met:
    """Users and accounts named on one connection."""

    users: set[str] = dataclasses.field(default_factory=set)
    accounts: set[str] = dataclasses.field(default_factory=set)


class People:
    """What is known of names. What a name means may change as more is known. Nothing is forgotten of itself:
    see `forget` and `trim`."""

    def __init__(self) -> None:
        self._together: dict[str, set[str]] = {}  # account → users named by the same events
        self._met: dict[str, _Met] = {}  # connection → names
        self._where: dict[str, set[str]] = {}  # account → connections
        self._meaning: dict[str, str] = {}  # account → person
        self._heard: dict[str, None] = {}  # accounts, that which was named last at the end
        self._together_names = self._met_names = 0  # how many names are in those

    def learn(self, keys: Keys) -> list[str]:
        """Take in what an event says. Returns the accounts that mean another person since."""
        user, account = keys.user, plain(keys.account)
        if user is None and account is None:
            return []
        touched: set[str] = set()
        if account is not None:
            touched.add(account)
            self._heard.pop(account, None)
            self._heard[account] = None
        if user is not None and account is not None:
            self._bring_together(account, {user})
        if keys.connection is not None:
            met = self._met.setdefault(keys.connection, _Met())
            before = len(met.users), len(met.accounts)
            if user is not None:
                met.users.add(user)
            if account is not None:
                met.accounts.add(account)
                self._where.setdefault(account, set()).add(keys.connection)
            if before != (len(met.users), len(met.accounts)):
                self._met_names += len(met.users) + len(met.accounts) - sum(before)
                touched |= met.accounts
        changed = [name for name in touched if self._mean(name) != self._meaning.get(name)]
        for name in changed:
            self._meaning[name] = self._mean(name)
        return changed

    def person(self, keys: Keys) -> str | None:
        """Whom an event names; None: nobody."""
        if keys.user is not None:
            return keys.user
        account = plain(keys.account)
        return None if account is None else self._meaning.get(account, account)

    def forget(self, connection: str) -> None:
        """Nothing more is held of this connection: what it taught stays, its record goes."""
        met = self._met.pop(connection, None)
        if met is None:
            return
        self._met_names -= len(met.users) + len(met.accounts)
        for account in met.accounts:
            where = self._where[account]
            where.discard(connection)
            if not where:
                del self._where[account]
            if len(met.users) == 1 and _fits(account, met):
                self._bring_together(account, met.users)

    def trim(self, most: int, needed: Container[str]) -> None:
        """Keep no more than `most` accounts, those that were named last, beside the ones that are `needed` or
        are on a connection that is held."""
        surplus = len(self._heard) - most
        if surplus <= 0:
            return
        idle = (name for name in self._heard if name not in self._where and name not in needed)
        for account in list(itertools.islice(idle, surplus)):
            del self._heard[account]
            self._together_names -= len(self._together.pop(account, ()))
            self._meaning.pop(account, None)

    @property
    def names(self) -> int:
        """How many are held, each as often as it stands somewhere: on one connection, or with one account,
        may be any number."""
        return self._met_names + len(self._heard) + self._together_names

    def _bring_together(self, account: str, users: set[str]) -> None:
        there = self._together.setdefault(account, set())
        before = len(there)
        there |= users
        self._together_names += len(there) - before

    def _mean(self, account: str) -> str:
        users = self._together.get(account) or {
            next(iter(met.users))
            for connection in self._where.get(account, ())
            if len((met := self._met[connection]).users) == 1 and _fits(account, met)
        }
        if len(users) == 1:
            return next(iter(users))
        alike = [user for user in users if local(user) == local(account)]
        return alike[0] if len(alike) == 1 else account


def plain(account: str | None) -> str | None:
    return account.lower().removeprefix("sip:") if account else None


def local(name: str) -> str:
    """`alice` of `CONTOSO\\alice` and of `alice@contoso.example`."""
    return name.rpartition("\\")[2].partition("@")[0]


def _fits(account: str, met: _Met) -> bool:
    return len(met.accounts) == 1 or any(local(user) == local(account) for user in met.users)
