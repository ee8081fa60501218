"""What the web sites of a front end answer, over real sockets."""

import asyncio
import hashlib
import json
import re
from xml.etree import ElementTree as ET

import pytest

from lab.client import AUTODISCOVER, DISCOVER, EMEA, RST, TICKET, WEB, XML
from lyncgate.lync.autodiscover import parse_root, parse_user

USER = f"{WEB}{AUTODISCOVER}/user"
OAUTH_USER = f"{WEB}{AUTODISCOVER}/oauth/user"
APPLICATIONS = f"{WEB}/ucwa/v1/applications"
CREATE = [("Content-Type", "application/json")]
BODY = b'{"UserAgent": "test", "EndpointId": "1", "Culture": "en-US"}'


@pytest.fixture(scope="module")
def ticket(client):
    return client.ticket("alice@contoso.example")


def root(reply):
    assert reply.status == 200
    return parse_root(reply.header("content-type"), reply.body)


class TestDiscovery:
    def test_https_root_has_the_pool_with_the_query_echoed(self, client):
        document = root(client.ask("GET", f"{DISCOVER}/?sipuri=alice@contoso.example", [XML]))
        assert document.access_location == "External"
        assert document.href("User") == f"{USER}?sipuri=alice@contoso.example"
        assert document.href("Redirect") is None

    def test_http_root_is_a_redirect_document_and_no_http_redirect(self, client):
        document = root(client.ask("GET", "http://lyncdiscover.contoso.example/", [XML]))
        assert document.links == (("Redirect", f"{WEB}{AUTODISCOVER}"),)

    def test_internal_site_says_internal_and_names_the_pool(self, client):
        document = root(client.ask_internal("https", AUTODISCOVER, [XML]))
        assert document.access_location == "Internal"
        assert document.href("User") == f"https://pool01.contoso.local{AUTODISCOVER}/user"
        redirect = root(client.ask_internal("http", AUTODISCOVER, [XML]))
        assert redirect.links == (("Redirect", f"https://pool01.contoso.local{AUTODISCOVER}"),)

    def test_paths_are_the_same_in_any_case(self, client):
        assert root(client.ask("GET", f"{WEB}{AUTODISCOVER.upper()}", [XML])).href("User") == USER

    def test_domain_document_is_for_anyone_and_names_services(self, client):
        document = ET.fromstring(client.ask("GET", f"{WEB}{AUTODISCOVER}/domain", [XML]).body)
        links = {link.get("token"): link.get("href") for link in document.iterfind("Domain/Link")}
        assert links["External/AuthBroker"] == f"{WEB}/Reach/sip.svc"
        assert links["External/Ucwa"] == APPLICATIONS
        assert set(links) == {
            f"{side}/{service}"
            for side in ("Internal", "External")
            for service in ("Autodiscover", "AuthBroker", "Ucwa")
        }
        assert (
            client.ask("GET", f"{WEB}{AUTODISCOVER}/domain", [("Accept", "application/json")]).status == 200
        )

    def test_cross_domain_frame_is_a_page(self, client):
        reply = client.ask("GET", f"{WEB}/Autodiscover/XFrame/XFrame.html")
        assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=utf-8")

    def test_user_without_a_ticket_is_told_where_tickets_are_had(self, client):
        reply = client.ask("GET", USER, [XML])
        assert reply.status == 401
        assert reply.header("x-ms-webticketurl") == WEB + TICKET
        assert reply.header("x-ms-webticketsupported") is not None
        assert reply.all("www-authenticate") == []

    def test_oauth_user_has_two_challenges_on_two_lines(self, client):
        reply = client.ask("GET", OAUTH_USER)
        assert reply.status == 401
        bearer, oauth = reply.all("www-authenticate")
        assert bearer.startswith("Bearer trusted_issuers=")
        assert oauth.startswith(f'MsRtcOAuth href="{WEB}/WebTicket/oauthtoken",grant_type="')

    def test_user_with_a_ticket_gets_the_document(self, client):
        reply = client.ask("GET", USER, [XML, client.ticket("alice@contoso.example")])
        document = parse_user(reply.header("content-type"), reply.body)
        assert document.href("Ucwa") == APPLICATIONS
        assert document.sip.external == ("sip.contoso.example", 5061)

    def test_user_of_another_pool_is_redirected_home(self, client):
        reply = client.ask("GET", USER, [XML, client.ticket("erin@contoso.example")])
        document = parse_user(reply.header("content-type"), reply.body)
        assert (reply.status, document.links) == (200, (("Redirect", EMEA + AUTODISCOVER),))

    def test_ticket_of_another_pool_is_an_error_with_diagnostics(self, client):
        reply = client.ask("GET", USER, [client.ticket("erin@contoso.example", EMEA)])
        assert reply.status == 500
        assert reply.header("x-ms-diagnostics").startswith('28032;source="fe01.contoso.local";reason="')

    def test_ticket_holds_on_every_member_of_its_pool(self, client):
        ticket = client.ticket("alice@contoso.example")
        reply = client.ask("GET", USER, [XML, ticket], member="fe02")
        assert (reply.status, reply.header("x-ms-server-fqdn")) == (200, "fe02.contoso.local")


class TestTickets:
    def test_mex_needs_no_authentication_and_names_the_port(self, client):
        reply = client.ask("GET", f"{WEB}{TICKET}/mex")
        assert reply.status == 200
        assert b'name="WebTicketServiceWinNegotiate"' in reply.body
        assert f'location="{WEB}{TICKET}"'.encode() in reply.body

    def test_password_grant_gives_a_bearer_that_works(self, client):
        form = b"grant_type=password&username=alice%40contoso.example&password=P4ss-alice"
        token = json.loads(client.ask("POST", f"{WEB}/WebTicket/oauthtoken", (), form).body)
        bearer = ("Authorization", f"Bearer {token['access_token']}")
        assert token["token_type"] == "Bearer"
        assert client.ask("GET", OAUTH_USER, [XML, bearer]).status == 200

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            (b"grant_type=password&username=alice@contoso.example&password=x", "invalid_grant"),
            (b"grant_type=password", "invalid_grant"),
            (b"grant_type=urn:microsoft.rtc:passive", "unsupported_grant_type"),
            (b"", "invalid_request"),
        ],
    )
    def test_other_grants_are_refused_by_name(self, client, form, error):
        reply = client.ask("POST", f"{WEB}/WebTicket/oauthtoken", (), form)
        assert (reply.status, json.loads(reply.body)) == (400, {"error": error})


class TestMobility:
    def create(self, client, ticket):
        reply = client.ask("POST", APPLICATIONS, [*CREATE, ticket], BODY)
        assert reply.status == 201
        return json.loads(reply.body)["_links"]

    def test_without_a_ticket_the_answer_is_401(self, client):
        for method in ("GET", "POST"):
            reply = client.ask(method, APPLICATIONS)
            assert (reply.status, reply.header("x-ms-webticketurl")) == (401, WEB + TICKET)

    def test_links_are_relative_and_the_cookie_is_the_applications(self, client, ticket):
        reply = client.ask("POST", APPLICATIONS, [*CREATE, ticket], BODY)
        base = json.loads(reply.body)["_links"]["self"]["href"]
        assert base.startswith("/ucwa/v1/applications/")
        name, _, attributes = (reply.header("set-cookie") or "").partition("; ")
        assert re.fullmatch(r"cwt_ucwa=[0-9a-f]{32}", name)
        assert attributes == f"path={base}/photos; secure; HttpOnly"
        assert base.rpartition("/")[2] not in name  # which stands in every path

    def test_application_is_known_to_the_other_member(self, client, ticket):
        links = self.create(client, ticket)
        assert client.ask("GET", WEB + links["self"]["href"], [ticket], member="fe02").status == 200

    def test_being_available_is_an_event(self, client, ticket):
        links = self.create(client, ticket)
        available = f"{WEB}{links['self']['href']}/me/makeMeAvailable"
        assert client.ask("POST", available, [*CREATE, ticket], b"{}").status == 204
        events = json.loads(client.ask("GET", WEB + links["events"]["href"], [ticket]).body)
        assert events["sender"][0]["events"][0]["link"]["rel"] == "presence"

    def test_held_poll_is_released_by_an_event_on_either_member(self, lab, client, ticket):
        links = self.create(client, ticket)
        base = links["self"]["href"]

        async def poll_and_push():
            connection = await client.connect(WEB, member="fe02")
            application = lab.estate.pools["pool01"].applications.get(base.rpartition("/")[2])
            try:
                poll = asyncio.create_task(
                    connection.request("GET", f"{links['events']['href']}&timeout=1800", [ticket])
                )
                await application.polling.wait()
                lab.estate.push_event("alice@contoso.example", {"type": "updated"})
                return await poll
            finally:
                await connection.close()

        reply = lab.run(poll_and_push())
        assert json.loads(reply.body)["sender"][0]["events"] == [{"type": "updated"}]

    def test_poll_times_out_with_next_and_a_bad_ack_resyncs(self, client, ticket):
        events = WEB + self.create(client, ticket)["events"]["href"]
        timed_out = json.loads(client.ask("GET", f"{events}&timeout=0", [ticket]).body)
        assert timed_out["_links"]["next"]["href"].endswith("ack=2")
        bad = json.loads(client.ask("GET", events.replace("ack=1", "ack=99"), [ticket]).body)
        assert set(bad["_links"]) == {"self", "resync"}
        assert client.ask("GET", events.replace("ack=1", "ack=x"), [ticket]).status == 400

    def test_unknown_and_foreign_applications_are_not_found(self, client, ticket):
        base = self.create(client, ticket)["self"]["href"]
        bob = client.ticket("bob@contoso.example")
        for url, who in ((f"{APPLICATIONS}/0123456789ab", ticket), (WEB + base, bob)):
            reply = client.ask("GET", f"{url}/events?ack=1", [who])
            assert (reply.status, json.loads(reply.body)["subcode"]) == (404, "ApplicationNotFound")
            assert reply.header("content-type").startswith("application/json")

    def test_signed_out_application_is_gone(self, client, ticket):
        url = WEB + self.create(client, ticket)["self"]["href"]
        assert client.ask("DELETE", url, [ticket]).status == 204
        assert client.ask("GET", url, [ticket]).status == 404


class TestContent:
    @pytest.mark.parametrize("path", ["/abs/handler/F-0001.lsabs", "/GroupExpansion/service.svc"])
    def test_windows_challenge(self, client, path):
        reply = client.ask("GET", WEB + path)
        assert (reply.status, reply.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])

    @pytest.mark.parametrize(
        ("url", "title"),
        [
            ("https://meet.contoso.example/alice/1234", b"Join a meeting"),
            ("https://dialin.contoso.example/", b"Dial-in conferencing"),
            (f"{WEB}/Meet/alice/1234", b"Join a meeting"),
        ],
    )
    def test_simple_urls(self, client, url, title):
        reply = client.ask("GET", url)
        assert reply.status == 200
        assert title in reply.body

    def test_bodies_arrive_whole(self, client):
        content = bytes(range(256)) * 4000
        got = client.ask("POST", f"{WEB}/DataCollabWeb/Ext/Handler", (), content)
        assert json.loads(got.body) == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for query in ("", "?chunked"):
            assert client.ask("GET", f"{WEB}/CollabContent/1024000{query}").body == content

    def test_plain_http_serves_no_service_that_needs_tls(self, client):
        reply = client.ask("POST", f"http://lyncweb.contoso.example{TICKET}", (), RST)
        assert (reply.status, reply.all("www-authenticate")) == (403, [])

    @pytest.mark.parametrize("path", ["/", "/cscp", "/webticket", "/abs/handlers"])
    def test_nothing_else_is_served(self, client, path):
        reply = client.ask("GET", WEB + path)
        assert (reply.status, reply.header("x-ms-server-fqdn")) == (404, "fe01.contoso.local")
