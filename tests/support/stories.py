"""Sign-ins as an edge, a DNS log and traces of the lab would show them, for tests of what shows them: events
made by hand, stitched and diagnosed as any others.

    with told(healthy(), wrong_password()) as journal:
        journal.reader                # an observe.journal Reader
        journal.tell(under_way())     # more events

Times are fixed, except where a sign-in must not be over yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterator

from lyncgate.lync.stages import Stage
from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import DnsQuery, Event, SipMessage, TraceLine
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.facts import NO_FACTS, Document, Facts
from lyncgate.signin.keys import Keys
from lyncgate.signin.stitch import stitch
from support.changed import changed

NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC
ALICE = "alice@contoso.example"
PHONE = "lyncgate-phone/1 (MCX WindowsPhone)"
PHONE_2013 = "lyncgate-phone/1 (Lync2013 Android)"
SKEW = 2.5  # seconds by which fe01's clock is ahead
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202ecod.\x1b[31m"
WEB = "https://lyncweb.contoso.example"

type Story = list[Event]


class Scene:
    """A phone's sign-in in the making: what it does goes into `events`, and moves `now` on."""

    def __init__(self, user: str, client: str, device: str, started: float) -> None:
        self.user, self.client, self.device, self.now = user, client, device, started
        self.domain = user.partition("@")[2]
        self.events: Story = []
        self._seed = f"{user} {started}"
        self._count = itertools.count()
        self._connection = "c-none"

    def _id(self) -> str:
        return hashlib.sha256(f"{self._seed} {next(self._count)}".encode()).hexdigest()[:16]

    def dns(self, name: str, rcode: str, *answers: str) -> None:
        """A question to the external DNS view."""
        keys = Keys(client=self.client)
        self.events.append(
            DnsQuery(
                id=self._id(),
                started=self.now,
                keys=keys,
                seconds=0.0006,
                name=name,
                kind="A",
                rcode=rcode,
                answers=answers,
                view="external",
            )
        )
        self.now += 0.003

    def ask(
        self,
        method: str,
        url: str,
        status: int | None,
        stage: Stage,
        *,
        facts: Facts = NO_FACTS,
        wait: float = 0.004,
        member: str | None = "fe01",
        tls: bool = False,
        outcome: Outcome | None = Outcome.OK,
        kind: Kind = Kind.REQUEST,
        decision: str = "forward",
        reason: str | None = None,
        application: str | None = None,
    ) -> None:
        """A request to the edge. `member` None: the edge answers. `tls`: on a connection of its own. `wait`:
        seconds until the member's answer. `outcome` None: it is not over."""
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        if tls or scheme == "http":
            self._connection = f"c-{self._id()[:6]}"
        phases: dict[Phase, float | None] = {Phase.CLIENT_TLS: 0.0042} if tls else {}
        phases |= {Phase.REQUEST_HEADERS: 0.0002, Phase.REQUEST_BODY: 0.0001, Phase.ROUTE: 0.0004}
        if member:
            phases |= {Phase.CONNECT: 0.0011, Phase.UPSTREAM_TLS: 0.0037} if tls else {}
            phases |= {Phase.WAIT: wait, Phase.RESPONSE_BODY: 0.0005} if outcome else {Phase.WAIT: None}
        total = sum(seconds or 0.0 for seconds in phases.values()) + 0.0003
        phases |= {Phase.TOTAL: total} if outcome else {}
        self.events.append(
            Exchange(
                id=self._id(),
                listener=scheme,
                scheme=scheme,
                source_ip=self.client,
                connection=self._connection,
                started=self.now,
                method=method,
                host=host,
                path=f"/{path}",
                kind=kind,
                stage=stage,
                decision=decision,
                rule="publications: web services" if decision == "forward" else "default",
                pool="pool01" if member else None,
                member=member,
                attempts=1 if member else 0,
                reused=not tls if member else None,
                status=status,
                request_bytes=0 if method == "GET" else 1834,
                response_bytes=1411 if member else 0,
                ended_by=Source.UPSTREAM if member else Source.PROXY,
                outcome=outcome,
                reason=reason,
                server_fqdn=f"{member}.contoso.local" if member and outcome else None,
                user_agent=self.device,
                phases=phases,
                keys=Keys(
                    connection=self._connection,
                    user=self.user,
                    client=self.client,
                    agent=self.device,
                    application=application,
                ),
                facts=facts,
            )
        )
        if kind is Kind.REQUEST:
            self.now += total + 0.002

    def sip(
        self, method: str, package: str | None = None, *, seconds: float, answer: Facts = NO_FACTS
    ) -> None:
        """A SIP request in fe01's trace, and the 200 that answers it."""
        keys = Keys(user=self.user, dialog=f"dialog-{self._id()}")
        for status, at, took in ((None, self.now, seconds), (200, self.now + seconds, None)):
            self.events.append(
                SipMessage(
                    id=self._id(),
                    started=at + SKEW,
                    origin="trace:fe01",
                    keys=keys,
                    seconds=took,
                    incoming=status is None,
                    peer="fe02.contoso.local:5087",
                    method=method,
                    status=status,
                    reason="OK" if status else None,
                    cseq=1,
                    package=package,
                    contact="pool01.contoso.local:5087",
                    settings=answer.settings if status else (),
                    contacts=answer.contacts if status else None,
                )
            )
        self.now += seconds + 0.002

    def trace(self, text: str) -> None:
        """A line of the mobility service in fe01's trace."""
        line = TraceLine(
            id=self._id(),
            started=self.now + SKEW,
            origin="trace:fe01",
            keys=Keys(user=self.user),
            level="TL_INFO",
            component="MCXService",
            function="InitiateSession",
            text=text,
        )
        self.events.append(line)

    def discover(self) -> None:
        """Names, port 80, root document, and the user document's 401."""
        self.dns(f"lyncdiscoverinternal.{self.domain}", "NXDOMAIN")
        edge = ("CNAME lyncweb.contoso.example", "A 192.0.2.10")
        self.dns(f"lyncdiscover.{self.domain}", "NOERROR", *edge)
        to_https = Facts(document=Document.REDIRECT, redirect=f"https://lyncdiscover.{self.domain}/")
        plain, secure = f"http://lyncdiscover.{self.domain}/", f"https://lyncdiscover.{self.domain}/"
        self.ask("GET", plain, 200, Stage.REDIRECT, member=None, decision="answer", facts=to_https)
        links = (("User", _USER), ("OAuth", f"{WEB}/Autodiscover/AutodiscoverService.svc/root/oauth/user"))
        root = Facts(document=Document.ROOT, access_location="External", links=links)
        self.ask("GET", secure, 200, Stage.DISCOVER, tls=True, facts=root, wait=0.009)
        self.dns("lyncweb.contoso.example", "NOERROR", "A 192.0.2.10")
        where = Facts(authentication_urls=(f"{_TICKET}/mex",))
        self.ask("GET", _USER, 401, Stage.LOCATE, tls=True, facts=where)

    def ticket(self, status: int = 200) -> None:
        """A web ticket by NTLM, or its refusal."""
        offered = ("Negotiate", "NTLM")
        ask = Facts(operation="RequestSecurityToken", auth_offered=offered)
        challenge = changed(ask, auth_used="NTLM", ntlm=1, ntlm_challenge=True, auth_offered=("NTLM",))
        answer = Facts(operation="RequestSecurityToken", auth_used="NTLM", ntlm=3)
        if status == 200:
            answer = changed(answer, document=Document.TICKET)
        else:
            answer = changed(answer, auth_offered=offered)
        self.ask("GET", f"{_TICKET}/mex", 200, Stage.TICKET, facts=Facts(document=Document.MEX))
        self.ask("POST", f"{_TICKET}/Auth", 401, Stage.TICKET, facts=ask)
        self.ask("POST", f"{_TICKET}/Auth", 401, Stage.TICKET, facts=challenge)
        self.ask("POST", f"{_TICKET}/Auth", status, Stage.TICKET, facts=answer, wait=0.018)

    def located(self) -> None:
        """The user document, with the ticket."""
        mcx = (("External/Mcx", f"{_MCX}"), ("Internal/Mcx", f"{_MCX}"))
        user = Facts(document=Document.USER, access_location="External", links=mcx)
        self.ask("GET", _USER, 200, Stage.LOCATE, facts=user)


_USER = f"{WEB}/Autodiscover/AutodiscoverService.svc/root/user"
_TICKET = f"{WEB}/WebTicket/WebTicketService.svc"
_CERTPROV = f"{WEB}/CertProv/CertProvisioningService.svc"
_MCX = f"{WEB}/Mcx/McxService.svc"


def healthy(
    started: float = NOON, user: str = ALICE, client: str = "198.51.100.23", poll: float = 31.0
) -> Story:
    """Everything seen, from every side; fe01's clock is ahead."""
    scene = Scene(user, client, PHONE, started)
    session = f"session-{user}-{started}"
    scene.discover()
    scene.ticket()
    scene.located()
    certificate = Facts(operation="GetAndPublishCert", document=Document.CERTIFICATE)
    scene.ask("POST", _CERTPROV, 200, Stage.CERTIFICATE, wait=0.026, facts=certificate)
    at = scene.now
    made = Facts(operation="InitiateSession", document=Document.APPLICATION, settings=_POLICY)
    scene.ask("POST", _MCX, 200, Stage.REGISTER, facts=made, wait=0.041, application=session)
    after, scene.now = scene.now, at + 0.004
    scene.sip("REGISTER", seconds=0.011)
    scene.trace(f"{user} is enabled for mobility by policy Global (Global)")
    scene.now = after
    told_by = Facts(operation="GetProvisioning", settings=_PROVISIONED)
    scene.sip("SUBSCRIBE", "vnd-microsoft-provisioning-v2", seconds=0.008, answer=told_by)
    scene.ask("POST", _MCX, 200, Stage.PROVISIONING, facts=told_by, wait=0.012, application=session)
    push = Facts(operation="SubscribePush")
    scene.ask("POST", _MCX, 200, Stage.NOTIFICATIONS, facts=push, application=session)
    contacts = Facts(operation="GetContacts", contacts=14)
    scene.sip("SUBSCRIBE", "vnd-microsoft-roaming-contacts", seconds=0.006, answer=contacts)
    events = Facts(operation="GetNextEvents", document=Document.EVENTS)
    scene.ask(
        "POST", _MCX, 200, Stage.NOTIFICATIONS, facts=events, wait=poll, kind=Kind.POLL, application=session
    )
    scene.ask("POST", _MCX, 200, Stage.READY, facts=contacts, application=session)
    return scene.events


_POLICY = (("policy", "Global"), ("EnableMobility", "True"), ("EnableOutsideVoice", "True"))
_PROVISIONED = (
    ("voicemail", "alice@contoso.example;opaque=app:voicemail"),
    ("simultaneous ring", "allowed"),
    ("call forwarding", "allowed"),
    ("delegation", "allowed"),
    ("team call", "allowed"),
    ("dial plan", "Amsterdam"),
)


def wrong_password(started: float = NOON - 40, user: str = "bob@contoso.example") -> Story:
    """F21: a whole handshake is refused, twice."""
    scene = Scene(user, "198.51.100.77", PHONE, started)
    scene.discover()
    scene.ticket(401)
    scene.now += 2.4
    scene.ticket(401)
    return scene.events


def no_certificate(started: float = NOON - 400, user: str = "user07@contoso.example") -> Story:
    """F48: the edge does not publish /CertProv."""
    scene = Scene(user, "203.0.113.9", PHONE, started)
    scene.discover()
    scene.ticket()
    scene.located()
    scene.ask(
        "POST",
        _CERTPROV,
        404,
        Stage.CERTIFICATE,
        member=None,
        outcome=Outcome.DENIED,
        decision="deny",
        reason="not_published",
    )
    return scene.events


def no_mobility(started: float = NOON - 1300, user: str = "frank@contoso.example") -> Story:
    """F40, on a UCWA phone, and seen by the edge alone."""
    scene = Scene(user, "203.0.113.9", PHONE_2013, started)
    scene.discover()
    scene.events = [event for event in scene.events if event.type == "exchange"]
    scene.ticket()
    scene.located()
    refused = Facts(document=Document.FAULT, error="Forbidden", content_type="application/json")
    scene.ask("GET", f"{WEB}/ucwa/v1/applications", 401, Stage.REGISTER)
    scene.ask("POST", f"{WEB}/ucwa/v1/applications", 403, Stage.MOBILITY_POLICY, facts=refused)
    return scene.events


def under_way(
    user: str = "erin@contoso.example", started: float | None = None, ticket: bool = False
) -> Story:
    """Just now, and not over: its ticket is being asked for, or was issued."""
    scene = Scene(user, "2001:db8:1::17", PHONE_2013, time.time() - 1 if started is None else started)
    scene.discover()
    if ticket:
        scene.ticket()
    else:
        scene.ask("GET", f"{_TICKET}/mex", None, Stage.TICKET, outcome=None)
    return scene.events


def stopped(started: float = NOON - 5000, user: str = "carol@emea.contoso.example") -> Story:
    """It went no further, and nothing says why."""
    scene = Scene(user, "198.51.100.24", PHONE_2013, started)
    scene.discover()
    scene.ticket()
    return scene.events


def hostile(started: float = NOON - 9000) -> Story:
    """Everything that comes from outside tries to be markup, or a terminal's command."""
    scene = Scene(f"mallory{HOSTILE}@contoso.example", "198.51.100.66", HOSTILE, started)
    bad = Facts(redirect=f"javascript:alert(3)//{HOSTILE}", warning=HOSTILE, settings=((HOSTILE, HOSTILE),))
    scene.ask("GET", f"https://lyncdiscover.contoso.example/{HOSTILE}", 404, Stage.DISCOVER, facts=bad)
    scene.trace(HOSTILE)
    return scene.events


def stories() -> list[Story]:
    """One of each, newest first."""
    return [under_way(), healthy(), wrong_password(), no_certificate(), no_mobility(), stopped(), hostile()]


class Told:
    """A journal in memory."""

    def __init__(self) -> None:
        self._store = Store(Place.of(None))
        self._events: Story = []
        self.reader = Reader(self._store.place)

    def tell(self, *stories: Story) -> None:
        """Add events, and look at all of them anew."""
        self._events += [event for story in stories for event in story]
        sign_ins = stitch(self._events, time.time())
        self._store.add_events([(event, codec.dumps(event)) for event in self._events], {})
        self._store.put((sign_in, diagnose(sign_in, sign_ins)) for sign_in in sign_ins)

    def close(self) -> None:
        self._store.close()


@contextlib.contextmanager
def told(*stories: Story) -> Iterator[Told]:
    """A journal that has these."""
    with contextlib.closing(Told()) as journal:
        journal.tell(*stories)
        yield journal
