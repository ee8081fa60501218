"""An edge in the test's own process and loop, with hand-built rules, in front of programmable origins.

    async def check() -> None:
        async with members(2) as origins, edge(policy(origins)) as it:
            async with it.http() as client:
                reply = await client.ask(get("/"))
            [record] = it.records

When the block ends, the edge must have forgotten its clients: whatever it keeps by connection or request
must be empty, no member may count a request, and nothing may have crashed. So every test checks that.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mitmproxy.http import HTTPFlow

from lyncgate.edge import client as edge_client
from lyncgate.edge.flows import Flows
from lyncgate.edge.state import EdgeState
from lyncgate.engine.lane.client import ClientConnection
from lyncgate.engine.lane.exchange import Relay
from lyncgate.engine.lane.lane import Lane
from lyncgate.engine.lane.stream import Stream
from lyncgate.engine.lane.upstream import Upstream
from lyncgate.engine.master import Engine
from lyncgate.engine.serve import Running, running_edge
from lyncgate.policy.load import Loaded
from lyncgate.policy.policy import (
    AccessLog,
    Admin,
    Bridge,
    Discover,
    Health,
    Listener,
    Member,
    Policy,
    Pool,
    Publication,
    Scheme,
    SipDomain,
    Timeouts,
    UpstreamTls,
)
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange
from support import certificates
from support.origin import Origin
from support.rawhttp import PATIENCE, Client, connected

WEB = "lyncweb.contoso.example"
DISCOVER = "lyncdiscover.contoso.example"
MEET = "meet.contoso.example"

ENGINE = Engine.LANE  # what `edge` runs on; the fixture `engine` sets it
UNCHECKED = Health(tcp=None, https=None)


def pool(origins: Sequence[Origin], name: str = "pool01", **changes: Any) -> Pool:
    """A pool of these origins. They serve the scheme that they speak; no health checks unless given."""
    port = origins[0].port
    made = Pool(
        name,
        tuple(Member(f"fe{number:02}", origin.address) for number, origin in enumerate(origins, 1)),
        bridge=Bridge(http=port, https=port),
        tls=UpstreamTls(ca=certificates.ca_file(), name=certificates.POOL_NAME),
        health=UNCHECKED,
        health_host=WEB,
    )
    return dataclasses.replace(made, **changes)


def policy(origins: Sequence[Origin], *, version: str = "0", **changes: Any) -> Policy:
    """A listener `http` that forwards, `redirecting` and `https`, in front of one pool. Keywords that are
    fields of Pool, Publication or Timeouts change those, the others the policy."""

    def taken(kind: type) -> dict[str, Any]:
        names = {field.name for field in dataclasses.fields(kind)} - {"name", "pool", "hosts"}
        return {name: changes.pop(name) for name in names & changes.keys()}

    made = pool(origins, **taken(Pool))
    publication = Publication("web", (WEB, MEET), made.name, **taken(Publication))
    timeouts = Timeouts(**{"drain": 5.0, **taken(Timeouts)})
    anywhere = (("127.0.0.1", 0),)
    listeners = [
        Listener("http", Scheme.HTTP, anywhere),
        Listener("redirecting", Scheme.HTTP, anywhere, redirect=True),
        Listener(
            "https", Scheme.HTTPS, anywhere, certificates=(certificates.issued(*certificates.EDGE_NAMES),)
        ),
    ]
    result = Policy(
        version=version,
        domains={
            "contoso.example": SipDomain("contoso.example", WEB, made.name, Discover.ANSWER, Discover.FORWARD)
        },
        users=(),
        listeners={listener.name: listener for listener in listeners},
        pools={made.name: made},
        publications=(publication,),
        timeouts=timeouts,
        access_log=AccessLog(path=None),
        admin=Admin(bind=None),
    )
    return dataclasses.replace(result, **changes)


def with_listener(rules: Policy, name: str, **changes: Any) -> Policy:
    """`rules` with one listener changed."""
    listener = dataclasses.replace(rules.listeners[name], **changes)
    return dataclasses.replace(rules, listeners={**rules.listeners, name: listener})


class EdgeUnderTest:
    """`records`: of every finished exchange and rejection, in the order they ended; `events`: everything.
    `scripted`: mitmproxy's flows are about, which are circles, and what it catches keeps our frames."""

    def __init__(
        self, running: Running, records: list[Exchange], events: list[Event], *, scripted: bool
    ) -> None:
        self.running = running
        self.records = records
        self.events = events
        self.scripted = scripted

    @property
    def state(self) -> EdgeState:
        return self.running.master.edge.edge

    def address(self, listener: str) -> tuple[str, int]:
        return self.running.addresses[listener][0]

    def http(self, listener: str = "http", **options: Any) -> contextlib.AbstractAsyncContextManager[Client]:
        return connected(self.address(listener), **options)

    def https(self, name: str | None = WEB, **options: Any) -> contextlib.AbstractAsyncContextManager[Client]:
        options.setdefault("tls", certificates.client())
        return connected(self.address("https"), name=name, **options)

    @property
    def lane(self) -> Lane:
        """For tests that run on the lane alone."""
        assert self.running.master.lane is not None
        return self.running.master.lane

    @property
    def only_client(self) -> ClientConnection:
        [client] = self.lane.clients
        return client

    @property
    def only_upstream(self) -> Upstream:
        [upstream] = self.lane.upstreams.all
        return upstream

    @property
    def clients(self) -> list[edge_client.Client]:
        """What the edge's concerns know of the connections that are open."""
        if lane := self.running.master.lane:
            return [one.record for one in lane.clients]
        return list(self.addon(Flows).clients.values())

    @property
    def upstreams(self) -> int:
        """How many connections to members are open, or being made."""
        if lane := self.running.master.lane:
            return len(lane.upstreams.all)
        handlers = self.running.master.proxyserver.connections.values()
        return sum(conn is not handler.client for handler in handlers for conn in handler.transports)

    def addon[A](self, kind: type[A]) -> A:
        return next(addon for addon in self.running.master.edge.addons if isinstance(addon, kind))

    def member(self, name: str = "fe01", pool: str = "pool01") -> Any:
        found = self.state.pools[pool].member(name)
        assert found is not None
        return found

    async def record(self, number: int = 1) -> Exchange:
        """Wait for the `number`th record."""
        await until(lambda: len(self.records) >= number)
        return self.records[number - 1]

    def rejections(self, reason: str) -> float:
        """What /metrics says of a guard reason, on all listeners."""
        return self.metric("lyncgate_guard_rejections_total", reason=reason)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name with those labels."""
        return sum(
            sample.value
            for family in self.running.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def forgotten(self) -> None:
        """Wait until nothing is left of the clients that were here, and check that that is so."""
        await until(lambda: not self.running.master.proxyserver.connections)
        if lane := self.running.master.lane:
            await until(lambda: not lane.clients)
        await until(lambda: not self.state.transits)
        await until(lambda: not any(m.requests for p in self.state.pools.values() for m in p.members))
        flows = self.addon(Flows)
        assert not flows.clients
        assert not flows.transits
        assert not flows._latest
        assert self.metric("lyncgate_polls_held") == 0
        assert self.metric("lyncgate_connections") == 0
        if not self.scripted:
            assert not (left := in_circles()), f"closed, and waiting for the garbage collector: {left}"


@contextlib.asynccontextmanager
async def edge(
    rules: Policy, *, path: Path | None = None, engine: Engine | None = None, scripts: Sequence[Path] = ()
) -> AsyncIterator[EdgeUnderTest]:
    """Run it. `path`: of a rules.yaml, for those who reload. `engine`: instead of the one under test."""
    records: list[Exchange] = []
    events: list[Event] = []

    def tell(event: Event) -> None:
        events.append(event)
        if isinstance(event, Exchange) and event.outcome is not None:
            records.append(event)

    path = path or certificates.directory() / "rules.yaml"
    with no_crash(), no_collector():
        loaded = Loaded(rules, ())
        async with running_edge(path, loaded, tell, engine=engine or ENGINE, scripts=scripts) as running:
            under_test = EdgeUnderTest(running, records, events, scripted=bool(scripts))
            yield under_test
            await under_test.forgotten()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (mitmproxy tells nobody)
            await asyncio.sleep(0.002)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """For as long as it lasts the garbage collector does not run, so that what needs it shows."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def in_circles() -> list[str]:
    """What connections of the lane have left that are gone: OpenSSL's memory with each."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        if any(isinstance(one, HTTPFlow) for one in gc.garbage):
            return []  # a test has added addons
        kept = (ClientConnection, Upstream, Stream, Relay)
        return [type(one).__name__ for one in gc.garbage if isinstance(one, kept)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@contextlib.contextmanager
def no_crash() -> Iterator[None]:
    """Fail if a layer or an addon raised: mitmproxy logs that and goes on."""
    caught: list[str] = []

    class Catch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith(("mitmproxy.proxy", "mitmproxy.addonmanager", "asyncio")):
                caught.append(self.format(record))

    handler = Catch(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    assert not caught, "\n".join(caught)
