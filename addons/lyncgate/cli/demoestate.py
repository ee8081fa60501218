"""What the demo runs: a lab with DNS and traces, an edge in front that follows both, phones, and the sign-ins
that the edge has made of it all.

    async with demo_estate(directory, template) as estate:
        report = await estate.sign_in(PLAYS[0])
        await estate.judged(PLAYS[:1])
        sign_in, findings = estate.story(PLAYS[0])
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import yaml

from lyncgate.cli.rules import show_problems
from lyncgate.client.dns import Resolver
from lyncgate.client.names import Address
from lyncgate.engine.rules import read_rules
from lyncgate.engine.serve import Running, running_edge
from lyncgate.lab import topology
from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.server import LOG_FILE
from lyncgate.lab.estate import Estate
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lab.report import SignInReport, Step
from lyncgate.lab.rules import LOOPBACK, placed
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.story import SignIn, SignInOutcome

USER = "alice@contoso.example"
POLL = 2  # seconds that phones let a poll hang: UCWA's shortest is 180 s, but the demo is to end
JUDGED_WITHIN = 25.0  # seconds: a sign-in is over when nothing was heard of it for ten
TRACED = ("fe01", "fe02", "sip")  # servers whose traces the edge follows


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """A sign-in to show. `code`: the finding that it must get; None: it must succeed. `breaks`: a path that
    the edge's rules stop publishing before."""

    title: str
    device: str
    user: str = USER
    password: str | None = None  # None: the right one
    code: str | None = None
    breaks: str | None = None


PLAYS = (
    Play("a healthy sign-in", "wp75"),
    Play("the password is wrong", "wp75", password="P4ss-mistyped", code="F21"),  # noqa: S106
    Play("mobility is off for the user", "lync2013", "frank@contoso.example", code="F40"),
    Play(
        "/CertProv is not published any more", "wp75", "bob@contoso.example", code="F48", breaks="/CertProv"
    ),
)


class UnservableError(Exception):
    """The rules can't be served; their problems were shown."""


@dataclasses.dataclass(slots=True)
class DemoEstate:
    """A lab and an edge that run. `exchanges`: those that ended so far."""

    lab: Estate
    edge: Running
    rules: Path
    exchanges: list[Exchange]
    _devices: list[Device] = dataclasses.field(default_factory=list)

    @property
    def http(self) -> Address:
        return self.edge.addresses["http"][0]

    @property
    def https(self) -> Address:
        return self.edge.addresses["https"][0]

    @property
    def admin(self) -> str | None:
        """URL of the admin listener, without a path."""
        return f"http://{self.edge.admin[0]}:{self.edge.admin[1]}" if self.edge.admin else None

    def password(self, play: Play) -> str:
        user = self.lab.people.by_sip(play.user)
        return play.password or (user.password if user else "")

    async def sign_in(self, play: Play, on_step: Callable[[Step], None] | None = None) -> SignInReport:
        """A phone of that make signs in through the edge, and leaves."""
        if play.breaks:
            await self._stop_publishing(play.breaks)
        external = self.lab.dns[View.EXTERNAL].address
        ports = {(LOOPBACK, 80): self.http, (LOOPBACK, 443): self.https}
        phone = DEVICES[play.device](
            play.user,
            self.password(play),
            names=Resolver(external, ports),
            tls=ssl.create_default_context(cafile=str(self.lab.ca_file)),
            poll_timeout=POLL,
            push=(topology.PUSH_ADDRESS, self.lab.ports.push),
            on_step=on_step,
        )
        return await phone.sign_in()

    async def judged(self, plays: tuple[Play, ...]) -> bool:
        """Wait until the edge has made up its mind about all of them."""
        until = time.monotonic() + JUDGED_WITHIN
        while time.monotonic() < until:
            await asyncio.to_thread(self.edge.journal.flush)
            stories = [self.story(play) for play in plays]
            if all(story and story[0].outcome is not SignInOutcome.OPEN for story in stories):
                return True
            await asyncio.sleep(0.2)
        return False

    def story(self, play: Play) -> tuple[SignIn, tuple[Finding, ...]] | None:
        """What the edge's journal has of it. The same user signs in twice: first well, then badly."""
        reader = self.edge.journal.reader
        rows = sorted(reader.list(user=play.user), key=lambda row: row.started)
        if not rows:
            return None
        row = rows[0] if play.code is None else rows[-1]
        return reader.detail(row.id)

    async def _stop_publishing(self, path: str) -> None:
        """As an operator would: edit rules.yaml, reload."""
        document = yaml.safe_load(self.rules.read_text())
        for publication in document["publications"]:
            if any(host.startswith("lyncweb") for host in publication["hosts"]):
                publication.setdefault("except", []).append(path)
        self.rules.write_text(yaml.safe_dump(document, sort_keys=False))
        await self.edge.reloader.reload()


@contextlib.asynccontextmanager
async def demo_estate(directory: Path, template: str | None) -> AsyncIterator[DemoEstate]:
    """`template`: rules to serve by, put in front of the lab; None: the lab's own.

    Raises UnservableError, and lab.rules.NotOfTheLabError if the template is of another pool.
    """
    place = directory / "lab"
    async with Estate.start(place, poll_minimum=1.0, trace=True) as lab:
        await lab.start_dns(LOOPBACK)
        rules = directory / "rules.yaml"
        rules.write_text(_with_journal(placed(template, lab.ports) if template else lab.rules_yaml(), place))
        loaded = read_rules(rules)
        if loaded.policy is None:
            show_problems(loaded.problems)
            raise UnservableError
        exchanges: list[Exchange] = []

        def collect(event: object) -> None:
            if isinstance(event, Exchange) and event.outcome is not None:
                exchanges.append(event)

        async with running_edge(rules, loaded, collect) as edge:
            await asyncio.to_thread(edge.journal.flush)  # it follows from here on: nothing is missed
            yield DemoEstate(lab, edge, rules, exchanges)


def _with_journal(text: str, place: Path) -> str:
    """The rules, with an access log, and a journal that follows what the lab's servers write."""
    document = yaml.safe_load(text)
    traces = [{"trace": str(place / "traces" / f"{name}.log"), "server": name} for name in TRACED]
    document["access_log"] = {"path": "access.log"}
    document["journal"] = {"path": "journal.db", "follow": [{"dns": str(place / LOG_FILE)}, *traces]}
    return yaml.safe_dump(document, sort_keys=False)
