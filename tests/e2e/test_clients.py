"""curl and requests-ntlm under our helpers, straight at a front end of the lab.

They get tickets by NTLM, keep to the real names, and check certificates.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from e2e.clients import Answer, Edge, curl, ntlm_session
from lyncgate.lab.authority import Authority
from support.estate import running_estate
from support.requirements import requires

WEB = "https://lyncweb.contoso.example"
TICKET = f"{WEB}/WebTicket/WebTicketService.svc"
RST = b"""\
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<RequestSecurityToken xmlns="http://docs.oasis-open.org/ws-sx/ws-trust/200512" Context="test">
</RequestSecurityToken></s:Body></s:Envelope>"""
NAME, PASSWORD = r"CONTOSO\alice", "P4ss-alice"

Call = Callable[..., Answer]


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The external ports of fe01, as if they were an edge's."""
    with running_estate(tmp_path_factory.mktemp("lab")) as lab:
        names = lab.estate.names_without_edge()
        _, http = names.resolve("lyncweb.contoso.example", 80)
        address, https = names.resolve("lyncweb.contoso.example", 443)
        yield Edge(http, https, lab.estate.ca_file, address)


def with_curl(url: str, edge: Edge, data: bytes | None = None, password: str = PASSWORD) -> Answer:
    return curl(url, edge, user=f"{NAME}:{password}", data=data, headers=["Content-Type: text/xml"])


def with_requests(url: str, edge: Edge, data: bytes | None = None, password: str = PASSWORD) -> Answer:
    with ntlm_session(edge, NAME, password) as session:
        method, headers = ("POST" if data else "GET"), {"Content-Type": "text/xml"}
        return Answer.of(session.request(method, url, data=data, headers=headers, timeout=30))


CLIENTS = pytest.mark.parametrize(
    "call", [pytest.param(with_curl, marks=requires("curl", "curl")), with_requests]
)


@CLIENTS
def test_a_ticket_by_ntlm(call: Call, front_end: Edge) -> None:
    answer = call(TICKET, front_end, RST)
    assert answer.status == 200, answer
    assert b"alice@contoso.example" in answer.body
    assert set(answer.legs[:-1]) == {401}
    assert answer.legs[-1] == 200


@CLIENTS
def test_a_wrong_password_gets_no_ticket(call: Call, front_end: Edge) -> None:
    answer = call(TICKET, front_end, RST, "wrong")
    assert answer.status == 401
    assert b"alice" not in answer.body
    # Repeated headers are apart, as a client needs them to read its choice of methods.
    assert set(answer.header("www-authenticate")) >= {"Negotiate", "NTLM"}


@CLIENTS
def test_the_server_is_called_by_its_public_name(call: Call, front_end: Edge) -> None:
    """The web ticket service writes its own address from the Host header."""
    answer = call(f"{TICKET}/mex", front_end)
    assert (answer.status, answer.legs) == (200, (200,))
    assert TICKET.encode() in answer.body


@CLIENTS
def test_plain_http_goes_to_its_own_port(call: Call, front_end: Edge) -> None:
    answer = call("http://lyncdiscover.contoso.example/", front_end)
    assert answer.status == 200, answer
    assert answer.header("x-ms-server-fqdn") == ["fe01.contoso.local"]


@requires("curl", "curl")
def test_an_interim_answer_is_no_leg(front_end: Edge) -> None:
    answer = curl(TICKET, front_end, data=RST, headers=["Expect: 100-continue"])
    assert answer.legs == (401,)


@pytest.fixture(params=["unknown authority", "another name"])
def bad_call(request: pytest.FixtureRequest, front_end: Edge, tmp_path: Path) -> tuple[str, Edge]:
    if request.param == "another name":
        return "https://www.fabrikam.example/", front_end
    (tmp_path / "other.pem").write_bytes(Authority().pem)
    return TICKET, replace(front_end, ca=tmp_path / "other.pem")


@requires("curl", "curl")
def test_curl_checks_the_certificate(bad_call: tuple[str, Edge]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        with_curl(*bad_call)
    assert failed.value.returncode == 60, failed.value.stderr


def test_requests_checks_the_certificate(bad_call: tuple[str, Edge]) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        with_requests(*bad_call)
