"""`lyncgate demo`: lab, edge, and phones that sign in through both: one well, three badly.

Everything is real but the pool's make: sockets, TLS with the lab's own CA, NTLM, DNS, traces. Ends with
status 0 only if all went as it should: all fourteen stages of the good one seen, and each of the others
explained by the right finding.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from lyncgate.cli.demoestate import PLAYS, USER, DemoEstate, Play, UnservableError, demo_estate
from lyncgate.cli.steps import step_line
from lyncgate.cli.waterfall import Story
from lyncgate.lab.report import SignInReport
from lyncgate.lab.rules import NotOfTheLabError
from lyncgate.policy.explain import explain, render
from lyncgate.policy.routetests import make_request
from lyncgate.signin.codec import document
from lyncgate.signin.finding import Finding
from lyncgate.signin.rows import row_states
from lyncgate.signin.story import SignIn, SignInOutcome, StageState
from lyncgate.signin.waterfall import waterfall

EXPLAINED = f"https://lyncdiscover.contoso.example/?sipuri={USER}"
PIPED_WIDTH = 110  # columns, where there is no terminal to ask


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """A play, what its phone says, and what the edge makes of it."""

    play: Play
    report: SignInReport
    sign_in: SignIn
    findings: tuple[Finding, ...]

    @property
    def as_it_should(self) -> bool:
        if self.play.code:
            return self.sign_in.outcome is SignInOutcome.FAILED and bool(
                self.findings and self.findings[0].code == self.play.code
            )
        states = row_states({view.stage: view.state for view in self.sign_in.stages})
        seen = all(state is StageState.OK for state in states)
        return self.sign_in.outcome is SignInOutcome.OK and seen and not self.findings


def demo(
    rules: Annotated[
        Path | None,
        typer.Option(help="Rules to serve by, put in front of the lab. Default: the lab's own."),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave lab, edge and its page running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The sign-ins as JSON.")] = False,
) -> None:
    """Run a lab, an edge and phones: the fourteen stages of a sign-in, and three that fail, explained."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    try:
        template = rules.read_text() if rules else None
    except OSError as error:
        raise typer.BadParameter(f"{rules}: {error.strerror}", param_hint="--rules") from None
    console = Console(highlight=False, quiet=as_json, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="lyncgate-demo-") as directory:
        try:
            ok = asyncio.run(_demo(Path(directory), template, console, keep=keep, as_json=as_json))
        except NotOfTheLabError as error:
            raise typer.BadParameter(str(error), param_hint="--rules") from None
        except UnservableError:
            raise typer.Exit(1) from None
    raise typer.Exit(0 if ok else 1)


async def _demo(
    directory: Path, template: str | None, console: Console, *, keep: bool, as_json: bool
) -> bool:
    async with demo_estate(directory, template) as estate:
        _introduce(console, estate)
        reports = [await _play(console, estate, play) for play in PLAYS]
        console.print(
            Text("\nedge   ", "bold cyan") + Text("waits for ten quiet seconds: then a sign-in is over\n")
        )
        judged = await estate.judged(PLAYS)
        shown = [_Shown(play, report, *story) for play, report, story in _told(estate, reports)]
        ok = judged and len(shown) == len(PLAYS) and all(one.as_it_should for one in shown)
        if as_json:
            typer.echo(json.dumps(_document(estate, shown, ok), indent=2))
        else:
            _show(console, estate, shown)
        if keep:
            _invite(console, estate)
            await _until_told()
    return ok


def _introduce(console: Console, estate: DemoEstate) -> None:
    members = " and ".join(name for name in estate.lab.running if name.startswith("fe0"))
    listening = ", ".join(
        f"{name} {host}:{port}" for name, ((host, port), *_) in estate.edge.addresses.items()
    )
    for who, what in (
        ("lab", f"pool01 of {members}, DNS, a push service; files in {estate.lab.directory}"),
        ("edge", f"{listening}, admin {estate.admin or 'off'}"),
    ):
        console.print(Text(f"{who:7}", "bold cyan") + Text(what))


async def _play(console: Console, estate: DemoEstate, play: Play) -> SignInReport:
    """The first one step by step; of the others what their users see."""
    console.print()
    console.print(Text("phone  ", "bold cyan") + Text(f"{play.user} on {play.device}: {play.title}"))
    first = play is PLAYS[0]
    report = await estate.sign_in(play, (lambda step: console.print(step_line(step))) if first else None)
    if report.ok:
        console.print(Text(f"  signed in, {len(report.steps)} steps in {report.seconds:.2f} s", "bold green"))
    elif report.failed:
        console.print(step_line(report.failed))
    return report


def _told(
    estate: DemoEstate, reports: list[SignInReport]
) -> list[tuple[Play, SignInReport, tuple[SignIn, tuple[Finding, ...]]]]:
    found = [(play, report, estate.story(play)) for play, report in zip(PLAYS, reports, strict=True)]
    return [(play, report, story) for play, report, story in found if story]


def _show(console: Console, estate: DemoEstate, shown: list[_Shown]) -> None:
    page = console if console.is_terminal else Console(highlight=False, width=PIPED_WIDTH)
    for one in shown:
        expected = "" if one.as_it_should else "  not as it should be"
        page.rule(Text.assemble((one.play.title, "bold"), (expected, "bold red")), align="left")
        page.print(Story(waterfall(one.sign_in, one.findings)))
        page.print()
    console.print(Text("In numbers  ", "bold") + Text(f"{estate.admin}/metrics"))
    console.print(Text("As a page   ", "bold") + Text(f"{estate.admin}/  (with --keep)"))
    policy = estate.edge.master.edge.edge.policy
    request = make_request(policy, EXPLAINED, method="GET", source="127.0.0.1", user=None)
    console.print(f"\n$ lyncgate explain '{EXPLAINED}'\n{render(explain(policy, request))}")


def _document(estate: DemoEstate, shown: list[_Shown], ok: bool) -> dict[str, Any]:
    """`sign_ins` are as `lyncgate signin --json` has them, with what they were to show."""
    return {
        "ok": ok,
        "page": f"{estate.admin}/",
        "metrics": f"{estate.admin}/metrics",
        "sign_ins": [
            {
                "play": one.play.title,
                "expected": one.play.code,
                "as_it_should": one.as_it_should,
                **document(one.sign_in, one.findings),
            }
            for one in shown
        ],
    }


def _invite(console: Console, estate: DemoEstate) -> None:
    http_host, http_port = estate.http
    https_host, https_port = estate.https
    secure = f"curl --cacert {estate.lab.ca_file} --connect-to ::{https_host}:{https_port}"
    ticket = "https://lyncweb.contoso.example/groupexpansion/service.svc"
    console.print("\nLeft running. To try:")
    for command in (
        f"curl {estate.admin}/signins",
        f"lyncgate signins --rules {estate.rules}",
        f"lyncgate signin --rules {estate.rules} last --events",
        f"{secure} '{EXPLAINED}'",
        f"curl -i --connect-to ::{http_host}:{http_port} http://meet.contoso.example/alice",
        f"{secure} --ntlm -u '{USER}:{estate.password(PLAYS[0])}' {ticket}",
        f"curl {estate.admin}/readyz",
        f"lyncgate explain --rules {estate.rules} '{EXPLAINED}'",
        f"tail -f {estate.rules.parent}/access.log",
    ):
        console.print(f"  {command}")
    console.print(f"  a browser: {estate.admin}/ has the sign-ins; the edge's own sites with")
    console.print(f"  --host-resolver-rules='MAP *.contoso.example:443 {https_host}:{https_port}'")
    console.print("Ctrl-C ends it.")


async def _until_told() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
