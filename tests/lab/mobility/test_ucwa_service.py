"""UCWA as a client meets it: over TLS, with a ticket, through the external site of a front end."""

import asyncio
import email
import email.policy
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from lab.client import EMEA, WEB
from lyncgate.client.http import Reply
from lyncgate.lab.ucwa import IDLE_LIFETIME, Applications
from lyncgate.lab.ucwaformat import NAMESPACE
from lyncgate.lync.contacts import Availability

N = f"{{{NAMESPACE}}}"
JSON = ("Content-Type", "application/json")
XML = ("Accept", "application/vnd.microsoft.com.ucwa+xml")
APPLICATIONS = f"{WEB}/ucwa/v1/applications"
NEW = {"UserAgent": "test", "EndpointId": "e1", "Culture": "en-US"}
PNG = b"\x89PNG\r\n"


class Account:
    """A user's application, and how to ask below it."""

    def __init__(self, client, user, web=WEB, **properties):
        self.client = client
        self.web = web
        self.ticket = client.ticket(user, web)
        created = self.ask("POST", f"{web}/ucwa/v1/applications", NEW | properties)
        assert created.status == 201, created.body
        self.document = json.loads(created.body)
        self.base = self.document["_links"]["self"]["href"]

    def ask(self, method, path, body=None, *headers) -> Reply:
        url = path if path.startswith("https:") else f"{self.web}{self.base}{path}"
        content = b"" if body is None else json.dumps(body).encode()
        return self.client.ask(method, url, [self.ticket, JSON, *headers], content)

    def get(self, path):
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def post(self, path, body=None, status=204):
        reply = self.ask("POST", path, {} if body is None else body)
        assert reply.status == status, reply.body
        return json.loads(reply.body) if reply.body else None


def error(reply: Reply) -> tuple[int, str, str]:
    body = json.loads(reply.body)
    return reply.status, body["code"], body["subcode"]


@pytest.fixture
def alice(client):
    account = Account(client, "alice@contoso.example")
    yield account
    account.ask("DELETE", "")


class TestCreating:
    def test_makes_a_user_known_to_the_registrar_and_deleting_ends_that(self, lab, client):
        registrar = lab.estate.pools["pool01"].registrar
        account = Account(client, "user01@contoso.example")
        contacts = [r.contact for r in registrar.endpoints("user01@contoso.example")]
        assert len(contacts) == 1
        assert "sip:pool01.contoso.local:5088;" in contacts[0]
        assert account.ask("DELETE", "").status == 204
        assert not registrar.endpoints("user01@contoso.example")
        assert error(account.ask("GET", ""))[0::2] == (404, "ApplicationNotFound")

    def test_links_to_what_is_there(self, alice):
        tree = [alice.document, *alice.document["_embedded"].values()]
        hrefs = {
            link["href"]
            for resource in tree
            for relation, link in resource["_links"].items()
            if relation not in ("batch", "events", "makeMeAvailable", "reportMyActivity", "search")
        }
        statuses = {href: alice.ask("GET", alice.web + href).status for href in hrefs}
        assert len(hrefs) > 10
        assert set(statuses.values()) == {200}, statuses

    def test_is_refused_when_the_policy_does_not_enable_mobility(self, lab, client):
        ticket = client.ticket("frank@contoso.example")
        reply = client.ask("POST", APPLICATIONS, [ticket, JSON], json.dumps(NEW).encode())
        assert error(reply) == (403, "Forbidden", "None")
        assert "NoMobility" in json.loads(reply.body)["message"]
        assert not lab.estate.pools["pool01"].registrar.endpoints("frank@contoso.example")

    def test_is_refused_for_a_guest_of_a_meeting(self, lab, client):
        """A guest's ticket is a good one, of this pool, and its holder nobody's phone."""
        ticket = client.guest_ticket("alice@contoso.example")
        before = len(lab.estate.pools["pool01"].applications)
        reply = client.ask("POST", APPLICATIONS, [ticket, JSON], json.dumps(NEW).encode())
        assert error(reply) == (403, "Forbidden", "None")
        assert "@anonymous.invalid is not in the directory" in json.loads(reply.body)["message"]
        assert len(lab.estate.pools["pool01"].applications) == before

    def test_guest_of_a_meeting_finds_nobodys_application(self, client, alice):
        guest = client.guest_ticket("alice@contoso.example")
        reply = client.ask("GET", f"{WEB}{alice.base}", [guest])
        assert error(reply)[0::2] == (404, "ApplicationNotFound")

    def test_takes_and_gives_xml(self, client):
        body = ET.Element(f"{N}input")
        for name, text in {**NEW, "type": "Phone"}.items():
            ET.SubElement(body, f"{N}property", name=name[0].lower() + name[1:]).text = text
        headers = [client.ticket("bob@contoso.example"), ("Content-Type", "application/xml"), XML]
        reply = client.ask("POST", APPLICATIONS, headers, ET.tostring(body))
        assert reply.status == 201
        assert reply.header("content-type") == f"{XML[1]}; charset=utf-8"
        top = ET.fromstring(reply.body)
        assert top.get("href").startswith("/ucwa/v1/applications/")
        me = next(r for r in top.findall(f"{N}resource") if r.get("rel") == "me")
        assert "sip:bob@contoso.example" in [p.text for p in me.findall(f"{N}property")]

    @pytest.mark.parametrize(
        ("content_type", "body", "wanted"),
        [
            ("application/json", b"", (400, "BadRequest", "ParameterValidationFailure")),
            ("application/json", b"{}", (400, "BadRequest", "ParameterValidationFailure")),
            ("application/json", b"{", (400, "BadRequest", "DeserializationFailure")),
            ("application/xml", b"<a", (400, "BadRequest", "DeserializationFailure")),
            ("text/plain", b"x", (415, "UnsupportedMediaType", "UnsupportedMediaType")),
            (
                "application/json",
                json.dumps(NEW | {"EndpointId": "x" * 101}).encode(),
                (400, "BadRequest", "ParameterValidationFailure"),
            ),
        ],
    )
    def test_wants_a_body_that_makes_sense(self, client, content_type, body, wanted):
        headers = [client.ticket("alice@contoso.example"), ("Content-Type", content_type)]
        assert error(client.ask("POST", APPLICATIONS, headers, body)) == wanted

    def test_ticket_of_another_pool_is_refused(self, client):
        ticket = client.ticket("carol@emea.contoso.example", EMEA)
        reply = client.ask("POST", APPLICATIONS, [ticket, JSON], json.dumps(NEW).encode())
        assert (reply.status, reply.header("x-ms-diagnostics")[:5]) == (500, "28032")

    def test_somebody_elses_application_is_not_found(self, client, alice):
        bob = client.ticket("bob@contoso.example")
        reply = client.ask("GET", WEB + alice.base, [bob])
        assert error(reply) == (404, "NotFound", "ApplicationNotFound")

    def test_method_that_a_resource_does_not_take_is_405(self, alice):
        assert error(alice.ask("PUT", "/me"))[0] == 405


class TestMe:
    def test_says_who_the_user_is(self, alice):
        me = alice.get("/me")
        assert (me["name"], me["uri"], me["workPhoneNumber"]) == (
            "Alice Adams",
            "sip:alice@contoso.example",
            "tel:+31205550101",
        )

    def test_becomes_available_once(self, alice):
        assert error(alice.ask("GET", "/me/presence")) == (409, "Conflict", "MakeMeAvailableRequired")
        alice.post("/me/makeMeAvailable", {"signInAs": "Busy"})
        assert alice.get("/me/presence")["availability"] == "Busy"
        assert "makeMeAvailable" not in alice.get("/me")["_links"]
        again = alice.ask("POST", "/me/makeMeAvailable", {})
        assert error(again) == (409, "Conflict", "AlreadyExists")
        alice.post("/me/presence", {"availability": "Online"})
        assert alice.get("/me/presence")["availability"] == "Online"

    def test_unknown_availability_is_refused(self, alice):
        reply = alice.ask("POST", "/me/makeMeAvailable", {"signInAs": "Asleep"})
        assert error(reply)[2] == "ParameterValidationFailure"

    def test_policies_are_those_of_the_users_scope(self, client, alice):
        assert alice.get("/policies")["videoOnlyOnWifi"] == "Disabled"
        assert alice.get("/policies")["voicemailUri"] == "sip:alice@contoso.example;opaque=app:voicemail"
        carol = Account(client, "carol@emea.contoso.example", EMEA)
        assert carol.get("/policies")["videoOnlyOnWifi"] == "Enabled"

    def test_call_forwarding_follows_the_voice_policy(self, client, alice):
        allowed = alice.get("/me/callForwardingSettings")["_embedded"]
        assert set(allowed) == {
            "immediateForwardSettings",
            "simultaneousRingSettings",
            "unansweredCallSettings",
        }

    def test_reporting_activity(self, alice):
        alice.post("/me/reportMyActivity")


class TestPeople:
    def test_contacts_are_the_buddy_list_with_cards(self, alice):
        contacts = {c["uri"]: c for c in alice.get("/people/contacts")["_embedded"]["contact"]}
        assert set(contacts) == {
            "sip:bob@contoso.example",
            "sip:erin@contoso.example",
            "sip:dave@fabrikam.example",
        }
        bob = contacts["sip:bob@contoso.example"]
        assert (bob["name"], bob["title"], bob["workPhoneNumber"]) == (
            "Bob Brown",
            "Manager",
            "tel:+31205550102",
        )
        presence = json.loads(alice.ask("GET", WEB + bob["_links"]["contactPresence"]["href"]).body)
        assert presence["availability"] == "Busy"

    def test_groups_lead_to_their_contacts(self, alice):
        groups = {g["name"]: g for g in alice.get("/people/groups")["_embedded"]["group"]}
        href = groups["Partners"]["_links"]["groupContacts"]["href"]
        members = json.loads(alice.ask("GET", WEB + href).body)["_embedded"]["contact"]
        assert [c["name"] for c in members] == ["Dave Dunn"]

    def test_photo_is_a_picture_where_there_is_one(self, alice):
        bob, dave = alice.get("/people/bob@contoso.example"), alice.get("/people/dave@fabrikam.example")
        photo = alice.ask("GET", WEB + bob["_links"]["contactPhoto"]["href"])
        assert (photo.status, photo.body[:6]) == (200, PNG)
        assert "contactPhoto" not in dave["_links"]
        assert error(alice.ask("GET", "/photos/dave@fabrikam.example"))[0] == 404

    def test_search_finds_by_name(self, alice):
        found = alice.get("/people/search?query=CLARK")["_embedded"]["contact"]
        assert [c["uri"] for c in found] == ["sip:carol@emea.contoso.example"]

    def test_nobody_and_nothing_are_not_found(self, alice):
        for path in ("/people/nobody@contoso.example", "/people/groups/99", "/nothing", "/people/x/y/z"):
            assert error(alice.ask("GET", path)) == (404, "NotFound", "ResourceNotFound")


class TestEvents:
    def ask_events(self, alice, query="") -> Reply:
        return alice.ask("GET", WEB + json_events(alice) + query)

    def test_presence_of_somebody_subscribed_to_is_news(self, lab, alice):
        alice.post(
            "/people/presenceSubscriptions", {"duration": 15, "uris": ["sip:bob@contoso.example"]}, 201
        )
        set_presence(lab, "bob@contoso.example", Availability.Away, Availability.Busy)
        events = json.loads(self.ask_events(alice, "&medium=1").body)
        (block,) = events["sender"]
        assert block["rel"] == "people"
        assert block["events"][0]["link"]["href"].endswith("/people/bob@contoso.example/presence")
        presence = json.loads(alice.ask("GET", WEB + block["events"][0]["link"]["href"]).body)
        assert presence["availability"] == "Busy"

    def test_who_has_unsubscribed_hears_nothing(self, lab, alice):
        made = alice.post(
            "/people/presenceSubscriptions", {"duration": 15, "uris": ["sip:bob@contoso.example"]}, 201
        )
        assert alice.ask("DELETE", WEB + made["_links"]["self"]["href"]).status == 204
        set_presence(lab, "bob@contoso.example", Availability.Away, Availability.Busy)
        assert "sender" not in json.loads(self.ask_events(alice, "&timeout=1&medium=1").body)

    def test_events_in_xml(self, lab, alice):
        alice.post("/me/makeMeAvailable")
        reply = alice.ask("GET", WEB + json_events(alice), None, XML)
        added = ET.fromstring(reply.body).findall(f"{N}sender/{N}added")
        assert "presence" in [element.get("rel") for element in added]

    def test_second_poll_replaces_the_first(self, lab, alice):
        target = json_events(alice)

        async def both() -> Sequence[Reply]:
            application = lab.estate.pools["pool01"].applications.get(alice.base.rpartition("/")[2])
            one, two = await alice.client.connect(WEB), await alice.client.connect(WEB)
            try:
                first = asyncio.create_task(one.request("GET", target, [alice.ticket], b""))
                await application.polling.wait()
                second = asyncio.create_task(two.request("GET", target, [alice.ticket], b""))
                replaced = await first
                await application.polling.wait()
                application.push({"type": "updated"})
                return replaced, await second
            finally:
                await one.close()
                await two.close()

        first, second = lab.run(both())
        assert error(first) == (409, "Conflict", "PGetReplaced")
        assert second.status == 200

    @pytest.mark.parametrize("ack", ["", "x", "-1", "1e3", "9" * 30])
    def test_bad_ack_is_refused(self, alice, ack):
        assert error(alice.ask("GET", f"/events?ack={ack}"))[2] == "ParameterValidationFailure"

    def test_ack_that_was_never_given_leads_to_resync(self, alice):
        links = alice.get("/events?ack=77")["_links"]
        assert links["resync"]["href"] == f"{alice.base}/events?ack=1"
        assert "next" not in links


class TestBatch:
    def batch(self, alice, *requests: str) -> Reply:
        parts = (
            f"--b1\r\nContent-Type: application/http; msgtype=request\r\n\r\n{request}\r\n"
            "Host: lyncweb.contoso.example\r\n\r\n"
            for request in requests
        )
        headers = [alice.ticket, ("Content-Type", "multipart/batching;boundary=b1")]
        body = "".join(parts) + "--b1--\r\n"
        return alice.client.ask("POST", f"{WEB}{alice.base}/batch", headers, body.encode())

    def answers(self, reply: Reply) -> list[str]:
        assert reply.status == 200
        head = f"Content-Type: {reply.header('content-type')}\r\n\r\n".encode()
        message = email.message_from_bytes(head + reply.body, policy=email.policy.HTTP)
        return [part.get_payload() for part in message.iter_parts()]

    def test_answers_each_in_order(self, alice):
        me, nothing, activity = self.answers(
            self.batch(
                alice,
                f"GET {alice.base}/me HTTP/1.1",
                f"GET {alice.base}/nothing HTTP/1.1",
                f"POST {alice.base}/me/reportMyActivity HTTP/1.1",
            )
        )
        assert me.startswith("HTTP/1.1 200 OK\r\n")
        assert json.loads(me.partition("\r\n\r\n")[2])["name"] == "Alice Adams"
        assert nothing.startswith("HTTP/1.1 404 ")
        assert activity.startswith("HTTP/1.1 204 ")

    def test_can_not_hold_a_poll_a_batch_a_photo_or_another_application(self, client, alice):
        bob = Account(client, "bob@contoso.example")
        answers = self.answers(
            self.batch(
                alice,
                f"GET {alice.base}/events?ack=1 HTTP/1.1",
                f"POST {alice.base}/batch HTTP/1.1",
                f"GET {alice.base}/photos/bob@contoso.example HTTP/1.1",
                f"GET {bob.base}/me HTTP/1.1",
                f"GET {alice.base}0/me HTTP/1.1",
            )
        )
        assert [answer.split(" ")[1] for answer in answers] == ["400", "400", "400", "404", "404"]

    def test_more_than_hundred_are_too_many_and_none_is_done(self, alice):
        deletion = f"DELETE {alice.base} HTTP/1.1"
        assert error(self.batch(alice, *[deletion] * 101)) == (429, "TooManyRequests", "None")
        assert alice.ask("GET", "").status == 200
        hundred = self.answers(self.batch(alice, *[f"GET {alice.base}/me HTTP/1.1"] * 100))
        assert len(hundred) == 100

    def test_nonsense_is_refused(self, alice):
        headers = [alice.ticket, ("Content-Type", "multipart/batching;boundary=b1")]
        reply = alice.client.ask("POST", f"{WEB}{alice.base}/batch", headers, b"nonsense")
        assert error(reply) == (400, "BadRequest", "DeserializationFailure")


class TestTrouble:
    def test_application_that_was_left_alone_is_gone_once_with_410_then_404(self, lab, client):
        now = [0.0]
        pool = lab.estate.pools["pool01"]
        applications, pool.applications = pool.applications, Applications(clock=lambda: now[0])
        try:
            left = Account(client, "user05@contoso.example")
            now[0] += IDLE_LIFETIME + 1
            assert error(left.ask("GET", "")) == (410, "Gone", "InactiveApplicationExpired")
            assert error(left.ask("GET", ""))[0::2] == (404, "ApplicationNotFound")
            assert not pool.registrar.endpoints("user05@contoso.example")
        finally:
            pool.applications = applications

    def test_policy_that_changes_ends_the_application(self, lab, client, without_mobility):
        account = Account(client, "user06@contoso.example")
        with without_mobility:
            assert error(account.ask("GET", "/me")) == (
                403,
                "Forbidden",
                "MobileApplicationNoLongerAllowed",
            )
        assert not lab.estate.pools["pool01"].registrar.endpoints("user06@contoso.example")
        assert error(account.ask("GET", "/me")) == (404, "NotFound", "ApplicationNotFound")

    def test_stuck_application_pool_answers_503_on_its_server_only(self, lab, client):
        pool = lab.estate.pools["pool01"].ucwa_pool
        pool.stuck.add("fe01.contoso.local")
        try:
            stuck = client.ask("GET", APPLICATIONS)
            assert (stuck.status, stuck.header("content-type")) == (503, "text/html; charset=us-ascii")
            assert client.ask("GET", APPLICATIONS, member="fe02").status == 401
        finally:
            pool.stuck.clear()
        assert client.ask("GET", APPLICATIONS).status == 401

    def test_too_many_pending_requests_are_503(self, lab, client):
        pool = lab.estate.pools["pool01"].ucwa_pool
        limit, pool.limit = pool.limit, 0
        try:
            assert client.ask("GET", APPLICATIONS).status == 503
        finally:
            pool.limit = limit

    def test_user_whom_the_registrar_sends_elsewhere_is_an_error_of_the_service(self, client):
        ticket = client.ticket("erin@contoso.example")  # of this pool, but homed in the other
        reply = client.ask("POST", APPLICATIONS, [ticket, JSON], json.dumps(NEW).encode())
        assert error(reply) == (500, "ServiceFailure", "ServiceFailure")
        assert "301" in json.loads(reply.body)["message"]


def json_events(alice) -> str:
    return alice.get("")["_links"]["events"]["href"]


def set_presence(lab, sip: str, *availabilities: Availability) -> None:
    async def on_the_loop() -> None:
        for availability in availabilities:
            lab.estate.set_presence(sip, availability)

    lab.run(on_the_loop())
