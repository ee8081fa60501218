"""`lyncgate phone`: sign phones in, one to look at or hundreds to load a server with.

lyncgate phone --to LAB                                      one phone, step by step
lyncgate phone --to 127.0.0.1:8443 --to http://127.0.0.1:8080 --ca LAB/ca.pem
lyncgate phone --to LAB --device android2010 --user 'user[01-50]@contoso.example' \\
               --count 500 --rate 20/s --hold 60
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lyncgate.cli.steps import step_line
from lyncgate.cli.wireform import read_wire_form
from lyncgate.lab.phones.crowd import Crowd
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lab.phones.mcx import McxDevice
from lyncgate.lab.phones.summary import PERCENTILES, Summary, percentiles
from lyncgate.lab.phones.target import address, target, users

GLANCE = 0.25  # seconds between two looks at the crowd
LAB_PASSWORD = "P4ss-{name}"  # noqa: S105 - of the lab's people, no secret
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def phone(
    to: Annotated[
        list[str] | None,
        typer.Option(help="A lab's directory, or HOST:PORT of an edge; http://HOST:PORT beside it."),
    ] = None,
    device: Annotated[str, typer.Option(help=f"One of {', '.join(DEVICES)}.")] = "lync2013",
    user: Annotated[
        str, typer.Option(help="SIP address; user[01-50]@… for many, taken in turn.")
    ] = "alice@contoso.example",
    password: Annotated[
        str, typer.Option(envvar="LYNCGATE_PHONE_PASSWORD", help="{name} is the user's, before the @.")
    ] = LAB_PASSWORD,
    count: Annotated[int, typer.Option(min=1, help="How many phones.")] = 1,
    rate: Annotated[str, typer.Option(help="How many arrive in a time: 20/s, 90/m.")] = "10/s",
    hold: Annotated[float, typer.Option(min=0, help="Seconds that each stays signed in.")] = 0.0,
    poll_timeout: Annotated[int, typer.Option(min=1, help="Seconds that a poll may be held.")] = 180,
    dial: Annotated[str, typer.Option(help="A number to dial, to see the dial plan work.")] = "5550100",
    dns: Annotated[str | None, typer.Option(help="HOST:PORT of the DNS server that the phones ask.")] = None,
    push: Annotated[
        str | None, typer.Option(help="HOST:PORT of the push service. Default: the lab's, if --to names one.")
    ] = None,
    mcx_form: Annotated[
        str, typer.Option("--mcx", help="Names on MCX's wire, the same as the server's (lyncgate lab --mcx).")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option(help="Authorities to trust. Default: the lab's, or the system's.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary, or the steps of one phone, as JSON.")
    ] = False,
) -> None:
    """Sign phones in, over real TCP, TLS and NTLM: one step by step, or a crowd with a summary."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    if device not in DEVICES:
        raise typer.BadParameter(f"no such device; there are {', '.join(DEVICES)}", param_hint="--device")
    McxDevice.form = read_wire_form(mcx_form)  # of all devices here: they speak to one server
    per_second = _rate(rate)
    try:
        where = target(to or [], address(dns) if dns else None, ca)
        people = users(user)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)

    def make(number: int) -> Device:
        sip = people[number % len(people)]
        return DEVICES[device](
            sip,
            password.replace("{name}", sip.partition("@")[0]),
            names=where.names(),
            tls=where.tls,
            poll_timeout=poll_timeout,
            dialled=dial,
            push=address(push) if push else where.push,
            on_step=(lambda step: console.print(step_line(step))) if count == 1 else None,
        )

    crowd = Crowd(make, count=count, rate=per_second, hold=hold)
    summary = asyncio.run(_run(crowd, Console(stderr=True, quiet=count == 1)))
    if as_json:
        typer.echo(json.dumps({"device": device, "peak_rss": _peak_rss(), **summary.document()}))
    else:
        _show(console, summary, stages=count > 1)
    raise typer.Exit(0 if summary.ok == count else 1)


def _rate(text: str) -> float:
    number, _, unit = text.partition("/")
    try:
        rate = float(number) / _UNITS[unit or "s"]
    except (ValueError, KeyError):
        rate = 0.0
    if not 0.0 < rate < float("inf"):
        raise typer.BadParameter(f"{text!r} is no rate such as 20/s, 90/m", param_hint="--rate")
    return rate


def _peak_rss() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _run(crowd: Crowd, console: Console) -> Summary:
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, crowd.stop)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=crowd.count)
        running = asyncio.create_task(crowd.run())
        while not running.done():
            await asyncio.wait({running}, timeout=GLANCE)
            crowd.observe()
            summary = crowd.summary
            progress.update(
                bar,
                completed=summary.ok + summary.failed,
                description=f"{crowd.started}/{crowd.count} started, {crowd.arriving} arriving, "
                f"{crowd.present} signed in, {crowd.polls} polls held, {summary.failed} failed",
            )
    return await running


def _show(console: Console, summary: Summary, *, stages: bool) -> None:
    console.print(
        f"\n{summary.ok} signed in, {summary.failed} failed, {summary.rate:.1f} sign-ins/s; at most "
        f"{summary.most_at_once} at once, {summary.most_polls} polls held, {summary.polls} answered; "
        f"this process took {_peak_rss() / 1e6:.0f} MB\n"
    )
    table = Table(
        "stage", *(f"p{percent}" for percent in PERCENTILES), "phones", box=None, header_style="bold"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, values in [*summary.by_stage(), ("sign-in", summary.seconds)]:
        if found := percentiles(values):
            times = (f"{found[f'p{percent}'] * 1000:.1f} ms" for percent in PERCENTILES)
            table.add_row(name, *times, str(int(found["count"])))
    if stages:
        console.print(table)
    for failure, number in summary.worst():
        status = f"status {failure.status}: " if failure.status else ""
        console.print(Text(f"{number} × {failure.stage}  ", "bold red") + Text(f"{status}{failure.detail}"))
