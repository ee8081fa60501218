"""An edge in one process: what serves, its admin listener, its reloads. The demo and the tests run it so;
`lyncgate serve` runs the parts in processes of their own (`engine.supervisor`)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from lyncgate.edge.records import Sink
from lyncgate.engine.body import edge_body
from lyncgate.engine.journaling import JournalSink
from lyncgate.engine.master import EdgeMaster, Engine, StartError
from lyncgate.engine.readiness import readiness
from lyncgate.engine.reload import Reloader
from lyncgate.engine.sinks import AccessLogSink
from lyncgate.observe.admin import Admin
from lyncgate.observe.metrics import Metrics
from lyncgate.observe.pages.site import Pages
from lyncgate.policy.load import Loaded
from lyncgate.policy.policy import Policy


@dataclasses.dataclass(slots=True)
class Running:
    """An edge that serves. `addresses`: listener name -> (host, port) pairs; `admin`: likewise."""

    master: EdgeMaster
    metrics: Metrics
    access_log: AccessLogSink
    journal: JournalSink
    reloader: Reloader
    addresses: dict[str, list[tuple[str, int]]]
    admin: tuple[str, int] | None


@contextlib.asynccontextmanager
async def running_edge(
    path: Path, first: Loaded, *sinks: Sink, engine: Engine = Engine.LANE, scripts: Sequence[Path] = ()
) -> AsyncIterator[Running]:
    """Start an edge on the running loop; on exit it is drained and stopped. `sinks`: see EdgeBody.

    Raises StartError when the policy's files or addresses can't be used.
    """
    if first.policy is None:
        raise StartError("the rules have errors")
    async with (
        edge_body(first.policy, *sinks, engine=engine, scripts=scripts) as body,
        contextlib.AsyncExitStack() as stack,
    ):
        # The admin listener outlives the others: while they drain, /readyz says so.
        pages = Pages(lambda: body.journal.reader, lambda: body.policy.admin.hosts)
        admin = Admin(body.metrics, lambda: readiness(body.master), pages)
        admin_at = await _start_admin(admin, first.policy)
        stack.push_async_callback(admin.stop)
        await body.start()
        stack.push_async_callback(body.stop)
        reloader = Reloader(path, first, adopt=body.adopt, observer=body.metrics)
        watcher = asyncio.get_running_loop().create_task(reloader.watch(), name="watch rules")
        stack.callback(watcher.cancel)
        yield Running(
            body.master,
            body.metrics,
            body.access_log,
            body.journal,
            reloader,
            body.master.addresses(),
            admin_at,
        )


async def _start_admin(admin: Admin, policy: Policy) -> tuple[str, int] | None:
    if policy.admin.bind is None:
        return None
    host, port = policy.admin.bind
    try:
        return host, await admin.start(host, port)
    except OSError as error:
        raise StartError(f"admin listener {host}:{port}: {error}") from error
