"""Every metric of the edge: its name, its labels, and what it tells an operator.

Names are an interface: dashboards, alerts and other people's queries stand on them, and
tests/deploy holds ours to a live scrape. Base units, `_total` on counters, no `_created` series.
What feeds them, and what may stand in a label, is in `metrics.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import prometheus_client

from lyncgate.observe.counting import (
    AskedCell,
    Cell,
    Definition,
    Family,
    HistogramCell,
    Kind,
    Merge,
    Snapshot,
)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it bare

# 0.3 and 1.2 s are where a user begins to notice and to mind; 3 s is a lost SYN.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.6, 1.2, 3.0, 5.0, 10.0, 30.0)
# Polls live beyond 30 s: 200 and 960 s are Microsoft's time-outs, 900 s a push wait, 1800 s UCWA's limit.
PHASE_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.6, 1.2, 3.0, 5.0, 10.0),
    *(30.0, 60.0, 200.0, 300.0, 600.0, 900.0, 960.0, 1200.0, 1800.0),
)


# A stage is one exchange or a few; the first one waits for a person, registering may wait for a domain.
STAGE_BUCKETS = (0.01, 0.05, 0.1, 0.3, 0.6, 1.2, 3.0, 10.0, 30.0, 300.0)


class Families:
    """The metrics themselves, empty."""

    def __init__(self) -> None:
        self._all: list[Family[Cell] | Family[AskedCell] | Family[HistogramCell]] = []

        def counter(name: str, meaning: str, *labels: str) -> Family[Cell]:
            return add(Family(Definition(name, meaning, Kind.COUNTER, labels), Cell))

        def gauge(name: str, meaning: str, merge: Merge, *labels: str) -> Family[Cell]:
            return add(Family(Definition(name, meaning, Kind.GAUGE, labels, merge=merge), Cell))

        def asked(name: str, meaning: str, merge: Merge, *labels: str) -> Family[AskedCell]:
            return add(Family(Definition(name, meaning, Kind.GAUGE, labels, merge=merge), AskedCell))

        def histogram(
            name: str, meaning: str, buckets: tuple[float, ...], *labels: str
        ) -> Family[HistogramCell]:
            definition = Definition(name, meaning, Kind.HISTOGRAM, labels, buckets)
            return add(Family(definition, lambda: HistogramCell(buckets)))

        def add[F: (Family[Cell], Family[AskedCell], Family[HistogramCell])](family: F) -> F:
            self._all.append(family)
            return family

        # Requests
        self.requests = counter(
            "lyncgate_requests_total",
            "Finished requests, polls included. code_class is the class of the answer's status (none: the "
            "client left before there was one); source says who made the answer or ended the exchange: a "
            "5xx with source=proxy is the edge's own, with source=upstream a front end's.",
            *("listener", "publication", "decision", "code_class", "source"),
        )
        self.duration = histogram(
            "lyncgate_request_duration_seconds",
            "First byte of a request to last byte of its answer, or until it was given up, by sign-in stage "
            "(_none: not part of a sign-in). Polls are left out, for they are meant to hang.",
            DURATION_BUCKETS,
            *("publication", "stage"),
        )
        self.phases = histogram(
            "lyncgate_request_phase_seconds",
            "Where the time of an exchange went. A phase that did not happen, as connect on a reused "
            "connection, is not counted. kind=poll are requests that are meant to hang.",
            PHASE_BUCKETS,
            *("phase", "kind"),
        )
        self.errors = counter(
            "lyncgate_errors_total",
            "Exchanges that did not end with a whole answer from a member, by how they ended and who ended "
            "them. An error status that a member sent in full is no error here, see "
            "lyncgate_upstream_responses_total.",
            *("kind", "outcome", "source"),
        )
        self.request_bytes = counter(
            "lyncgate_request_body_bytes_total",
            "Bytes of request bodies received from clients.",
            *("listener", "publication"),
        )
        self.response_bytes = counter(
            "lyncgate_response_body_bytes_total",
            "Bytes of response bodies sent to clients.",
            *("listener", "publication"),
        )
        self.polls = gauge(
            "lyncgate_polls_held",
            "Polls waiting for an event now: one to three for each signed-in mobile or web client.",
            Merge.SUM,
        )[()]

        # Clients
        self.connections = gauge(
            "lyncgate_connections",
            "Client connections now, by state (open: accepted and not yet closed).",
            Merge.SUM,
            *("listener", "state"),
        )
        self.accepted = counter(
            "lyncgate_connections_accepted_total", "Client connections accepted.", "listener"
        )
        self.rejections = counter(
            "lyncgate_guard_rejections_total",
            "Requests and TLS handshakes refused, each with its one reason. Many not_published: a scan, or a "
            "public name that rules.yaml lacks.",
            *("listener", "reason"),
        )

        self.timeouts = counter(
            "lyncgate_timeouts_total",
            "Time limits of rules.yaml that ran out, by name: handshake, head, body and write are slow or "
            "stalled clients (many at once: a slowloris, or a bad network), idle is kept connections without "
            "a request, which is normal; connect, response and poll are members that are silent, queue "
            "members that have all the connections that they may have, lost_member and lost_client whoever "
            "the network does not reach any more.",
            "kind",
        )

        # Pools
        self.up = gauge(
            "lyncgate_upstream_up",
            "1 while requests may be sent to this member, 0 while its checks keep it out.",
            Merge.MIN,
            *("pool", "member"),
        )
        self.check_up = gauge(
            "lyncgate_upstream_check_up",
            "Last result of one check of a member: tcp is the SIP port, as Microsoft asks, https the "
            "external web site. tcp 0 with https 1: the front-end service is down while IIS still answers.",
            Merge.MIN,
            *("pool", "member", "check"),
        )
        self.upstream_connections = asked(
            "lyncgate_upstream_connections",
            "Connections to a member that carry a request now, polls included.",
            Merge.SUM,
            *("pool", "member"),
        )
        self.upstream_responses = counter(
            "lyncgate_upstream_responses_total",
            "Answers that came from a member, by class of status. A member with more 5xx than its peers is "
            "ill though its checks pass.",
            *("pool", "member", "code_class"),
        )
        self.failovers = counter(
            "lyncgate_failovers_total",
            "Connects to this member that failed before anything was sent, so that the next one was tried.",
            *("pool", "member"),
        )

        self.queue_length = gauge(
            "lyncgate_queue_length",
            "Requests that wait for a connection to a member which has all that its pool's max_connections "
            "allows. More than none for long: the member is slow, or the limit too low.",
            Merge.SUM,
            *("pool", "member"),
        )

        # Sign-ins
        self.signins = counter(
            "lyncgate_signins_total",
            "Sign-ins that came to an end, each counted once: ok, failed at a stage, or incomplete (they "
            "stopped, and nothing seen says why).",
            *("outcome", "failed_stage"),
        )
        self.stages = histogram(
            "lyncgate_signin_stage_duration_seconds",
            "How long each stage of a sign-in took that was seen, by how the stage ended. start is the time "
            "until the user was known.",
            STAGE_BUCKETS,
            *("stage", "outcome"),
        )
        self.findings = counter(
            "lyncgate_findings_total",
            "What diagnosis found in sign-ins that came to an end; docs/runbook has a page for each code.",
            "code",
        )
        self.signins_open = gauge(
            "lyncgate_signins_open", "Sign-ins under way now, as the journal knows them.", Merge.MAX
        )[()]
        self.journal_events = counter(
            "lyncgate_journal_events_total",
            "Events written to the journal: exchanges, handshakes, and what followed files say.",
        )[()]
        self.journal_dropped = counter(
            "lyncgate_journal_dropped_total",
            "Events missing in the journal: buffer (it could not keep up, or its file was locked), disk (a "
            "write failed), invalid (no text could be made of it). Sign-ins may lack what these told.",
            "reason",
        )
        self.journal_size = gauge(
            "lyncgate_journal_size_bytes",
            "Bytes in use in the journal, without its write-ahead log.",
            Merge.MAX,
        )[()]
        self.journal_behind = asked(
            "lyncgate_journal_behind_seconds",
            "How long the oldest event that is not yet in the journal has waited.",
            Merge.MAX,
        )[()]

        # Configuration and the process
        self.reload_ok = gauge(
            "lyncgate_config_last_reload_successful",
            "1 if the last load of rules.yaml was taken over, 0 if it was refused and the rules before it "
            "serve on.",
            Merge.MAX,
        )[()]
        self.reload_time = gauge(
            "lyncgate_config_last_reload_success_timestamp_seconds",
            "Unix time at which the rules in force were loaded.",
            Merge.MAX,
        )[()]
        self.reloads = counter(
            "lyncgate_config_reloads_total",
            "Loads of rules.yaml, the first one included, by result (success, failure).",
            "result",
        )
        self.config = gauge(
            "lyncgate_config_info",
            "Always 1; version is the hash of the rules in force. Edges that should be alike show the same.",
            Merge.MAX,
            "version",
        )
        self.certificates = gauge(
            "lyncgate_certificate_not_after_timestamp_seconds",
            "Unix time at which a certificate expires; name is its listener and its first DNS name.",
            Merge.MIN,
            "name",
        )
        self.log_dropped = counter(
            "lyncgate_access_log_dropped_total",
            "Exchanges missing in the access log: the disk or the reader of the pipe was too slow, or a "
            "write failed.",
        )[()]
        self.workers = gauge(
            "lyncgate_workers",
            "Worker processes now, by state: starting, ready, draining (its successor serves already), "
            "waiting (it crashed, and is started again in a while).",
            Merge.SUM,
            "state",
        )
        self.restarts = counter(
            "lyncgate_worker_restarts_total",
            "Workers that ended unasked and were started anew, by how they ended: exit, signal, or hung (did "
            "not answer, and was killed).",
            "reason",
        )
        self.build = gauge(
            "lyncgate_build_info",
            "Always 1; versions of the edge and of what it stands on.",
            Merge.MAX,
            *("version", "python", "mitmproxy"),
        )

    def snapshots(self) -> Iterator[Snapshot]:
        """Each family as it is now. Of any thread."""
        return (family.snapshot() for family in self._all)

    def absorb(self, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        """Add what counters and histograms of another process counted. The counters that are none of ours."""
        ours = {family.definition.name: family for family in self._all}
        others = []
        for snapshot in snapshots:
            if snapshot.definition.kind is Kind.GAUGE:
                continue
            family = ours.get(snapshot.definition.name)
            if family is None:
                others.append(snapshot)
                continue
            for values, value in snapshot.series.items():
                cell = family[values]
                if isinstance(cell, HistogramCell) and isinstance(value, tuple):
                    cell.add(value)
                elif isinstance(cell, Cell) and not isinstance(value, tuple):
                    cell.inc(value)
        return others
