"""Sign-ins made by hand, event by event, as an edge, DNS and traces would tell of them; and who did what, to
judge stitching by. No two plays share an exact key.

    play = Play("p1", user="alice@contoso.example", device="ucwa", at=1000.0)
    play.events            # in order of time
    play.keyed             # ids of the exchanges that exact keys tie to each other
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from typing import Any, Literal

from lyncgate.signin.events import DnsQuery, Event, Handshake, HandshakeOutcome, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Keys

WEB = "lyncweb.contoso.example"
ROOT = "/autodiscover/autodiscoverservice.svc/root"
TICKET = "/webticket/webticketservice.svc"
MCX = "/mcx/mcxservice.svc/webticket_bearer"
AGENTS = {"ucwa": "Lync Mobile/5.4 (iPhone; iOS 9.3)", "mcx": "Lync Mobile/4.3 (WP 7.5)"}
STEP = 0.02  # seconds from one step to the next

type Device = Literal["ucwa", "mcx"]
type Fault = Literal["none", "dns", "discover", "connect", "password", "register", "poll"]


def hex_of(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Play:
    """`named`: discovery says who the user is. `dns`: queries are known; `resolver`: by whose address, None:
    the client's. `skew`: seconds by which the front end's clock is ahead. `polls`: how many, `held` seconds
    each; the last one is `open`ed and not ended."""

    name: str
    user: str = "alice@contoso.example"
    device: Device = "ucwa"
    at: float = 1000.0
    client: str = "192.0.2.10"
    agent: str | None = None
    fault: Fault = "none"
    named: bool = True
    dns: bool = True
    resolver: str | None = None
    trace: bool = True
    skew: float = 0.0
    server: str = "fe01"
    polls: int = 1
    held: float = 180.0
    open: bool = False
    certificate: bool = False
    upn: bool = False
    pace: float = STEP

    @functools.cached_property
    def events(self) -> tuple[Event, ...]:
        return tuple(sorted(self._all(), key=lambda event: event.started))

    @functools.cached_property
    def keyed(self) -> frozenset[str]:
        """Those that an exact key ties to the body, from the first question for the user document on."""
        return frozenset(e.id for e in self.events if isinstance(e, Exchange) and e.host == WEB)

    @functools.cached_property
    def dialog(self) -> frozenset[str]:
        """Those of the registration inside."""
        return frozenset(event.id for event in self.events if event.keys.dialog)

    @property
    def domain(self) -> str:
        return self.user.partition("@")[2]

    @property
    def account(self) -> str:
        local, _, domain = self.user.partition("@")
        return f"{local}.upn@{domain}" if self.upn else f"CONTOSO\\{local}"

    def _all(self) -> Iterable[Event]:
        at, pace = self.at, self.pace
        if self.dns:
            yield self._dns(at, f"lyncdiscoverinternal.{self.domain}", "NXDOMAIN")
            found = "NXDOMAIN" if self.fault == "dns" else "NOERROR"
            yield self._dns(at + pace, f"lyncdiscover.{self.domain}", found)
        if self.fault == "dns":
            return
        if self.fault == "connect":
            yield Handshake(
                id=self._id("handshake"),
                started=at + 2 * pace,
                origin="edge",
                keys=Keys(connection=self._id("c", "a"), client=self.client),
                seconds=0.01,
                server_name=f"lyncdiscover.{self.domain}",
                outcome=HandshakeOutcome.ALERT,
                detail="unknown_ca",
            )
            return
        user = self.user if self.named else None
        yield self._web("find1", at + 2 * pace, "a", "/", "redirect", 200, user=user, scheme="http")
        bad = self.fault == "discover"
        yield self._web("find2", at + 3 * pace, "b", "/", "discover", 404 if bad else 200, user=user)
        if bad:
            return
        if self.dns:
            yield self._dns(at + 4 * pace, WEB, "NOERROR")
        yield from self._body(at + 5 * pace)

    def _body(self, at: float) -> Iterable[Event]:
        pace = self.pace
        yield self._web("user1", at, "c", f"{ROOT}/user", "locate", 401, user=self.user)
        yield self._web("mex", at + pace, "c", f"{TICKET}/mex", "ticket", 200)
        yield self._web("rst1", at + 2 * pace, "c", TICKET, "ticket", 401, method="POST")
        yield self._web(
            "rst2", at + 3 * pace, "c", TICKET, "ticket", 401, method="POST", account=self.account
        )
        if self.fault == "password":
            return
        ticket = (self._id("ticket"),)
        keyed: dict[str, Any] = {"tickets": ticket}
        yield self._web(
            *("rst3", at + 4 * pace, "c", TICKET, "ticket", 200),
            **{**keyed, "method": "POST", "account": self.account, "document": Document.TICKET},
        )
        yield self._web("user2", at + 5 * pace, "c", f"{ROOT}/user", "locate", 200, user=self.user, **keyed)
        if self.certificate:
            yield self._web(
                "cert", at + 6 * pace, "c", "/certprov/x", "certificate", 200, method="POST", **keyed
            )
        at += 7 * pace
        if self.fault == "register":
            yield self._web("app", at, "c", self._register(), "register", 500, method="POST", **keyed)
            return
        keyed["application"] = self._id("application")
        registered = {**keyed, "method": "POST", "endpoint": self._id("endpoint")}
        yield self._web("app", at, "c", self._register(), "register", 201, **registered, seconds=pace)
        if self.trace:
            yield from self._inside(at + pace / 4 + self.skew)
        at += 2 * pace
        for number in range(4):
            stage = ("mobility_policy", "provisioning", "ready", "ready")[number]
            path = f"/ucwa/v1/applications/x/{number}" if self.device == "ucwa" else MCX
            method = "GET" if self.device == "ucwa" else "POST"
            yield self._web(
                f"more{number}", at + number * pace, "c", path, stage, 200, method=method, **keyed
            )
        at += 5 * pace
        for number in range(self.polls):
            last = number == self.polls - 1
            yield self._poll(number, at, self.open and last, keyed)
            at += self.held + pace

    def _register(self) -> str:
        return "/ucwa/v1/applications" if self.device == "ucwa" else MCX

    def _poll(self, number: int, at: float, open_: bool, keyed: dict[str, Any]) -> Event:
        bad = self.fault == "poll"
        seconds = None if open_ else 0.01 if bad else self.held
        return self._web(
            *(f"poll{number}", at, "d", "/poll", "notifications", None if open_ else 404 if bad else 200),
            **{**keyed, "seconds": seconds, "kind": Kind.POLL, "open_": open_},
        )

    def _inside(self, at: float) -> Iterable[Event]:
        """What the front end's trace has of it."""
        origin, dialog = f"trace:{self.server}", self._id("dialog")
        keys = Keys(user=self.user, endpoint=self._id("epid"), dialog=dialog)
        lines = (("policy", f"{self.user} is enabled for mobility by policy global", Keys(user=self.user)),)
        lines += (("in", f"{self.user} endpoint=e is registered, Call-ID=d", keys),)
        for name, text, whose in lines:
            yield TraceLine(
                id=self._id(name),
                started=at + (0.004 if name == "in" else 0.0),
                origin=origin,
                keys=whose,
                level="TL_INFO",
                component="MCXService",
                function="X",
                text=text,
            )
        steps = (("REGISTER", None), ("SUBSCRIBE", "vnd-microsoft-provisioning-v2"))
        steps += (("SUBSCRIBE", "vnd-microsoft-roaming-contacts"),)
        for number, (method, package) in enumerate(steps, 1):
            for status in (None, 200):
                yield SipMessage(
                    id=self._id("sip", number, status),
                    started=at + 0.001 * number + (0.0005 if status else 0.0),
                    origin=origin,
                    keys=keys,
                    seconds=0.0005 if status is None else None,
                    incoming=status is None,
                    method=method,
                    status=status,
                    cseq=number,
                    package=package,
                    contact="pool01.contoso.local:5088",
                )

    def _web(
        self,
        name: str,
        at: float,
        connection: str,
        path: str,
        stage: str,
        status: int | None,
        *,
        method: str = "GET",
        scheme: str = "https",
        user: str | None = None,
        account: str | None = None,
        tickets: tuple[str, ...] = (),
        application: str | None = None,
        endpoint: str | None = None,
        document: Document | None = None,
        seconds: float | None = 0.004,
        kind: Kind = Kind.REQUEST,
        open_: bool = False,
    ) -> Exchange:
        agent = self.agent if self.agent is not None else AGENTS[self.device]
        host = f"lyncdiscover.{self.domain}" if path == "/" else WEB
        is_first = connection in "abd" or name == "user1"
        phases: dict[Phase, float | None] = (
            {Phase.CLIENT_TLS: 0.002} if is_first and scheme == "https" else {}
        )
        if seconds is not None:
            phases[Phase.TOTAL] = seconds
        return Exchange(
            id=self._id(name),
            listener="l",
            scheme=scheme,
            source_ip=self.client,
            connection=self._id("c", connection),
            started=at,
            method=method,
            host=host,
            path=path,
            kind=kind,
            stage=stage,
            decision="forward",
            member=self.server,
            status=status,
            outcome=None if open_ else Outcome.OK,
            phases=phases,
            keys=Keys(
                connection=self._id("c", connection),
                tickets=tickets,
                application=application,
                endpoint=endpoint,
                user=user,
                account=account,
                client=self.client,
                agent=agent,
            ),
            facts=Facts(
                document=document,
                redirect=f"https://lyncdiscover.{self.domain}/" if scheme == "http" else None,
            ),
        )

    def _dns(self, at: float, name: str, rcode: str) -> DnsQuery:
        return DnsQuery(
            id=self._id("dns", name),
            started=at,
            keys=Keys(client=self.resolver or self.client),
            name=name,
            kind="A",
            rcode=rcode,
            answers=("A 198.51.100.1",) if rcode == "NOERROR" else (),
        )

    def _id(self, *words: object) -> str:
        return hex_of(self.name, *words)
