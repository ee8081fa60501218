"""Strands: what certainly belongs together, because it shares a connection, an application or a dialog, and
was done by one person. A sign-in is made of one strand or of several.

A key that several people show (a connection of an explicit proxy, or of a load balancer that mixes its
clients) ties nobody to anybody. Tickets tie a strand to a sign-in, and so to a person, but not in time: a
device keeps its ticket for hours, and shows it again when it signs in anew.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lyncgate.lync import names
from lyncgate.lync.stages import Stage
from lyncgate.signin.events import Event, Handshake, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Kind
from lyncgate.signin.facts import Document
from lyncgate.signin.proofs import proofs

type Key = tuple[str, str]  # kind and value
type Anchor = tuple[int, float, str]  # of an event: rank of its kind, time, id

KNOWN_URLS = 1024  # most documents hand out the same ones
_RANK = {"exchange": 0, "handshake": 1, "sip": 2, "trace": 2, "dns": 3}

_EARLY = {*list(Stage)[: list(Stage).index(Stage.LOCATE)], None}
_USER_DOCUMENTS = ("/autodiscoverservice.svc/root/user", "/autodiscoverservice.svc/root/oauth/user")


class Find(NamedTuple):
    """A question to lyncdiscover, or a redirect there."""

    started: float
    asked: tuple[str, str]  # scheme and host


@dataclasses.dataclass(slots=True, eq=False)
class Strand:
    """`events`: (corrected time, event), in that order. What else is here is read from them."""

    person: str | None
    events: list[tuple[float, Event]]
    start: float = 0.0
    end: float = 0.0  # when the last of it was over; a poll that is held ends when it began
    order: tuple[float, str] = (0.0, "")
    anchor: Anchor = (9, 0.0, "")  # the best of its events to know it by: see `Attempt.id`
    web: bool = False  # HTTP; else a trace
    agents: set[str] = dataclasses.field(default_factory=set)
    clients: set[str] = dataclasses.field(default_factory=set)
    endpoints: set[str] = dataclasses.field(default_factory=set)
    tickets: set[str] = dataclasses.field(default_factory=set)
    ties: set[Key] = dataclasses.field(default_factory=set)  # keys that tie its events
    shared: set[Key] = dataclasses.field(default_factory=set)  # those that would, were they not others' too
    hosts: dict[str, float] = dataclasses.field(default_factory=dict)  # name → first asked
    leads: set[str] = dataclasses.field(default_factory=set)  # names that answers led to
    finds: list[Find] = dataclasses.field(default_factory=list)
    redirects: list[tuple[float, str]] = dataclasses.field(
        default_factory=list
    )  # answered when, to which host
    beyond: float | None = None  # first step after discovery
    challenged: float | None = None  # first user document that was refused for want of a ticket
    located: float | None = None  # when a user document was had
    registering: list[tuple[float, float, str]] = dataclasses.field(default_factory=list)  # from, to, server
    registered: list[tuple[str, float]] = dataclasses.field(default_factory=list)  # trace, time as told there
    session: tuple[float, float] | None = None  # first and last use of an application
    staged: bool = False  # at least one event is a step of a sign-in
    speaks_sip: bool = False  # by HTTP's port: no phone does, a desktop client may

    @property
    def look(self) -> object:
        """What its attempt, and others near, depend on: all but how long it went on, and its keys."""
        return (
            *(self.agents, self.clients, self.endpoints, self.hosts, self.leads, self.finds, self.redirects),
            *(self.beyond, self.challenged, self.located, self.registering, self.staged, self.web),
            self.session and self.session[0],
        )


def strand(person: str | None, events: Iterable[tuple[float, Event]]) -> Strand:
    """A strand of these events: at least one."""
    made = Strand(person, sorted(events, key=lambda pair: (pair[0], pair[1].id)))
    made.start = made.events[0][0]
    made.end = made.start
    made.order = (made.start, made.events[0][1].id)
    made.anchor = min((_RANK[event.type], when, event.id) for when, event in made.events)
    for when, event in made.events:
        keys = event.keys
        if keys.client is not None:
            made.clients.add(keys.client)
        if keys.agent is not None:
            made.agents.add(keys.agent)
        if keys.endpoint is not None:
            made.endpoints.add(keys.endpoint)
        made.tickets.update(keys.tickets)
        if isinstance(event, Exchange):
            _take_exchange(made, when, event)
        elif isinstance(event, SipMessage | TraceLine):
            made.staged = made.staged or bool(proofs(event))
            if isinstance(event, SipMessage) and event.method == "REGISTER":
                server = event.origin.removeprefix("trace:")
                made.registering.append((when, when + (event.seconds or 0.0), server))
                if event.status is None and all(origin != event.origin for origin, _ in made.registered):
                    made.registered.append((event.origin, event.started))
        elif isinstance(event, Handshake):
            made.speaks_sip |= event.first_words == "sip"
            made.staged |= made.speaks_sip or names.is_lyncdiscover(event.server_name or "")
            if event.server_name is not None:
                made.hosts.setdefault(event.server_name, when)
        made.web |= isinstance(event, Exchange | Handshake)
        made.end = max(made.end, when + (event.seconds or 0.0))
    return made


def _take_exchange(made: Strand, when: float, event: Exchange) -> None:
    made.hosts.setdefault(event.host, when)
    facts = event.facts
    if facts.redirect is not None:
        made.redirects.append((when, host := host_of(facts.redirect)))
        made.leads.add(host)
    for _, url in facts.links:
        made.leads.add(host_of(url))
    for url in facts.authentication_urls:
        made.leads.add(host_of(url))
    stage = event.stage
    made.staged |= stage is not None
    if event.keys.application is not None:
        made.session = (made.session[0] if made.session else when, when)
    if is_find(event):
        made.finds.append(Find(when, (event.scheme, event.host)))
        return
    if stage in _EARLY:
        return
    of_user = is_user_document(event)
    if made.beyond is None and (of_user or stage != Stage.LOCATE):
        made.beyond = when
    if of_user:
        if event.status == 401 and made.challenged is None:
            made.challenged = when
        if had_user_document(event) and made.located is None:
            made.located = when
    if asks_to_register(event):
        server = event.member or (event.server_fqdn or "").partition(".")[0]
        made.registering.append((when, when + (event.seconds or 0.0), server))


def is_find(event: Event) -> bool:
    """Whether it is a question to lyncdiscover, answered or redirected."""
    if not isinstance(event, Exchange):
        return False
    return event.stage == Stage.DISCOVER or (
        event.stage == Stage.REDIRECT and names.is_lyncdiscover(event.host)
    )


def is_user_document(event: Exchange) -> bool:
    """Whether it asks for a user document."""
    return event.path.lower().endswith(_USER_DOCUMENTS)


def asks_to_register(event: Exchange) -> bool:
    """Whether it was to make the registration; where that is refused for the policy, the policy says so."""
    refused = event.stage == Stage.MOBILITY_POLICY and (event.status or 0) >= 400
    return (event.stage == Stage.REGISTER or refused) and event.method == "POST"


def had_user_document(event: Exchange) -> bool:
    """Whether a user document was handed out, and not one that leads elsewhere."""
    return is_user_document(event) and event.status == 200 and event.facts.document is not Document.REDIRECT


@functools.lru_cache(KNOWN_URLS)
def host_of(url: str) -> str:
    """The host of a URL, lower case, without port; empty: none."""
    return (
        url.partition("//")[2]
        .partition("/")[0]
        .partition("?")[0]
        .rpartition("@")[2]
        .partition(":")[0]
        .lower()
    )


def strands(
    person: str | None, events: Sequence[tuple[float, Event]], shared: Mapping[Key, object] | set[Key]
) -> list[Strand]:
    """Events of one person, in order of time, as strands: tied by keys that are not `shared`, and cut where
    on one connection discovery begins anew after it had led further, or a user document is asked for again
    after there had been one. What an application was made by stays with it, whatever connection it uses."""
    parent: dict[int, int] = {}

    def top(number: int) -> int:
        while (above := parent.get(number, number)) != number:
            parent[number] = parent.get(above, above)
            number = above
        return number

    first: dict[Key, int] = {}
    keys_of: dict[str, list[Key]] = {}
    for number, (_, event) in enumerate(events):
        keys_of[event.id] = tying(event)
        for key in keys_of[event.id]:
            if key not in shared:
                one, other = top(first.setdefault(key, number)), top(number)
                parent[max(one, other)] = min(one, other)
    tied: dict[int, list[tuple[float, Event]]] = {}
    for number, pair in enumerate(events):
        tied.setdefault(top(number), []).append(pair)
    made: list[Strand] = []
    for group in tied.values():
        for piece in _cut(group):
            one_strand = strand(person, piece)
            keys = {key for _, event in piece for key in keys_of[event.id]}
            one_strand.shared = {key for key in keys if key in shared}
            one_strand.ties = keys - one_strand.shared
            made.append(one_strand)
    return made


def tying(event: Event) -> list[Key]:
    """The exact keys that tie an event to a strand. The endpoint names a device and not what it did once:
    see `signin.attempts`."""
    keys = event.keys
    found = []
    if keys.connection is not None:
        found.append(("connection", keys.connection))
    if keys.application is not None:
        found.append(("application", keys.application))
    if keys.dialog is not None:
        found.append(("dialog", keys.dialog))
    return found


def personal(event: Event) -> list[Key]:
    """The exact keys that tie an event to a person."""
    found = tying(event)
    found.extend(("ticket", ticket) for ticket in event.keys.tickets)
    return found


def _cut(group: list[tuple[float, Event]]) -> list[list[tuple[float, Event]]]:
    if len(group) < 3:
        return [group]
    pieces: list[list[tuple[float, Event]]] = [[]]
    of_application: dict[str, int] = {}
    further = located = False
    for pair in group:
        event = pair[1]
        at = len(pieces) - 1
        if isinstance(event, Exchange):
            asks_again = located and event.path.lower().endswith(_USER_DOCUMENTS)
            if asks_again or (further and is_find(event)):
                pieces.append([])
                at += 1
                further = located = False
            application = event.keys.application
            if application is not None:
                at = of_application.setdefault(application, at)
            if at == len(pieces) - 1:
                further |= event.stage not in _EARLY and event.kind is not Kind.POLL
                located |= had_user_document(event)
        pieces[at].append(pair)
    return pieces
