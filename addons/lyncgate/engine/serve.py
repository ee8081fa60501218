"""Runs an edge: listeners, admin, access log, journal; reload on change and SIGHUP, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from mitmproxy.utils.asyncio_utils import set_eager_task_factory
from OpenSSL import SSL

from lyncgate.edge.addons import EdgeAddons
from lyncgate.edge.records import Sink
from lyncgate.engine.journaling import JournalSink
from lyncgate.engine.master import EdgeMaster, StartError
from lyncgate.engine.reload import Reloader
from lyncgate.observe.access_log import open_access_log
from lyncgate.observe.admin import Admin, Readiness
from lyncgate.observe.log_writer import LogWriter
from lyncgate.observe.metrics import Metrics
from lyncgate.observe.pages.site import Pages
from lyncgate.policy.load import Loaded
from lyncgate.policy.policy import AccessLog, Policy
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange

log = logging.getLogger(__name__)


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


class AccessLogSink:
    """The access log that the policy in force asks for; a reload may change or stop it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._rules: AccessLog | None = None
        self._log: LogWriter[Exchange] | None = None

    def __call__(self, event: Event) -> None:
        """Finished exchanges are written; other events are not for this log."""
        if self._log and isinstance(event, Exchange) and event.outcome is not None:
            self._log.write(event)

    def prepare(self, policy: Policy) -> Callable[[], None]:
        """Open the log that `policy` asks for. Raises OSError; else what is returned puts it in use."""
        if policy.access_log == self._rules:
            return lambda: None
        new = open_access_log(policy.access_log, self._metrics.access_log_dropped)

        def use() -> None:
            self.close()
            self._rules, self._log = policy.access_log, new

        return use

    def reopen(self) -> None:
        if self._log:
            self._log.reopen()

    def close(self) -> None:
        if self._log:
            self._log.close()
        self._log = None


@contextlib.asynccontextmanager
async def running_edge(path: Path, first: Loaded, *sinks: Sink) -> AsyncIterator[Running]:
    """Start an edge on the running loop; on exit it is drained and stopped. `sinks` hear of every
    event, from the event loop, beside the journal: finished exchanges, polls that have begun, handshakes that
    failed.

    Raises StartError when the policy's files or addresses can't be used.
    """
    if first.policy is None:
        raise StartError("the rules have errors")
    metrics = Metrics()
    metrics.configure(first.policy)
    access_log = AccessLogSink(metrics)
    with contextlib.ExitStack() as sinks_open, set_eager_task_factory():
        sinks_open.enter_context(contextlib.closing(access_log))
        try:
            access_log.prepare(first.policy)()
            journal = sinks_open.enter_context(contextlib.closing(JournalSink(first.policy, metrics)))
            addons = EdgeAddons(first.policy, metrics, access_log, journal, *sinks, hasher=journal.hasher)
        except (OSError, SSL.Error) as error:
            raise StartError(str(error)) from error
        master = EdgeMaster(addons)

        async def adopt(policy: Policy) -> None:
            use_journal, use_log = journal.prepare(policy), access_log.prepare(policy)
            await master.adopt(policy)
            metrics.configure(policy)
            use_log()
            use_journal()

        async with contextlib.AsyncExitStack() as stack:
            # The admin listener outlives the others: while they drain, /readyz says so.
            pages = Pages(lambda: journal.reader, lambda: master.edge.edge.policy.admin.hosts)
            admin = Admin(metrics, lambda: readiness(master), pages)
            admin_at = await _start_admin(admin, first.policy)
            stack.push_async_callback(admin.stop)
            await master.start()
            stack.push_async_callback(_stop, master)
            reloader = Reloader(path, first, adopt=adopt, observer=metrics)
            watcher = asyncio.get_running_loop().create_task(reloader.watch(), name="watch rules")
            stack.callback(watcher.cancel)
            yield Running(master, metrics, access_log, journal, reloader, master.addresses(), admin_at)


async def _stop(master: EdgeMaster) -> None:
    deadline = master.edge.edge.policy.timeouts.drain
    if cut := await master.drain(deadline):
        log.warning("%d exchanges were still in flight after %g s and were cut", cut, deadline)
    await master.stop()


async def serve(path: Path, first: Loaded, started: Callable[[Running], None]) -> None:
    """Serve until SIGTERM or SIGINT. SIGHUP reloads the rules and reopens the access log."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    async with running_edge(path, first) as running:
        reloads: set[asyncio.Task[bool]] = set()

        def hang_up() -> None:
            running.access_log.reopen()
            task = loop.create_task(running.reloader.reload(), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        started(running)
        await stop.wait()
        log.info("stopping: no new connections, exchanges in flight may end")


async def _start_admin(admin: Admin, policy: Policy) -> tuple[str, int] | None:
    if policy.admin.bind is None:
        return None
    host, port = policy.admin.bind
    try:
        return host, await admin.start(host, port)
    except OSError as error:
        raise StartError(f"admin listener {host}:{port}: {error}") from error


def readiness(master: EdgeMaster) -> Readiness:
    """Every listener bound, every pool with a usable member, and not about to stop."""
    edge = master.edge.edge
    reasons = []
    if edge.draining:
        reasons.append("stopping")
    elif not master.listening:
        reasons.append("not every listener is open")
    pools = {}
    for name, pool in edge.pools.items():
        pools[name] = {
            state.name: {
                "usable": state.usable,
                "drain": state.member.drain,
                "requests": state.requests,
                "checks": {check: result.up for check, result in state.checks.items()},
            }
            for state in pool.members
        }
        if not any(state.usable for state in pool.members):
            reasons.append(f"pool {name} has no usable member")
    details = {"policy": edge.policy.version, "listeners": master.addresses(), "pools": pools}
    return Readiness(not reasons, tuple(reasons), details)
