"""Which names exist for the client, and where they lead.  Pure.

SIPE makes its URLs from fixed names and ports (80, 443, 5061); a test's servers sit on free loopback ports.
A rule `HOST:PORT:ADDRESS:PORT` bridges the two and is read like curl's --connect-to:

    *.contoso.example:443:127.0.0.1:18443     any name of the domain on 443 is found at 127.0.0.1:18443
    sip.*::[::1]:                             on any port, and the port stays
    lyncdiscoverinternal.*::fail:             does not exist

The first rule that matches counts.  A name that none matches does not exist either: that is what keeps a
test's client on this machine.  Rules take addresses only, never names, for the same reason.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Self

NO_SUCH_NAME = "fail"

_RULE = re.compile(
    r"(?P<host>[^:]+):(?P<port>\d*):(?:\[(?P<bracketed>[^]]+)\]|(?P<bare>[^:[]+)):(?P<to_port>\d*)", re.ASCII
)
_SERVICE = re.compile(r"(?P<name>[^=]+)=(?P<host>[^:]+):(?P<port>\d+)", re.ASCII)


@dataclass(frozen=True)
class Endpoint:
    """A host and a port: an IP address for an answer, a name for an SRV target."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Rule:
    """One --connect-to rule.  `None` stands for "any port", "the same port" and "no such name"."""

    pattern: str
    port: int | None
    address: str | None
    to_port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT:ADDRESS:PORT`; ValueError says what is wrong with it."""
        found = _RULE.fullmatch(text)
        if not found:
            raise ValueError(
                f"{text!r} is not HOST:PORT:ADDRESS:PORT, such as *.contoso.example:443:127.0.0.1:8443"
            )
        address = found["bracketed"] or found["bare"]
        return cls(
            pattern=found["host"].lower(),
            port=_port(found["port"]),
            address=None if address == NO_SUCH_NAME else str(ip_address(address)),
            to_port=_port(found["to_port"]),
        )

    def matches(self, host: str, port: int) -> bool:
        return self.port in (None, port) and fnmatchcase(host.lower(), self.pattern)


@dataclass(frozen=True)
class Names:
    """Everything that the client's resolver knows: rules for hosts, and SRV records by lower-case name."""

    rules: tuple[Rule, ...] = ()
    services: Mapping[str, Endpoint] = field(default_factory=dict)

    @classmethod
    def parse(cls, connect_to: Iterable[str], srv: Iterable[str] = ()) -> Self:
        """Read the texts of --connect-to and --srv; ValueError says what is wrong with one of them."""
        return cls(tuple(map(Rule.parse, connect_to)), dict(map(_service, srv)))

    def host(self, name: str, port: int) -> Endpoint | None:
        """Where a connection to `name` at `port` goes, or None where the name does not exist."""
        for rule in self.rules:
            if rule.matches(name, port):
                return Endpoint(rule.address, rule.to_port or port) if rule.address else None
        return None

    def service(self, name: str) -> Endpoint | None:
        """The target of the SRV record `name`, such as `_sip._tls.contoso.example`, or None."""
        return self.services.get(name.lower())


def _port(digits: str) -> int | None:
    if not digits:
        return None
    port = int(digits)
    if not 0 < port < 65536:
        raise ValueError(f"{digits} is not a port")
    return port


def _service(text: str) -> tuple[str, Endpoint]:
    found = _SERVICE.fullmatch(text)
    port = _port(found["port"]) if found else None
    if not found or port is None:
        raise ValueError(
            f"{text!r} is not NAME=HOST:PORT, such as _sip._tls.contoso.example=sip.contoso.example:443"
        )
    return found["name"].lower(), Endpoint(found["host"], port)
