"""The walk: a sign-in's stages in order, as far as they lead, then what lies beside them.

    report = await probe(plan, Credentials("alice@contoso.example", password), trust, on_check=print)

Whatever a server answers ends in a line. Cancelled, it cleans up, and reports what there is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import ssl
import time
from collections.abc import Callable, Sequence

from lyncgate.lync.stages import Stage
from lyncgate.probe import discovery, judge, mcx, mobility, pages, ticket
from lyncgate.probe.check import Check, Report, Verdict
from lyncgate.probe.doors import Doors
from lyncgate.probe.kit import Kit
from lyncgate.probe.names import Names
from lyncgate.probe.plan import Plan
from lyncgate.probe.record import Record
from lyncgate.probe.ticket import Credentials
from lyncgate.probe.web import Web
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.finding import Finding
from lyncgate.signin.keys import Hasher
from lyncgate.signin.stages import assemble
from lyncgate.signin.story import Joined, SignIn


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """Whom clients trust: the same authorities as a context that verifies, and in DER."""

    context: ssl.SSLContext
    anchors: Sequence[bytes]


async def probe(
    plan: Plan,
    credentials: Credentials | None,
    trust: Trust,
    on_check: Callable[[Check], None] = lambda _check: None,
) -> Report:
    """Do it all. `credentials` None: the walk ends at the 401."""
    record = Record(plan.user, on_check)
    record.inside = plan.inside
    names = Names(plan.dns, record, plan.patience)
    doors = Doors(plan, record, names, trust.anchors)
    web = Web(plan, record, doors, trust.context, Hasher(secrets.token_bytes(32)))
    complete = True
    try:
        await _walk(Kit(plan, record, names, doors, web), credentials)
    except asyncio.CancelledError:
        complete = False
    finally:
        await web.close()
    return report(record, complete=complete)


async def _walk(kit: Kit, credentials: Credentials | None) -> None:
    user_url = await discovery.discover(kit)
    if kit.record.inside is None:
        kit.record.inside = False
    if user_url is None:
        said = "nothing leads to a user document: the walk ends at discovery"
        kit.record.check(Stage.LOCATE, "user document", Verdict.SKIPPED, said)
    else:
        home = await ticket.sign_in(kit, user_url, credentials)
        if home:
            await pages.links(kit, home.document)
            await mobility.use_ucwa(kit, home)
            await mcx.use_mcx(kit, home)
        web = judge.host_of(user_url)
        await pages.forbidden(kit, web)
        await pages.plain_http(kit, [web])
    await pages.simple_urls(kit)
    await pages.web_apps(kit)
    await pages.services(kit)
    await pages.sip_names(kit)


def report(record: Record, *, complete: bool = True) -> Report:
    """What came of it. The stages are those of the walk; findings see the tests beside it, too."""
    walk, events = record.events()
    sign_in: SignIn | None = None
    findings: tuple[Finding, ...] = ()
    if walk:
        joined = {event.id: Joined.KEY for event in events}
        sign_in = dataclasses.replace(
            assemble(secrets.token_hex(8), walk, joined),
            user=record.user,
            events=events,
            joined=tuple((event.id, Joined.KEY) for event in events),
        )
        findings = diagnose(sign_in)
    return Report(
        user=record.user,
        inside=bool(record.inside),
        started=record.started,
        seconds=time.time() - record.started,
        checks=tuple(record.checks),
        events=events,
        sign_in=sign_in,
        findings=findings,
        complete=complete,
    )
