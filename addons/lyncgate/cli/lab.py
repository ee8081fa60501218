"""`lyncgate lab`: run the embedded pool, until it is told to stop.

lyncgate lab                              everything, in a directory of its own that goes away with it
lyncgate lab --dir D --json               keep the files in D; one line of JSON says what runs where
lyncgate lab --dir D --member fe01        one front end in this process, of the lab planned in D
lyncgate lab --traces T --skew fe01=2.5   traces of all servers, one of which is 2.5 s ahead
lyncgate lab --scenario office.yaml       people, policies and dial plans of your own (docs/scenario.md)
lyncgate lab --fault F20,F37=5            with things that go wrong (docs/faults.md)
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lyncgate.cli.rules import show_problems
from lyncgate.cli.wireform import read_wire_form
from lyncgate.lab import topology
from lyncgate.lab.estate import Estate
from lyncgate.lab.faults import table
from lyncgate.lab.faults.catalogue import CATALOGUE, UnknownFaultError, choose
from lyncgate.lab.faults.fault import Faults
from lyncgate.lab.plan import PlanError
from lyncgate.lab.scenario.load import load_scenario
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.ucwa import POLL_MINIMUM


def lab(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the lab's files are kept. Default: a temporary one.")
    ] = None,
    member: Annotated[
        list[str] | None,
        typer.Option(help="Run this server only (fe01, dir01, sip, …); can be given again. Needs --dir."),
    ] = None,
    poll_minimum: Annotated[
        float, typer.Option(help="Shortest time-out in seconds that an event poll may ask for.")
    ] = POLL_MINIMUM,
    scenario: Annotated[
        Path | None, typer.Option(help="Who there is and what they may do. Default: the lab's own users.")
    ] = None,
    traces: Annotated[
        Path | None, typer.Option(help="Servers write traces here, one file each, as OCSLogger shows them.")
    ] = None,
    skew: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=SECONDS by which the clock of a server's trace is ahead; can be given again."
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="What is wrong: F20, or F20,F37=5; can be given again. See --list-faults."),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Say what can go wrong, and nothing else.")
    ] = False,
    dns: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|pool",
            help="Serve DNS; public names lead to this address, an edge's, or straight to the pool.",
        ),
    ] = None,
    mcx_form: Annotated[
        str, typer.Option("--mcx", help="Names on MCX's wire, which are a guess: 'poll_method=GET …'.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Say what runs where in one line of JSON.")] = False,
) -> None:
    """Run the embedded pool on loopback, with real TLS and NTLM, until SIGTERM or Ctrl-C."""
    if list_faults:
        typer.echo(table.as_json() if as_json else table.as_text())
        return
    if unknown := set(member or ()) - set(topology.MEMBERS):
        raise typer.BadParameter(f"no such member: {', '.join(sorted(unknown))}", param_hint="--member")
    if member and directory is None:
        raise typer.BadParameter("members of one lab find each other by --dir", param_hint="--member")
    if skew and traces is None:
        raise typer.BadParameter(
            "only traces have a clock of their own: give --traces too", param_hint="--skew"
        )
    skews = dict(map(_read_skew, skew or ()))
    people = _read_scenario(scenario) if scenario else None
    faults = _read_faults(fault or [])
    proxy = None if dns in (None, "pool") else _read_address(dns)
    with contextlib.ExitStack() as cleanup:
        if directory is None:
            directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="lyncgate-lab-")))
        start = Estate.start(
            directory.resolve(),
            members=member,
            poll_minimum=poll_minimum,
            scenario=people,
            trace=traces or False,
            skew=skews,
            faults=faults,
            mcx_form=read_wire_form(mcx_form),
        )
        try:
            asyncio.run(_run(start, serve_dns=dns is not None, proxy=proxy, as_json=as_json))
        except PlanError as error:
            raise typer.BadParameter(str(error), param_hint="--dir") from None


def _read_skew(given: str) -> tuple[str, float]:
    name, _, seconds = given.partition("=")
    try:
        if name not in topology.MEMBERS:
            raise ValueError(f"no such member: {name}")
        return name, float(seconds)
    except ValueError as error:
        raise typer.BadParameter(f"{given}: {error}", param_hint="--skew") from None


def _read_faults(given: list[str]) -> Faults:
    try:
        return Faults(choose(",".join(given)))
    except UnknownFaultError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None


def _read_address(given: str) -> str:
    try:
        return str(ipaddress.IPv4Address(given))
    except ValueError:
        raise typer.BadParameter(
            f"{given!r} is neither pool nor an IPv4 address", param_hint="--dns"
        ) from None


def _read_scenario(path: Path) -> Scenario:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--scenario") from None
    scenario, problems = load_scenario(text, str(path))
    show_problems(problems)
    if scenario is None:
        raise typer.Exit(1)
    return scenario


async def _run(
    start: contextlib.AbstractAsyncContextManager[Estate],
    *,
    serve_dns: bool,
    proxy: str | None,
    as_json: bool,
) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with start as estate:
        if serve_dns:
            await estate.start_dns(proxy)
        typer.echo(json.dumps(estate.describe()) if as_json else _text(estate))
        await stop.wait()


def _text(estate: Estate) -> str:
    description, ports = estate.describe(), estate.ports
    lines = [f"lab in {description['directory']}, trust {description['ca']}"]
    for name in estate.running:
        spec = topology.MEMBERS[name]
        if spec.role is topology.Role.ACCESS_EDGE:
            lines.append(f"  {name:5} {spec.address}  SIP {ports.sip}")
        elif spec.role is topology.Role.OFFICE_WEB_APPS:
            lines.append(
                f"  {name:5} {spec.address}  https {ports.internal_https} http {ports.internal_http}"
            )
        else:
            external = f"external https {ports.external_https} http {ports.external_http}"
            internal = f"internal https {ports.internal_https} http {ports.internal_http}"
            lines.append(f"  {name:5} {spec.address}  {external}, {internal}, SIP {ports.sip}  {spec.pool}")
    lines += [
        f"  dns   {':'.join(map(str, server.address))}  {view} view" for view, server in estate.dns.items()
    ]
    for at, wrong in estate.proxies.items():
        lines.append(f"  wrong {at}  https {wrong.https[1]} http {wrong.http[1]}  a bad proxy")
    lines += [f"fault {code}: {CATALOGUE[code].title}" for code in estate.faults.codes]
    users = estate.people.users
    some = ", ".join(f"{user.sip} ({user.password})" for user in users[:3])
    lines.append(f"{len(users)} users, such as {some}; scenario.yaml there has all. Stop with Ctrl-C.")
    return "\n".join(lines)
