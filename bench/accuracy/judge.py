"""One fault, met a few times: run it, stitch what was seen, diagnose, and see which code comes first.

Diagnosis is given the events and nothing else: the fault's code is looked at only when it has spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import ssl
import tempfile
import time
from pathlib import Path

import msgspec
from cases import CASES, Case
from vantage import Site, watched

from lyncgate.lab.dns import estate as dns
from lyncgate.lab.estate import Estate
from lyncgate.lab.faults.catalogue import choose
from lyncgate.lab.faults.fault import Fault, Faults
from lyncgate.policy.certificates import der_blocks
from lyncgate.probe.plan import Lead, Plan
from lyncgate.probe.ticket import Credentials
from lyncgate.probe.walk import Trust, probe
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.finding import Finding
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import SignIn, SignInOutcome

RUNS = 3
ATTEMPTS = 12  # until one of two front ends was the wrong one
SETTLES = 0.5  # seconds: the last events of a sign-in come after it
BESIDE = 5.0  # seconds around a run from which healthy sign-ins elsewhere are taken
DEVICES = ("wp75", "android2010", "lync2013")
ELSEWHERE = "198.51.100.7"  # clients of another site
STAGGER = 0.7  # seconds within which others begin: they are not in step
PATIENCE = 0.5  # seconds: a probe's, for one step


@dataclasses.dataclass(frozen=True)
class Run:
    """`codes`: what was found, best first, with certainties; `beside`: healthy sign-ins that were going on;
    `misjudged`: findings of another code for somebody who got in."""

    codes: tuple[tuple[str, str], ...]
    beside: int
    misjudged: int


def meet(code: str, beside: Path | None, runs: int = RUNS) -> list[Run]:
    """Meet a fault `runs` times. `beside`: a file to which healthy sign-ins elsewhere are being written."""
    case = CASES[code]
    (chosen,) = choose(f"{code}={case.amount}" if case.amount else code)
    with tempfile.TemporaryDirectory(prefix=f"accuracy-{code}-") as directory:
        return asyncio.run(_meet(chosen, case, Path(directory) / "lab", beside, runs))


async def _meet(
    chosen: tuple[Fault, float], case: Case, directory: Path, beside: Path | None, runs: int
) -> list[Run]:
    fault, faults = chosen[0], Faults([chosen])
    if case.vantage is None:
        async with Estate.start(directory, faults=faults, poll_minimum=0.05) as estate:
            await estate.start_dns()
            return [await _probe(estate, fault, case) for _ in range(runs)]
    async with watched(directory, case.vantage, faults) as site:
        if case.before:
            await case.before(site, fault.device, fault.user)
            await _sign_in_beside(site, case)
            await asyncio.sleep(SETTLES)
        history = site.events()
        return [await _run(site, fault, case, history, beside) for _ in range(runs)]


async def _probe(estate: Estate, fault: Fault, case: Case) -> Run:
    ports = dns.ports(case.inside, estate.ports, None) | estate._proxy_ports()
    plan = Plan(
        user=fault.user,
        leads=tuple(Lead(host, port, *to) for (host, port), to in ports.items()),
        dns=(estate.dns[case.inside].address,),
        poll=0.3,
        patience=PATIENCE,
        connections=2,
        web_apps=case.web_apps,
    )
    trust = Trust(
        ssl.create_default_context(cafile=str(estate.ca_file)), der_blocks(estate.ca_file.read_bytes())
    )
    secret = f"P4ss-{fault.user.partition('@')[0]}"
    report = await probe(plan, Credentials(fault.user, secret), trust)
    return Run(_named(report.findings), 0, 0)


async def _run(site: Site, fault: Fault, case: Case, history: list[Event], beside: Path | None) -> Run:
    for _ in range(ATTEMPTS if case.now_and_then else 1):
        affected, run = await _attempt(site, fault, case, history, beside)
        if not (case.now_and_then and affected and affected.outcome is SignInOutcome.OK):
            break
    return run


async def _attempt(
    site: Site, fault: Fault, case: Case, history: list[Event], beside: Path | None
) -> tuple[SignIn | None, Run]:
    known = {event.id for event in site.events()} - {event.id for event in history}
    began = time.time()
    async with asyncio.TaskGroup() as together:
        together.create_task(_sign_in_beside(site, case))
        if case.act:
            await case.act(site, fault.device, fault.user)
    await asyncio.sleep(SETTLES)
    mine = [event for event in site.events() if event.id not in known]
    elsewhere = _elsewhere(beside, began - BESIDE, time.time()) if case.elsewhere else []
    sign_ins = stitch([*mine, *elsewhere])
    affected = _affected(sign_ins, fault.user, began, {event.id for event in mine})
    if affected is None:
        return None, Run((), 0, 0)
    findings = diagnose(affected, sign_ins)
    others = [s for s in sign_ins if s is not affected and s.outcome is SignInOutcome.OK]
    wrong = [f for s in others if s.user != fault.user for f in diagnose(s, sign_ins) if f.code != fault.code]
    return affected, Run(_named(findings), len(others), len(wrong))


async def _sign_in_beside(site: Site, case: Case) -> None:
    async with asyncio.TaskGroup() as together:
        for number, (user, past) in enumerate(
            [*((user, False) for user in case.others), *((user, True) for user in case.past)]
        ):
            device = DEVICES[number % len(DEVICES)]
            together.create_task(_quietly(site, device, user, past=past))


async def _quietly(site: Site, device: str, user: str, *, past: bool) -> None:
    await asyncio.sleep(random.uniform(0.0, STAGGER))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(40.0):
            await site.phone(device, user, past=past).sign_in()


def _elsewhere(file: Path | None, first: float, last: float) -> list[Event]:
    """Events of healthy sign-ins at another site that were seen meanwhile."""
    if file is None or not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    events = [codec.loads(line) for line in lines if line.endswith("\n")]
    return [_moved(e) for e in events if first <= e.started <= last]


def _moved(event: Event) -> Event:
    """The event at another site: servers and clients are others than here, users and names the same."""
    keys = event.keys
    if keys.client:
        keys = msgspec.structs.replace(keys, client=ELSEWHERE)
    moved = msgspec.structs.replace(event, keys=keys)
    if isinstance(moved, Exchange):
        fqdn = moved.server_fqdn and moved.server_fqdn.replace("contoso.local", "elsewhere.local")
        moved = msgspec.structs.replace(moved, source_ip=ELSEWHERE, server_fqdn=fqdn)
    elif moved.origin.startswith("trace:"):
        moved = msgspec.structs.replace(moved, origin=f"{moved.origin}.elsewhere")
    return moved


def _affected(sign_ins: list[SignIn], user: str, began: float, mine: set[str]) -> SignIn | None:
    """The sign-in that somebody complains about: the user's, or if nobody is named, that of the connections
    that came from where he is."""
    own = [s for s in sign_ins if s.user == user and s.ended >= began]
    nobodys = [s for s in sign_ins if s.user is None and any(event.id in mine for event in s.events)]
    return max(own or nobodys, key=lambda s: s.ended, default=None)


def _named(findings: tuple[Finding, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((finding.code, finding.certainty.value) for finding in findings)


def as_json(runs: list[Run]) -> str:
    """For the process that asked."""
    return json.dumps([dataclasses.asdict(run) for run in runs])
