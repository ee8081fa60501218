"""The mobility services, and the way to them."""

import asyncio
import json
import socket
import time

import pytest
from cryptography import x509

from lab.client import AUTODISCOVER, WEB, XML
from lab.faults.bench import Bench, symptoms
from lyncgate.client.http import Reply
from lyncgate.lab import topology
from lyncgate.lab.dns.estate import View
from lyncgate.lab.faults.badproxy import HOLE
from lyncgate.lab.faults.mobility import FAULTS
from lyncgate.lab.inside.mobility import RegistrationError
from lyncgate.lab.inside.push import PushChannel
from lyncgate.lab.topology import AccessLocation
from lyncgate.lync import autodiscover, mcx

ALICE = "alice@contoso.example"
APPLICATIONS = f"{WEB}/ucwa/v1/applications"
MCX = f"{WEB}{mcx.SERVICE_PATH}"
JSON = ("Content-Type", "application/json")
NEW = json.dumps({"UserAgent": "test", "EndpointId": "e1", "Culture": "en-US"}).encode()

type Header = tuple[str, str]


def create(bench: Bench, ticket: Header) -> Reply:
    """A new application of alice's, or why there is none."""
    return bench.client.ask("POST", APPLICATIONS, [ticket, JSON], NEW)


def application(bench: Bench) -> tuple[str, Header, Reply]:
    """The path of a new application, the ticket, and the 201."""
    ticket = bench.client.ticket(ALICE)
    created = create(bench, ticket)
    assert created.status == 201, created.body
    return json.loads(created.body)["_links"]["self"]["href"], ticket, created


def poll(bench: Bench, path: str, ticket: Header) -> tuple[Reply, float]:
    """A poll that would hang for a minute; the answer, and after how long."""
    began = time.monotonic()
    reply = bench.client.ask("GET", f"{WEB}{path}/events?ack=1&timeout=60", [ticket])
    return reply, time.monotonic() - began


def is_html(reply: Reply) -> bool:
    return (reply.header("content-type") or "").startswith("text/html")


def subcode(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body)["subcode"]


def by_server(bench: Bench, url: str, headers: list[Header]) -> dict[str, set[int]]:
    """What each front end answers, of those that four connections meet."""
    seen: dict[str, set[int]] = {}
    for _ in range(4):
        reply = bench.client.ask("GET", url, headers)
        seen.setdefault((reply.header("x-ms-server-fqdn") or "").partition(".")[0], set()).add(reply.status)
    return seen


def f34(bench: Bench) -> None:
    reply = bench.client.ask("GET", APPLICATIONS, member="fe01")
    assert reply.status == 503
    assert is_html(reply)
    assert bench.client.ask("GET", APPLICATIONS, member="fe02").status == 401
    assert bench.client.ask("GET", MCX, member="fe01").status == 200


def f35(bench: Bench) -> None:
    for member in ("fe01", "fe02"):
        reply = bench.client.ask("GET", APPLICATIONS, member=member)
        assert reply.status == 500
        assert is_html(reply)


def f36(bench: Bench) -> None:
    pool = bench.lab.estate.pools["pool01"]
    ticket = bench.client.ticket(ALICE)
    paths = [json.loads(create(bench, ticket).body)["_links"]["self"]["href"] for _ in range(2)]

    async def crowd() -> Reply:
        connections = [await bench.client.connect(WEB) for _ in range(3)]
        polls = [
            asyncio.create_task(connection.request("GET", f"{path}/events?ack=1&timeout=60", [ticket]))
            for connection, path in zip(connections, paths, strict=False)
        ]
        for path in paths:
            await pool.applications.get(path.rpartition("/")[2]).polling.wait()
        refused = await connections[2].request("GET", paths[0], [ticket])
        for poll in polls:
            poll.cancel()
        for connection in connections:
            await connection.close()
        return refused

    reply = bench.lab.run(crowd())
    assert reply.status == 503
    assert is_html(reply)


def f37(bench: Bench) -> None:
    path, ticket, _ = application(bench)
    for _ in range(2):
        reply, seconds = poll(bench, path, ticket)
        assert reply.status == 504
        assert is_html(reply)
        assert 0.45 < seconds < 5
        assert reply.header("x-ms-server-fqdn") is None


def f38(bench: Bench) -> None:
    path, ticket, _ = application(bench)
    reply, seconds = poll(bench, path, ticket)
    assert subcode(reply) == (409, "PGetReplaced")
    assert 0.25 < seconds < 5


def f39(bench: Bench) -> None:
    path, ticket, created = application(bench)
    made_on = created.header("x-ms-server-fqdn").partition(".")[0]
    (other,) = {"fe01", "fe02"} - {made_on}
    assert by_server(bench, f"{WEB}{path}", [ticket]) == {made_on: {200}, other: {404}}


def f40(bench: Bench) -> None:
    assert create(bench, bench.client.ticket(ALICE)).status == 403


def f41(bench: Bench) -> None:
    assert bench.client.ask("GET", APPLICATIONS).status == 401
    assert subcode(create(bench, bench.client.ticket(ALICE))) == (500, "ServiceFailure")
    assert not bench.lab.estate.pools["pool01"].registrar.endpoints(ALICE)
    shown = bench.certificate(
        (topology.MEMBERS["fe01"].address, bench.lab.estate.ports.external_https), "x.example"
    )
    usage = shown.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]


def f42(bench: Bench) -> None:
    ticket = bench.client.ticket(ALICE)

    def ask(request: mcx.Request) -> tuple[str, mcx.Answer | mcx.Fault]:
        url = MCX + mcx.DEFAULT.command_suffix
        reply = bench.client.ask(
            "POST", url, [ticket, ("Content-Type", mcx.CONTENT_TYPE)], mcx.encode(request, mcx.DEFAULT)
        )
        return reply.header("x-ms-server-fqdn") or "", mcx.decode_answer(reply.body, mcx.DEFAULT)

    made_on, session = ask(mcx.InitiateSession("WindowsPhone", "e1", "test"))
    assert isinstance(session, mcx.SessionInitiated)
    answers = [ask(mcx.Command(session.session, "GetContacts", {})) for _ in range(4)]
    said = {server == made_on: type(answer) for server, answer in answers}
    assert said == {True: mcx.CommandDone, False: mcx.Fault}
    assert {answer.code for _, answer in answers if isinstance(answer, mcx.Fault)} == {"SessionNotFound"}


def f43(bench: Bench) -> None:
    path, ticket, created = application(bench)
    made_on = created.header("x-ms-server-fqdn").partition(".")[0]
    cookie = next(value for value in created.all("set-cookie") if value.startswith("MS-WSMAN="))
    assert cookie == f"MS-WSMAN={made_on}; path=/; secure"
    (other,) = {"fe01", "fe02"} - {made_on}
    assert by_server(bench, f"{WEB}{path}", [ticket]) == {made_on: {200}, other: {404}}
    kept = [ticket, ("Cookie", cookie.partition(";")[0])]
    assert by_server(bench, f"{WEB}{path}", kept) == {made_on: {200}}


def f44(bench: Bench) -> None:
    first, second = bench.client.ask_in_turn(f"{WEB}{AUTODISCOVER}", [("GET", [XML], b"")] * 2)
    (cookie,) = first.all("set-cookie")
    assert cookie.startswith("LB=fe0")
    assert "; HttpOnly; Expires=" in cookie
    assert second.all("set-cookie") == []


def f45(bench: Bench) -> None:
    assert bench.look_up("lyncweb.contoso.example", view=View.INTERNAL).data("A") == [HOLE]
    assert bench.look_up("lyncweb.contoso.example").data("A") == ["127.0.0.11"]
    with socket.create_connection(bench.lab.estate.proxies[HOLE].https, timeout=0.3) as sock:
        sock.sendall(b"\x16\x03\x01")
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert bench.sign_in(by_dns=True).ok


def f46(bench: Bench) -> None:
    ticket = bench.client.ticket(ALICE)
    reply = bench.client.ask("GET", f"{WEB}{AUTODISCOVER}/user", [XML, ticket])
    document = autodiscover.parse_user(reply.header("content-type"), reply.body)
    assert document.href("External/Mcx") == "https://pool01.contoso.local/Mcx/McxService.svc"
    assert document.href("Ucwa").startswith(WEB)
    assert bench.look_up("pool01.contoso.local").rcode == "NXDOMAIN"


def f47(bench: Bench) -> None:
    reply = bench.client.ask("GET", MCX)
    assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, "dir01.contoso.local")
    assert bench.client.ask("GET", APPLICATIONS).header("x-ms-server-fqdn") == "fe01.contoso.local"


def f48(bench: Bench) -> None:
    reply = bench.client.ask("GET", f"{WEB}/CertProv/CertProvisioningService.svc/mex")
    assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, None)


def f49(bench: Bench) -> None:
    assert bench.look_up("_sipfederationtls._tcp.contoso.example", "SRV").rcode == "NXDOMAIN"

    async def push() -> int | None:
        estate = bench.lab.estate
        service = estate._running["fe01"].inside.mcx
        user = estate.people.by_sip(ALICE)
        registered = await service.sign_in(user, location=AccessLocation.EXTERNAL, endpoint="phone")
        async with await PushChannel.open(estate.push.device_address) as channel:
            with pytest.raises(RegistrationError) as refusal:
                await service.push(registered, channel.token, {"text": "news"})
        return refusal.value.status

    assert bench.lab.run(push()) == 504


def f50(bench: Bench) -> None:
    reply = bench.client.ask("GET", f"https://{topology.OWA_HOST}/hosting/discovery")
    assert reply.status == 502
    inside = (topology.MEMBERS["owa01"].address, bench.lab.estate.ports.internal_https)
    assert bench.anyhow(inside, "GET", f"https://{topology.OWA_HOST}/hosting/discovery").status == 200


SYMPTOMS = symptoms(globals())


def test_every_fault_of_the_group_is_here() -> None:
    assert SYMPTOMS.keys() == {fault.code for fault in FAULTS}


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_symptom(bench: Bench) -> None:
    SYMPTOMS[bench.fault.code](bench)


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_phone(bench: Bench) -> None:
    bench.check_phone()
