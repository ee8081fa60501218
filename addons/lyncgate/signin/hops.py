"""The way that a sign-in really went: who spoke with whom, counted from its events.

    hops(sign_in) -> Hops       nodes in columns, links between them

    client ─▶ listener ─▶ pool ─▶ members ─▶ servers that these spoke SIP with ─▶ …
           └▶ DNS server

Only what an event shows is a node: a NAT that changes an address is not seen, a forward proxy is when it
asks for a log-on (407). A link's `failed` counts what broke on the way, not refusals such as a 401.
"""

from __future__ import annotations

import collections
import dataclasses
import enum

from lyncgate.signin.events import DnsQuery, Handshake, HandshakeOutcome, SipMessage
from lyncgate.signin.exchange import Exchange, Outcome
from lyncgate.signin.shown import shown
from lyncgate.signin.story import SignIn

NAME_LIMIT = 48
MOST_NODES = 5  # in a column; the rest is one node
_BROKEN = frozenset(Outcome) - {Outcome.OK, Outcome.CLIENT_GONE, Outcome.DENIED}


class Column(enum.IntEnum):
    """From left to right."""

    CLIENT = 0
    ENTRY = 1  # DNS server, forward proxy, listeners of the edge
    POOL = 2
    MEMBER = 3
    BEYOND = 4  # whom members speak SIP with
    FAR = 5  # and whom those do


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Node:
    """`kind`: what it is, in a word; `name`: how it is called."""

    column: Column
    kind: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """`count` things (`what`: `requests`, `queries`) went from `source` to `target`; `failed` broke."""

    source: Node
    target: Node
    what: str
    count: int
    failed: int

    @property
    def label(self) -> str:
        word = self.what if self.count != 1 else _ONE[self.what]
        return f"{self.count} {word}" + (f", {self.failed} broke" if self.failed else "")


_ONE = {
    "requests": "request",
    "queries": "query",
    "SIP messages": "SIP message",
    "failed handshakes": "failed handshake",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Hops:
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    def column(self, column: Column) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.column is column)


def hops(sign_in: SignIn) -> Hops:
    """From the sign-in's events alone. The order is that of time in each column."""
    counted = _Counted()
    members = {_member(event) for event in sign_in.events if isinstance(event, Exchange)} - {""}
    told: set[tuple[object, ...]] = set()
    for event in sign_in.events:
        match event:
            case Exchange():
                _exchange(counted, event, sign_in)
            case DnsQuery():
                view = f"{event.view} view" if event.view else event.origin
                asker = _client(event.keys.client or sign_in.client)
                server = _node(Column.ENTRY, "DNS", view)
                counted.add(asker, server, "queries", event.rcode in (None, "SERVFAIL", "REFUSED"))
            case Handshake() if event.outcome is not HandshakeOutcome.OK:
                if event.is_clients and not event.is_gone_on_with:
                    client = _client(event.keys.client or sign_in.client)
                    server = _node(Column.ENTRY, "server", event.server_name or event.address or "?")
                    counted.add(client, server, "failed handshakes", True)
            case SipMessage(status=None):
                _sip(counted, event, members, told)
    return counted.hops()


def _exchange(counted: _Counted, event: Exchange, sign_in: SignIn) -> None:
    client = _client(event.keys.client or event.source_ip or sign_in.client)
    broken = event.outcome in _BROKEN
    if event.status == 407:
        counted.add(client, _node(Column.ENTRY, "forward proxy", event.host), "requests", broken)
        return
    if event.origin == "edge":
        entry = _node(Column.ENTRY, "listener", event.listener)
    else:
        entry = _node(Column.ENTRY, "server", event.host)
    counted.add(client, entry, "requests", broken)
    member = _member(event)
    before = entry
    if event.pool:
        pool = _node(Column.POOL, "pool", event.pool)
        counted.add(entry, pool, "requests", broken)
        before = pool
    if member:
        counted.add(before, _node(Column.MEMBER, "member", member), "requests", broken)


def _sip(counted: _Counted, event: SipMessage, members: set[str], told: set[tuple[object, ...]]) -> None:
    """A SIP request, from one server to another. Both may have a trace of it: it counts once. `told`: those
    that were counted."""
    here, peer = event.origin.partition(":")[2] or event.origin, _host(event.peer)
    source, target = (peer, here) if event.incoming else (here, peer)
    message = (source, target, event.method, event.cseq, event.keys.dialog or event.id)
    if not peer or source == target or message in told:
        return
    told.add(message)
    first = _node(Column.MEMBER, "member", source) if source in members else None
    last = _node(Column.MEMBER, "member", target) if target in members else None
    if last is None:
        last = _node(Column.FAR if first is None else Column.BEYOND, "SIP", target)
    counted.add(first or _node(Column.BEYOND, "SIP", source), last, "SIP messages", False)


def _member(event: Exchange) -> str:
    return event.member or _host(event.server_fqdn)


def _client(address: str | None) -> Node:
    return _node(Column.CLIENT, "client", address or "unknown address")


def _node(column: Column, kind: str, name: str) -> Node:
    return Node(column, kind, shown(name, NAME_LIMIT))


def _host(name: str | None) -> str:
    """`fe01` of `fe01.contoso.local:5061`; an address stays whole."""
    host = (name or "").rpartition(":")[0] or (name or "")
    return host if host.replace(".", "").isdigit() or ":" in host else host.partition(".")[0]


class _Counted:
    def __init__(self) -> None:
        self._links: collections.Counter[tuple[Node, Node, str]] = collections.Counter()
        self._failed: collections.Counter[tuple[Node, Node, str]] = collections.Counter()
        self._folded: dict[Node, Node] = {}
        self._columns: collections.Counter[Column] = collections.Counter()

    def add(self, source: Node, target: Node, what: str, failed: bool) -> None:
        key = self._fold(source), self._fold(target), what
        self._links[key] += 1
        self._failed[key] += failed

    def _fold(self, node: Node) -> Node:
        """The node, or `others` when its column is full."""
        if node not in self._folded:
            self._columns[node.column] += 1
            full = self._columns[node.column] > MOST_NODES
            self._folded[node] = Node(node.column, node.kind, "others") if full else node
        return self._folded[node]

    def hops(self) -> Hops:
        nodes = dict.fromkeys(node for source, target, _ in self._links for node in (source, target))
        links = tuple(Link(*key, count, self._failed[key]) for key, count in self._links.items())
        return Hops(tuple(sorted(nodes, key=lambda node: node.column)), links)
