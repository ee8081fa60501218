"""`lyncgate capture`: look into what phones say, to find out why one does not sign in.

lyncgate capture --reverse tmg.contoso.example            in front of a server: ports 80 and 443
lyncgate capture --wireguard auto                         phones come by WireGuard: scan the QR code
sudo lyncgate capture --transparent --interface wlan0 --dns    this machine is the phones' router
lyncgate capture --explicit 8080                          phones have this machine as their proxy

Phones must trust the capture's own authority, see docs/capture.md. Never on an edge: an edge mints nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError

from lyncgate.cli.capturerun import Asked, run
from lyncgate.cli.captureshow import Show, make_show
from lyncgate.engine.capture import modes, wireguard
from lyncgate.engine.capture.gateway import Gateway
from lyncgate.engine.capture.nftables import Network
from lyncgate.engine.master import StartError
from lyncgate.policy import hosts
from lyncgate.policy.scalars import read_duration

CA_DIRECTORY = Path("~/.config/lyncgate/ca")


def capture(
    reverse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVER",
            help="Stand in front of a server: HOST, or https://HOST:PORT[@OUR-PORT]; can be given again.",
        ),
    ] = None,
    transparent: Annotated[
        bool, typer.Option("--transparent", help="Take ports 80 and 443 of what this machine routes.")
    ] = False,
    wireguard_at: Annotated[
        str | None,
        typer.Option(
            "--wireguard", metavar="HOST[:PORT]|auto", help="Where phones reach this machine by WireGuard."
        ),
    ] = None,
    explicit: Annotated[
        str | None, typer.Option(metavar="PORT", help="Be the proxy that phones are told about.")
    ] = None,
    dns: Annotated[
        bool, typer.Option("--dns", help="Take DNS as well, on port 53 or transparently.")
    ] = False,
    name_server: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS[:PORT]", help="Who answers DNS. Default: whom this machine asks."),
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(help="By which phones come, with --transparent; can be given again. Default: any."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="NETWORK", help="Whose traffic is taken; can be given again."),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Our address. Default: all.")] = "",
    pass_through: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Whose TLS stays closed, *.x for all below x; can be given again."),
    ] = None,
    upstream_ca: Annotated[
        Path | None, typer.Option(help="PEM of authorities that servers' certificates may come from.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for what is captured. Default: a new one, here.")
    ] = None,
    ca_dir: Annotated[
        Path, typer.Option(help="Where the authority is kept that phones must trust.")
    ] = CA_DIRECTORY,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End after 5m, 1h …. Default: Ctrl-C.")
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Keep tickets, cookies and NTLM in the files.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Undo what a killed capture left behind, and nothing else.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Where it listens, then each sign-in as it changes: lines of JSON.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but warnings.")] = False,
) -> None:
    """Capture sign-ins with mitmproxy, show their stages as they happen, and keep all of it in files."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    # mitmproxy quotes what peers sent, credentials included, in messages below an error.
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    logging.getLogger("mitmproxy.addons.proxyserver").setLevel(logging.CRITICAL)  # StartError says it
    show = make_show(as_json=as_json, quiet=quiet)
    try:
        if clean:
            _clean(show)
            return
        if not (reverse or transparent or wireguard_at or explicit or dns):
            raise typer.BadParameter(
                "say how phones come: --reverse, --transparent, --wireguard, --explicit, --dns"
            )
        if (interface or source) and not transparent:
            raise typer.BadParameter("--interface and --from say whose traffic --transparent takes")
        ca_dir = ca_dir.expanduser()
        asked = Asked(
            out=out or Path(time.strftime("lyncgate-capture-%Y%m%d-%H%M%S")),
            ca_dir=ca_dir,
            transparent=transparent,
            interfaces=tuple(interface or ()),
            sources=tuple(map(_network, source or ())),
            upstream_ca=upstream_ca,
            passed=tuple(pass_through or ()),
            seconds=None if duration is None else _seconds(duration),
            with_secrets=with_secrets,
        )
        _add_modes(asked, reverse or [], explicit, wireguard_at, listen)
        if dns or wireguard_at:
            asked.name_server = modes.name_server(name_server)
        if dns and asked.name_server:
            port = 0 if transparent else modes.DNS_PORT
            asked.dns_mode = modes.dns(asked.name_server, "" if transparent else listen, port)
        asyncio.run(run(asked, show))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except (StartError, OSError) as error:
        typer.echo(f"lyncgate: {error}", err=True)
        raise typer.Exit(1) from None


def _add_modes(
    asked: Asked, reverse: list[str], explicit: str | None, wireguard_at: str | None, listen: str
) -> None:
    """Raises ValueError, which says of which option."""
    if listen and not hosts.is_address(listen.strip("[]")):
        raise ValueError(f"--listen: found {listen!r}; allowed: an address of this machine")
    for given in reverse:
        asked.modes += modes.reverse(given, listen)
    if explicit:
        asked.modes.append(modes.explicit(explicit, listen))
    if wireguard_at:
        asked.endpoint = modes.endpoint(wireguard_at)
        asked.modes.append(wireguard.mode(asked.ca_dir, asked.endpoint[1], listen))


def _clean(show: Show) -> None:
    with Gateway() as gateway:
        show.say(gateway.cleaned or "nothing to clean up")


def _network(given: str) -> Network:
    try:
        return ipaddress.ip_network(given)
    except ValueError as error:
        raise ValueError(f"--from: {error}; allowed: an address or a network, 192.0.2.0/24") from None


def _seconds(given: str) -> float:
    try:
        return read_duration(given)
    except PydanticCustomError as error:
        raise ValueError(f"--for: found {given!r}; allowed: {error.message()}") from None
