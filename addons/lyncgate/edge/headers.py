"""Header fields on their way through: what an edge adds, what it must not pass on.

Upstream: hop-by-hop fields go (RFC 9110 §7.6.1), X-Forwarded-* say who the client is, and what a
client said itself there goes unless the peer is a trusted proxy. Downstream: no product or version,
optional HSTS. Everything else passes unharmed, field by field: X-MS-*, Accept, and separate
WWW-Authenticate lines, which must not be merged (protocol reference §2.4).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from lyncgate.edge.client import Client
from lyncgate.edge.heads import Field, Fields, ResponseHead, is_usual, tokens, values
from lyncgate.edge.state import EdgeState, Transit
from lyncgate.lync import ntlm
from lyncgate.policy.decision import Forward
from lyncgate.policy.forwarded import forwarded_fields
from lyncgate.policy.policy import Scheme
from lyncgate.signin.exchange import Exchange, Phase

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"}
    | {b"te", b"trailer", b"upgrade"}
)  # Transfer-Encoding frames the body and is kept in step with it by the engine
# What clients may not say of themselves: who they are, and what they asked for.
FORWARDED = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip"}
    | {b"x-forwarded-port", b"x-request-id"}
    # By which IIS' rewriting and its like tell one another what was asked at first: who believes them would
    # serve another path, or name, than the one that we have judged.
    | {b"x-original-url", b"x-rewrite-url", b"x-original-host"}
)
DISCLOSING = frozenset({b"server", b"x-powered-by", b"x-aspnet-version", b"x-aspnetmvc-version", b"via"})
# What a client can't declare hop-by-hop: it could else strip it on the way to the pool.
NEVER_NAMED = frozenset({b"", b"close", b"host", b"content-length", b"transfer-encoding", b"authorization"})

UPWARDS = HOP_BY_HOP | FORWARDED
DOWNWARDS = HOP_BY_HOP | DISCLOSING
CLOSE = (b"Connection", b"close")
WEBSOCKET = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


class HeaderFields:
    def __init__(self, edge: EdgeState) -> None:
        self.edge = edge

    def begin(self, transit: Transit) -> None:
        if transit.answer is not None or not isinstance(transit.decision, Forward):
            return
        exchange, head = transit.exchange, transit.request
        if b"authorization" in head.names:
            head.login = ntlm.used(head.fields)
            exchange.ntlm_user = ntlm.user(head.fields)
        fields, close = without(head.fields, head.names, HOP_BY_HOP if transit.trusted else UPWARDS)
        if close and not head.pooled:  # both sides of an NTLM exchange live equally long
            fields.append(CLOSE)
        if not transit.trusted:
            fields.extend(_said(transit.client, exchange))
        else:
            self._add_to(fields, transit)
        fields.append((b"X-Request-Id", exchange.id.encode("ascii")))
        if head.websocket:
            fields.extend(WEBSOCKET)
        head.fields = fields
        transit.phase(Phase.ROUTE, self.edge.clock() - transit.head)

    def _add_to(self, fields: list[Field], transit: Transit) -> None:
        """What a trusted proxy said of scheme and host stands; the peer is added to its chain."""
        said = list(fields)
        fields[:] = [field for field in said if field[0].lower() not in (b"x-forwarded-for", b"x-request-id")]
        exchange = transit.exchange
        for name, value in forwarded_fields(transit.client.peer, exchange.scheme, exchange.host):
            encoded = name.encode("ascii")
            if name == "X-Forwarded-For":
                chain = [*values(said, b"x-forwarded-for"), value.encode("ascii")]
                fields.append((encoded, b", ".join(chain)))
            elif not values(said, encoded.lower()):
                fields.append((encoded, value.encode("ascii")))

    def answered(self, transit: Transit) -> None:
        """The head of an answer, the edge's own too, as it goes to the client."""
        response = transit.response
        if response is None:
            return
        fields, close = without(response.fields, response.names, DOWNWARDS)
        listener = transit.listener
        if listener is not None and listener.hsts is not None and listener.scheme is Scheme.HTTPS:
            fields = [field for field in fields if field[0].lower() != b"strict-transport-security"]
            fields.append((b"Strict-Transport-Security", b"max-age=%d" % listener.hsts))
        if response.status == 101:
            fields.extend(WEBSOCKET)
        elif close or (self.edge.draining and not _midway(transit, response)):
            fields.append(CLOSE)
        response.fields = fields


def _midway(transit: Transit, response: ResponseHead) -> bool:
    """Whether this goes on with a log-on, whose next message has to come on the same connection."""
    return response.status == 401 and transit.request.login


def _said(client: Client, exchange: Exchange) -> tuple[Field, ...]:
    """What goes upstream of a client whose own word is not taken: always the same for a host."""
    if client.said is None or client.said[0] != exchange.host:
        said = forwarded_fields(client.peer, exchange.scheme, exchange.host)
        client.said = (
            exchange.host,
            tuple((name.encode("ascii"), value.encode("ascii")) for name, value in said),
        )
    return client.said[1]


def _declared(lines: tuple[bytes, ...], unwanted: frozenset[bytes]) -> tuple[frozenset[bytes], bool]:
    """What is unwanted of a message with these Connection fields, and whether they say `close`."""
    named = frozenset(tokens(lines))
    return unwanted | (named - NEVER_NAMED), b"close" in named


_remembered_declared = functools.lru_cache(maxsize=256)(_declared)  # it says always the same few things


def without(fields: Fields, names: Sequence[bytes], unwanted: frozenset[bytes]) -> tuple[list[Field], bool]:
    """The fields without those of these lower-case names, and those that Connection declares hop-by-hop; and
    whether it says `close`. `names`: of the fields, in lower case."""
    if unwanted.isdisjoint(names):
        return list(fields), False
    close = False
    if b"connection" in names:
        lines = [value for (_, value), name in zip(fields, names) if name == b"connection"]  # noqa: B905
        declared = _remembered_declared if is_usual(lines) else _declared
        unwanted, close = declared(tuple(lines), unwanted)
    # Not strict: of the plain kind mypyc makes a loop, which takes half as long.
    return [field for field, name in zip(fields, names) if name not in unwanted], close  # noqa: B905
