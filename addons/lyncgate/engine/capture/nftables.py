"""The packet filter rules that lead a phone's traffic to a capture: one table of our own, all or nothing.

Only what passes through this machine is redirected, or is asked of its DNS; what is meant for the machine
itself is left alone, and so is every other table.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import shutil
import subprocess

from lyncgate.engine.master import StartError

TABLE = "inet lyncgate_capture"
_PLACES = "/usr/sbin:/sbin"  # where nft is, and where PATH often does not look

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """Ports 80 and 443 to `port`, DNS to `dns_port` if there is one. `interfaces`: by which the phones come,
    none for any; `sources`: whose traffic, none for anybody's."""

    port: int
    dns_port: int | None = None
    interfaces: tuple[str, ...] = ()
    sources: tuple[Network, ...] = ()


def ruleset(redirection: Redirection) -> str:
    """The rules, for `nft -f -`. The first two lines make way for them: together it is one transaction."""
    redirects = []
    for match in _matches(redirection):
        redirects.append(
            f"{match} fib daddr type unicast tcp dport {{ 80, 443 }} redirect to :{redirection.port}"
        )
        if redirection.dns_port is not None:
            redirects += [
                f"{match} fib daddr type {{ local, unicast }} {protocol} dport 53 "
                f"redirect to :{redirection.dns_port}"
                for protocol in ("udp", "tcp")
            ]
    # Who comes to our ports straight was not redirected: a proxy for anybody, or a loop.
    guards = [f"tcp dport {redirection.port} ct status & dnat == 0 reject with tcp reset"]
    if redirection.dns_port is not None:
        guards.append(
            f"meta l4proto {{ tcp, udp }} th dport {redirection.dns_port} ct status & dnat == 0 drop"
        )
    lines = [
        f"table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        "  chain phones {",
        "    type nat hook prerouting priority dstnat - 5; policy accept;",
        *(f"    {rule}" for rule in redirects),
        "  }",
        "  chain guard {",
        "    type filter hook input priority filter; policy accept;",
        *(f"    {rule}" for rule in guards),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _matches(redirection: Redirection) -> list[str]:
    """What each rule begins with: the interfaces, and each family of addresses."""
    interfaces = ", ".join(f'"{name}"' for name in redirection.interfaces)
    by = f"iifname {{ {interfaces} }}" if interfaces else 'iifname != "lo"'
    if not redirection.sources:
        return [by]
    matches = []
    for version, word in ((4, "ip"), (6, "ip6")):
        if own := ", ".join(str(one) for one in redirection.sources if one.version == version):
            matches.append(f"{by} {word} saddr {{ {own} }}")
    return matches


def find_nft() -> str:
    """The tool's path. Raises StartError."""
    found = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PLACES}")
    if found is None:
        raise StartError("nft was not found; install nftables (Debian: apt install nftables)")
    return found


def put_up(redirection: Redirection) -> None:
    """Put the rules in force, in place of older ones of ours. Raises StartError."""
    _nft("-f", "-", text=ruleset(redirection))


def present() -> bool:
    """Whether our table is there. Raises StartError."""
    return f"table {TABLE}\n" in _nft("list", "tables")


def take_down() -> None:
    """Remove our table, if it is there. Raises StartError."""
    if present():
        _nft("delete", "table", *TABLE.split())


def _nft(*arguments: str, text: str = "") -> str:
    command = [find_nft(), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise StartError(f"nft {' '.join(arguments)}: {said or f'exit status {done.returncode}'}")
    return done.stdout
