"""Discovery: what is seen on the wire for each fault, and what becomes of a phone."""

import json
import socket

import pytest

from lab.client import AUTODISCOVER, DISCOVER, EMEA, WEB, XML
from lab.faults.bench import Bench, names_of, symptoms
from lyncgate.lab.faults.badproxy import CLOUD, DOOR, HOLE
from lyncgate.lab.faults.discovery import FAULTS
from lyncgate.lync import autodiscover


def f01(bench: Bench) -> None:
    assert bench.look_up("lyncdiscover.contoso.example").rcode == "NXDOMAIN"
    assert bench.look_up("lyncweb.contoso.example").rcode == "NOERROR"
    assert not bench.sign_in(by_dns=True).ok


def f02(bench: Bench) -> None:
    assert bench.look_up("lyncdiscoverinternal.contoso.example").data("A") == [HOLE]
    hole = bench.lab.estate.proxies[HOLE]
    for where in (hole.http, hole.https):
        with socket.create_connection(where, timeout=0.3) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):
                sock.recv(1)


def f07(bench: Bench) -> None:
    reply = bench.client.ask("GET", f"{DISCOVER}/", [XML])
    document = autodiscover.parse_root(reply.header("content-type"), reply.body)
    assert (reply.status, document.access_location) == (200, "Internal")
    assert document.href("User").startswith("https://pool01.contoso.local/")


def f08(bench: Bench) -> None:
    client = bench.client
    assert client.ask("GET", "https://meet.contoso.example/").status == 404
    assert client.ask("GET", "https://dialin.contoso.example/").status == 404
    assert client.ask("GET", f"{DISCOVER}/").status == 404
    assert client.ask("GET", f"{WEB}{AUTODISCOVER}").status == 200


def f09(bench: Bench) -> None:
    reply = bench.client.ask("GET", f"{DISCOVER}/", [XML])
    where = reply.header("location")
    assert (reply.status, where.partition("?")[0]) == (302, f"{DISCOVER}/CookieAuth.dll")
    reply = bench.client.ask("GET", where)
    assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=utf-8")
    assert reply.header("x-ms-server-fqdn") is None


def f12(bench: Bench) -> None:
    reply = bench.client.ask("GET", f"{DISCOVER}/", [XML])
    assert (reply.status, reply.header("content-type")) == (200, "text/xml")
    assert reply.header("content-length") is None
    assert reply.header("transfer-encoding") is None
    assert reply.body.startswith(b"<?xml")
    assert bench.client.ask("GET", f"{WEB}/WebTicket/WebTicketService.svc/mex").header("content-length")


def f13(bench: Bench) -> None:
    for url in (f"{DISCOVER}/", "http://lyncdiscover.contoso.example/"):
        reply = bench.client.ask("GET", url)
        assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, None)
    assert bench.client.ask("GET", f"{DISCOVER}{AUTODISCOVER}").status == 200


def f14(bench: Bench) -> None:
    assert bench.look_up("lyncdiscover.contoso.example").data("A") == [CLOUD]
    cloud = bench.lab.estate.proxies[CLOUD]
    assert names_of(bench.certificate(cloud.https, "lyncdiscover.contoso.example")) == ["*.online.lync.com"]
    assert bench.anyhow(cloud.https, "GET", f"{DISCOVER}/").status == 403
    assert bench.client.ask("GET", f"{WEB}{AUTODISCOVER}").status == 200


def f15(bench: Bench) -> None:
    assert "lyncweb-emea.contoso.example" not in names_of(bench.certificate(bench.door.https, "x.example"))
    assert "ostname mismatch" in bench.tls_error(bench.door.https, "lyncweb-emea.contoso.example")
    reply = bench.anyhow(bench.door.https, "GET", f"{EMEA}{AUTODISCOVER}")
    assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, None)
    ticket = bench.client.ticket("erin@contoso.example")
    reply = bench.client.ask("GET", f"{WEB}{AUTODISCOVER}/user", [XML, ticket])
    located = autodiscover.parse_user(reply.header("content-type"), reply.body)
    assert located.href("Redirect").startswith(EMEA)
    assert bench.sign_in("alice@contoso.example").ok


def f16(bench: Bench) -> None:
    reply = bench.client.ask(
        "GET", "https://lyncdiscover.fabrikam.example/", [("Accept", "application/json")]
    )
    (redirect,) = json.loads(reply.body)["_links"].values()
    assert "/autodisccoverservice.svc/" in redirect["href"].lower()
    assert bench.client.ask("GET", redirect["href"]).status == 404
    assert bench.sign_in("alice@contoso.example").ok


def f17(bench: Bench) -> None:
    ticket = bench.client.ticket("alice@contoso.example")
    assert bench.client.ask("GET", f"{WEB}{AUTODISCOVER}/user").status == 401
    reply = bench.client.ask("GET", f"{WEB}{AUTODISCOVER}/user", [XML, ticket])
    assert (reply.status, reply.body) == (404, b"")


def f18(bench: Bench) -> None:
    url = f"{DISCOVER}/"
    for _ in range(3):
        reply = bench.client.ask("GET", url, [XML])
        document = autodiscover.parse_root(reply.header("content-type"), reply.body)
        assert (reply.status, document.href("User")) == (200, None)
        url = document.href("Redirect")
        assert url.startswith(DISCOVER)
    seen = len(bench.door.passed)
    bench.sign_in()
    assert {passed.path.lower() for passed in bench.door.passed[seen:]} == {"/", AUTODISCOVER.lower()}
    assert len(bench.door.passed[seen:]) >= 10


def f19(bench: Bench) -> None:
    for name in ("sip.contoso.example", "sipexternal.fabrikam.example"):
        assert bench.look_up(name).data("A") == [DOOR]
    assert bench.look_up("_sip._tls.contoso.example", "SRV").rcode == "NXDOMAIN"
    with bench.connect(bench.door.https, "sip.contoso.example") as secure:
        secure.sendall(b"REGISTER sip:contoso.example SIP/2.0\r\nCall-ID: 1\r\n\r\n")
        assert secure.recv(100).startswith(b"HTTP/1.1 400 ")
    assert bench.door.hellos[-1] == "sip.contoso.example"


SYMPTOMS = symptoms(globals())
SLOW = {"F02"}  # the phone waits half a minute for an answer


def test_every_fault_of_the_group_is_here() -> None:
    assert SYMPTOMS.keys() == {fault.code for fault in FAULTS}


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_symptom(bench: Bench) -> None:
    SYMPTOMS[bench.fault.code](bench)


@pytest.mark.parametrize("bench", sorted(SYMPTOMS.keys() - SLOW), indirect=True)
def test_phone(bench: Bench) -> None:
    bench.check_phone()
