"""Sign-ins as an edge would tell of them, made fast and in any number: for the journal and its readers.

    for event in sign_in(7, started=1_789_000_000.0): journal.append(event)

A phone of 2013 by UCWA: two connections, an answered 401, a ticket, an application, its people, a poll that
is told when it begins and again when it ends. Nothing of one sign-in is another's but, for every 500 phones,
the address.
"""

from __future__ import annotations

from collections.abc import Iterator

from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Kind, Outcome, Phase, Source
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.keys import Keys
from support.changed import changed

AGENT = "Lync Mobile/5.4 (iPhone; iOS 9.3)"
DISCOVER, WEB = "lyncdiscover.contoso.example", "lyncweb.contoso.example"
ROOT = "/autodiscover/autodiscoverservice.svc/root"
SECONDS = 2.0  # from the first event to the last that is not a poll

# What, where, its stage and status: before a ticket, with one, and with an application.
_STRANGER = (
    ("GET", DISCOVER, "/", "discover", 200),
    ("GET", WEB, ROOT, "locate", 200),
    ("GET", WEB, f"{ROOT}/oauth/user", "locate", 401),
    ("GET", WEB, "/webticket/webticketservice.svc/mex", "ticket", 200),
    ("POST", WEB, "/webticket/webticketservice.svc", "ticket", 401),
)
_REFUSED = ("POST", WEB, "/webticket/webticketservice.svc", "ticket", 401)
_TICKET = (
    ("POST", WEB, "/webticket/webticketservice.svc", "ticket", 200),
    ("GET", WEB, f"{ROOT}/oauth/user", "locate", 200),
)
_APPLICATION = (
    ("POST", WEB, "/ucwa/v1/applications", "register", 201),
    ("GET", WEB, "/ucwa/v1/applications/1/policies", "mobility_policy", 200),
    ("POST", WEB, "/ucwa/v1/applications/1/me/makemeavailable", "register", 204),
    ("GET", WEB, "/ucwa/v1/applications/1/people/contacts", "ready", 200),
    ("GET", WEB, "/ucwa/v1/applications/1/people/groups", "ready", 200),
    *(("GET", WEB, f"/ucwa/v1/applications/1/people/{n}/contactcard", "ready", 200) for n in range(6)),
)


def sign_in(number: int, started: float, *, refused: bool = False, held: float = 30.0) -> Iterator[Event]:
    """Events in the order in which an edge tells them. `refused`: it has the wrong password. `held`: seconds
    that its poll hangs."""
    user = f"user{number}@contoso.example"
    known = Keys(client=_address(number), agent=AGENT)
    steps: list[tuple[tuple[str, str, str, str, int], Keys]] = []
    for step in _STRANGER:
        account = f"CONTOSO\\user{number}" if step[3] == "ticket" else None
        steps.append((step, changed(known, user=user, account=account)))
    if refused:
        steps += [(_REFUSED, steps[-1][1])] * 2
    else:
        ticket = changed(known, user=user, tickets=(f"{number:08x}00000001",))
        application = changed(ticket, application=f"{number:08x}00000002")
        steps += [(step, ticket) for step in _TICKET] + [(step, application) for step in _APPLICATION]
    pause = SECONDS / len(steps)
    for place, (step, keys) in enumerate(steps):
        one = 0 if step[3] == "ticket" else place % 2  # NTLM is of its connection
        connection = changed(keys, connection=f"{number:012x}-{one}")
        yield _exchange(number, place, step, connection, started + place * pause, pause * 0.8)
    if not refused:
        poll = _exchange(
            number,
            len(steps),
            ("GET", WEB, "/ucwa/v1/applications/1/events", "notifications", 200),
            changed(application, connection=f"{number:012x}-0"),
            started + SECONDS,
            held,
        )
        poll.kind = Kind.POLL
        yield changed(poll, outcome=None, status=None, phases={})
        yield poll


def told_at(event: Event) -> float:
    """When an edge tells of it: a request when it is over, a poll also when it begins."""
    is_open = isinstance(event, Exchange) and event.outcome is None
    return event.started if is_open else event.started + (event.seconds or 0.0)


def _address(number: int) -> str:
    shared = number // 500
    return f"198.51.{100 + shared // 250}.{1 + shared % 250}"


def _exchange(
    number: int, place: int, step: tuple[str, str, str, str, int], keys: Keys, started: float, seconds: float
) -> Exchange:
    method, host, path, stage, status = step
    assert keys.client
    assert keys.connection
    return Exchange(
        id=f"{number:012x}{place:04x}",
        listener="https",
        scheme="https",
        source_ip=keys.client,
        connection=keys.connection,
        started=started,
        method=method,
        host=host,
        path=path,
        stage=stage,
        decision="forward",
        rule='publication "web services"',
        publication="web services",
        sip_user=keys.user if stage == "discover" else None,
        ntlm_user=keys.account,
        pool="pool01",
        member="fe01",
        attempts=1,
        reused=place > 1,
        status=status,
        request_bytes=0 if method == "GET" else 1432,
        response_bytes=2048,
        ended_by=Source.UPSTREAM,
        outcome=Outcome.OK,
        server_fqdn="fe01.contoso.local",
        user_agent=AGENT,
        phases={
            Phase.REQUEST_HEADERS: 0.0004,
            Phase.ROUTE: 0.0002,
            Phase.WAIT: seconds * 0.9,
            Phase.RESPONSE_BODY: 0.0009,
            Phase.TOTAL: seconds,
        },
        keys=keys,
        facts=_facts(stage, status, place),
    )


def _facts(stage: str, status: int, place: int) -> Facts:
    if status == 401:
        ntlm = {len(_STRANGER): 1, len(_STRANGER) + 1: 3}.get(place)
        used = "NTLM" if ntlm else None
        return Facts(auth_offered=("NTLM",), auth_used=used, ntlm=ntlm, ntlm_challenge=ntlm == 1)
    if stage in ("discover", "locate"):
        links = (("Domain", f"https://{WEB}/autodiscover"), ("User", f"https://{WEB}{ROOT}/oauth/user"))
        return Facts(document=Document.ROOT, access_location="External", links=links)
    return Facts(document=Document.TICKET) if stage == "ticket" else Facts(content_type="application/json")
