"""From exchanges and events to metrics. What the metrics are is in `families.py`.

- A label value comes from the policy or from a closed list; anything else is counted as `_other`, so
  that no client can make a series: a scan of ten thousand host names must cost nothing.
- Series whose first event matters (errors, rejections, failovers) exist at 0 from the start, or
  `rate()` would not see that event. Series of what a reload removed are removed.
- Called from the event loop's thread only, but for `access_log_dropped`; a scrape may run in another one.
  What the journal says comes from its thread, see `journal_metrics`.
- Each request is counted, so the cells that exchanges of one kind count in are looked up once and kept.
"""

from __future__ import annotations

import enum
import importlib.metadata
import itertools
import platform
import threading
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry

import lyncgate
from lyncgate.edge.framing import Fault
from lyncgate.edge.outcomes import ENDED_BY
from lyncgate.edge.pool import checks_of
from lyncgate.edge.timeouts import TimeLimit
from lyncgate.lync.stages import Stage
from lyncgate.observe.counting import Snapshot
from lyncgate.observe.exposition import SnapshotCollector, merged, process_snapshots
from lyncgate.observe.families import Families
from lyncgate.observe.journal_metrics import JournalMetrics
from lyncgate.observe.tally import Tally
from lyncgate.policy.decision import Reason
from lyncgate.policy.policy import Policy
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Source

OTHER = "_other"
NONE = "_none"

DECISIONS = frozenset({"redirect", "answer", "forward", "deny"})
BUILT_IN_PUBLICATIONS = frozenset({"lyncdiscover", "redirect", NONE})
CODE_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
STAGES = frozenset(Stage)
MOST_TALLIES = 4096
REASONS = frozenset(Fault) | frozenset(Reason)


class WorkerState(enum.StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    WAITING = "waiting"


class Ended(enum.StrEnum):
    """How a worker ended that should not have."""

    EXIT = "exit"
    SIGNAL = "signal"
    HUNG = "hung"


class Metrics:
    """The edge's metrics, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        self._families = Families()
        self.registry.register(SnapshotCollector(self._families.snapshots))
        self._log_lock = threading.Lock()
        self._gone: list[Snapshot] = []  # what processes that are gone used of CPU
        self._tallies: dict[tuple[object, ...], Tally] = {}
        self.journal = JournalMetrics(self._families)
        self._listeners: AbstractSet[str] = frozenset()
        self._publications: AbstractSet[str] = BUILT_IN_PUBLICATIONS
        self._members: AbstractSet[tuple[str, str]] = frozenset()
        self._checks: AbstractSet[tuple[str, ...]] = frozenset()
        self._families.build[
            lyncgate.__version__, platform.python_version(), importlib.metadata.version("mitmproxy")
        ].set(1)
        for kind, outcome in itertools.product(Kind, Outcome):
            if outcome is not Outcome.OK:
                self._families.errors[kind, outcome, ENDED_BY.get(outcome, Source.PROXY)].inc(0)
        for limit in TimeLimit:
            self._families.timeouts[(limit,)].inc(0)
        for result in ("success", "failure"):
            self._families.reloads[(result,)].inc(0)
        for state in WorkerState:
            self._families.workers[(state,)].set(0)
        for reason in Ended:
            self._families.restarts[(reason,)].inc(0)

    # -- other processes -------------------------------------------------------------------------

    def snapshots(self) -> list[Snapshot]:
        """Everything as it is now, this process's own metrics included."""
        return [*self._families.snapshots(), *merged([process_snapshots(), self._gone])]

    async def scraped(self) -> CollectorRegistry:
        """Of one process there is nothing to gather."""
        return self.registry

    def absorb(self, snapshots: Iterable[Snapshot]) -> None:
        """A process is gone: what it counted stays, so that no counter goes back."""
        others = self._families.absorb(snapshots)
        self._gone = merged([self._gone, others])

    def workers(self, states: Mapping[WorkerState, int]) -> None:
        """How many worker processes there are."""
        for state in WorkerState:
            self._families.workers[(state,)].set(states.get(state, 0))

    def worker_restarted(self, reason: Ended) -> None:
        """A worker ended unasked, and another one takes its place."""
        self._families.restarts[(reason,)].inc()

    # -- configuration ---------------------------------------------------------------------------

    def configure(self, policy: Policy) -> None:
        """Take over the names of a policy that was loaded or reloaded: series of what is gone are
        removed, those whose first event must be seen begin at 0."""
        families = self._families
        self._listeners = policy.listeners.keys()
        self._publications = BUILT_IN_PUBLICATIONS | {publication.name for publication in policy.publications}
        self._members = {
            (pool.name, member.name) for pool in policy.pools.values() for member in pool.members
        }
        self._checks = {
            (pool.name, member.name, check)
            for pool in policy.pools.values()
            for check in checks_of(pool)
            for member in pool.members
        }
        self._forget()
        self._tallies.clear()

        for listener in policy.listeners.values():
            families.connections[listener.name, "open"].inc(0)
            families.accepted[(listener.name,)].inc(0)
            for reason in sorted(REASONS):
                families.rejections[listener.name, reason].inc(0)
            forwarding = {"lyncdiscover"} if listener.redirect else self._publications - {"redirect", NONE}
            for publication in sorted(forwarding):
                for source in (Source.PROXY, Source.UPSTREAM):
                    families.requests[listener.name, publication, "forward", "5xx", source].inc(0)
        for pool, member in sorted(self._members):
            families.failovers[pool, member].inc(0)
            if policy.pools[pool].max_connections is not None:
                families.queue_length[pool, member].inc(0)
            families.upstream_responses[pool, member, "5xx"].inc(0)

        expiries: dict[str, float] = {}
        for listener in policy.listeners.values():
            for certificate in listener.certificates:
                name = f"{listener.name}/{certificate.names[0] if certificate.names else OTHER}"
                expiries[name] = min(certificate.not_after, expiries.get(name, certificate.not_after))
        families.certificates.keep(lambda values: values[0] in expiries)
        for name, not_after in expiries.items():
            families.certificates[(name,)].set(not_after)

    def _forget(self) -> None:
        """Remove the series of listeners, publications and members that no policy knows any more."""
        families = self._families
        listeners = self._listeners | {OTHER}
        publications = self._publications | {OTHER}
        members = self._members | {(OTHER, OTHER)}
        families.requests.keep(lambda values: values[0] in listeners and values[1] in publications)
        families.duration.keep(lambda values: values[0] in publications)
        for volume in (families.request_bytes, families.response_bytes):
            volume.keep(lambda values: values[0] in listeners and values[1] in publications)
        for counter in (families.accepted, families.rejections):
            counter.keep(lambda values: values[0] in listeners)
        families.upstream_connections.keep(lambda values: values[:2] in members)
        families.queue_length.keep(lambda values: values[:2] in members)
        # What is checked no longer would stay as it was last seen for ever.
        checked = {(pool, member) for pool, member, _ in self._checks}
        families.check_up.keep(lambda values: values in self._checks)
        families.up.keep(lambda values: values in checked)
        for counter in (families.failovers, families.upstream_responses):
            counter.keep(lambda values: values[:2] in members)

    def reload(self, successful: bool, when: float, version: str) -> None:
        """rules.yaml was loaded (the first time as well) or refused. `when`: Unix time; `version`:
        of the policy now in force, which a refused load does not change."""
        families = self._families
        families.reloads[("success" if successful else "failure",)].inc()
        families.reload_ok.set(successful)
        if successful:
            families.reload_time.set(when)
            families.config.keep(lambda values: values[0] == version)
            families.config[(version,)].set(1)

    # -- requests --------------------------------------------------------------------------------

    def observe(self, exchange: Exchange) -> None:
        """Count a finished exchange."""
        key = (
            exchange.listener,
            exchange.publication,
            exchange.decision,
            exchange.status,
            exchange.ended_by,
            exchange.kind,
            exchange.stage,
            exchange.pool,
            exchange.member,
        )
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MOST_TALLIES:  # of words that are none of ours
                self._tallies.clear()
            tally = self._tallies[key] = self._tally(exchange)
        tally.count(exchange)
        if exchange.outcome is not None and exchange.outcome is not Outcome.OK:
            self._families.errors[exchange.kind, exchange.outcome, exchange.ended_by].inc()
        if isinstance(exchange.reason, Reason):
            # Refused by decide(). What framing or TLS refused (a Fault) was told to rejected() as well.
            self.rejected(exchange.listener, exchange.reason)

    def _tally(self, exchange: Exchange) -> Tally:
        publication = exchange.publication if exchange.publication in self._publications else OTHER
        status = exchange.status
        return Tally(
            self._families,
            exchange.kind,
            listener=self._listener(exchange.listener),
            publication=publication,
            decision=exchange.decision if exchange.decision in DECISIONS else OTHER,
            code_class="none" if status is None else CODE_CLASSES.get(status // 100, OTHER),
            source=exchange.ended_by,
            stage=NONE if exchange.stage is None else exchange.stage if exchange.stage in STAGES else OTHER,
            member=None if exchange.member is None else self._member(exchange.pool, exchange.member),
        )

    def poll_started(self) -> None:
        """A poll now waits for its member."""
        self._families.polls.inc()

    def poll_ended(self) -> None:
        """It does no longer, however it ended."""
        self._families.polls.dec()

    def rejected(self, listener: str, reason: str) -> None:
        """Bytes or a TLS handshake were refused before there was a request."""
        reason = reason if reason in REASONS else OTHER
        self._families.rejections[self._listener(listener), reason].inc()

    # -- connections and pools -------------------------------------------------------------------

    def connection_opened(self, listener: str) -> None:
        """A client's connection was accepted."""
        listener = self._listener(listener)
        self._families.accepted[(listener,)].inc()
        self._families.connections[listener, "open"].inc()

    def connection_closed(self, listener: str) -> None:
        """A client's connection is gone."""
        # It is counted where it was opened, even if a reload has removed the listener since.
        counted = listener if (listener, "open") in self._families.connections else OTHER
        self._families.connections[counted, "open"].dec()

    def member_check(self, pool: str, member: str, check: Literal["tcp", "https"], up: bool) -> None:
        """One check of a member ended."""
        if (pool, member, check) in self._checks:  # else it ended after the reload that removed it
            self._families.check_up[pool, member, check].set(up)

    def member_state(self, pool: str, member: str, up: bool) -> None:
        """A member may (no longer) be sent requests."""
        if (pool, member) in self._members:
            self._families.up[pool, member].set(up)

    def member_load(self, pool: str, member: str, ask: Callable[[], int]) -> None:
        """Whom to ask, from now on, how many connections to a member carry a request."""
        self._families.upstream_connections[pool, member].ask = ask

    def queued(self, pool: str, member: str, length: int) -> None:
        """How many requests wait for a connection to a member."""
        if (pool, member) in self._members:
            self._families.queue_length[pool, member].set(length)

    def timed_out(self, limit: TimeLimit) -> None:
        """A time limit ran out."""
        self._families.timeouts[(limit,)].inc()

    def failover(self, pool: str, member: str) -> None:
        """A connect to `member` failed before anything was sent, and the next member is tried."""
        self._families.failovers[self._member(pool, member)].inc()

    def access_log_dropped(self, count: int) -> None:
        """`count` exchanges could not be written to the access log."""
        with self._log_lock:  # told by the event loop's thread and by the log's
            self._families.log_dropped.inc(count)

    # -- label values ----------------------------------------------------------------------------

    def _listener(self, name: str) -> str:
        return name if name in self._listeners else OTHER

    def _member(self, pool: str | None, member: str) -> tuple[str, str]:
        return (pool, member) if pool is not None and (pool, member) in self._members else (OTHER, OTHER)
