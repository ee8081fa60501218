"""A sign-in laid out for looking at: its events by kind, and other sign-ins around it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from lyncgate.lync.stages import Stage
from lyncgate.signin.catalogue.look import (
    REDIRECT,
    asks_root,
    fqdn_of,
    host_of,
    is_discovery_name,
    issued_ticket,
    served,
)
from lyncgate.signin.events import DnsQuery, Event, Handshake, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange
from lyncgate.signin.story import SignIn, SignInOutcome

_BEYOND_DISCOVERY = frozenset(
    stage for stage in Stage if list(Stage).index(stage) >= list(Stage).index(Stage.LOCATE)
)


class Scene:
    """`around`: sign-ins near in time, and older ones of the same user; this one may be among them."""

    def __init__(self, sign_in: SignIn, around: Sequence[SignIn] = ()) -> None:
        self.sign_in = sign_in
        self._around = around
        # Each id once: a later telling stands for an earlier one.
        events = {event.id: event for event in sign_in.events}
        self.exchanges = _of(Exchange, events.values())
        others = [event for event in events.values() if not isinstance(event, Exchange)]
        self.handshakes = _of(Handshake, others)
        self.dns = _of(DnsQuery, others)
        self.sip = _of(SipMessage, others)
        self.lines = _of(TraceLine, others)
        self._under: dict[tuple[str, ...], list[Exchange]] = {}  # several symptoms look below the same paths

    @functools.cached_property
    def around(self) -> tuple[SignIn, ...]:
        """Other sign-ins."""
        return tuple(other for other in self._around if other.id != self.sign_in.id)

    @property
    def ok(self) -> bool:
        """The user is in."""
        return self.sign_in.outcome is SignInOutcome.OK

    @functools.cached_property
    def domain(self) -> str | None:
        """The SIP domain: of the user, or of the discovery name that was asked for."""
        if self.sign_in.user:
            return self.sign_in.user.partition("@")[2] or None
        names = [query.name for query in self.dns]
        names += [shake.server_name or "" for shake in self.handshakes]
        names += [exchange.host for exchange in self.exchanges]
        found = (name.partition(".")[2] for name in names if is_discovery_name(name))
        return next((domain for domain in found if domain), None)

    def at(self, *stages: Stage) -> list[Exchange]:
        """The exchanges of these stages, in order of time."""
        return [exchange for exchange in self.exchanges if exchange.stage in stages]

    def under(self, *prefixes: str) -> list[Exchange]:
        """The exchanges with these paths (lower case) and what lies below them."""
        found = self._under.get(prefixes)
        if found is None:
            wanted = tuple([f"{prefix}/" for prefix in prefixes])
            found = [exchange for path, exchange in self._paths if path.startswith(wanted)]
            self._under[prefixes] = found
        return found

    @functools.cached_property
    def _paths(self) -> list[tuple[str, Exchange]]:
        return [(f"{exchange.path}/", exchange) for exchange in self.exchanges]

    @functools.cached_property
    def roots(self) -> list[Exchange]:
        """The requests for a root document."""
        return [exchange for exchange in self.exchanges if asks_root(exchange)]

    @functools.cached_property
    def found_services(self) -> bool:
        """Discovery led somewhere: a service beyond the root document answered as it should."""
        return any(x.stage in _BEYOND_DISCOVERY and served(x) and not asks_root(x) for x in self.exchanges)

    @functools.cached_property
    def has_ticket(self) -> bool:
        """A web ticket was issued."""
        return any(issued_ticket(exchange) for exchange in self.exchanges)

    @functools.cached_property
    def links(self) -> tuple[tuple[str, str, Exchange], ...]:
        """(token, URL, where it stood) of every link that autodiscover handed out, Redirects too."""
        found: list[tuple[str, str, Exchange]] = []
        for exchange in self.exchanges:
            facts = exchange.facts
            for token, url in facts.links:
                found.append((token, url, exchange))
            if facts.redirect and not any(t == REDIRECT for t, _ in facts.links):
                found.append((REDIRECT, facts.redirect, exchange))
        return tuple(found)

    def answered(self, name: str) -> list[DnsQuery]:
        """Look-ups of `name` that found it."""
        return [query for query in self.dns if query.name == name and query.answers]

    def missing(self, name: str) -> list[DnsQuery]:
        """Look-ups that were told there is no such name."""
        return [query for query in self.dns if query.name == name and query.rcode == "NXDOMAIN"]

    @functools.cached_property
    def traced(self) -> bool:
        """A front end's trace is at hand."""
        return any(event.origin.startswith("trace") for event in self.sign_in.events)

    def values(self) -> dict[str, str | None]:
        """What commands are filled with: user, account, domain, server (front end), pool (its internal name),
        web (external web services name)."""
        links = {token: url for token, url, _ in reversed(self.links)}
        servers = [fqdn for x in self.exchanges if (fqdn := fqdn_of(x))]
        external = next((links[t] for t in ("External/Ucwa", "Ucwa", "Self", "User") if t in links), None)
        internal = next((links[t] for t in ("Internal/Ucwa", "Internal/Autodiscover") if t in links), None)
        account = next(
            (x.ntlm_user or x.keys.account for x in self.exchanges if x.ntlm_user or x.keys.account), None
        )
        return {
            "user": self.sign_in.user,
            "account": self.sign_in.account or account or self.sign_in.user,
            "domain": self.domain,
            "server": servers[-1] if servers else None,
            "pool": host_of(internal) if internal else None,
            "web": host_of(external) if external else None,
        }


def _of[E](kind: type[E], events: Iterable[Event]) -> tuple[E, ...]:
    return tuple([event for event in events if isinstance(event, kind)])
