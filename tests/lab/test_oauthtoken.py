"""Tokens for grants, and what X-Ms-diagnostics says when there is none."""

import json
from urllib.parse import urlencode

import pytest

from lab.client import AUTODISCOVER, WEB, XML
from lab.test_webticket import windows
from lyncgate.lab import meetings, websettings

ALICE = "alice@contoso.example"
URL = f"{WEB}/WebTicket/oauthtoken"
OAUTH_USER = f"{WEB}{AUTODISCOVER}/oauth/user"
PORTAL = ("Origin", "https://portal.contoso.example")


def ask(client, headers=(), **form):
    return client.ask("POST", URL, headers, urlencode(form).encode())


def user_document(client, reply):
    """The status of Autodiscover for the holder of a token."""
    assert reply.status == 200, reply
    token = json.loads(reply.body)
    assert (token["token_type"], token["ms_rtc_identityscope"]) == ("Bearer", "local")
    bearer = ("Authorization", f"Bearer {token['access_token']}")
    return client.ask("GET", OAUTH_USER, [XML, bearer]).status


def refusal(reply):
    """(status, error, number of X-Ms-diagnostics)."""
    diagnostics = reply.header("x-ms-diagnostics")
    return reply.status, json.loads(reply.body)["error"], diagnostics and diagnostics.partition(";")[0]


@pytest.fixture
def settings(lab):
    """The settings of pool01, put back afterwards."""
    web = lab.estate.pools["pool01"].web
    grants, origins = web.grants, web.origins
    yield web
    web.grants, web.origins = grants, origins


class TestPassword:
    @pytest.mark.parametrize("name", [ALICE, "CONTOSO\\alice"])
    def test_right_one(self, client, name):
        reply = ask(client, grant_type="password", username=name, password="P4ss-alice")
        assert reply.header("cache-control") == "no-store"
        assert user_document(client, reply) == 200

    @pytest.mark.parametrize("form", [{"username": ALICE, "password": "P4ss-bob"}, {"username": ALICE}, {}])
    def test_wrong_one(self, client, form):
        assert refusal(ask(client, grant_type="password", **form)) == (400, "invalid_grant", None)


class TestWindows:
    def ask(self, client, lab, name, password):
        form = b"grant_type=urn%3Amicrosoft.rtc%3Awindows"
        return windows(client, lab, URL, "NTLM", name, password, body=form)[0]

    def test_without_authentication_it_is_challenged(self, client):
        reply = ask(client, grant_type=websettings.WINDOWS)
        assert (reply.status, reply.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])

    def test_right_and_wrong_password(self, client, lab):
        assert user_document(client, self.ask(client, lab, ALICE, "P4ss-alice")) == 200
        assert self.ask(client, lab, ALICE, "wrong").status == 401

    def test_account_that_is_not_enabled(self, client, lab):
        reply = self.ask(client, lab, "CONTOSO\\intern", "P4ss-intern")
        assert (reply.status, reply.header("x-ms-diagnostics")[:6]) == (403, "28000;")


class TestMeeting:
    def test_guest_with_the_key_has_a_token_for_an_hour(self, client, lab):
        alice = lab.estate.people.by_sip(ALICE)
        form = {
            "ms_rtc_conferenceuri": meetings.conference_uri(alice),
            "password": meetings.conference_key(alice),
        }
        reply = ask(client, grant_type=websettings.ANONYMOUS, **form)
        assert json.loads(reply.body)["expires_in"] == 3600
        assert user_document(client, reply) == 404  # a guest has no home

    @pytest.mark.parametrize("key", ["", "00000000"])
    def test_wrong_key(self, client, lab, key):
        uri = meetings.conference_uri(lab.estate.people.by_sip(ALICE))
        reply = ask(client, grant_type=websettings.ANONYMOUS, ms_rtc_conferenceuri=uri, password=key)
        assert refusal(reply) == (400, "invalid_grant", None)


class TestOtherGrants:
    def test_passive_says_where_to_sign_in(self, client, settings):
        settings.grants = (*settings.grants, websettings.PASSIVE)
        reply = ask(client, grant_type=websettings.PASSIVE)
        assert refusal(reply) == (400, "invalid_grant", "28020")
        assert json.loads(reply.body)["ms_rtc_passiveauthuri"] == f"{WEB}/PassiveAuth/PassiveAuth.aspx"

    @pytest.mark.parametrize("grant", [websettings.PASSIVE, "urn:other"])
    def test_what_is_switched_off_or_unknown_is_named(self, client, grant):
        assert refusal(ask(client, grant_type=grant)) == (400, "unsupported_grant_type", "28029")

    def test_challenge_lists_what_is_switched_on(self, client, settings):
        settings.grants = (websettings.PASSWORD,)
        assert refusal(ask(client, grant_type=websettings.WINDOWS)) == (
            400,
            "unsupported_grant_type",
            "28029",
        )
        assert client.ask("GET", OAUTH_USER).all("www-authenticate")[1].endswith('grant_type="password"')

    def test_no_grant_at_all(self, client):
        assert refusal(ask(client)) == (400, "invalid_request", None)
        assert client.ask("GET", URL).status == 405


class TestStrangers:
    def test_token_of_another_issuer(self, client):
        reply = client.ask("GET", OAUTH_USER, [("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln")])
        assert reply.status == 403
        assert reply.header("x-ms-diagnostics") == (
            '28055;source="fe01.contoso.local";reason="The OAuth token is invalid.";'
            'faultcode="wsse:FailedAuthentication"'
        )
        assert reply.header("warning") == '120 fe01.contoso.local "InvalidToken"'

    @pytest.mark.parametrize("bearer", ["cwt=forged", "cwt="])
    def test_ticket_that_nobody_made(self, client, bearer):
        reply = client.ask("GET", OAUTH_USER, [("Authorization", f"Bearer {bearer}")])
        assert (reply.status, reply.header("x-ms-diagnostics")[:6]) == (500, "28032;")

    def test_page_of_another_site_may_call_only_when_it_is_listed(self, client, settings):
        form = {"grant_type": "password", "username": ALICE, "password": "P4ss-alice"}
        assert ask(client, [PORTAL], **form).status == 200
        assert ask(client, [("Origin", WEB)], **form).status == 200
        settings.origins = frozenset()
        refused = ask(client, [PORTAL], **form)
        assert refused.status == 403
        assert b"Service does not allow a cross domain request from this origin." in refused.body
