"""mitmproxy's flow of an exchange on the lane, for operators' addons: built of its heads, and read back.

What frames a message or says where it goes is not an addon's to change: decide() has chosen the way, and the
lane frames what it sends. Such edits are dropped; so are fields that would be read as more than one.
"""

from __future__ import annotations

import functools
import re
import time
from typing import TYPE_CHECKING, get_args

from mitmproxy.connection import Client, ConnectionState, Server, TlsVersion
from mitmproxy.http import Headers, HTTPFlow, Request, Response
from mitmproxy.proxy.mode_specs import ProxyMode

from lyncgate.edge.headers import HOP_BY_HOP
from lyncgate.edge.heads import Field, Fields, OwnAnswer, ResponseHead
from lyncgate.edge.state import Transit
from lyncgate.policy.decision import Forward

if TYPE_CHECKING:
    from lyncgate.edge import client as edge_client
    from lyncgate.engine.lane.stream import Stream
    from lyncgate.engine.lane.upstream import Upstream

OURS = HOP_BY_HOP | {b"host", b"content-length", b"transfer-encoding", b"expect"}
UNFRAMED = frozenset({101, 204, 304})  # statuses that say of themselves that no body follows
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

Way = tuple[str, int, bytes, bytes, bytes, bytes]


# Built.


def of_request(transit: Transit, stream: Stream) -> HTTPFlow:
    """A flow with the request as it goes to the member, and the edge's own answer if that is settled."""
    head, decision, member = transit.request, transit.decision, transit.member
    forward = decision if isinstance(decision, Forward) else None
    host = member.member.host if member is not None else transit.exchange.host
    port = forward.port if forward else 0
    scheme = forward.scheme if forward else transit.client.scheme
    server = Server(address=(host, port) if forward else None)
    flow = HTTPFlow(_client(transit.client, stream), server, live=True)
    flow.request = Request(
        host,
        port,
        head.method,
        scheme.encode(),
        b"",
        forward.target if forward else head.target,
        b"HTTP/1.1",
        Headers(head.fields),
        None,
        None,
        transit.exchange.started,
        None,
    )
    flow.request.stream = True
    if transit.answer is not None:
        flow.response = of_answer(transit.answer.status, b"", transit.answer.fields, transit.answer.body)
    return flow


def of_answer(status: int, reason: bytes, fields: Fields, content: bytes | None) -> Response:
    """`content`: None if the body streams."""
    now = time.time()
    response = Response(
        b"HTTP/1.1", status, reason, Headers(fields), content, None, now, None if content is None else now
    )
    response.stream = True
    return response


def _client(record: edge_client.Client, stream: Stream) -> Client:
    sock = stream.socket
    try:
        peer, own = sock.getpeername(), sock.getsockname()
    except OSError:  # it has left
        peer, own = (record.peer, 0), ("", 0)
    return Client(
        id=record.id,
        peername=peer,
        sockname=own,
        state=ConnectionState.OPEN,
        proxy_mode=_mode(record.listener or ""),
        tls=record.secured is not None,
        sni=record.server_name,
        tls_version=_version(record.tls_version),
        cipher=_cipher(stream),
        timestamp_start=record.started,
        timestamp_tls_setup=record.secured,
    )


@functools.cache
def _mode(listener: str) -> ProxyMode:
    return ProxyMode.parse(f"edge:{listener}")


def of_member(upstream: Upstream) -> Server:
    """The connection that carries the exchange."""
    stream = upstream.stream
    sock = stream.socket if stream is not None else None
    server = Server(address=(upstream.to.host, upstream.to.port), id=upstream.id)
    server.state = ConnectionState.OPEN  # last: the address of an open one is not to be set
    server.tls = upstream.to.secure
    try:
        server.peername, server.sockname = (sock.getpeername(), sock.getsockname()) if sock else (None, None)
    except OSError:  # the member has left
        return server
    if stream is not None and stream.secured is not None:
        server.sni = stream.secured.name
        server.tls_version, server.cipher = _version(stream.secured.version()), _cipher(stream)
    return server


def _version(name: str | None) -> TlsVersion | None:
    return next((one for one in get_args(TlsVersion) if one == name), None)


def _cipher(stream: Stream) -> str | None:
    return stream.secured.cipher() if stream.secured is not None else None


# Read back.


def way(flow: HTTPFlow) -> Way:
    """Where a request goes and what it asks for."""
    data = flow.request.data
    return data.host, data.port, data.scheme, data.authority, data.path, data.method


def restore(flow: HTTPFlow, was: Way) -> None:
    data = flow.request.data
    data.host, data.port, data.scheme, data.authority, data.path, data.method = was


def edited(given: Fields, now: Fields) -> tuple[list[Field], bool]:
    """`given` with an addon's edits, and whether all of those could be followed."""
    if tuple(given) == tuple(now):
        return list(given), True
    ours = [field for field in given if field[0].lower() in OURS]
    theirs = [field for field in now if field[0].lower() not in OURS]
    good = [field for field in theirs if _NAME.fullmatch(field[0]) and not _BAD.search(field[1])]
    # Lengths are left out: mitmproxy keeps them in step with a body that is set, and so do we.
    same = [_framing(given), len(theirs)] == [_framing(now), len(good)]
    return ours + good, same


def _framing(fields: Fields) -> list[Field]:
    return [field for field in fields if field[0].lower() in OURS - {b"content-length"}]


def with_length(fields: Fields, length: int) -> list[Field]:
    """These fields for a body of that length."""
    others = [field for field in fields if field[0].lower() not in (b"content-length", b"transfer-encoding")]
    return [*others, (b"Content-Length", b"%d" % length)]


def own_answer(response: Response, method: bytes) -> OwnAnswer | None:
    """What an addon has set, as the edge says it. None: it is no final answer."""
    status = response.status_code
    if not 200 <= status <= 599:
        return None
    body = response.raw_content or b""
    fields, _ = edited((), response.headers.fields)
    if status in UNFRAMED:
        return OwnAnswer(status, tuple(fields))
    return OwnAnswer(status, tuple(with_length(fields, len(body))), b"" if method == b"HEAD" else body)


def says(response: Response, answer: OwnAnswer) -> bool:
    """Whether this is that answer, unchanged."""
    return (
        response.status_code == answer.status
        and tuple(response.headers.fields) == tuple(answer.fields)
        and (response.raw_content or b"") == answer.body
    )


def edit_answer(head: ResponseHead, response: Response) -> bool:
    """Put an addon's edits into the head of an answer. Whether all of them could be followed."""
    head.fields, followed = edited(head.fields, response.headers.fields)
    status = response.status_code
    if status != head.status:
        if not 200 <= status <= 599 or status in UNFRAMED or head.status in UNFRAMED:
            return False
        head.status = status
    return followed
