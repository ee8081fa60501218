"""curl and requests-ntlm, two NTLM implementations that we did not write, get tickets through the edge."""

from collections.abc import Callable

import pytest

from e2e import clients
from e2e.clients import Answer, curl, ntlm_session
from lyncgate.lab import webticket
from support.processes import Edge, Lab
from support.requirements import requires

WEB = "https://lyncweb.contoso.example"
TICKET = f"{WEB}/WebTicket/WebTicketService.svc"
HEADERS = {"Content-Type": webticket.XML, "SOAPAction": f'"{webticket.WST}/RST/Issue"'}
# As long as those of real clients are, and then some: NTLM sends it with each of its legs.
RST = (
    f'<s:Envelope xmlns:s="{webticket.SOAP}"><s:Body>'
    f'<RequestSecurityToken xmlns="{webticket.WST}" Context="c">'
    f"<!-- {'x' * 20_000} --></RequestSecurityToken></s:Body></s:Envelope>"
).encode()

Call = Callable[[clients.Edge, str, str], Answer]


def with_curl(edge: clients.Edge, user: str, password: str) -> Answer:
    headers = [f"{name}: {value}" for name, value in HEADERS.items()]
    return curl(TICKET, edge, user=f"{user}:{password}", data=RST, headers=headers)


def with_requests(edge: clients.Edge, user: str, password: str) -> Answer:
    with ntlm_session(edge, user, password) as session:
        return Answer.of(session.post(TICKET, data=RST, headers=HEADERS, timeout=30))


CLIENTS = pytest.mark.parametrize(
    "call", [pytest.param(with_curl, marks=requires("curl", "curl")), with_requests]
)


@pytest.fixture
def front(lab: Lab, edge_by_engine: Edge) -> clients.Edge:
    return clients.Edge(edge_by_engine.http[1], edge_by_engine.https[1], lab.ca)


@CLIENTS
@pytest.mark.parametrize(
    ("user", "sip"),
    [(r"CONTOSO\bob", "bob@contoso.example"), (r"FABRIKAM\dave", "dave@fabrikam.example")],
)
def test_a_ticket_through_the_edge(
    call: Call, user: str, sip: str, edge_by_engine: Edge, front: clients.Edge
) -> None:
    before = edge_by_engine.so_far()
    answer = call(front, user, f"P4ss-{sip.partition('@')[0]}")
    assert answer.status == 200, answer
    assert f"sip:{sip}</saml:NameIdentifier>".encode() in answer.body
    assert answer.legs[:-1] in ((401,), (401, 401))

    records = edge_by_engine.settled(len(answer.legs), since=before)
    assert [r["status"] for r in records] == list(answer.legs)
    assert len({r["connection"] for r in records}) == len({r["member"] for r in records}) == 1
    assert records[-1]["ntlm_user"] == user
    # Each leg but the first went over the connection to the member that the first one had.
    assert [r["reused"] for r in records[1:]] == [True] * (len(records) - 1)
    assert answer.header("x-ms-server-fqdn") == [f"{records[-1]['member']}.contoso.local"]


@CLIENTS
def test_a_wrong_password_gets_none(call: Call, edge_by_engine: Edge, front: clients.Edge) -> None:
    answer = call(front, r"CONTOSO\bob", "wrong")
    assert answer.status == 401
    assert b"bob" not in answer.body
    # Not joined on their way: a client reads its choice of methods from separate lines.
    assert set(answer.header("www-authenticate")) >= {"Negotiate", "NTLM"}


@requires("curl", "curl")
def test_an_authenticated_connection_stays_so(edge_by_engine: Edge, front: clients.Edge) -> None:
    """What follows on the connection needs no proof: it went on over the same one to the member."""
    answer = curl(TICKET, front, user=r"CONTOSO\bob:P4ss-bob", data=RST, options=[TICKET])
    assert answer.status == 200, answer
    assert answer.legs[-2:] == (200, 200)


@requires("curl", "curl")
def test_another_connection_is_nobody(edge_by_engine: Edge, front: clients.Edge) -> None:
    """The proof belongs to its connection, in the lab as at a real pool: nobody else gets its benefit."""
    assert curl(TICKET, front, user=r"CONTOSO\bob:P4ss-bob", data=RST).status == 200
    answers = [curl(TICKET, front, data=RST) for _ in range(4)]  # as many as would find a pooled connection
    assert [answer.status for answer in answers] == [401] * 4


@requires("curl", "curl")
def test_expect_100_continue(edge_by_engine: Edge, front: clients.Edge) -> None:
    """curl asks before it sends a long body; the answer must come from the edge or through it."""
    headers = ["Expect: 100-continue", f"Content-Type: {webticket.XML}"]
    answer = curl(TICKET, front, user=r"CONTOSO\bob:P4ss-bob", data=RST, headers=headers)
    assert answer.status == 200, answer
