"""`lyncgate probe`: is a deployment fit for phones, seen from where this runs?

lyncgate probe alice@contoso.com                          asks for the password; Enter alone goes without
lyncgate probe alice@contoso.com --account 'CONTOSO\\alice' --password-fd 3 3<secret.txt
lyncgate probe alice@contoso.com --poll 960 --json
lyncgate probe alice@contoso.example --dns 127.0.0.61:5353 --ca LAB/ca.pem --connect-to :443::8443
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import certifi
import typer
from rich.console import Console

from lyncgate.cli import verdicts
from lyncgate.cli.signin import PIPED_WIDTH
from lyncgate.cli.waterfall import Story
from lyncgate.cli.wireform import read_wire_form
from lyncgate.policy.certificates import der_blocks
from lyncgate.probe.check import Check, Report
from lyncgate.probe.names import system_servers
from lyncgate.probe.plan import Plan, PlanError, joined, read_dns, read_host, read_lead, read_user
from lyncgate.probe.ticket import Credentials
from lyncgate.probe.walk import Trust
from lyncgate.probe.walk import probe as walk
from lyncgate.signin.waterfall import waterfall

PASSWORD = "LYNCGATE_PROBE_PASSWORD"  # noqa: S105 (a name)
LONGEST_PASSWORD = 4096  # bytes
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def probe(
    user: Annotated[str, typer.Argument(metavar="USER@DOMAIN", help="The SIP address of who signs in.")],
    server: Annotated[
        str | None, typer.Option(metavar="HOST[:PORT]", help="Ask there, whatever DNS says of the names.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="DOMAIN\\user or UPN, where signing in takes another name than the address."),
    ] = None,
    password_fd: Annotated[
        int | None,
        typer.Option(min=0, help=f"Read the password from this file descriptor. Also: {PASSWORD}."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="No password, and no question: end at the 401.")
    ] = False,
    dns: Annotated[
        list[str] | None, typer.Option(metavar="HOST[:PORT]", help="DNS server. Default: the system's.")
    ] = None,
    connect_to: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:PORT:HOST:PORT", help="As curl has it; each may be empty. Repeatable."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Authorities that clients trust. Default: the public ones.")
    ] = None,
    inside: Annotated[
        bool | None,
        typer.Option(
            "--inside/--outside",
            help="Where this runs. Default: found out by lyncdiscoverinternal.",
            show_default=False,
        ),
    ] = None,
    meet: Annotated[
        str | None, typer.Option(metavar="HOST", help="Simple URL of meetings. Default: meet.DOMAIN.")
    ] = None,
    dialin: Annotated[
        str | None, typer.Option(metavar="HOST", help="Simple URL of dial-in. Default: dialin.DOMAIN.")
    ] = None,
    web_apps: Annotated[
        str | None, typer.Option("--owa", metavar="HOST", help="The Office Web Apps server.")
    ] = None,
    old_clients: Annotated[
        bool, typer.Option("--old-clients", help="Phones of 2010 are in use: TLS 1.0 has to be taken.")
    ] = False,
    second_try: Annotated[
        bool,
        typer.Option(
            "--second-try",
            help="Show a refused password once more, without NTLM: is it wrong, or is NTLM broken on its "
            "way? Two refusals count toward a lockout.",
        ),
    ] = False,
    mcx: Annotated[
        bool, typer.Option("--mcx", help="Make an MCX session, too, in the wire form that is our guess.")
    ] = False,
    mcx_form: Annotated[str, typer.Option(help="Names of that form: 'poll_method=GET …'.")] = "",
    poll: Annotated[float, typer.Option(min=0, max=3600, help="Seconds to hold a poll; 0: none.")] = 3.0,
    connections: Annotated[
        int, typer.Option(min=2, max=16, help="New connections for each look at affinity.")
    ] = 4,
    timeout: Annotated[float, typer.Option(min=0.1, max=120, help="Seconds that one step may take.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON, at the end.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours. NO_COLOR does the same.")] = False,
) -> None:
    """Walk a sign-in's stages as a phone would, and say what is wrong. Status 0: nothing, 1: findings,
    2: could not run."""
    try:
        plan = Plan(
            user=read_user(user),
            account=account,
            leads=joined([read_lead(text) for text in connect_to or ()], server),
            dns=tuple(map(read_dns, dns)) if dns else system_servers(),
            inside=inside,
            patience=timeout,
            poll=poll,
            connections=connections,
            meet=read_host("--meet", meet),
            dialin=read_host("--dialin", dialin),
            web_apps=read_host("--owa", web_apps),
            old_clients=old_clients,
            second_try=second_try,
            mcx=read_wire_form(mcx_form) if mcx else None,
        )
        trust = _trust(ca)
        password = None if anonymous else _password(plan.account or plan.user, password_fd)
    except (PlanError, OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    except RuntimeError as error:
        raise typer.BadParameter(f"the system's DNS servers: {error}; name one", param_hint="--dns") from None
    credentials = Credentials(plan.account or plan.user, password) if password else None
    console = Console(highlight=False, soft_wrap=True, no_color=no_color or None, quiet=as_json)
    report = asyncio.run(_run(plan, credentials, trust, lambda check: console.print(verdicts.line(check))))
    if as_json:
        typer.echo(json.dumps(verdicts.document(report), ensure_ascii=False))
    else:
        console.print(verdicts.summary(report))
        if report.sign_in:
            width = None if console.is_terminal else PIPED_WIDTH
            told = Console(highlight=False, no_color=no_color or None, width=width)
            told.print(Story(waterfall(report.sign_in, report.findings)))
    if not report.complete:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if report.ok else 1)


async def _run(
    plan: Plan, credentials: Credentials | None, trust: Trust, on_check: Callable[[Check], None]
) -> Report:
    task = asyncio.ensure_future(walk(plan, credentials, trust, on_check))
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C does not wait for the cleaning up
        task.cancel()

    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(signum, stop)
    return await task


def _trust(ca: Path | None) -> Trust:
    """Raises OSError or ValueError."""
    path = ca or Path(certifi.where())
    anchors = der_blocks(path.read_bytes())
    if not anchors:
        raise ValueError(f"--ca {path}: found no PEM certificate")
    return Trust(ssl.create_default_context(cafile=str(path)), anchors)


def _password(name: str, descriptor: int | None) -> str | None:
    """From the descriptor, the environment, or who sits there. None, or empty: there is none."""
    if descriptor is not None:
        with os.fdopen(descriptor, "rb", closefd=False) as source:
            return source.read(LONGEST_PASSWORD).decode().partition("\n")[0].rstrip("\r")
    if PASSWORD in os.environ:
        return os.environ.pop(PASSWORD)
    if not sys.stdin.isatty():
        return None
    try:
        return getpass.getpass(f"Password of {name} (Enter alone: go without): ")
    except (KeyboardInterrupt, EOFError):
        raise typer.Exit(INTERRUPTED) from None
