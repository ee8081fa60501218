"""The whole lab in one process: pools, front ends, an Access Edge, on loopback.

    async with Estate.start(directory) as estate:
        rules = estate.rules_yaml()                       # for an edge in front of it
        names = estate.names(("127.0.0.1", 8080), ("127.0.0.1", 8443))   # what phones then resolve
        await estate.kill("fe01"); await estate.start_member("fe01")

`start(directory, members=["fe02"])` runs some members only, with the plan that is in the directory: that
is how one front end runs in a process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from lyncgate.client.dns import Resolver
from lyncgate.client.names import Address, NameMap, NameRule
from lyncgate.lab import messages, presence, rules, topology
from lyncgate.lab.accessedge import AccessEdge
from lyncgate.lab.authority import write_private
from lyncgate.lab.directory import Directory, User
from lyncgate.lab.dns import estate as dns
from lyncgate.lab.dns.server import LOG_FILE, DnsServer, QueryLog
from lyncgate.lab.faults.badproxy import DOOR, BadProxy
from lyncgate.lab.faults.fault import NO_FAULTS, Faults
from lyncgate.lab.frontend import FrontEnd
from lyncgate.lab.inside.push import PushRelay
from lyncgate.lab.inside.trace import NO_TRACE, Tracer, TraceWriter
from lyncgate.lab.ntlm import Accounts
from lyncgate.lab.officewebapps import OfficeWebApps
from lyncgate.lab.plan import PLAN_FILE, Plan, PlanError
from lyncgate.lab.pool import Pool
from lyncgate.lab.ports import Ports
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.ucwa import POLL_MINIMUM, Json
from lyncgate.lync import mcx
from lyncgate.lync.contacts import Availability
from lyncgate.lync.mcx import WireForm

NAMES_FILE = "names.json"  # what phones resolve by that go straight to the lab, or to its bad proxy

type Server = FrontEnd | AccessEdge | OfficeWebApps


class Estate:
    """A running lab. Make it with `start`."""

    def __init__(self, plan: Plan, faults: Faults = NO_FAULTS) -> None:
        self._plan = plan
        self.faults = faults
        self.proxies: dict[str, BadProxy] = {}
        self.people = Directory(faults.scenario(plan.scenario))
        self.pools = {
            name: Pool(spec, self.people, plan.secret, plan.poll_minimum)
            for name, spec in topology.POOLS.items()
        }
        for pool in self.pools.values():
            faults.throw_switches(pool)
        self._accounts = Accounts(plan.accounts)
        self._running: dict[str, Server] = {}
        self._tracers: dict[str, Tracer] = {}
        self._traces: Path | None = None
        self._skew: Mapping[str, float] = {}
        self.push = PushRelay(plan.ports, plan.directory)
        self.dns: dict[dns.View, DnsServer] = {}
        self.dns_log: QueryLog | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        directory: Path,
        *,
        members: Iterable[str] | None = None,
        poll_minimum: float = POLL_MINIMUM,
        scenario: Scenario | None = None,
        faults: Faults = NO_FAULTS,
        trace: bool | Path = False,
        skew: Mapping[str, float] | None = None,
        mcx_form: WireForm = mcx.DEFAULT,
    ) -> AsyncIterator[Estate]:
        """Run a new lab in `directory`, or only `members` of the lab that is planned there already.

        `poll_minimum`: seconds, the shortest time-out that a poll may ask for (UCWA's own is 180).
        `scenario`: who there is in a new lab, None: the lab's own users. `faults`: what is wrong with it; bad
        proxies run in a whole lab only. `trace`: whether servers write traces (inside.trace), and where;
        True: in `traces` of `directory`. `skew`: seconds by which the clock of a server's trace is ahead, by
        the server's name. `mcx_form`: the names on MCX's wire (lync.mcx).
        """
        if members is None:
            plan = Plan.create(directory, poll_minimum, scenario, faults)
        else:
            plan = cls.prepare(directory, poll_minimum, scenario)
        estate = cls(plan, faults)
        for pool in estate.pools.values():
            pool.mcx_form = mcx_form
        if trace:
            estate._traces = directory / "traces" if trace is True else trace
        estate._skew = skew or {}
        names = tuple(topology.MEMBERS if members is None else members)
        try:
            for name in names:
                await estate.start_member(name)
            if "sip" in names:  # who runs the Access Edge has the partners too
                await estate.push.start(plan.listen)
            if members is None:
                for proxy in faults.proxies(plan.ports, plan.directory):
                    await proxy.start()
                    estate.proxies[proxy.spec.at] = proxy
                resolved = estate.names_without_edge().to_json()
                write_private(plan.directory / NAMES_FILE, resolved.encode())
            yield estate
        finally:
            while estate.proxies:
                await estate.proxies.popitem()[1].stop()
            for name in tuple(estate._running):
                await estate.stop_member(name)
            await estate.push.stop()
            await estate.stop_dns()
            plan.close()

    @staticmethod
    def prepare(
        directory: Path, poll_minimum: float = POLL_MINIMUM, scenario: Scenario | None = None
    ) -> Plan:
        """The plan of a lab whose members run as processes of their own; made if there is none. Call it
        once before several of them start at the same time. Raises PlanError if there is one with another
        scenario."""
        if (directory / PLAN_FILE).exists():
            plan = Plan.read(directory)
            if scenario and scenario.text != plan.scenario.text:
                raise PlanError(f"{directory} has a lab with another scenario")
            return plan
        plan = Plan.create(directory, poll_minimum, scenario)
        plan.close()
        return plan

    async def start_member(self, name: str) -> None:
        """Start a server that is not running: one of topology.MEMBERS, by name."""
        spec = topology.MEMBERS[name]
        server: Server
        if spec.pool is not None:
            server = FrontEnd(
                spec,
                self.pools[spec.pool],
                self.pools,
                self._accounts,
                self.ports,
                self.directory,
                self.faults,
                self._tracer(name),
            )
        elif spec.role is topology.Role.ACCESS_EDGE:
            server = AccessEdge(
                spec,
                self.pools,
                self.people,
                self._accounts,
                self.ports,
                self.directory,
                self._tracer(name),
            )
        else:
            server = OfficeWebApps(spec, self.ports, self.directory)
        self._running[name] = server
        await server.start(self._plan.listen)

    async def stop_member(self, name: str) -> None:
        """Stop a server: nothing listens, every connection is closed."""
        await self._end(name, reset=False)

    async def kill(self, name: str) -> None:
        """End a server as kill -9 does: nothing listens, every connection is reset."""
        await self._end(name, reset=True)

    async def _end(self, name: str, *, reset: bool) -> None:
        await self._running.pop(name).stop(reset=reset)
        self._tracers.pop(name, NO_TRACE).close()

    def _tracer(self, name: str) -> Tracer:
        tracer = NO_TRACE
        if self._traces:
            tracer = TraceWriter(self._traces / f"{name}.log", self._skew.get(name, 0.0))
        self._tracers[name] = tracer
        return tracer

    async def start_dns(self, proxy: str | None = None) -> None:
        """Serve the zones of both views; public names lead to `proxy`, the address of an edge, or to the bad
        proxy that a fault put there, or straight to the front ends. Queries are in `dns_log` and in the file
        `dns.log`."""
        proxy = proxy or (DOOR if DOOR in self.proxies else None)
        self.dns_log = QueryLog(self.directory / LOG_FILE)
        for view in dns.View:
            zone = self.faults.zone(view, dns.zone(view, proxy))
            self.dns[view] = DnsServer(view, zone, self.dns_log)
            await self.dns[view].start()

    async def stop_dns(self) -> None:
        """No DNS any more."""
        while self.dns:
            await self.dns.popitem()[1].stop()
        if self.dns_log:
            self.dns_log.close()
            self.dns_log = None

    def resolver(self, view: dns.View, proxy: tuple[Address, Address] | None = None) -> Resolver:
        """What a phone outside or inside resolves by; `proxy`: the HTTP and HTTPS listeners of an edge, whose
        address was given to `start_dns`."""
        return Resolver(self.dns[view].address, dns.ports(view, self.ports, proxy) | self._proxy_ports())

    def _proxy_ports(self) -> dict[Address, Address]:
        return {
            (at, port): where
            for at, proxy in self.proxies.items()
            for port, where in ((80, proxy.http), (443, proxy.https))
        }

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the servers that run."""
        return tuple(self._running)

    @property
    def directory(self) -> Path:
        """Where the lab's files are."""
        return self._plan.directory

    @property
    def ports(self) -> Ports:
        """Port numbers, the same on every front end."""
        return self._plan.ports

    @property
    def ca_file(self) -> Path:
        """The root certificate to trust."""
        return self.directory / "ca.pem"

    def push_event(self, sip: str, event: Json) -> int:
        """Something happens to a user: releases the polls of all applications; says how many there are."""
        user = self._user(sip)
        applications = self.pools[user.home].applications.of(user.sip)
        for application in applications:
            application.push(event)
        return len(applications)

    def _user(self, sip: str) -> User:
        user = self.people.by_sip(sip)
        if user is None:
            raise KeyError(sip)
        return user

    def set_presence(self, sip: str, availability: Availability) -> None:
        """Somebody can be reached, or not: news for those who watch."""
        presence.publish(self.pools, self._user(sip), availability)

    def send_message(self, to: str, sender: str, text: str) -> int:
        """An instant message comes for all devices of a user. Says how many there are."""
        user = self._user(to)
        return messages.deliver(self.pools[user.home], user, sender, text)

    def rules_yaml(
        self, *, http_port: int = 0, https_port: int = 0, admin_port: int = 0, discovery: str | None = None
    ) -> str:
        """A rules.yaml for an edge in front of this lab; `discovery`: the pool that lyncdiscover leads to."""
        return rules.rules_yaml(
            self.directory,
            self.ports,
            http_port=http_port,
            https_port=https_port,
            admin_port=admin_port,
            discovery=discovery,
        )

    def names(self, edge_http: Address, edge_https: Address) -> NameMap:
        """What a phone outside resolves when an edge stands in front: public names lead to the edge."""
        return NameMap((*self._outside(), *_web("*", edge_http, edge_https)))

    def names_without_edge(self, member: str = "fe01") -> NameMap:
        """The same with no edge: public names lead straight to the external ports of a front end or Director,
        those of the other pools to their first member; all to a bad proxy that a fault put before them.
        Of a lab that runs in another process, it is what that has written down."""
        if not self._running and (told := self.directory / NAMES_FILE).exists():
            return NameMap.from_json(told.read_text())
        if door := self.proxies.get(DOOR):
            return self.names(door.http, door.https)
        straight: list[NameRule] = []
        for pool in topology.POOLS.values():
            if member not in pool.members:
                straight += _web(pool.web, *self._external(pool.members[0]))
        owa = topology.MEMBERS["owa01"].address
        straight += _web(topology.OWA_HOST, (owa, self.ports.internal_http), (owa, self.ports.internal_https))
        return NameMap((*self._outside(), *straight, *_web("*", *self._external(member))))

    def _external(self, member: str) -> tuple[Address, Address]:
        address = topology.MEMBERS[member].address
        return (address, self.ports.external_http), (address, self.ports.external_https)

    def _outside(self) -> tuple[NameRule, ...]:
        """Internal names don't exist outside; SIP goes to the Access Edge and has no other names."""
        access_edge = (topology.MEMBERS["sip"].address, self.ports.sip)
        return (
            *self.faults.names(self._proxy_ports()),
            NameRule("lyncdiscoverinternal.*", None, None),
            NameRule("*.local", None, None),
            NameRule(topology.SIP_HOST, 5061, access_edge),
            NameRule(topology.SIP_HOST, 443, access_edge),
            NameRule("sip*.*", None, None),
        )

    def describe(self) -> dict[str, object]:
        """The running lab in JSON's terms: `lyncgate lab --json`."""
        return {
            "directory": str(self.directory),
            "ca": str(self.ca_file),
            "ports": dataclasses.asdict(self.ports),
            "push": "{}:{}".format(*self.push.device_address),
            "members": {
                name: {"address": topology.MEMBERS[name].address, "pool": topology.MEMBERS[name].pool}
                for name in self._running
            },
            "faults": self.faults.codes,
            "proxies": {at: {"http": p.http, "https": p.https} for at, p in self.proxies.items()},
            "dns": {view: server.address for view, server in self.dns.items()},
            "users": {user.sip: {"password": user.password, "home": user.home} for user in self.people.users},
        }


def _web(host: str, http: Address, https: Address) -> tuple[NameRule, NameRule]:
    return NameRule(host, 80, http), NameRule(host, 443, https)
