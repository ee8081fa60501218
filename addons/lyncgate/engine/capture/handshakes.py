"""How connections come about, or don't: TCP and TLS to the server, TLS with the phone, and bytes that are
no HTTP.

The server's certificate is looked at and its connection used in any case: the phone is to go on and show
the rest of its story. The phone's own TLS is copied: upstream, no version is offered that the phone did not
offer, so that what fails without us fails with us.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Callable, Sequence
from typing import Literal

import OpenSSL.SSL
from cryptography.hazmat.primitives import serialization
from mitmproxy import connection, ctx, tcp, tls
from mitmproxy.http import HTTPFlow
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers, mode_specs, server_hooks
from mitmproxy.proxy.layers import modes

from lyncgate.edge.clienthello import offered
from lyncgate.engine.capture.exchanges import ORIGIN, Sink
from lyncgate.observe.flows import new_id
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.keys import Keys
from lyncgate.signin.plain import plain
from lyncgate.signin.presented import Presented, presented

_UNWANTED = {  # what a TLS library is told to leave out
    "TLSv1": OpenSSL.SSL.OP_NO_TLSv1,
    "TLSv1.1": OpenSSL.SSL.OP_NO_TLSv1_1,
    "TLSv1.2": OpenSSL.SSL.OP_NO_TLSv1_2,
    "TLSv1.3": OpenSSL.SSL.OP_NO_TLSv1_3,
}
_HTTP = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/\d")
_SIP = re.compile(rb"[A-Z]{3,16} sips?:|SIP/2\.0 ")
_REFUSALS = ("unknown ca", "bad certificate", "certificate unknown")  # alerts that mean our certificate
_WITHIN = re.compile(r"\((tls[^()]*)\)")
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_REFUSED = "111"  # ECONNREFUSED

_WEB_PORTS = (80, 443)
_MOST_CLIENTS = 10_000

type Refused = Callable[[str, str, str], None]  # client address, server name, what was seen


class Handshakes:
    """`anchors`: DER of the authorities that upstream certificates are judged by. `passed`: names, `*` for
    any part, whose TLS is passed on unopened. `refused`: is told of phones that do not take our
    certificate."""

    def __init__(self, sink: Sink, anchors: Sequence[bytes], passed: Sequence[str], refused: Refused) -> None:
        self._sink = sink
        self._anchors = anchors
        self._passed = passed
        self._refused = refused
        self._content: set[str] = set()  # addresses of clients that took our certificate once
        self._offered: dict[str, tuple[str, ...]] = {}  # client connection -> TLS versions
        self._silent: dict[str, tuple[connection.Client, connection.Server]] = {}  # TLS, and nothing since
        self._judged: set[str] = set()  # TCP flows whose first words were looked at

    # The phone's side.

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        name = data.client_hello.sni or _host(data.context.server)
        if any(fnmatch.fnmatch(name.lower(), pattern.lower()) for pattern in self._passed):
            data.ignore_connection = True
            return
        self._offered[data.context.client.id] = offered(data.client_hello)

    def tls_established_client(self, data: tls.TlsData) -> None:
        client = data.context.client
        self._silent[client.id] = (client, data.context.server)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        client, server = data.context.client, data.context.server
        error = plain(client.error or "")
        if within := _WITHIN.search(error):  # mitmproxy's words around it are for its own log
            error = within[1]
        outcome = HandshakeOutcome.CLOSED
        if error.startswith("Cannot parse ClientHello"):
            outcome, error = HandshakeOutcome.NOT_TLS, "the client's first bytes are no ClientHello"
        elif "closed" not in error:
            outcome = HandshakeOutcome.ALERT
        if outcome is HandshakeOutcome.CLOSED or any(words in error for words in _REFUSALS):
            self._refused(_host(client), client.sni or _host(server), error)
            error = f"the client did not take our own certificate: {error}"
        self._tell(client, server, outcome, error, side=client)

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Only who trusts us gets as far as a request."""
        client = flow.client_conn
        if self._silent.pop(client.id, None) and len(self._content) < _MOST_CLIENTS:
            self._content.add(_host(client))

    def client_disconnected(self, client: connection.Client) -> None:
        self._offered.pop(client.id, None)
        silent = self._silent.pop(client.id, None)
        if silent and _host(client) not in self._content:  # else it had no use for this connection
            self._refused(_host(client), client.sni or _host(silent[1]), "hung up after the handshake")
            said = "the client hung up right after the handshake with our own certificate"
            self._tell(*silent, HandshakeOutcome.CLOSED, said, side=client)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        context, data = nextlayer.context, nextlayer.data_client()
        if nextlayer.layer is not None or not _speaks_http(context.client, context.server):
            return
        mode = context.client.proxy_mode
        if isinstance(context.layers[-1], modes.ReverseProxy) and starts_like_tls_record(data):
            ignoring = ctx.options.ignore_hosts or ctx.options.allow_hosts  # mitmproxy sees to these
            if isinstance(mode, mode_specs.ReverseMode) and mode.scheme == "https" and not ignoring:
                # As mitmproxy does, but what is inside the TLS is asked once more: it may be SIP.
                server_tls = layers.ServerTLSLayer(context)
                server_tls.child_layer = layers.ClientTLSLayer(context)
                nextlayer.layer = server_tls
        elif _not_http(data) and not isinstance(context.layers[-1], modes.HttpProxy):
            nextlayer.layer = layers.TCPLayer(context)

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        message, client = flow.messages[-1], flow.client_conn
        if not message.from_client or flow.id in self._judged:
            return
        self._judged.add(flow.id)
        self._silent.pop(client.id, None)
        if _speaks_http(client, flow.server_conn):
            words = "sip" if _SIP.match(message.content) else "other"
            said = f"{'SIP' if words == 'sip' else 'no HTTP'} where HTTP is spoken"
            outcome = HandshakeOutcome.NOT_HTTP
            self._tell(client, flow.server_conn, outcome, said, side=client, words=words)

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        self._judged.discard(flow.id)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        self._judged.discard(flow.id)

    # The server's side.

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        if data.server.transport_protocol != "tcp":
            return
        error = plain(data.server.error or "")
        refused = _REFUSED in _ERRNO.findall(error)
        outcome = HandshakeOutcome.REFUSED if refused else HandshakeOutcome.UNREACHABLE
        self._tell(data.client, data.server, outcome, error, side=data.server)

    def tls_start_server(self, data: tls.TlsData) -> None:
        tls_config = ctx.master.addons.get("tlsconfig")
        if data.ssl_conn is None and tls_config is not None:
            tls_config.tls_start_server(data)
        self._leave_out(data)

    def _leave_out(self, data: tls.TlsData) -> None:
        versions = self._offered.get(data.context.client.id)
        if versions and data.ssl_conn is not None:
            for version, option in _UNWANTED.items():
                if version not in versions:
                    data.ssl_conn.set_options(option)

    def tls_established_server(self, data: tls.TlsData) -> None:
        server = data.conn
        if not isinstance(server, connection.Server):
            return
        ders = [
            certificate.to_cryptography().public_bytes(serialization.Encoding.DER)
            for certificate in server.certificate_list
        ]
        client = data.context.client
        try:
            seen = presented(ders, client.sni.lower() if client.sni else None, self._anchors, time.time())
        except (ValueError, IndexError):
            said = "the server's certificate can't be read"
            self._tell(client, server, HandshakeOutcome.UNTRUSTED, said, side=server)
            return
        outcome = HandshakeOutcome.UNTRUSTED if seen.problem else HandshakeOutcome.OK
        self._tell(client, server, outcome, seen.detail, side=server, seen=seen)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        if not isinstance(data.conn, connection.Server):
            return
        error = plain(data.conn.error or "")
        outcome = HandshakeOutcome.ALERT
        if "does not speak TLS" in error or "wrong version number" in error:
            outcome = HandshakeOutcome.NOT_TLS
        elif "closed" in error:
            outcome = HandshakeOutcome.CLOSED
        self._tell(data.context.client, data.conn, outcome, error, side=data.conn)

    def _tell(
        self,
        client: connection.Client,
        server: connection.Server,
        outcome: HandshakeOutcome,
        detail: str,
        *,
        side: connection.Connection,
        words: str | None = None,
        seen: Presented | None = None,
    ) -> None:
        started = side.timestamp_start or time.time()
        self._sink(
            Handshake(
                id=new_id(),
                started=started,
                origin=ORIGIN,
                keys=Keys(connection=client.id, client=_host(client) or None),
                seconds=max(0.0, (side.timestamp_tls_setup or time.time()) - started),
                side="client" if side is client else "upstream",
                address="{}:{}".format(*server.address[:2]) if server.address else None,
                scheme=_scheme(client),
                server_name=plain(client.sni) if client.sni else None,
                outcome=outcome,
                detail=detail,
                versions=self._offered.get(client.id, ()),
                version=side.tls_version,
                certificate=seen.certificate if seen else None,
                certificate_problem=seen.problem if seen else None,
                first_words=words,
            )
        )


def _not_http(data: bytes) -> bool:
    """Whether these first bytes can be no HTTP request, and no TLS either."""
    if _SIP.match(data):
        return True
    line = b"\n" in data
    return line and not starts_like_tls_record(data) and not _HTTP.match(data.lstrip(b"\r\n"))


def _speaks_http(client: connection.Client, server: connection.Server) -> bool:
    """Whether HTTP is to be expected on a connection: a gateway and a tunnel carry all the rest as well."""
    mode = client.proxy_mode
    if isinstance(mode, mode_specs.ReverseMode):
        return mode.scheme in ("http", "https")
    port = server.address[1] if server.address else None
    return client.transport_protocol == "tcp" and (port is None or port in _WEB_PORTS)


def _scheme(client: connection.Client) -> Literal["http", "https"] | None:
    """What a reverse mode's port speaks, whatever its number."""
    mode = client.proxy_mode
    if isinstance(mode, mode_specs.ReverseMode):
        return "http" if mode.scheme == "http" else "https" if mode.scheme == "https" else None
    return None


def _host(conn: connection.Connection) -> str:
    """The address of the other end, as far as it is known."""
    if isinstance(conn, connection.Server) and conn.address:
        return conn.address[0]
    return conn.peername[0] if conn.peername else ""
