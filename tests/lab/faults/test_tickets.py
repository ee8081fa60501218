"""Web tickets, and who the user is."""

import base64
import urllib.parse

import pytest
import spnego

from lab.client import EMEA, RST, TICKET, WEB
from lab.faults.bench import Bench, symptoms
from lyncgate.client.http import Reply
from lyncgate.lab.faults.tickets import FAULTS

ALICE = "alice@contoso.example"
OAUTH = f"{WEB}/WebTicket/oauthtoken"
SOAP = [("Content-Type", "text/xml; charset=utf-8")]


def handshake(bench: Bench, user: str, password: str) -> list[Reply]:
    """RST by NTLM, on one connection: the three answers, or those until there is no challenge."""

    async def talk() -> list[Reply]:
        ntlm = spnego.client(user, password, protocol="ntlm")
        connection = await bench.client.connect(WEB)
        try:
            replies = [await connection.request("POST", TICKET, SOAP, RST)]
            token = ntlm.step()
            while token and len(replies) < 3:
                proof = ("Authorization", f"NTLM {base64.b64encode(token).decode()}")
                replies.append(await connection.request("POST", TICKET, [*SOAP, proof], RST))
                challenge = [v[5:] for v in replies[-1].all("www-authenticate") if v.startswith("NTLM ")]
                token = ntlm.step(base64.b64decode(challenge[0])) if challenge else None
            return replies
        finally:
            await connection.close()

    return bench.lab.run(talk())


def token(bench: Bench, **form: str) -> Reply:
    headers = [("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")]
    return bench.client.ask("POST", OAUTH, headers, urllib.parse.urlencode(form).encode())


def statuses(replies: list[Reply]) -> list[int]:
    return [reply.status for reply in replies]


def diagnosis(reply: Reply) -> tuple[int, str]:
    return reply.status, (reply.header("x-ms-diagnostics") or "").partition(";")[0]


def refused(bench: Bench, user: str, password: str) -> None:
    replies = handshake(bench, user, password)
    assert statuses(replies) == [401, 401, 401]
    assert replies[-1].all("www-authenticate") == ["Negotiate", "NTLM"]


def f20(bench: Bench) -> None:
    replies = handshake(bench, ALICE, "P4ss-alice")
    assert statuses(replies) == [401, 401, 401]
    assert replies[1].all("www-authenticate")[0].startswith("NTLM TlRM")
    assert replies[2].all("www-authenticate") == ["Negotiate", "NTLM"]


def f21(bench: Bench) -> None:
    refused(bench, ALICE, "P4ss-alice")
    assert statuses(handshake(bench, ALICE, "N3w-alice")) == [401, 401, 200]


def f22(bench: Bench) -> None:
    refused(bench, ALICE, "P4ss-alice")
    assert statuses(handshake(bench, "alice.adams@contoso.example", "P4ss-alice")) == [401, 401, 200]
    assert statuses(handshake(bench, "CONTOSO\\alice.adams", "P4ss-alice")) == [401, 401, 200]


def f23(bench: Bench) -> None:
    replies = handshake(bench, ALICE, "P4ss-alice")
    assert replies[0].all("www-authenticate") == ["Negotiate"]
    assert (replies[1].status, replies[1].all("www-authenticate")) == (401, ["Negotiate"])


def f24(bench: Bench) -> None:
    replies = handshake(bench, ALICE, "P4ss-alice")
    assert statuses(replies)[:2] == [401, 401]
    assert diagnosis(replies[2]) == (403, "28000")
    refused(bench, ALICE, "wrong")


def f25(bench: Bench) -> None:
    replies = handshake(bench, ALICE, "P4ss-alice")
    assert diagnosis(replies[-1]) == (500, "28001")


def f26(bench: Bench) -> None:
    ticket = bench.client.ticket(ALICE)
    reply = bench.client.ask("POST", f"{WEB}/ucwa/v1/applications", [ticket], b"{}")
    assert diagnosis(reply) == (500, "28032")
    assert reply.header("x-ms-server-fqdn") == "fe21.contoso.local"


def f27(bench: Bench) -> None:
    value = bench.client.ticket(ALICE)[1]
    reply = bench.client.ask(
        "GET", f"{WEB}/ucwa/oauth/v1/applications", [("Authorization", f"Bearer {value}")]
    )
    assert diagnosis(reply) == (403, "28055")
    assert reply.header("warning") == '120 fe01.contoso.local "InvalidToken"'


def f28(bench: Bench) -> None:
    reply = token(bench, grant_type="urn:microsoft.rtc:passive")
    assert diagnosis(reply) == (400, "28020")
    assert b'"invalid_grant"' in reply.body
    where = f"{WEB}/PassiveAuth/PassiveAuth.aspx"
    assert f'"ms_rtc_passiveauthuri": "{where}"'.encode() in reply.body
    assert bench.client.ask("GET", where).status == 404


def f29(bench: Bench) -> None:
    for form in (
        {"grant_type": "password", "username": ALICE, "password": "P4ss-alice"},
        {"grant_type": "urn:microsoft.rtc:windows"},
    ):
        reply = token(bench, **form)
        assert diagnosis(reply) == (400, "28029")
        assert b'"unsupported_grant_type"' in reply.body


def f30(bench: Bench) -> None:
    assert bench.client.ask("GET", f"{WEB}{TICKET}/mex").status == 503
    assert bench.client.ask("GET", f"{EMEA}{TICKET}/mex").status == 503


def f31(bench: Bench) -> None:
    url, origin = f"{WEB}/ucwa/v1/applications", ("Origin", "https://portal.contoso.example")
    reply = bench.client.ask("GET", url, [origin])
    assert reply.status == 403
    assert b"Service does not allow a cross domain request from this origin." in reply.body
    assert bench.client.ask("GET", url).status == 401


def f32(bench: Bench) -> None:
    refused(bench, "user50@contoso.example", "P4ss-user50")
    assert statuses(handshake(bench, "user49@contoso.example", "P4ss-user49")) == [401, 401, 200]


def f33(bench: Bench) -> None:
    door = bench.door
    for method, url in (
        ("GET", "http://lyncdiscover.contoso.example/"),
        ("CONNECT", "http://lyncweb.contoso.example:443/"),
    ):
        reply = bench.anyhow(door.http, method, url)
        assert (reply.status, reply.all("proxy-authenticate")) == (407, ["Negotiate", "NTLM"])
    with pytest.raises(ConnectionRefusedError):
        bench.client.ask("GET", WEB)


SYMPTOMS = symptoms(globals())


def test_every_fault_of_the_group_is_here() -> None:
    assert SYMPTOMS.keys() == {fault.code for fault in FAULTS}


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_symptom(bench: Bench) -> None:
    SYMPTOMS[bench.fault.code](bench)


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_phone(bench: Bench) -> None:
    bench.check_phone()
