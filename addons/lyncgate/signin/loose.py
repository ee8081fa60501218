"""What names nobody, and shares no key with anything that does: DNS queries, handshakes that failed,
discovery by clients that don't say who they are. It is given to the sign-in that fits best by address,
User-Agent, name and time. Where several fit equally well, the choice is the same each time, and may be wrong:
`Joined.ADDRESS` and `Joined.TIME` say so. What fits nowhere, and has to do with signing in, is a sign-in of
nobody known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from lyncgate.lync import names
from lyncgate.signin.attempt import CLOCK, IDLE, Attempt, names_of
from lyncgate.signin.attempts import QUIET, put_together_again
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.nearby import Nearby, Question
from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Strand


@dataclasses.dataclass(slots=True)
class _Known:
    """An attempt on its lines. `look`: what choices depend on, beside its end."""

    attempt: Attempt
    look: object
    clients: tuple[str, ...]
    names: dict[str, float]  # name → when it was used


class Loose:
    """All that is loose, and where it went. Attempts are called by their `home`."""

    def __init__(self) -> None:
        self.given: dict[str, dict[Strand, None]] = {}  # attempt → what it was given
        self.nobodys = _Rest(_of_exchanges)  # by client
        self.unheard = _Rest(_of_queries)  # by asker and domain: queries that nothing followed
        self._known: dict[str, _Known] = {}
        self._by_client: dict[str, Nearby] = {}
        self._by_name: dict[str, Nearby] = {}
        self._touched: set[str] = set()  # attempts that were given something else
        self._touched_clients: dict[str, None] = {}
        self._touched_names: dict[str, None] = {}

    def add(self, strand: Strand) -> None:
        self._line_of(strand).add(strand)
        self._leave(strand, True)

    def remove(self, strand: Strand) -> None:
        line = self._line_of(strand)
        which = line.chosen.get(strand)
        line.remove(strand)
        if which is None:
            self._leave(strand, False)
        else:
            self._take_back(strand, which)

    def put(self, attempt: Attempt) -> None:
        """There is an attempt, or it was put together anew."""
        if not attempt.staged:
            return
        which, look, known = attempt.home, _look(attempt), self._known.get(attempt.home)
        if known is not None and known.look == look:
            known.attempt = attempt
            for client in known.clients:
                self._client_line(client).lengthen(which, attempt, attempt.start)
            for name, used in known.names.items():
                self._name_line(name).lengthen(which, attempt, used)
            return
        if known is not None:
            self._take(known, which)
        clients: tuple[str, ...] = ()
        if attempt.person is not None:
            clients = tuple(sorted(attempt.clients)) or ("",)  # a HAR may tell no addresses
        self._known[which] = known = _Known(attempt, look, clients, names_of(attempt))
        for client in clients:
            self._client_line(client).put(which, attempt, attempt.start)
        for name, used in known.names.items():
            self._name_line(name).put(which, attempt, used)

    def take(self, attempt: Attempt) -> None:
        """There is no such attempt any more. Its home may be another's by now."""
        known = self._known.get(attempt.home)
        if known is not None and known.attempt is attempt:
            del self._known[attempt.home]
            self._take(known, attempt.home)

    def forget(self, which: str) -> None:
        """An attempt is long over. Nobody's choice is changed by it."""
        known = self._known.pop(which, None)
        self.given.pop(which, None)
        if known is not None:
            for client in known.clients:
                self._by_client[client].forget(which, known.attempt.start)
            for name, used in known.names.items():
                self._by_name[name].forget(which, used)

    def drop(self, strands: Iterable[Strand]) -> None:
        """Forget strands; first `forget` the attempts that they were given to, or are."""
        for strand in strands:
            self._line_of(strand).drop(strand)
            if (key := _rest_key(strand)) is not None:
                self._rest_of(strand).drop(key, strand)

    def tidy(self) -> None:
        """Forget addresses and names of which nothing is left."""
        for lines in (self._by_client, self._by_name):
            for key in [key for key, line in lines.items() if line.is_empty]:
                del lines[key]

    def settle(self) -> tuple[set[str], list[Attempt], list[Attempt]]:
        """Gives everything to whom it fits. Returns which attempts were given other things than before; the
        attempts of nobody known that are no more, and those that are new."""
        for client in self._touched_clients:
            self._settle(self._by_client, client)
        self._touched_clients = {}
        gone, new = self.nobodys.settle()
        homes = {attempt.home for attempt in new}
        for attempt in gone:
            if attempt.home not in homes:
                self.take(attempt)
        for attempt in new:
            self.put(attempt)
        for name in self._touched_names:
            self._settle(self._by_name, name)
        self._touched_names = {}
        gone_too, new_too = self.unheard.settle()
        touched, self._touched = self._touched, set()
        return touched, [*gone, *gone_too], [*new, *new_too]

    def _take(self, known: _Known, which: str) -> None:
        for client in known.clients:
            self._client_line(client).take(which, known.attempt.start)
        for name, used in known.names.items():
            self._name_line(name).take(which, used)

    def _settle(self, lines: dict[str, Nearby], key: str) -> None:
        line = lines.get(key)
        if line is None:  # all that was there is forgotten
            return
        for strand, old, new in line.settle():
            if old is not None:
                self._take_back(strand, old)
            else:
                self._leave(strand, False)
            if new is None:
                self._leave(strand, True)
                continue
            self._touched.add(new)
            self.given.setdefault(new, {})[strand] = None

    def _take_back(self, strand: Strand, which: str) -> None:
        self._touched.add(which)
        given = self.given[which]
        del given[strand]
        if not given:
            del self.given[which]

    def _leave(self, strand: Strand, is_left: bool) -> None:
        if (key := _rest_key(strand)) is not None:
            self._rest_of(strand).set(key, strand, is_left)

    def _rest_of(self, strand: Strand) -> _Rest:
        return self.unheard if isinstance(strand.events[0][1], DnsQuery) else self.nobodys

    def _line_of(self, strand: Strand) -> Nearby:
        event = strand.events[0][1]
        if isinstance(event, DnsQuery):
            return self._name_line(event.name)
        return self._client_line(_client(strand))

    def _client_line(self, client: str) -> Nearby:
        self._touched_clients[client] = None
        line = self._by_client.get(client)
        if line is None:
            line = self._by_client[client] = Nearby(_by_address, _finds)
        return line

    def _name_line(self, name: str) -> Nearby:
        self._touched_names[name] = None
        line = self._by_name.get(name)
        if line is None:
            line = self._by_name[name] = Nearby(_by_name, _queried)
        return line


class _Rest:
    """Loose strands that fit nowhere, and the attempts that they are themselves."""

    def __init__(self, make: Callable[[list[Attempt], list[Strand], list[Strand]], _Made]) -> None:
        self._make = make
        self._left: dict[tuple[str, str], dict[Strand, None]] = {}
        self._changes: dict[tuple[str, str], dict[Strand, bool]] = {}
        self._attempts: dict[tuple[str, str], list[Attempt]] = {}

    def set(self, key: tuple[str, str], strand: Strand, is_left: bool) -> None:
        self._changes.setdefault(key, {})[strand] = is_left

    def drop(self, key: tuple[str, str], strand: Strand) -> None:
        left = self._left.get(key, {})
        if strand in left:
            del left[strand]
            self._attempts[key] = [
                attempt for attempt in self._attempts[key] if attempt.strands[0][0] is not strand
            ]
            if not left:
                del self._left[key], self._attempts[key]

    def settle(self) -> _Made:
        """Attempts that are no more, and those that are new."""
        gone: list[Attempt] = []
        new: list[Attempt] = []
        for key, changes in self._changes.items():
            left = self._left.setdefault(key, {})
            added = [strand for strand, is_left in changes.items() if is_left and strand not in left]
            removed = [strand for strand, is_left in changes.items() if not is_left and strand in left]
            for strand in removed:
                del left[strand]
            left.update(dict.fromkeys(added))
            if not added and not removed:
                continue
            had = self._attempts.get(key, [])
            old, made = self._make(had, added, removed)
            gone += old
            new += made
            self._attempts[key] = [attempt for attempt in had if attempt not in old] + made
            if not left:
                del self._left[key], self._attempts[key]
        self._changes = {}
        return gone, new


type _Made = tuple[list[Attempt], list[Attempt]]


def _rest_key(strand: Strand) -> tuple[str, str] | None:
    """Among what it is if it fits nowhere. None: it is nothing then."""
    event = strand.events[0][1]
    if not isinstance(event, DnsQuery):
        return _client(strand), ""
    domain = _domain(event.name)
    return (_client(strand), domain) if domain is not None else None


def _look(attempt: Attempt) -> object:
    return (
        attempt.start,
        attempt.person,
        frozenset(attempt.agents),
        frozenset(attempt.clients),
        frozenset(attempt.asked),
        frozenset(attempt.connections),
        (bool(attempt.sessions), attempt.beyond is None),
        tuple(sorted(names_of(attempt).items())),
    )


# -- HTTP and handshakes: by address --------------------------------------------------------------------


def _client(strand: Strand) -> str:
    return min(strand.clients, default="")


def _finds(strand: Strand) -> Iterable[Question]:
    return [find.asked for find in strand.finds]


def _by_address(one: Strand, attempt: Attempt, at: float, again: bool) -> tuple[float, ...] | None:
    """A connection that both used, agent, names, whether it led anywhere, seconds."""
    agent = 1
    if one.agents and attempt.agents:
        agent = 0 if one.agents & attempt.agents else 2
    if agent == 2 and (attempt.asked or one.beyond is not None):
        return None
    if one.speaks_sip and attempt.sessions:
        return None  # a phone's, or a browser's: it speaks HTTP
    known = names_of(attempt)
    own = (attempt.person or "").partition("@")[2] or None
    strange = [host for host in one.hosts if host not in known]
    if own is not None:
        strange = [host for host in strange if names.sip_domain(host) != own]
    if any(names.is_lyncdiscover(host) or (own and names.sip_domain(host)) for host in strange):
        return None  # another domain's
    asks = {find.asked for find in one.finds}
    again |= bool(asks & attempt.asked.keys())
    away = abs(one.start - attempt.start)
    late = max(0.0, one.start - attempt.start) if asks else 0.0  # discovery comes first
    got_on = one.speaks_sip and attempt.beyond is not None  # SIP's names are the last that are tried
    return not (one.shared & attempt.connections), agent, again, bool(strange), got_on, away + late


def _of_exchanges(had: list[Attempt], added: list[Strand], removed: list[Strand]) -> _Made:
    return put_together_again(None, had, added, removed)


# -- DNS: by name ---------------------------------------------------------------------------------------


def _queried(strand: Strand) -> Iterable[Question]:
    event = strand.events[0][1]
    return [(event.name, event.kind)] if isinstance(event, DnsQuery) else []


def _by_name(one: Strand, attempt: Attempt, at: float, again: bool) -> tuple[float, ...]:
    """The attempt of that address, that used the name soonest after the query."""
    other = one.clients.isdisjoint(attempt.clients)
    return other, one.start > at + CLOCK, again, abs(at - one.start)


def _of_queries(had: list[Attempt], added: list[Strand], removed: list[Strand]) -> _Made:
    """Nothing but queries: sign-ins that came no further (F01). One ends with a pause, and when what it asked
    is asked again later."""
    since = min(strand.start for strand in (*added, *removed)) - IDLE
    old = [attempt for attempt in had if attempt.end >= since]
    strands = {strand for attempt in old for strand, _ in attempt.strands} - set(removed) | set(added)
    made: list[Attempt] = []
    asked: dict[Question, float] = {}
    for strand in sorted(strands, key=lambda strand: strand.order):
        (question,) = _queried(strand)
        repeated = question in asked and strand.start > asked[question] + QUIET
        if not made or repeated or strand.start > made[-1].end + IDLE:
            made.append(Attempt(None))
            asked = {}
        asked.setdefault(question, strand.start)
        made[-1].add(strand, Joined.ADDRESS if strand.clients else Joined.TIME)
        made[-1].staged = True
    return old, made


def _domain(name: str) -> str | None:
    for prefix in ("lyncdiscover.", "lyncdiscoverinternal."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return None
