"""The Director: who asks it is sent home, and what belongs to a home it does not have."""

import json
from urllib.parse import urlsplit

import pytest

from lab.client import AUTODISCOVER, DISCOVER, EMEA, TICKET, WEB, XML
from lyncgate.lync.autodiscover import parse_root, parse_user

DIRECTOR = "https://lyncweb-dir.contoso.example"


def document(reply, parse):
    assert reply.status == 200
    return parse(reply.header("content-type"), reply.body)


def test_root_leads_to_the_directors_own_user_document_and_tickets(client):
    root = document(client.ask("GET", f"{DISCOVER}/", [XML], member="dir01"), parse_root)
    assert root.href("User") == f"{DIRECTOR}{AUTODISCOVER}/user"
    challenge = client.ask("GET", root.href("User"), [XML])
    assert (challenge.status, challenge.header("x-ms-webticketurl")) == (401, DIRECTOR + TICKET)
    assert challenge.header("x-ms-server-fqdn") == "dir01.contoso.local"


@pytest.mark.parametrize(
    ("user", "home"), [("alice@contoso.example", WEB), ("carol@emea.contoso.example", EMEA)]
)
def test_user_is_sent_home_where_the_directors_ticket_is_no_good(client, user, home):
    ticket = client.ticket(user, DIRECTOR)
    reply = client.ask("GET", f"{DIRECTOR}{AUTODISCOVER}/user", [XML, ticket])
    assert document(reply, parse_user).links == (("Redirect", home + AUTODISCOVER),)
    refused = client.ask("GET", f"{home}{AUTODISCOVER}/user", [XML, ticket])
    assert (refused.status, refused.header("x-ms-diagnostics")[:6]) == (500, "28032;")


def test_phone_finds_home_by_the_director(lab, client):
    phone = client.phone("erin@contoso.example", member="dir01")
    report = lab.run(phone.sign_in())
    assert report.ok, report
    user_documents = [s.what for s in report.steps if f"{AUTODISCOVER}/user" in s.what and s.status == 200]
    assert [urlsplit(what.removeprefix("GET ")).hostname for what in user_documents] == [
        "lyncweb-dir.contoso.example",
        "lyncweb-emea.contoso.example",
    ]


@pytest.mark.parametrize("path", ["/ucwa/v1/applications", "/abs/handler", "/GroupExpansion/service.svc"])
def test_what_belongs_to_a_home_pool_is_not_on_a_director(client, path):
    assert client.ask("GET", DIRECTOR + path).status == 404
    assert client.ask("GET", WEB + path).status in (200, 401)


def test_tokens_are_had_at_a_director(client):
    form = b"grant_type=password&username=alice%40contoso.example&password=P4ss-alice"
    reply = client.ask("POST", f"{DIRECTOR}/WebTicket/oauthtoken", (), form)
    bearer = ("Authorization", f"Bearer {json.loads(reply.body)['access_token']}")
    user = client.ask("GET", f"{DIRECTOR}{AUTODISCOVER}/oauth/user", [XML, bearer])
    assert document(user, parse_user).links == (("Redirect", WEB + AUTODISCOVER),)
