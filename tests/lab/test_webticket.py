"""Every port of the web ticket service proves who asks, and tells who doesn't."""

import base64
import time

import pytest
import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.certificates import provision, rsa_key
from lab.client import AUTODISCOVER, EMEA, RST, TICKET, WEB, XML
from lyncgate.lab import meetings, webticket
from lyncgate.lync import certlogin, mex
from lyncgate.lync.wstrust import (
    COMPACT_TOKEN,
    URI_CLAIM,
    TokenRequest,
    parse_token_response,
    timestamp,
    username_token,
)

ALICE = "alice@contoso.example"
URL = WEB + TICKET


@pytest.fixture(scope="module")
def wsdl(client):
    return client.ask("GET", f"{URL}/mex").body


def port(wsdl, name):
    return mex.port_location(wsdl, f"WebTicketService{name}")


def holder(client, reply):
    """Who the ticket in an answer is good for, as Autodiscover sees it: its status."""
    assert reply.status == 200, reply
    answer = parse_token_response(reply.body)
    ticket = answer.token
    if answer.token_type != COMPACT_TOKEN:
        ticket = "opaque=" + base64.b64encode(ticket.encode()).decode()
    return client.ask("GET", f"{WEB}{AUTODISCOVER}/user", [XML, ("X-MS-WebTicket", ticket)])


def fault(reply):
    assert reply.status == 500
    return reply.body.decode().partition("<faultcode>")[2].partition("</faultcode>")[0]


class TestMex:
    def test_needs_no_authentication_and_lists_all_ports(self, wsdl):
        for name in ("WinNegotiate", "WinNtlm", "Auth", "Cert", "Anon"):
            assert port(wsdl, name).startswith(URL)

    def test_names_the_site_that_was_asked(self, client):
        body = client.ask_internal("https", f"{TICKET}/mex").body
        assert port(body, "Auth") == f"https://pool01.contoso.local{TICKET}/Auth"

    def test_each_port_that_is_listed_answers(self, client, wsdl):
        statuses = {
            name: client.ask("POST", port(wsdl, name), (), RST).status
            for name in ("WinNegotiate", "WinNtlm", "Auth", "Cert", "Anon")
        }
        assert statuses == {"WinNegotiate": 401, "WinNtlm": 401, "Auth": 500, "Cert": 500, "Anon": 500}


def windows(client, lab, url, scheme, name=ALICE, password="P4ss-alice", *, body=RST):
    """A whole handshake by one scheme: the last answer, and the client's context."""
    context = spnego.client(name, password, protocol=scheme.lower())

    async def handshake():
        connection = await client.connect(url)
        try:
            target, token = url.partition("contoso.example")[2], context.step()
            while True:
                proof = ("Authorization", f"{scheme} {base64.b64encode(token or b'').decode()}")
                reply = await connection.request("POST", target, [proof], body)
                given = (reply.header("www-authenticate") or "").partition(" ")[2]
                token = context.step(base64.b64decode(given)) if given else None
                if token is None:
                    return reply
        finally:
            await connection.close()

    return lab.run(handshake()), context


class TestWindows:
    @pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
    def test_negotiate_port_takes_both_schemes(self, client, lab, wsdl, scheme):
        reply, context = windows(client, lab, port(wsdl, "WinNegotiate"), scheme)
        assert context.complete  # with SPNEGO: by the server's own last token, which has a checked MIC
        assert (reply.header("www-authenticate") is not None) == (scheme == "Negotiate")
        assert holder(client, reply).status == 200

    def test_ntlm_port_takes_ntlm_only(self, client, lab, wsdl):
        url = port(wsdl, "WinNtlm")
        assert client.ask("POST", url, (), RST).all("www-authenticate") == ["NTLM"]
        reply, _ = windows(client, lab, url, "NTLM")
        assert holder(client, reply).status == 200
        refused, _ = windows(client, lab, url, "Negotiate")
        assert (refused.status, refused.all("www-authenticate")) == (401, ["NTLM"])

    def test_account_that_is_not_enabled_is_told_so(self, client, lab, wsdl):
        reply, _ = windows(client, lab, port(wsdl, "WinNegotiate"), "NTLM", "CONTOSO\\intern", "P4ss-intern")
        assert reply.status == 403
        assert reply.header("x-ms-diagnostics") == (
            '28000;source="fe01.contoso.local";reason="User is not SIP enabled."'
        )

    def test_accounts_that_cannot_be_read_are_the_servers_fault(self, client, lab, wsdl):
        accounts = lab.estate.directory / "ntlm-accounts"
        away = accounts.rename(accounts.with_name("away"))
        try:
            token = base64.b64encode(spnego.client("a", "b", protocol="ntlm").step()).decode()
            reply = client.ask("POST", URL, [("Authorization", f"NTLM {token}")], RST)
        finally:
            away.rename(accounts)
        assert (reply.status, reply.header("x-ms-diagnostics")[:6]) == (500, "28001;")
        assert windows(client, lab, URL, "NTLM")[0].status == 200


class TestUserNameToken:
    def ask(self, client, wsdl, *token, **request):
        body = TokenRequest(**request).document(username_token(*token) if token else "")
        return client.ask("POST", port(wsdl, "Auth"), (), body)

    @pytest.mark.parametrize("token_type", [{}, {"token_type": COMPACT_TOKEN}])
    def test_right_password_gets_a_ticket_of_either_form(self, client, wsdl, token_type):
        reply = self.ask(client, wsdl, "CONTOSO\\alice", "P4ss-alice", context="c7", **token_type)
        assert parse_token_response(reply.body).context == "c7"
        assert holder(client, reply).status == 200

    @pytest.mark.parametrize("token", [(ALICE, "wrong"), ("nobody@contoso.example", "P4ss-alice"), ()])
    def test_anything_else_gets_none(self, client, wsdl, token):
        assert fault(self.ask(client, wsdl, *token)) == "w:FailedAuthentication"

    def test_name_in_the_claim_is_not_believed(self, client, wsdl):
        claims = ((URI_CLAIM, "sip:bob@contoso.example"),)
        reply = self.ask(client, wsdl, ALICE, "P4ss-alice", claims=claims)
        assert f"sip:{ALICE}" in parse_token_response(reply.body).token
        assert "bob" not in parse_token_response(reply.body).token

    def test_entropy_of_the_client_is_answered_with_the_servers(self, client, wsdl):
        with_key = parse_token_response(self.ask(client, wsdl, ALICE, "P4ss-alice", entropy=b"e" * 32).body)
        without = parse_token_response(self.ask(client, wsdl, ALICE, "P4ss-alice").body)
        assert (len(with_key.entropy), without.entropy) == (32, b"")
        assert "EncryptedKey" in with_key.token
        assert "EncryptedKey" not in without.token


class TestGuests:
    def ask(self, client, lab, wsdl, organiser=ALICE, key=None, uri=None):
        user = lab.estate.people.by_sip(organiser)
        claims = (
            (URI_CLAIM, uri or meetings.conference_uri(user)),
            (webticket.CONFERENCE_KEY_CLAIM, meetings.conference_key(user) if key is None else key),
        )
        return client.ask("POST", port(wsdl, "Anon"), (), TokenRequest(claims=claims).document())

    def test_key_of_a_conference_admits_a_guest_who_is_no_user(self, client, lab, wsdl):
        reply = self.ask(client, lab, wsdl)
        assert "sip:guest-" in parse_token_response(reply.body).token
        assert holder(client, reply).status == 404  # homed nowhere

    @pytest.mark.parametrize(
        "wrong",
        [
            {"key": "00000000"},
            {"key": ""},
            {"uri": "sip:nobody@contoso.example;gruu;opaque=app:conf:focus:id:00000000"},
            {"uri": "sip:alice@contoso.example"},
        ],
    )
    def test_others_are_not_admitted(self, client, lab, wsdl, wrong):
        assert fault(self.ask(client, lab, wsdl, **wrong)) == "w:FailedAuthentication"


@pytest.fixture(scope="module")
def certificate(client):
    return provision(client, ALICE, rsa_key())


class TestCertificate:
    def ask(self, client, wsdl, certificate, *, age=0, key=None):
        now = time.time() - age
        header = certlogin.security_header(
            certificate,
            lambda data: (key or rsa_key()).sign(data, padding.PKCS1v15(), hashes.SHA1()),
            timestamp(now),
            timestamp(now + 300),
        )
        return client.ask("POST", port(wsdl, "Cert"), (), TokenRequest().document(header))

    def test_whose_certificate_signs_gets_a_ticket(self, client, wsdl, certificate):
        assert holder(client, self.ask(client, wsdl, certificate)).status == 200

    def test_certificate_is_good_at_every_pool(self, client, wsdl, certificate):
        reply = self.ask(client, client.ask("GET", f"{EMEA}{TICKET}/mex").body, certificate)
        assert f"sip:{ALICE}" in parse_token_response(reply.body).token

    def test_another_key_an_old_time_stamp_and_a_strange_issuer_get_none(
        self, lab, client, wsdl, certificate
    ):
        other = rsa.generate_private_key(65537, 1024)
        assert fault(self.ask(client, wsdl, certificate, key=other)) == "w:FailedAuthentication"
        assert fault(self.ask(client, wsdl, certificate, age=600)) == "w:FailedAuthentication"
        assert fault(self.ask(client, wsdl, certificate, age=-600)) == "w:FailedAuthentication"
        stranger = x509.load_pem_x509_certificate((lab.estate.directory / "pool01.pem").read_bytes())
        der = stranger.public_bytes(serialization.Encoding.DER)
        assert fault(self.ask(client, wsdl, der)) == "w:FailedAuthentication"
