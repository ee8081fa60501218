"""Without faults the bad proxy is a good one: whatever fails behind it fails because of a fault."""

import socket
from collections.abc import Iterator

import pytest

from lab.client import DISCOVER, WEB, XML
from lab.faults.bench import Bench, old_client
from lyncgate.lab.faults.badproxy import Certificate, Proxy
from lyncgate.lab.faults.fault import Fault, Faults, always
from lyncgate.lab.faults.steps import chain
from support.estate import running_estate

GOOD = Fault("F00", "nothing is wrong", "", "", "", None, always(Proxy()))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_estate(
        tmp_path_factory.mktemp("good"), poll_minimum=0.05, faults=Faults([(GOOD, 0)])
    ) as lab:
        yield Bench(lab, GOOD)


@pytest.mark.parametrize(
    "user", ["alice@contoso.example", "erin@contoso.example", "carol@emea.contoso.example"]
)
def test_phones_sign_in_through_it(good: Bench, user: str) -> None:
    report = good.sign_in(user)
    assert report.ok, report.failed
    assert good.door.passed


def test_phones_sign_in_by_dns(good: Bench) -> None:
    assert good.sign_in(by_dns=True).ok


def test_internal_names_are_not_published(good: Bench) -> None:
    reply = good.anyhow(good.door.https, "GET", "https://pool01.contoso.local/")
    assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, None)


def test_header_lines_pass_as_they_are(good: Bench) -> None:
    reply = good.client.ask("GET", f"{WEB}/ucwa/oauth/v1/applications")
    assert (reply.status, len(reply.all("www-authenticate"))) == (401, 2)


def test_office_web_apps_has_its_own_ports(good: Bench) -> None:
    assert good.client.ask("GET", "https://owa.contoso.example/hosting/discovery").status == 200


def test_old_clients_are_let_in(good: Bench) -> None:
    with socket.create_connection(good.door.https) as sock:
        secure = old_client().wrap_socket(sock, server_hostname="lyncweb.contoso.example")
        assert secure.version() == "TLSv1"
        secure.close()


def test_pool_that_is_gone_is_a_bad_gateway(good: Bench) -> None:
    good.lab.run(good.lab.estate.kill("fe01"))
    try:
        assert good.client.ask("GET", f"{DISCOVER}/", [XML]).status == 502
    finally:
        good.lab.run(good.lab.estate.start_member("fe01"))
    assert good.client.ask("GET", f"{DISCOVER}/", [XML]).status == 200


class TestSeveralFaults:
    def test_proxies_at_one_address_are_one_with_the_faults_of_both(self) -> None:
        named = Certificate(("lyncweb.contoso.example",))
        both = Proxy(certificate=named) | Proxy(http=False)
        assert both == Proxy(certificate=named, http=False)
        assert Proxy(http=False) | Proxy(certificate=named) == both

    def test_steps_are_taken_in_order(self) -> None:
        async def first(call, serve):
            return f"first({await serve(call)})"

        async def second(call, serve):
            return f"second({await serve(call)})"

        async def serve(call):
            return call

        with pytest.raises(StopIteration, match=r"first\(second\(call\)\)"):
            chain([first, second], serve)("call").send(None)

    def test_no_faults_are_no_detour(self) -> None:
        async def serve(call):
            return call

        faults = Faults()
        assert faults.around(serve) is serve
        assert faults.proxies is not None
        assert (faults.codes, faults.names({})) == ((), ())
