"""Sign-ins made by hand, for symptoms: as few words as the symptom takes.

    made(root(404, host=DISCOVER), user=ALICE)

Events follow each other by a second, in the order they are given; one with a time from LATER on keeps it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from lyncgate.lync.stages import Stage, classify
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Certificate, DnsQuery, Event, Handshake, HandshakeOutcome, SipMessage
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.finding import Finding
from lyncgate.signin.keys import Keys
from lyncgate.signin.story import Joined, SignIn, SignInOutcome, StageState, StageView
from support.changed import changed

ALICE, BOB, CAROL, DAN = (f"{name}@contoso.test" for name in ("alice", "bob", "carol", "dan"))
DISCOVER = "lyncdiscover.contoso.test"
INTERNAL = "lyncdiscoverinternal.contoso.test"
WEB = "web.contoso.test"
FE1, FE2 = "fe1.corp.test", "fe2.corp.test"
ROOT = "/autodiscover/autodiscoverservice.svc/root"
TICKET = "/webticket/webticketservice.svc"
UCWA = "/ucwa/v1/applications"
MCX = "/mcx/mcxservice.svc/webticket_bearer"
XML = "application/vnd.microsoft.rtc.autodiscover+xml"

_FACTS = set(Facts.__struct_fields__)
_KEYS = set(Keys.__struct_fields__)
LATER = 2_000_000.0  # seconds
_numbers = itertools.count(1)


def _next() -> tuple[str, float]:
    number = next(_numbers)
    return f"{number:016x}", 1_000_000.0 + number


def web(method: str, path: str, status: int | None, **fields: Any) -> Exchange:
    """An exchange. `by`: X-MS-Server-Fqdn, the front end's by default; None: the answer is not the pool's.
    `seconds`: all of it. Fields of Facts and Keys go where they belong."""
    number, started = _next()
    by = fields.pop("by", FE1 if status else None)
    facts = {name: fields.pop(name) for name in list(fields) if name in _FACTS}
    keys = {name: fields.pop(name) for name in list(fields) if name in _KEYS - {"connection"}}
    seconds = fields.pop("seconds", 0.05)
    host = fields.pop("host", WEB)
    stage, poll = classify(method, path, host.startswith("lyncdiscover."), "forward")
    given: dict[str, Any] = {
        "id": number,
        "started": started,
        "listener": "https",
        "scheme": "https",
        "source_ip": "203.0.113.9",
        "connection": "c1",
        "method": method,
        "host": host,
        "path": path,
        "kind": Kind.POLL if poll else Kind.REQUEST,
        "stage": stage,
        "decision": "forward",
        "status": status,
        "outcome": Outcome.OK if status else Outcome.CONNECT_FAILED,
        "ended_by": Source.UPSTREAM,
        "server_fqdn": by,
        "phases": {Phase.TOTAL: seconds},
        "facts": Facts(**facts),
        "keys": Keys(**keys),
    }
    return Exchange(**(given | fields))


def page(method: str, path: str, status: int, **fields: Any) -> Exchange:
    """An HTML page that no server of the pool made."""
    html: dict[str, Any] = {"by": None, "document": Document.HTML, "content_type": "text/html"}
    return web(method, path, status, **(html | fields))


def root(status: int | None = 200, **fields: Any) -> Exchange:
    """A root document, or what came in place of it."""
    good: dict[str, Any] = {"host": DISCOVER}
    if status == 200:
        links = (("User", f"https://{WEB}{ROOT}/user"), ("Self", f"https://{WEB}{ROOT}"))
        good |= {"document": Document.ROOT, "content_type": XML, "framing": "length"}
        good |= {"access_location": "External", "links": links}
    return web("GET", fields.pop("path", "/"), status, **(good | fields))


def redirect(to: str, **fields: Any) -> Exchange:
    """A root document that says: ask there."""
    links = (("Redirect", to),)
    return root(document=Document.REDIRECT, links=links, redirect=to, **fields)


def user(status: int = 200, **fields: Any) -> Exchange:
    """The user document."""
    good: dict[str, Any] = {}
    if status == 200:
        links = (
            ("Internal/Ucwa", "https://pool.corp.test/ucwa/v1/applications"),
            ("External/Ucwa", f"https://{WEB}/ucwa/v1/applications"),
            ("External/Mcx", f"https://{WEB}/Mcx/McxService.svc"),
        )
        good = {"document": Document.USER, "content_type": XML, "links": links}
    return web("GET", f"{ROOT}/user", status, **(good | fields))


def ntlm(last: int, account: str = ALICE, **fields: Any) -> list[Exchange]:
    """A log-on: 401, challenge, and how the proof was answered."""
    offered: dict[str, Any] = {"auth_offered": ("Negotiate", "NTLM")}
    proof: dict[str, Any] = {"ntlm": 3, "auth_used": "NTLM", "account": account}
    proof |= {"document": Document.TICKET} if last == 200 else offered if last == 401 else {}
    return [
        web("POST", TICKET, 401, **offered),
        web("POST", TICKET, 401, ntlm=1, auth_used="NTLM", ntlm_challenge=True, auth_offered=("NTLM",)),
        web("POST", TICKET, last, **(proof | fields)),
    ]


def dns(name: str, rcode: str | None = "NOERROR", *answers: str, **fields: Any) -> DnsQuery:
    """A look-up."""
    number, started = _next()
    given: dict[str, Any] = {"id": number, "started": started, "kind": "A"}
    return DnsQuery(name=name, rcode=rcode, answers=answers, **(given | fields))


def shake(name: str | None, outcome: HandshakeOutcome, **fields: Any) -> Handshake:
    """A handshake seen by the edge. `names`: those in the certificate."""
    number, started = _next()
    names = fields.pop("names", None)
    chain = fields.pop("chain", 2)
    given: dict[str, Any] = {"id": number, "started": started, "origin": "edge"}
    if names is not None:
        given["certificate"] = Certificate(
            names=names, issuer="CN=Some CA", not_before=0.0, not_after=4e9, chain=chain
        )
    return Handshake(server_name=name, outcome=outcome, **(given | fields))


def sip(method: str, status: int | None, **fields: Any) -> SipMessage:
    """A record of a front end's trace."""
    number, started = _next()
    given: dict[str, Any] = {"id": number, "started": started, "origin": "trace:fe1", "incoming": True}
    return SipMessage(method=method, status=status, **(given | fields))


def made(
    *events: Event | Sequence[Event],
    user: str | None = ALICE,
    outcome: SignInOutcome = SignInOutcome.FAILED,
    account: str | None = None,
) -> SignIn:
    """A sign-in of these events. Its stages are not looked at by symptoms, and say nothing."""
    flat: list[Event] = []
    for event in events:
        flat += event if isinstance(event, Sequence) else [event]
    flat = [e if e.started >= LATER else changed(e, started=_next()[1]) for e in flat]
    return SignIn(
        id=f"signin-{next(_numbers)}",
        user=user,
        account=account,
        client="203.0.113.9",
        device=None,
        started=flat[0].started if flat else 0.0,
        ended=flat[-1].started if flat else 0.0,
        outcome=outcome,
        failed_stage=None,
        stages=tuple(StageView(stage=stage, state=StageState.NOT_OBSERVED) for stage in Stage),
        events=tuple(flat),
        joined=tuple((event.id, Joined.KEY) for event in flat),
    )


def healthy(user_: str = ALICE, **fields: Any) -> SignIn:
    """One that went well: with all the 401s, and the name that does not exist."""
    application = {"application": f"app-{user_}"}
    return made(
        dns(INTERNAL, "NXDOMAIN"),
        dns(DISCOVER, "NOERROR", f"CNAME {WEB}", "A 203.0.113.1"),
        redirect(f"https://{DISCOVER}/?", scheme="http"),
        root(),
        user(401),
        web("GET", f"{TICKET}/mex", 200),
        ntlm(200, fields.pop("account", user_)),
        user(),
        web("GET", UCWA, 401),
        web("POST", UCWA, 201, document=Document.APPLICATION, **application),
        web("GET", f"{UCWA}/1/events", 200, document=Document.EVENTS, seconds=180.0, **application),
        web("GET", f"{UCWA}/1/photos/x", 404, content_type="text/html", **application),
        user=user_,
        outcome=SignInOutcome.OK,
        **fields,
    )


def codes(sign_in: SignIn, *around: SignIn) -> list[str]:
    """The codes found, best first."""
    return [finding.code for finding in diagnose(sign_in, around)]


def first(sign_in: SignIn, *around: SignIn) -> Finding:
    """The best finding."""
    return diagnose(sign_in, around)[0]
