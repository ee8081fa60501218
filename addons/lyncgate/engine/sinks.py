"""The access log that the policy asks for: opened at start, another one or none by a reload."""

from __future__ import annotations

from collections.abc import Callable

from lyncgate.observe.access_log import open_access_log
from lyncgate.observe.log_writer import LogWriter
from lyncgate.observe.metrics import Metrics
from lyncgate.policy.policy import AccessLog, Policy
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange


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
