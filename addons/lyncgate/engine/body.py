"""What serves: the master with its listeners, and what hears of every exchange: metrics, access log, journal.

One worker is one of these. Who answers /metrics and who watches rules.yaml is not its concern: the tests and
the demo do it in the same process (`engine.serve`), `lyncgate serve` in another one (`engine.supervisor`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from socket import socket

from OpenSSL import SSL

from lyncgate.edge.addons import EdgeAddons
from lyncgate.edge.records import Sink
from lyncgate.engine.journaling import JournalSink
from lyncgate.engine.loop import eager_tasks
from lyncgate.engine.master import EdgeMaster, Engine, StartError
from lyncgate.engine.sinks import AccessLogSink
from lyncgate.engine.sockets import Place, Sockets
from lyncgate.observe.metrics import Metrics
from lyncgate.policy.policy import Policy

log = logging.getLogger(__name__)


class EdgeBody:
    """`sinks` hear of every event, from the event loop, beside the journal: finished exchanges, polls that
    have begun, handshakes that failed. `keeps_journal`: no other process stitches its events. Must be made on
    the running event loop."""

    def __init__(
        self,
        policy: Policy,
        *sinks: Sink,
        engine: Engine = Engine.LANE,
        scripts: Sequence[Path] = (),
        keeps_journal: bool = True,
    ) -> None:
        """Raises StartError when the policy's files, or a script, can't be used."""
        self.metrics = Metrics()
        self.metrics.configure(policy)
        self.access_log = AccessLogSink(self.metrics)
        with contextlib.ExitStack() as opened:
            opened.enter_context(contextlib.closing(self.access_log))
            try:
                self.access_log.prepare(policy)()
                journal = JournalSink(policy, self.metrics, keeps=keeps_journal)
                self.journal = opened.enter_context(contextlib.closing(journal))
                addons = EdgeAddons(
                    policy, self.metrics, self.access_log, self.journal, *sinks, hasher=self.journal.hasher
                )
                self.master = EdgeMaster(addons, engine, scripts)
            except (OSError, SSL.Error) as error:
                raise StartError(str(error)) from error
            self._opened = opened.pop_all()

    @property
    def policy(self) -> Policy:
        """The one in force."""
        return self.master.edge.edge.policy

    async def start(self, sockets: Sockets | None = None) -> None:
        """Open all listeners: on `sockets` where there are some, bound here where there are none."""
        await self.master.start(sockets)

    async def adopt(self, policy: Policy, sockets: Mapping[Place, Sequence[socket]] | None = None) -> None:
        """Put a new policy in force without touching open connections. `sockets`: instead of those before.

        Raises OSError, OpenSSL.SSL.Error or StartError; then the old policy is in force as before.
        """
        use_journal, use_log = self.journal.prepare(policy), self.access_log.prepare(policy)
        await self.master.adopt(policy, sockets)
        self.metrics.configure(policy)
        use_log()
        use_journal()

    async def stop(self) -> None:
        """Accept no more, let exchanges end up to `timeouts.drain`, cut the rest."""
        deadline = self.policy.timeouts.drain
        if cut := await self.master.drain(deadline):
            log.warning("%d exchanges were still in flight after %g s and were cut", cut, deadline)
        await self.master.stop()

    def close(self) -> None:
        """Write what is buffered, and end."""
        self._opened.close()


@contextlib.asynccontextmanager
async def edge_body(
    policy: Policy,
    *sinks: Sink,
    engine: Engine = Engine.LANE,
    scripts: Sequence[Path] = (),
    keeps_journal: bool = True,
) -> AsyncIterator[EdgeBody]:
    """One on the running loop, not started yet. Raises StartError."""
    with eager_tasks():
        made = EdgeBody(policy, *sinks, engine=engine, scripts=scripts, keeps_journal=keeps_journal)
        with contextlib.closing(made) as body:
            yield body
