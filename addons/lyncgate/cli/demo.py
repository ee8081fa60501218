"""`lyncgate demo`: the lab, an edge in front of it, and a phone that signs in through both.

Everything is real but the pool's make: sockets, TLS with the lab's own CA, NTLM. Ends with status 0
only if the sign-in succeeded.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
import ssl
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from lyncgate.cli.rules import show_problems
from lyncgate.cli.steps import step_line
from lyncgate.client.names import NameMap
from lyncgate.engine.rules import read_rules
from lyncgate.engine.serve import Running, running_edge
from lyncgate.lab.estate import Estate
from lyncgate.lab.phone import Phone
from lyncgate.lab.report import SignInReport
from lyncgate.lab.rules import NotOfTheLabError, placed
from lyncgate.policy.explain import explain, render
from lyncgate.policy.routetests import make_request
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Outcome, Phase

USER = "alice@contoso.example"
EXPLAINED = f"https://lyncdiscover.contoso.example/?sipuri={USER}"
ACCESS_LOG = "access_log: {path: access.log}\n"


@dataclasses.dataclass(slots=True)
class _Played:
    """What the demo has to show."""

    report: SignInReport
    exchanges: list[Exchange]
    explanation: str


def demo(
    rules: Annotated[
        Path | None,
        typer.Option(help="Rules to serve by, put in front of the lab. Default: the lab's own."),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave lab and edge running for a browser and curl.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The sign-in as JSON.")] = False,
) -> None:
    """Run a lab, an edge and a phone: a sign-in through the edge, stage by stage."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    try:
        template = rules.read_text() if rules else None
    except OSError as error:
        raise typer.BadParameter(f"{rules}: {error.strerror}", param_hint="--rules") from None
    with tempfile.TemporaryDirectory(prefix="lyncgate-demo-") as directory:
        ok = asyncio.run(_demo(Path(directory), template, keep=keep, as_json=as_json))
    raise typer.Exit(0 if ok else 1)


async def _demo(directory: Path, template: str | None, *, keep: bool, as_json: bool) -> bool:
    console = Console(highlight=False, quiet=as_json, soft_wrap=True)
    exchanges: list[Exchange] = []

    def keep_finished(event: Event) -> None:
        if isinstance(event, Exchange) and event.outcome is not None:
            exchanges.append(event)

    # UCWA polls last 180 s at least; the lab's may be shorter so that the demo is.
    async with Estate.start(directory / "lab", poll_minimum=1.0) as estate:
        console.print(
            Text("lab   ", "bold cyan") + Text(f"pool01 of {_members(estate)}, files in {estate.directory}")
        )
        rules = directory / "rules.yaml"
        try:
            written = placed(template, estate.ports) if template else estate.rules_yaml()
        except NotOfTheLabError as error:
            raise typer.BadParameter(str(error), param_hint="--rules") from None
        rules.write_text(written + ACCESS_LOG)
        loaded = read_rules(rules)
        if loaded.policy is None:
            show_problems(loaded.problems)
            return False
        async with running_edge(rules, loaded, keep_finished) as running:
            names = _names(estate, running)
            console.print(Text("edge  ", "bold cyan") + Text(_listening(running)))
            console.print(Text("phone ", "bold cyan") + Text(f"{USER} signs in\n"))
            report = await Phone(
                USER,
                _password(estate),
                names=names,
                tls=ssl.create_default_context(cafile=str(estate.ca_file)),
                poll_timeout=2,
                on_step=lambda step: console.print(step_line(step)),
            ).sign_in()
            request = make_request(loaded.policy, EXPLAINED, method="GET", source="127.0.0.1", user=None)
            explanation = render(explain(loaded.policy, request))
            played = _Played(report, exchanges, explanation)
            if as_json:
                typer.echo(json.dumps(_document(played, running), indent=2))
            else:
                _show(console, played, running)
            if keep:
                _invite(console, estate, running)
                await _until_told()
    return report.ok


def _password(estate: Estate) -> str:
    user = estate.people.by_sip(USER)
    return user.password if user else ""


def _members(estate: Estate) -> str:
    return " and ".join(name for name in estate.running if name.startswith("fe0"))


def _names(estate: Estate, running: Running) -> NameMap:
    return estate.names(running.addresses["http"][0], running.addresses["https"][0])


def _listening(running: Running) -> str:
    at = ", ".join(f"{name} {host}:{port}" for name, ((host, port), *_) in running.addresses.items())
    return f"{at}, admin {_admin(running)}"


def _admin(running: Running) -> str:
    return f"http://{running.admin[0]}:{running.admin[1]}" if running.admin else "off"


def _show(console: Console, played: _Played, running: Running) -> None:
    report = played.report
    console.print()
    if report.ok:
        console.print(Text(f"signed in, {len(report.steps)} steps in {report.seconds:.2f} s", "bold green"))
    elif report.failed:
        console.print(Text(f"failed at {report.failed.stage}: {report.failed.detail}", "bold red"))
    console.print("\nWhat the edge decided, request by request:\n")
    for exchange in played.exchanges:
        console.print(_decided(exchange))
    console.print(f"\nThe same in numbers: {_admin(running)}/metrics")
    console.print(f"\n$ lyncgate explain '{EXPLAINED}'\n{played.explanation}")


def _decided(exchange: Exchange) -> Text:
    line = Text(f"  {exchange.status or '-'} ", "green" if exchange.outcome is Outcome.OK else "bold red")
    line += Text(f"{_milliseconds(exchange, Phase.TOTAL):>8} ms  ", "yellow")
    line += Text(f"{exchange.decision:8} ", "bold") + Text(f"{exchange.member or 'edge':5} ")
    line += Text(f"{exchange.method} {exchange.scheme}://{exchange.host}{exchange.path}")
    return line + Text(f"  {exchange.rule}", "dim")


def _milliseconds(exchange: Exchange, phase: Phase) -> str:
    seconds = exchange.phases.get(phase)
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def _document(played: _Played, running: Running) -> dict[str, object]:
    report = played.report
    return {
        "ok": report.ok,
        "user": report.user,
        "seconds": report.seconds,
        "steps": [dataclasses.asdict(step) for step in report.steps],
        "exchanges": [dataclasses.asdict(exchange) for exchange in played.exchanges],
        "metrics": f"{_admin(running)}/metrics",
    }


def _invite(console: Console, estate: Estate, running: Running) -> None:
    (http_host, http_port), (https_host, https_port) = (
        running.addresses[name][0] for name in ("http", "https")
    )
    trust = f"--cacert {estate.ca_file}"
    secure = f"curl {trust} --connect-to ::{https_host}:{https_port}"
    ticket = "https://lyncweb.contoso.example/groupexpansion/service.svc"
    password = _password(estate)
    console.print("\nLeft running. To try:")
    for command in (
        f"{secure} '{EXPLAINED}'",
        f"curl -i --connect-to ::{http_host}:{http_port} http://meet.contoso.example/alice",
        f"{secure} --ntlm -u '{USER}:{password}' {ticket}",
        f"curl {_admin(running)}/readyz",
        f"lyncgate explain --rules {estate.directory.parent}/rules.yaml '{EXPLAINED}'",
        f"tail -f {estate.directory.parent}/access.log",
    ):
        console.print(f"  {command}")
    console.print(
        "  a browser: "
        f"--host-resolver-rules='MAP *.contoso.example:443 {https_host}:{https_port}', "
        "then https://meet.contoso.example/alice"
    )
    console.print("Ctrl-C ends it.")


async def _until_told() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
