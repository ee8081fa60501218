"""The address book: files, questions and photos, for who proves to be somebody."""

import base64
from xml.etree import ElementTree as ET

import pytest

from e2e.sipe.run import requires_sipe
from lab.certificates import saml_ticket
from lab.client import EMEA, TICKET, WEB
from lab.test_sipe import sipe
from lab.test_webticket import windows
from lyncgate.lab import addressbook as service
from lyncgate.lync import addressbook, mex
from lyncgate.lync.addressbook import DLX, Search, found, parse_search
from lyncgate.lync.wstrust import WSSE, TrustError, envelope

ALICE, BOB, DAVE = "alice@contoso.example", "bob@contoso.example", "dave@fabrikam.example"
PHOTO = f"{WEB}/abs/handler/photos/{BOB}"
ENTRY = {"displayName": "Alice Adams", "msRTCSIP-PrimaryUserAddress": f"sip:{ALICE}"}


def question(assertion, query, wanted="", most="10"):
    return envelope(
        f'<SearchAbEntry xmlns="{DLX}"><AbEntryRequest>{query}<Metadata><MaxResultNum>{most}</MaxResultNum>'
        f"<ReturnList>{wanted}</ReturnList></Metadata></AbEntryRequest></SearchAbEntry>",
        f'<Security xmlns="{WSSE}">{assertion}</Security>',
    )


def exactly(**pairs):
    rows = "".join(f"<q><SearchOn>{on}</SearchOn><Value>{value}</Value></q>" for on, value in pairs.items())
    return f"<ChangeSearch>{rows}</ChangeSearch>"


def beginning(value, *attributes):
    names = ",".join(attributes)
    return f"<BasicSearch><SearchList>{names}</SearchList><Value>{value}</Value></BasicSearch>"


ASSERTION = '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion">a</saml:Assertion>'


class TestQuestions:
    @pytest.mark.parametrize(
        ("query", "matches"),
        [
            (exactly(DISPLAYNAME="alice adams"), True),
            (exactly(displayName="Alice"), False),
            ({"msRTCSIP-PrimaryUserAddress": ALICE}, True),
            ({"msRTCSIP-PrimaryUserAddress": f"SIP:{ALICE}"}, True),
            (exactly(mail=ALICE), False),
            (beginning("ali", "sn", "displayName"), True),
            (beginning("adams", "sn", "displayName"), False),
            (beginning("", "displayName"), False),
            ("", False),
        ],
    )
    def test_matching(self, query, matches):
        text = exactly(**query) if isinstance(query, dict) else query
        assertion, search = parse_search(question(ASSERTION, text))
        assert assertion == ASSERTION
        assert search.matches(ENTRY) == matches

    def test_only_what_was_asked_for_is_shown(self):
        _, search = parse_search(question(ASSERTION, "", "DisplayName, mail", "3"))
        assert (search.shown(ENTRY), search.most) == ({"displayName": "Alice Adams"}, 3)
        assert Search().shown(ENTRY) == ENTRY

    @pytest.mark.parametrize("most", ["", "-1", "many", "9" * 50])
    def test_number_that_is_none_is_a_hundred(self, most):
        assert parse_search(question(ASSERTION, "", most=most))[1].most == 100

    @pytest.mark.parametrize("body", [b"", b"<a/>", question("", ""), envelope("", ASSERTION)])
    def test_what_is_no_question_is_refused(self, body):
        with pytest.raises(TrustError):
            parse_search(body)

    def test_answer_is_escaped(self):
        values = [e.text for e in ET.fromstring(found([{"title": "R&D <lead>"}])).iter(f"{{{DLX}}}Value")]
        assert values == ["R&D <lead>"]


def ask(client, ticket, query, wanted="", web=WEB):
    return client.ask("POST", web + service.BEARER, (), question(ticket.token, query, wanted))


def names(reply):
    assert reply.status == 200, reply
    return [element.text for element in ET.fromstring(reply.body).iter(f"{{{DLX}}}Value")]


class TestService:
    @pytest.fixture
    def ticket(self, client):
        return saml_ticket(client, ALICE)

    def test_metadata_leads_to_a_ticket_without_a_signature(self, client):
        wsdl = client.ask("GET", f"{WEB}{addressbook.SERVICE}/mex").body
        assert mex.ticket_issuer(wsdl, addressbook.PORT) == WEB + TICKET
        assert mex.port_location(wsdl, addressbook.PORT) == WEB + service.BEARER
        assert b"EndorsingSupportingTokens" not in wsdl

    def test_people_are_found(self, client, ticket):
        reply = ask(client, ticket, beginning("user0", "msRTCSIP-PrimaryUserAddress"), "mail")
        assert names(reply) == [f"user{n:02}@contoso.example" for n in range(1, 10)]
        assert names(ask(client, ticket, exactly(mail=BOB), "photoRelPath")) == [f"photos/{BOB}"]

    def test_ticket_of_another_pool_and_no_ticket_are_refused(self, client, ticket):
        refused = ask(client, ticket, exactly(mail=DAVE), web=EMEA)
        assert (refused.status, refused.header("x-ms-diagnostics")[:6]) == (500, "28032;")
        assert client.ask("POST", WEB + service.BEARER, (), b"<a/>").status == 500
        assert client.ask("GET", WEB + service.BEARER).status == 405

    def test_browser_is_challenged(self, client, lab):
        url = WEB + addressbook.SERVICE
        assert client.ask("GET", url).all("www-authenticate") == ["Negotiate", "NTLM"]
        assert windows(client, lab, url, "NTLM")[0].status == 200


class TestFiles:
    def test_is_had_by_windows_authentication(self, client, lab):
        reply, _ = windows(client, lab, f"{WEB}/abs/handler/F-0d32.lsabs", "NTLM")
        assert (reply.status, reply.header("content-type")) == (200, "application/octet-stream")
        assert f"\t{ALICE}\t".encode() in reply.body

    @pytest.mark.parametrize("name", ["F-0d32.txt", "../F-0d32.lsabs", ""])
    def test_other_names_are_none(self, client, lab, name):
        assert windows(client, lab, f"{WEB}/abs/handler/{name}", "NTLM")[0].status == 404


class TestPhotos:
    def test_is_had_by_a_ticket(self, client, lab):
        opaque = base64.b64encode(saml_ticket(client, ALICE).token.encode()).decode()
        for ticket in (("X-MS-WebTicket", f"opaque={opaque}"), client.ticket(ALICE)):
            reply = client.ask("GET", PHOTO, [ticket])
            assert (reply.status, reply.header("content-type")) == (200, "image/png")
            assert reply.body == lab.estate.people.scenario.photo(lab.estate.people.by_sip(BOB))

    def test_is_not_had_otherwise(self, client):
        assert client.ask("GET", PHOTO).status == 401
        assert client.ask("GET", PHOTO, [client.ticket(ALICE, EMEA)]).status == 500
        assert client.ask("GET", PHOTO + ".example", [client.ticket(ALICE)]).status == 404

    @requires_sipe
    def test_sipe_asks_for_its_buddies_photos_and_gets_them(self, lab):
        result = sipe(lab, ALICE, options=["--linger=3"], timeout=15)
        assert result.saw("get_photo_ab_entry_response: received valid SOAP message"), result
        asked = [m for m in result.sent("GET /abs/handler/photos/") if m.header("X-MS-WebTicket")]
        assert asked
        assert [m for m in result.received("HTTP/1.1 200") if m.header("Content-Type") == ["image/png"]]
