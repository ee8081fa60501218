"""What names nobody, and shares no key with anything that does: DNS queries, handshakes that failed,
discovery by clients that don't say who they are. It is given to the sign-in that fits best by address,
User-Agent, name and time. Where several fit equally well, the choice is the same each time, and may be wrong:
`Joined.ADDRESS` and `Joined.TIME` say so. What fits nowhere, and has to do with signing in, is a sign-in of
nobody known.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence

from lyncgate.lync import names
from lyncgate.signin.attempts import CLOCK, IDLE, Attempt, attempts, names_of
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.story import Joined
from lyncgate.signin.strands import Strand

NEAR = 12  # attempts looked at on either side of a moment


class _Line:
    """Attempts in order of a time, to find those near a moment."""

    def __init__(self) -> None:
        self.at: list[tuple[float, int]] = []
        self.attempts: list[Attempt] = []

    def add(self, when: float, attempt: Attempt) -> None:
        self.at.append((when, len(self.attempts)))
        self.attempts.append(attempt)

    def near(self, when: float) -> list[tuple[float, Attempt]]:
        """Up to NEAR before and after `when`; call `sort` first."""
        middle = bisect.bisect_left(self.at, (when, 0))
        return [(at, self.attempts[number]) for at, number in self.at[max(0, middle - NEAR) : middle + NEAR]]


def attach(made: Sequence[Attempt], loose: Iterable[Strand]) -> list[Attempt]:
    """Gives loose strands to the attempts `made` (their `attached` is filled anew) and returns the attempts
    that are made of loose strands alone."""
    for attempt in made:
        attempt.attached = []
    web: list[Strand] = []
    dns: list[Strand] = []
    for one in sorted(loose, key=lambda one: one.order):
        (dns if isinstance(one.events[0][1], DnsQuery) else web).append(one)
    nobodys = _attach_web(made, [one for one in web if one.web])
    everybodys = [*made, *nobodys]
    return [*nobodys, *_attach_dns(everybodys, dns)]


# -- HTTP and handshakes: by address --------------------------------------------------------------------


def _attach_web(made: Sequence[Attempt], web: Sequence[Strand]) -> list[Attempt]:
    if not web:
        return []
    by_client: dict[str, _Line] = {}
    for attempt in sorted(made, key=lambda a: (a.start, a.strands[0][0].order)):
        for client in attempt.clients:
            by_client.setdefault(client, _Line()).add(attempt.start, attempt)
    taken: dict[int, set[tuple[str, str]]] = {}
    left: dict[str, list[Strand]] = {}
    for one in web:
        client = min(one.clients, default="")
        line = by_client.get(client)
        near = line.near(one.start) if line is not None else []
        best: tuple[float, ...] | None = None
        chosen: Attempt | None = None
        for _, attempt in near:
            score = _by_address(one, attempt, taken)
            if score is not None and (best is None or score < best):
                best, chosen = score, attempt
        if chosen is None:
            left.setdefault(client, []).append(one)
            continue
        chosen.attached.append((one, Joined.ADDRESS))
        taken.setdefault(id(chosen), set()).update(find.asked for find in one.finds)
    made_of_left = [attempt for strands in left.values() for attempt in attempts(None, strands)]
    return [attempt for attempt in made_of_left if any(one.staged for one, _ in attempt.strands)]


def _by_address(
    one: Strand, attempt: Attempt, taken: dict[int, set[tuple[str, str]]]
) -> tuple[float, ...] | None:
    """How far it is from an attempt: a connection that both used, agent, names, seconds. None: can't be."""
    if not attempt.start - IDLE <= one.start <= attempt.end + IDLE:
        return None
    agent = 1
    if one.agents and attempt.agents:
        agent = 0 if one.agents & attempt.agents else 2
    if agent == 2 and (attempt.asked or one.beyond is not None):
        return None
    known = names_of(attempt)
    strange = not all(host in known for host in one.hosts)
    if strange and any(names.is_lyncdiscover(host) for host in one.hosts if host not in known):
        return None  # another domain's
    questions = {find.asked for find in one.finds}
    again = bool(questions) and bool(
        questions & attempt.asked.keys() or questions & taken.get(id(attempt), set())
    )
    before = one.start - attempt.start if one.start > attempt.start else 0.0
    away = max(0.0, attempt.start - one.start, one.start - attempt.end)
    late = before if questions else 0.0  # discovery comes first
    return not (one.shared & attempt.connections), agent, again, strange, away + late


# -- DNS: by name ---------------------------------------------------------------------------------------


def _attach_dns(made: Sequence[Attempt], dns: Sequence[Strand]) -> list[Attempt]:
    if not dns:
        return []
    by_name: dict[str, _Line] = {}
    for attempt in sorted(made, key=lambda a: (a.start, a.strands[0][0].order)):
        for name, when in names_of(attempt).items():
            by_name.setdefault(name, _Line()).add(when, attempt)
    for line in by_name.values():
        line.at.sort()
    asked: dict[int, set[tuple[str, str]]] = {}
    itself: set[int] = set()  # attempts whose device is seen asking: they take no query from elsewhere
    others: list[Strand] = []
    for one in dns:  # queries of devices first, then those of resolvers, which may be anybody's
        asker = _by_name(one, by_name, asked, lambda a, client: client in a.clients)
        if asker is None:
            others.append(one)
        else:
            asker.attached.append((one, Joined.ADDRESS))
            itself.add(id(asker))
    left: dict[tuple[str, str], list[Strand]] = {}
    for one in others:
        asker = _by_name(one, by_name, asked, lambda a, _: id(a) not in itself)
        if asker is not None:
            asker.attached.append((one, Joined.TIME))
        elif domain := _domain(_query(one).name):
            left.setdefault((_query(one).keys.client or "", domain), []).append(one)
    return [attempt for queries in left.values() for attempt in _only_dns(queries)]


def _by_name(
    one: Strand,
    by_name: dict[str, _Line],
    asked: dict[int, set[tuple[str, str]]],
    may: Callable[[Attempt, str | None], bool],
) -> Attempt | None:
    """The attempt that used the name soonest after the query, and did not ask for it yet."""
    query = _query(one)
    line = by_name.get(query.name)
    question = (query.name, query.kind)
    best: tuple[float, ...] | None = None
    chosen: Attempt | None = None
    for used, attempt in line.near(one.start) if line is not None else ():
        if not attempt.start - IDLE <= one.start <= attempt.end + IDLE or not may(attempt, query.keys.client):
            continue
        late = one.start > used + CLOCK
        score = (late, question in asked.get(id(attempt), ()), abs(used - one.start))
        if best is None or score < best:
            best, chosen = score, attempt
    if chosen is not None:
        asked.setdefault(id(chosen), set()).add(question)
    return chosen


def _query(one: Strand) -> DnsQuery:
    query = one.events[0][1]
    assert isinstance(query, DnsQuery)
    return query


def _only_dns(queries: Sequence[Strand]) -> Iterable[Attempt]:
    """Nothing but queries: a sign-in that came no further (F01), one for each pause in them."""
    attempt: Attempt | None = None
    for one in queries:
        if attempt is None or one.start > attempt.end + IDLE:
            if attempt is not None:
                yield attempt
            attempt = Attempt(None)
        attempt.add(one, Joined.ADDRESS if one.clients else Joined.TIME)
    if attempt is not None:
        yield attempt


def _domain(name: str) -> str | None:
    for prefix in ("lyncdiscover.", "lyncdiscoverinternal."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return None
