"""What a probe is to do: whom it signs in, how it gets there, how long it waits. Pure."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Sequence

from lyncgate.client.names import Address
from lyncgate.lync.mcx import WireForm
from lyncgate.lync.names import sip_address

AGENT = "lyncgate-probe/1"
HTTPS, HTTP, SIP = 443, 80, 5061
PORTS = {"http": HTTP, "https": HTTPS}

_BARE = "@!$'*+=~"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)"
_LEAD = re.compile(rf"({_HOST}):(\d*):({_HOST}):(\d*)")
_SERVER = re.compile(rf"({_HOST})(?::(\d+))?")


class PlanError(ValueError):
    """An option that makes no sense; the text names it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lead:
    """Where a name and port really are, as curl's --connect-to has it; the name may be an address, too, that
    DNS named. None: any host, any port; the host that DNS names, the port as it was."""

    host: str | None
    port: int | None
    to_host: str | None
    to_port: int | None

    def fits(self, host: str, port: int) -> bool:
        """Whether it is about this name and port."""
        return self.host in (None, host) and self.port in (None, port)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`user`: SIP address, lower case. `account`: what signs in, where that is not the address. Times are in
    seconds: `patience` for one step, `poll` for the poll to be held. `leads`: the first that fits counts.
    `dns`: servers, asked in turn. `inside`: whether we stand in the company's network; None: find out.
    `meet`, `dialin`, `web_apps`: host names; None: not told. `second_try`: a refused password may be shown
    once more, another way."""

    user: str
    account: str | None = None
    leads: tuple[Lead, ...] = ()
    dns: tuple[Address, ...] = ()
    inside: bool | None = None
    patience: float = 10.0
    poll: float = 3.0
    connections: int = 4
    meet: str | None = None
    dialin: str | None = None
    web_apps: str | None = None
    second_try: bool = False
    old_clients: bool = False
    mcx: WireForm | None = None

    @property
    def domain(self) -> str:
        """The SIP domain."""
        return self.user.partition("@")[2]

    @property
    def query(self) -> str:
        """What discovery is asked with: bare, as SIPE has it, but for what a URL can't hold."""
        return f"?sipuri={urllib.parse.quote(self.user, safe=_BARE)}"

    def led(self, host: str, port: int = HTTPS) -> str | None:
        """The host that stands in for `host`, if one does: then DNS has no say."""
        return next((lead.to_host for lead in self.leads if lead.to_host and lead.fits(host, port)), None)

    def address(self, host: str, found: str, port: int) -> Address:
        """Where to connect for `port` of `host`, whose address was `found`."""
        fitting = (lead for lead in self.leads if lead.fits(host, port) or lead.fits(found, port))
        lead = next(fitting, None)
        if lead is None:
            return found, port
        return lead.to_host or found, lead.to_port or port


def read_user(text: str) -> str:
    """The SIP address. Raises PlanError."""
    user = sip_address(text)
    if user is None:
        raise PlanError(f"{text[:80]!r} is no SIP address; allowed: user@domain")
    return user


def read_lead(text: str) -> Lead:
    """`NAME:PORT:HOST:PORT`, each of which may be empty. Raises PlanError."""
    match = _LEAD.fullmatch(text)
    if match is None:
        raise PlanError(f"--connect-to {text[:80]!r}; allowed: NAME:PORT:HOST:PORT, each may be empty")
    host, port, to_host, to_port = match.groups()
    return Lead(_bare(host).lower() or None, _port(port), _bare(to_host) or None, _port(to_port))


def read_server(text: str) -> tuple[Lead, ...]:
    """`HOST[:PORT]`: every name is there, HTTPS at that port, HTTP at 80. Raises PlanError."""
    match = _SERVER.fullmatch(text)
    if match is None or not match[1]:
        raise PlanError(f"--server {text[:80]!r}; allowed: HOST or HOST:PORT")
    host = _bare(match[1])
    return Lead(None, HTTPS, host, _port(match[2])), Lead(None, HTTP, host, None)


def read_dns(text: str) -> Address:
    """`HOST:PORT` or `HOST` of a DNS server. Raises PlanError."""
    match = _SERVER.fullmatch(text)
    if match is None or not match[1]:
        raise PlanError(f"--dns {text[:80]!r}; allowed: HOST or HOST:PORT")
    return _bare(match[1]), _port(match[2]) or 53


def read_host(option: str, text: str | None) -> str | None:
    """A host name, of which a URL's is good too. Raises PlanError."""
    if text is None:
        return None
    host = re.sub(r"^https?://|/.*$", "", text.strip().lower())
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", host):
        raise PlanError(f"{option} {text[:80]!r}; allowed: a host name")
    return host


def joined(leads: Sequence[Lead], server: str | None) -> tuple[Lead, ...]:
    """All of them: what is said of one name counts before --server."""
    return (*leads, *(() if server is None else read_server(server)))


def _bare(host: str) -> str:
    return host.strip("[]")


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not 0 < int(text[:6]) < 65536:
        raise PlanError(f"port {text[:6]}; allowed: 1 to 65535")
    return int(text)
