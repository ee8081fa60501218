"""What a fault is, and what a lab asks the faults that were chosen for it.

A fault is an entry of words and effects. Effects are data, a kind for each place where a lab is changed:

    Dns                 names that don't exist, or lead elsewhere
    Services            a step before every web site of the pool's servers
    Proxy               a proxy between phones and pool, bad in some way (badproxy)
    People              another directory
    Pools               a switch that a pool has anyway
    Certificates        what servers show, also to each other

Some have an amount (`F37=5`: seconds that a proxy waits): `effects` is a function of it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lyncgate.client.names import Address, NameRule
from lyncgate.lab.authority import Authority, write_private
from lyncgate.lab.call import Call
from lyncgate.lab.dns.estate import View
from lyncgate.lab.dns.zone import Record, Zone
from lyncgate.lab.faults.badproxy import BadProxy, Proxy
from lyncgate.lab.faults.steps import Serve, Step, chain
from lyncgate.lab.pool import Pool
from lyncgate.lab.ports import Ports
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lync.stages import Stage


@dataclasses.dataclass(frozen=True, slots=True)
class Dns:
    """`gone`: globs of names that don't exist; `records`: what stands in place of whatever their names
    have. Phones that have no DNS server and go by a NameMap see the addresses, not the aliases."""

    gone: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    view: View = View.EXTERNAL


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """A step before the web sites of every server of a pool."""

    step: Step[Call]


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Another scenario: users, passwords, policies."""

    change: Callable[[Scenario], Scenario]


@dataclasses.dataclass(frozen=True, slots=True)
class Pools:
    """A switch of a pool is thrown, once, before its servers start."""

    change: Callable[[Pool], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Certificates:
    """Servers show others than they should: (certificate, key), PEM, by the name of their file."""

    issue: Callable[[Authority], Mapping[str, tuple[bytes, bytes]]]


type Effect = Dns | Services | Proxy | People | Pools | Certificates


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """An entry of the catalogue.

    `code`: the protocol reference's. `changes`: what is done to the lab; `symptom`: what is then seen on
    the wire; `phone`: what becomes of a phone. `stage`: where the sign-in of `user` on `device` ends, None:
    it gets through. `amount`: its default, of `unit`; 0 and "" where there is none.
    """

    code: str
    title: str
    changes: str
    symptom: str
    phone: str
    stage: Stage | None
    effects: Callable[[float], Iterable[Effect]]
    user: str = "alice@contoso.example"
    device: str = "lync2013"
    amount: float = 0.0
    unit: str = ""


def always(*effects: Effect) -> Callable[[float], Iterable[Effect]]:
    """The effects of a fault that has no amount."""
    return lambda _amount: effects


class Faults:
    """The faults of one lab, with their amounts; none by default."""

    def __init__(self, chosen: Iterable[tuple[Fault, float]] = ()) -> None:
        chosen = tuple(chosen)
        self.codes = tuple(fault.code for fault, _ in chosen)
        effects = [effect for fault, amount in chosen for effect in fault.effects(amount)]
        self._dns = [effect for effect in effects if isinstance(effect, Dns)]
        self._steps = [effect.step for effect in effects if isinstance(effect, Services)]
        self._pools = [effect.change for effect in effects if isinstance(effect, Pools)]
        self._issue = [effect.issue for effect in effects if isinstance(effect, Certificates)]
        self._people = [effect.change for effect in effects if isinstance(effect, People)]
        wrong: dict[str, list[Proxy]] = {}
        for effect in effects:
            if isinstance(effect, Proxy):
                wrong.setdefault(effect.at, []).append(effect)
        self._proxies = [functools.reduce(operator.or_, several) for several in wrong.values()]

    def around(self, serve: Serve[Call]) -> Serve[Call]:
        """What a web site does instead of `serve`."""
        return chain(self._steps, serve)

    def scenario(self, scenario: Scenario) -> Scenario:
        """Whom the directory knows instead of `scenario`."""
        for change in self._people:
            scenario = change(scenario)
        return scenario

    def throw_switches(self, pool: Pool) -> None:
        """A pool is new."""
        for change in self._pools:
            change(pool)

    def zone(self, view: View, zone: Zone) -> Zone:
        """What the DNS server of a view holds instead of `zone`."""
        wrong = [effect for effect in self._dns if effect.view is view]
        if not wrong:
            return zone
        records = [record for effect in wrong for record in effect.records]
        gone = [glob for effect in wrong for glob in effect.gone] + [record.name for record in records]
        kept = [r for r in zone.records if not any(fnmatch.fnmatchcase(r.name, glob) for glob in gone)]
        return Zone(zone.origins, [*kept, *records])

    def names(self, ports: Mapping[Address, Address]) -> tuple[NameRule, ...]:
        """The same for phones outside that have no DNS. `ports`: where a well-known port really is."""
        rules = []
        for effect in self._dns:
            if effect.view is View.EXTERNAL:
                rules += [NameRule(glob, None, None) for glob in effect.gone]
                rules += [
                    NameRule(record.name, port, ports.get((record.data, port), (record.data, port)))
                    for record in effect.records
                    if record.kind == "A"
                    for port in (80, 443)
                ]
        return tuple(rules)

    def write_certificates(self, authority: Authority, directory: Path) -> None:
        """What bad proxies show, and servers in place of what they have, signed while the authority is at
        hand."""
        issued = {p.at: p.certificate.issue(authority) for p in self._proxies if p.certificate}
        for issue in self._issue:
            issued |= issue(authority)
        for name, (certificate, key) in issued.items():
            write_private(directory / f"{name}.pem", certificate)
            write_private(directory / f"{name}.key", key)

    def proxies(self, ports: Ports, directory: Path) -> list[BadProxy]:
        """What has to be started beside the pool."""
        return [BadProxy(proxy, ports, directory) for proxy in self._proxies]


NO_FAULTS = Faults()
