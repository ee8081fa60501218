"""Names, chains and versions of TLS."""

import socket
import ssl

import pytest
from cryptography.x509.oid import NameOID

from lab.client import DISCOVER, WEB
from lab.faults.bench import Bench, names_of, old_client, symptoms
from lyncgate.lab.faults.tls import FABRIKAM, FAULTS


def f03(bench: Bench) -> None:
    door = bench.door
    assert FABRIKAM not in names_of(bench.certificate(door.https, FABRIKAM))
    door.passed.clear()
    assert "ostname mismatch" in bench.tls_error(door.https, FABRIKAM)
    assert door.hellos[-1] == FABRIKAM
    assert door.passed == []
    assert bench.client.ask("GET", f"{DISCOVER}/").status == 200
    assert bench.client.ask("GET", f"http://{FABRIKAM}/").status == 200


def f04(bench: Bench) -> None:
    reply = bench.look_up(FABRIKAM)
    assert (reply.data("CNAME"), reply.data("A")) == (["lyncweb.contoso.example"], ["127.0.0.71"])
    assert "ostname mismatch" in bench.tls_error(bench.door.https, FABRIKAM)
    report = bench.sign_in(by_dns=True)
    assert report.ok
    assert [step.what for step in report.steps if not step.ok] == [f"connect {FABRIKAM}:443"]


def f05(bench: Bench) -> None:
    issuer = bench.certificate(bench.door.https, "lyncweb.contoso.example").issuer
    assert issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "lyncgate lab intermediate"
    assert (
        bench.tls_error(bench.door.https, "lyncweb.contoso.example")
        == "unable to get local issuer certificate"
    )
    assert bench.anyhow(bench.door.https, "GET", f"{DISCOVER}/").status == 200


def f06(bench: Bench) -> None:
    with (
        socket.create_connection(bench.door.https) as sock,
        pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"),
    ):
        old_client().wrap_socket(sock, server_hostname="lyncweb.contoso.example")
    assert bench.client.ask("GET", f"{DISCOVER}/").status == 200


def f10(bench: Bench) -> None:
    reply = bench.client.ask("GET", "http://lyncdiscover.contoso.example/?sipuri=alice@contoso.example")
    assert (reply.status, reply.header("location")) == (301, "https://www.fabrikam.example/")
    assert "ostname mismatch" in bench.tls_error(bench.door.https, "lyncdiscover.contoso.example")


def f11(bench: Bench) -> None:
    with socket.socket() as sock:
        assert sock.connect_ex(bench.door.http) != 0
    assert "ostname mismatch" in bench.tls_error(bench.door.https, "lyncdiscover.contoso.example")
    assert bench.client.ask("GET", f"{WEB}/").status == 404


SYMPTOMS = symptoms(globals())


def test_every_fault_of_the_group_is_here() -> None:
    assert SYMPTOMS.keys() == {fault.code for fault in FAULTS}


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_symptom(bench: Bench) -> None:
    SYMPTOMS[bench.fault.code](bench)


@pytest.mark.parametrize("bench", SYMPTOMS, indirect=True)
def test_phone(bench: Bench) -> None:
    bench.check_phone()
