"""Name to address, for clients of the lab: what DNS and fixed ports are in the real world.

A rule is a glob of host names, a port, and where that really is; the first match counts, a name that no
rule matches does not exist. The same rules serve our phone (`look_up`, `resolve`) and the SIPE
driver (`connect_to`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json

type Address = tuple[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class NameRule:
    """`port` None: any port. `to` None: the name does not exist."""

    host: str
    port: int | None
    to: Address | None


class NoSuchNameError(OSError):
    """The name does not exist, as a resolver would say."""


@dataclasses.dataclass(frozen=True, slots=True)
class NameMap:
    """Rules in order."""

    rules: tuple[NameRule, ...]

    def resolve(self, host: str, port: int) -> Address:
        """Where `host`:`port` really is. Raises NoSuchNameError."""
        for rule in self.rules:
            if fnmatch.fnmatchcase(host.lower(), rule.host) and rule.port in (None, port):
                if rule.to is None:
                    break
                return rule.to
        raise NoSuchNameError(f"{host}: no such name")

    async def look_up(self, host: str) -> str:
        """What a resolver would say of `host`, as far as these rules know: an address on one of the ports
        of the web. Raises NoSuchNameError."""
        try:
            return self.resolve(host, 443)[0]
        except NoSuchNameError:
            return self.resolve(host, 80)[0]

    def to_json(self) -> str:
        """For another process."""
        return json.dumps([dataclasses.astuple(rule) for rule in self.rules])

    @classmethod
    def from_json(cls, text: str) -> NameMap:
        """What `to_json` made."""
        rules = json.loads(text)
        return cls(tuple(NameRule(host, port, tuple(to) if to else None) for host, port, to in rules))

    def connect_to(self) -> list[str]:
        """The rules as `HOST:PORT:ADDRESS:PORT`, what the SIPE driver's --connect-to takes."""
        rules = []
        for rule in self.rules:
            address, port = rule.to or ("fail", "")
            rules.append(f"{rule.host}:{rule.port or ''}:{address}:{port}")
        return rules
