"""Probes of labs: where everything really is, and a walk in the test's own loop."""

import asyncio
import ssl
from pathlib import Path

from lyncgate.lab.dns import estate as dns
from lyncgate.lab.dns.estate import View
from lyncgate.lab.estate import Estate
from lyncgate.policy.certificates import der_blocks
from lyncgate.probe.check import Check, Report, Verdict
from lyncgate.probe.plan import Lead, Plan
from lyncgate.probe.ticket import Credentials
from lyncgate.probe.walk import Trust, probe
from support.estate import RunningEstate


def trust(ca: Path) -> Trust:
    """Clients that trust a lab."""
    return Trust(ssl.create_default_context(cafile=str(ca)), der_blocks(ca.read_bytes()))


def leads(estate: Estate, view: View = View.EXTERNAL) -> tuple[Lead, ...]:
    """The ports that stand for 80, 443 and 5061, by address."""
    ports = dns.ports(view, estate.ports, None)
    for at, proxy in estate.proxies.items():
        ports |= {(at, 80): proxy.http, (at, 443): proxy.https}
    return tuple(Lead(host, port, to, to_port) for (host, port), (to, to_port) in ports.items())


def walk(
    lab: RunningEstate,
    user: str = "alice@contoso.example",
    *,
    password: str | None = "",
    view: View = View.EXTERNAL,
    **options: object,
) -> Report:
    """Probe a lab. `password`: "" is the lab's, None none."""
    if not lab.estate.dns:
        lab.run(lab.estate.start_dns())
    plan = Plan(
        user=user,
        leads=leads(lab.estate, view),
        dns=(lab.estate.dns[view].address,),
        **{"poll": 0.3, "patience": 3.0, "connections": 2, **options},  # type: ignore[arg-type]
    )
    credentials = None
    if password is not None:
        credentials = Credentials(user, password or f"P4ss-{user.partition('@')[0]}")
    return asyncio.run(probe(plan, credentials, trust(lab.estate.ca_file)))


def codes(report: Report) -> list[str]:
    """The findings."""
    return [finding.code for finding in report.findings]


def bad(report: Report) -> list[tuple[str | None, str, str]]:
    """(stage, what, said) of the lines with FAIL."""
    return [(c.stage, c.what, c.said) for c in report.checks if c.verdict is Verdict.FAIL]


def line(report: Report, what: str) -> Check:
    """The one line that is about `what`."""
    (found,) = [check for check in report.checks if what in check.what]
    return found
