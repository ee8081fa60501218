"""A phone looks names up and follows what it is told in the documented order, and no further."""

import contextlib
import ssl

import pytest

from lyncgate.client.names import NameMap, NameRule
from lyncgate.lab import topology
from lyncgate.lab.authority import server_context
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.ports import bound
from lyncgate.lab.web import Response, Site
from lyncgate.lync import autodiscover
from lyncgate.lync.stages import Stage

ALICE = "alice@contoso.example"
ROOT = "https://lyncdiscover.contoso.example/Autodiscover/AutodiscoverService.svc/root"


@contextlib.asynccontextmanager
async def answering(response: Response, tls: ssl.SSLContext | None = None):
    """A server that says the same to everybody; its address."""

    async def handle(request, state):
        return response

    site = Site(handle, lambda: None)
    sock = bound("127.0.0.1", 0)
    await site.listen(sock, tls)
    try:
        yield sock.getsockname()
    finally:
        await site.close(reset=False)


@pytest.fixture
def discovered_by(lab, made):
    """Signs alice in where lyncdiscover is a server of the test: HTTP answers `plain`, and HTTPS answers
    `secure`; None: nothing is there."""

    async def sign_in(plain, secure):
        async with contextlib.AsyncExitStack() as servers:
            rules = []
            for port, response in ((80, plain), (443, secure)):
                tls = server_context(lab.estate.directory, "edge") if port == 443 else None
                where = await servers.enter_async_context(answering(response, tls)) if response else None
                rules.append(NameRule("lyncdiscover.*", port, where))
            names = NameMap((*rules, *lab.estate.names_without_edge().rules))
            return await made(Lync2013, ALICE, names=names).sign_in()

    return lambda plain, secure: lab.run(sign_in(plain, secure))


def redirect_document(href):
    document = autodiscover.root_document((("Redirect", href),), autodiscover.XML.encode())
    return Response(200, [("Content-Type", document.content_type)], document.body)


def asked(report, stage):
    return [step.what for step in report.steps if step.stage is stage]


def inside(lab):
    """Names as a phone in the company's network has them."""
    ports, front_end = lab.estate.ports, topology.MEMBERS["fe01"].address
    rules = [
        NameRule(host, port, (front_end, where))
        for host in ("lyncdiscoverinternal.*", "*.local")
        for port, where in ((80, ports.internal_http), (443, ports.internal_https))
    ]
    return NameMap((*rules, *lab.estate.names_without_edge().rules))


def test_inside_the_internal_name_leads_to_the_internal_site_and_the_external_is_not_asked(lab, made):
    report = lab.run(made(Lync2013, ALICE, names=inside(lab)).sign_in())
    assert report.ok, report.failed
    assert asked(report, Stage.DNS_INTERNAL) == ["look up lyncdiscoverinternal.contoso.example"]
    assert asked(report, Stage.DNS_DISCOVER) == []
    located = [step.detail for step in report.steps if step.stage is Stage.LOCATE and step.status == 200]
    assert all(detail.startswith("AccessLocation Internal") for detail in located)


def test_internal_name_that_leads_nowhere_is_followed_by_the_external_one(lab, made):
    with bound("127.0.0.1", 0) as nobody:  # bound, but does not listen: connections are refused
        rule = NameRule("lyncdiscoverinternal.*", None, nobody.getsockname())
        names = NameMap((rule, *lab.estate.names_without_edge().rules))
        report = lab.run(made(Lync2013, ALICE, names=names).sign_in())
    assert report.ok, report.failed
    order = [step.stage for step in report.steps]
    failed = [step.what for step in report.steps if not step.ok]
    assert sorted(failed) == [f"connect lyncdiscoverinternal.contoso.example:{port}" for port in (443, 80)]
    assert order.index(Stage.CONNECT) < order.index(Stage.DNS_DISCOVER)


def test_redirect_of_http_within_the_domain_is_followed(lab, discovered_by):
    """From HTTP to the HTTPS of the pool's web services, which are in the same SIP domain."""
    target = "https://lyncweb.contoso.example/Autodiscover/AutodiscoverService.svc/root"
    report = discovered_by(Response(302, [("Location", target)]), None)
    assert report.ok, report.failed
    (step,) = [step for step in report.steps if step.stage is Stage.REDIRECT]
    assert (step.status, step.detail) == (302, f"on to {target}")


@pytest.mark.parametrize(
    "location",
    [
        "https://login.fabrikam.example/",
        "https://contoso.example.fabrikam.example/",
        "ftp://contoso.example/",
    ],
)
def test_redirect_of_http_out_of_the_domain_is_a_failure(lab, discovered_by, location):
    report = discovered_by(Response(302, [("Location", location)]), None)
    assert not report.ok
    (refused,) = [step for step in report.steps if step.status == 302]
    assert not refused.ok
    assert "not in contoso.example" in refused.detail


def test_https_is_believed_when_http_leads_astray(lab, made):
    async def sign_in():
        async with answering(Response(302, [("Location", "https://login.fabrikam.example/")])) as where:
            rule = NameRule("lyncdiscover.*", 80, where)
            names = NameMap((rule, *lab.estate.names_without_edge().rules))
            return await made(Lync2013, ALICE, names=names).sign_in()

    report = lab.run(sign_in())
    assert report.ok, report.failed


def test_page_instead_of_a_document_is_a_failure(lab, discovered_by):
    """A proxy that asks for a password on a page of its own (failure catalogue, F09)."""
    page = Response(200, [("Content-Type", "text/html")], b"<html>Sign in</html>")
    report = discovered_by(page, page)
    assert (report.failed.stage, report.failed.status) == (Stage.DISCOVER, 200)
    assert "text/html is no autodiscover media type" in report.failed.detail


def test_documents_that_lead_in_circles_end_in_a_failure(lab, discovered_by):
    report = discovered_by(None, redirect_document(ROOT))
    assert report.failed.detail == "too many redirects"


def test_document_that_leads_to_plain_http_is_not_followed(lab, discovered_by):
    report = discovered_by(None, redirect_document("http://lyncweb.contoso.example/"))
    assert report.failed.stage is Stage.DISCOVER
    assert "not HTTPS" in report.failed.detail


def test_connections_of_discovery_are_not_kept(lab, made):
    """A phone that stays has two connections to its pool and no others."""

    async def arrived():
        phone = made(Lync2013, ALICE)
        report = await phone.arrive()
        assert report.ok, report.failed
        hosts = {host for _, host, _ in phone.line.kept}
        await phone.leave()
        return hosts

    assert lab.run(arrived()) == {"lyncweb.contoso.example:443"}
