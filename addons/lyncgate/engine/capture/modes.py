"""What an operator asks for, as mitmproxy's mode specifications.

    reverse("tmg.contoso.example", "")       our ports 80 and 443 in front of those of that server
    reverse("https://192.0.2.7:4443@8443", "")
    explicit("8080", "192.0.2.1")            "regular@192.0.2.1:8080"

Everything here raises ValueError, which says what was found and what is allowed.
"""

from __future__ import annotations

import re

import mitmproxy_rs
from mitmproxy.net import local_ip

from lyncgate.policy import hosts

HTTP_PORTS = {"http": 80, "https": 443}
DNS_PORT = 53
WIREGUARD_PORT = 51820
_TARGET = re.compile(r"(?:(https?)://)?(\[[0-9a-fA-F:.]+\]|[^/:@\[\]]+)(?::(\d{1,5}))?(?:@(\d{1,5}))?")
_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^/:@\[\]]+)(?::(\d{1,5}))?")

type Address = tuple[str, int]


def reverse(given: str, listen: str) -> list[str]:
    """`[http://|https://]HOST[:PORT][@OUR-PORT]`; without a scheme, both. `listen`: our address, "": all."""
    found = _TARGET.fullmatch(given)
    if found is None or hosts.parse(found[2].encode()) is None:
        raise ValueError(
            f"found {given!r}; allowed: HOST, or http:// or https:// before HOST:PORT, @OUR-PORT after it"
        )
    scheme, host, port, ours = found.groups()
    if scheme is None and (port or ours):
        raise ValueError(f"found {given!r}; allowed: http:// or https:// before a host with ports")
    return [
        f"reverse:{one}://{host}:{_port(port, usual)}@{_at(listen, _port(ours, usual))}"
        for one, usual in HTTP_PORTS.items()
        if scheme in (None, one)
    ]


def explicit(given: str, listen: str) -> str:
    """A port for a proxy that phones are told about."""
    if not given.isdecimal():
        raise ValueError(f"found {given!r}; allowed: a port")
    return f"regular@{_at(listen, _port(given, 0))}"


def dns(name_server: Address, listen: str, port: int = DNS_PORT) -> str:
    """A DNS server that passes every question on to `name_server`. `port` 0: any that is free."""
    host = f"[{name_server[0]}]" if ":" in name_server[0] else name_server[0]
    return f"reverse:dns://{host}:{name_server[1]}@{_at(listen, port)}"


def name_server(given: str | None) -> Address:
    """`ADDRESS[:PORT]`; None: the first that this machine asks itself."""
    if given is None:
        try:
            return mitmproxy_rs.dns.get_system_dns_servers()[0], DNS_PORT
        except (RuntimeError, IndexError):
            raise ValueError("this machine has no name server; say which to ask: --name-server") from None
    host, port = _place(given, DNS_PORT)
    if not hosts.is_address(host):
        raise ValueError(f"found {given!r}; allowed: an address, with :PORT if it is not {DNS_PORT}")
    return host, port


def endpoint(given: str) -> Address:
    """Where phones reach this machine: `HOST[:PORT]`, or `auto` for its address towards the world."""
    if given == "auto":
        found = local_ip.get_local_ip() or local_ip.get_local_ip6()
        if not found:
            raise ValueError(
                "this machine's address is not clear; say by which name or address phones reach it"
            )
        return found, WIREGUARD_PORT
    return _place(given, WIREGUARD_PORT)


def _place(given: str, usual: int) -> Address:
    found = _PLACE.fullmatch(given)
    if found is None:
        raise ValueError(f"found {given!r}; allowed: HOST or HOST:PORT, an IPv6 address in brackets")
    return found[1].strip("[]"), _port(found[2], usual)


def _port(given: str | None, usual: int) -> int:
    port = usual if given is None else int(given)
    if port > 65535:
        raise ValueError(f"found port {port}; allowed: up to 65535")
    return port


def _at(listen: str, port: int) -> str:
    return f"{listen.strip('[]')}:{port}" if listen else str(port)
