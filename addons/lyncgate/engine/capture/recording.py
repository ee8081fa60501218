"""What a capture leaves in its directory:

    journal.db       sign-ins and their events: `lyncgate signins --journal …`
    capture.flows    for mitmproxy's tools: `mitmweb -r capture.flows`
    capture.har      for browsers' tools and for Fiddler

Secrets are removed before anything is written, unless they are asked for. Then all files are for their
owner only, and what is no HTTP is kept as well: in it secrets can't be told apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Self

from mitmproxy import dns, flow, tcp
from mitmproxy.connection import Client, Connection
from mitmproxy.http import Headers, HTTPFlow, Request, Response
from mitmproxy.io import FlowWriter
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from lyncgate import __version__
from lyncgate.observe.flowhar import entry_of
from lyncgate.observe.journal.observer import Dropped
from lyncgate.observe.journal.writer import Journal
from lyncgate.policy import policy
from lyncgate.signin.finding import Finding
from lyncgate.signin.redact import Redactor
from lyncgate.signin.seen import content
from lyncgate.signin.story import SignIn

JOURNAL_FILE = "journal.db"
FLOWS_FILE = "capture.flows"
HAR_FILE = "capture.har"
_MESSAGES = 64  # of a TCP connection that is kept


class Recording:
    """Opens the files. Raises OSError. `dropped`: events that the journal could not take.

    To be used as a context manager, and given to `capturing` as an addon; `journal.append` is the sink.
    """

    def __init__(self, directory: Path, *, with_secrets: bool = False) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.dropped = 0
        self._flows = _private(directory / FLOWS_FILE)
        self._writer = FlowWriter(self._flows)
        self._har = _Har(_private(directory / HAR_FILE))
        self.journal = Journal(policy.Journal(path=str(directory / JOURNAL_FILE)), self)
        self._redactor = None if with_secrets else Redactor(self.journal.hasher)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()
        self._flows.close()
        self._har.close()

    # An addon, behind the one that gives bodies back.

    def response(self, flow: HTTPFlow) -> None:
        plain = legible(flow)
        if self._redactor is None:
            self._save(flow)
        else:
            redact(plain, self._redactor)
            self._save(plain)
        self._har.add(plain)

    def error(self, flow: HTTPFlow) -> None:
        self.response(flow)

    def dns_response(self, flow: dns.DNSFlow) -> None:
        self._save(flow)

    def dns_error(self, flow: dns.DNSFlow) -> None:
        self._save(flow)

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        """However long a connection lasts, it must not fill the memory."""
        del flow.messages[_MESSAGES if self._redactor is None else 1 :]

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        if self._redactor is None:
            self._save(flow)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        self.tcp_end(flow)

    def client_disconnected(self, client: Client) -> None:
        self._har.forget(client)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self._har.forget(data.server)

    def _save(self, kept: flow.Flow) -> None:
        self._writer.add(kept)
        self._flows.flush()

    # What the journal tells.

    def sign_in_settled(self, sign_in: SignIn, findings: Sequence[Finding]) -> None: ...
    def journaled(self, events: int) -> None: ...
    def journal_state(self, size: int, open_sign_ins: int) -> None: ...

    def journal_dropped(self, reason: Dropped, events: int) -> None:
        self.dropped += events


def legible(flow: HTTPFlow) -> HTTPFlow:
    """A copy whose bodies have no Content-Encoding any more."""
    copy: HTTPFlow = flow.copy()
    for message in _messages(copy):
        message.data.content = content(message.headers.fields, message.data.content or b"")
        message.headers.pop("content-encoding", None)
    return copy


def redact(flow: HTTPFlow, redactor: Redactor) -> None:
    """Remove secrets from a legible flow, whatever of a body is no text, and WebSocket messages."""
    flow.websocket = None
    flow.request.path = redactor.target(flow.request.path)
    for message in _messages(flow):
        kind = message.headers.get("content-type")
        message.data.content = redactor.body(kind, message.data.content or b"")
        message.headers = Headers(redactor.fields(message.headers.fields))
        if message.trailers is not None:
            message.trailers = Headers(redactor.fields(message.trailers.fields))


def _messages(flow: HTTPFlow) -> list[Request | Response]:
    return [flow.request, flow.response] if flow.response else [flow.request]


class _Har:
    """A HAR that is whole after each entry: its end is written over by the next one."""

    _END = b"\n]}}\n"

    def __init__(self, file: BinaryIO) -> None:
        creator = json.dumps({"name": "lyncgate", "version": __version__, "comment": ""})
        self._file = file
        self._told: set[Connection] = set()
        self._separator = b"\n"
        self._file.write(f'{{"log":{{"version":"1.2","creator":{creator},"pages":[],"entries":['.encode())
        self._write_end()

    def add(self, flow: HTTPFlow) -> None:
        entry = json.dumps(entry_of(flow, self._told)).encode()
        self._file.seek(-len(self._END), os.SEEK_END)
        self._file.write(self._separator + entry)
        self._separator = b",\n"
        self._write_end()

    def forget(self, conn: Connection) -> None:
        """A connection is over."""
        self._told.discard(conn)

    def close(self) -> None:
        self._file.close()

    def _write_end(self) -> None:
        self._file.write(self._END)
        self._file.flush()


def _private(path: Path) -> BinaryIO:
    """A new file for its owner only. Raises FileExistsError: nothing is overwritten."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
