"""The client's TLS: certificate by SNI from the listener, an alert for names that are not ours.

mitmproxy's own layer asks an addon for a context and, with the stock TlsConfig loaded, would get
a minted certificate for a name we don't have. This one asks nobody but our Identity.
"""

from __future__ import annotations

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.tunnel import TunnelState

from lyncgate.edge.framing import Fault
from lyncgate.edge.hooks import EdgeRejectedHook, Refused
from lyncgate.edge.identity import Identity
from lyncgate.edge.state import EdgeState
from lyncgate.policy.policy import Listener

# TLS record: alert (21), TLS 1.2 record version, 2 bytes: fatal (2), unrecognized_name (112), RFC 6066.
UNRECOGNIZED_NAME = bytes([21, 3, 3, 0, 2, 2, 112])

MAX_CLIENT_HELLO = 64 * 1024  # bytes; a real one with every extension stays far below


class EdgeTlsLayer(ClientTLSLayer):
    def __init__(self, context: Context, edge: EdgeState, identity: Identity, listener: Listener) -> None:
        # ClientTLSLayer looks for a server TLS layer below it. There is none: upstream connections
        # are opened per request, long after the handshake.
        super(ClientTLSLayer, self).__init__(context, context.client)
        self.server_tls_available = False
        self.recv_buffer = bytearray()
        self.edge = edge
        self.identity = identity
        self.listener = listener
        self._deadline: commands.RequestWakeup | None = None
        self._refused = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            self._deadline = commands.RequestWakeup(self.edge.policy.times(self.listener.name).handshake)
            yield self._deadline
        elif isinstance(event, events.Wakeup) and event.command is self._deadline:
            self._deadline = None
            if self.tunnel_state is TunnelState.ESTABLISHING and not self._refused:
                yield from self._refuse(Fault.HANDSHAKE_TIMEOUT)
            return
        if self._refused:
            return
        yield from super()._handle_event(event)

    def receive_handshake_data(self, data: bytes) -> layer.CommandGenerator[tuple[bool, str | None]]:
        if not self.client_hello_parsed and len(self.recv_buffer) + len(data) > MAX_CLIENT_HELLO:
            yield from self._refuse(Fault.NOT_TLS)
            return False, None
        return (yield from super().receive_handshake_data(data))

    def start_tls(self) -> layer.CommandGenerator[None]:
        tls = self.identity.for_client(self.listener, self.conn.sni)
        if tls is None:
            yield commands.SendData(self.conn, UNRECOGNIZED_NAME)
            yield from self._refuse(Fault.UNKNOWN_NAME)
            return
        self.tls = tls

    def on_handshake_error(self, err: str) -> layer.CommandGenerator[None]:
        if not self.client_hello_parsed and err != "connection closed" and not self._refused:
            sip = b" SIP/2.0\r\n" in self.recv_buffer
            yield from self._refuse(Fault.SIP if sip else Fault.NOT_TLS)
        if self.tls:
            yield from self.tls_interact()  # the alert that says why: a client's log shows it
        yield from super().on_handshake_error(err)

    def _refuse(self, fault: Fault) -> layer.CommandGenerator[None]:
        self._refused = True
        yield EdgeRejectedHook(Refused(self.conn, fault))
        yield commands.CloseConnection(self.conn)
