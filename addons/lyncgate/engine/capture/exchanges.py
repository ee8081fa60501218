"""HTTP and DNS of a capture: flows pass by untouched and leave as events.

Bodies are streamed both ways as they come, so that a phone sees the time behaviour of the real server, and
a poll may hang as long as it likes. Their first part is kept, for the reading and for the flow file.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import connection, dns
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import server_hooks

from lyncgate.observe.flows import CUT, SIZES, Teller, new_id
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Kind
from lyncgate.signin.keys import Hasher

ORIGIN = "capture"
KEPT = 256 * 1024  # bytes of each body
_ID = "lyncgate_id"  # in a flow's metadata

type Sink = Callable[[Event], None]


class Tee:
    """Lets a body pass and keeps its first bytes. What mitmproxy calls a `stream`."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.size = 0

    def __call__(self, data: bytes) -> bytes:
        self.size += len(data)
        self.kept += data[: max(0, KEPT - len(self.kept))]
        return data


class Exchanges:
    """An addon, to stand before those that save flows: it gives streamed ones their bodies back."""

    def __init__(self, hasher: Hasher, sink: Sink) -> None:
        self._teller = Teller(hasher, ORIGIN, _id)
        self._sink = sink
        self._unanswered: dict[str, dns.DNSFlow] = {}

    def requestheaders(self, flow: HTTPFlow) -> None:
        flow.request.stream = Tee()

    def request(self, flow: HTTPFlow) -> None:
        _restore(flow)
        opening = self._teller.exchange(flow, ended=False)
        if opening.kind is Kind.POLL:
            self._sink(opening)

    def responseheaders(self, flow: HTTPFlow) -> None:
        if flow.response is not None and not flow.response.stream:
            flow.response.stream = Tee()

    def response(self, flow: HTTPFlow) -> None:
        _restore(flow)
        self._sink(self._teller.exchange(flow))

    def error(self, flow: HTTPFlow) -> None:
        _restore(flow)
        self._sink(self._teller.exchange(flow))

    def dns_request(self, flow: dns.DNSFlow) -> None:
        self._unanswered[flow.id] = flow

    def dns_response(self, flow: dns.DNSFlow) -> None:
        self._tell(flow)

    def dns_error(self, flow: dns.DNSFlow) -> None:
        self._tell(flow)

    def _tell(self, flow: dns.DNSFlow) -> None:
        if self._unanswered.pop(flow.id, None):
            self._sink(self._teller.query(flow))

    def client_disconnected(self, client: connection.Client) -> None:
        self._teller.forget(client)
        for flow in [flow for flow in self._unanswered.values() if flow.client_conn.id == client.id]:
            self._tell(flow)  # nobody answered

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        self._teller.forget(data.server)

    def done(self) -> None:
        for flow in list(self._unanswered.values()):
            self._tell(flow)


def _id(flow: HTTPFlow | dns.DNSFlow) -> str:
    """The same at every telling."""
    return str(flow.metadata.setdefault(_ID, new_id()))


def _restore(flow: HTTPFlow) -> None:
    """Put the kept part of streamed bodies back, and say how long they were."""
    sizes, cut = [0, 0], [False, False]
    for which, message in enumerate((flow.request, flow.response)):
        if message is None:
            continue
        tee = message.stream if isinstance(message.stream, Tee) else Tee()
        if message.data.content is None:
            message.data.content = bytes(tee.kept)
        sizes[which] = max(tee.size, len(message.data.content))
        cut[which] = len(message.data.content) < tee.size
    flow.metadata[SIZES], flow.metadata[CUT] = sizes, cut
