"""Files that tell of sign-ins, whoever wrote them, as events: docs/sources.md lists them.

    for event in read(Path("capture.har")): …

The form is seen from the content, not from the name. What can't be read in a file is reported, with the
place, and passed over; the rest is told. The same file read again tells the same events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from lyncgate.observe.sources.form import Form, SourceError, form_of
from lyncgate.observe.sources.har import har_events
from lyncgate.observe.sources.mitmproxyflows import flow_events
from lyncgate.observe.sources.textfile import line_events
from lyncgate.signin.dnslog import DnsLogReader
from lyncgate.signin.events import Event
from lyncgate.signin.keys import Hasher
from lyncgate.signin.traces import TraceReader

__all__ = ["FILES", "SourceError", "read"]

# The key for what is made of files and kept nowhere. It is no secret, and always the same: so are the
# events' ids then. What goes into a journal is hashed with the journal's own key.
FILES = Hasher(b"lyncgate: events made of files")

_log = logging.getLogger(__name__)


def read(
    path: Path,
    hasher: Hasher = FILES,
    *,
    server: str | None = None,
    problem: Callable[[str], None] = _log.warning,
) -> Iterator[Event]:
    """The events of a file. `server`: whose trace it is; default: the file's name without its ending.
    `problem` is told what could not be read. Raises OSError; SourceError, which says why nothing in this
    file can be read."""

    def tell(what: str) -> None:
        problem(f"{path}: {what}")

    match form_of(path):
        case Form.FLOWS:
            yield from flow_events(path, hasher, tell)
        case Form.HAR:
            yield from har_events(path, hasher, tell)
        case Form.DNS_LOG:
            yield from line_events(path, DnsLogReader(hasher, server or path.stem), tell)
        case Form.NOTHING:
            tell("there is nothing in it")
        case Form.TRACE:
            yield from line_events(path, TraceReader(server or path.stem, hasher), tell)
