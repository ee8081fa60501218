"""Who proves to hold a ticket's key gets a certificate; nobody else does."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.sipe.run import requires_sipe
from lab.certificates import ask, certificate_request, message, provision, rsa_key, saml_ticket
from lab.client import EMEA, TICKET, WEB
from lab.test_sipe import sipe
from lyncgate.lab import certprov as service
from lyncgate.lync import certprov, mex
from lyncgate.lync.wstrust import SAML_TOKEN, TokenResponse, timestamp
from lyncgate.lync.xmlsignature import parse

ALICE = "alice@contoso.example"


@pytest.fixture(scope="module")
def request_():
    return certificate_request(rsa_key())


@pytest.fixture(scope="module")
def ticket(client):
    return saml_ticket(client, ALICE)


def fault(reply):
    assert reply.status == 500, reply
    return reply.body.decode().partition("<faultcode>")[2].partition("</faultcode>")[0]


def test_metadata_leads_from_the_service_to_its_ticket(client):
    wsdl = client.ask("GET", WEB + service.MEX).body
    assert mex.ticket_issuer(wsdl, certprov.PORT) == WEB + TICKET
    assert mex.port_location(wsdl, certprov.PORT) == WEB + service.SIGNED
    assert b"EndorsingSupportingTokens" in wsdl


@pytest.mark.parametrize("key", [rsa_key(), ec.generate_private_key(ec.SECP256R1())], ids=["rsa", "ec"])
def test_certificate_is_the_users_for_the_key_of_the_request(lab, client, key):
    certificate = x509.load_der_x509_certificate(provision(client, ALICE, key))
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert certificate.public_key().public_bytes(*spki) == key.public_key().public_bytes(*spki)
    assert [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [ALICE]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=179) < left < datetime.timedelta(days=181)
    authority = x509.load_pem_x509_certificate((lab.estate.directory / "users.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)


def test_answer_names_the_request(client, ticket, request_):
    reply = ask(client, message(ticket, ALICE, request_))
    assert b"<RequestID" in reply.body
    assert b">r1</RequestID>" in reply.body


def test_each_pool_takes_its_own_tickets_only(client, request_):
    elsewhere = saml_ticket(client, ALICE, web=EMEA)
    refused = ask(client, message(elsewhere, ALICE, request_))
    assert fault(refused) == "w:InvalidSecurityToken"
    assert refused.header("x-ms-diagnostics").startswith('28032;source="fe01.contoso.local"')
    assert ask(client, message(elsewhere, ALICE, request_), EMEA).status == 200


def test_ticket_alone_is_no_proof(client, ticket, request_):
    assert fault(ask(client, message(ticket, ALICE, request_, key=b"k" * 32))) == "w:FailedCheck"


def test_ticket_without_a_key_is_no_good(client, request_):
    bare = saml_ticket(client, ALICE, entropy=b"")
    assert fault(ask(client, message(bare, ALICE, request_, key=b""))) == "w:InvalidSecurityToken"


def test_certificate_for_somebody_else_is_refused(client, ticket, request_):
    assert fault(ask(client, message(ticket, "bob@contoso.example", request_))) == "w:FailedAuthentication"


def test_signed_time_stamp_may_not_be_changed(client, ticket, request_):
    body = message(ticket, ALICE, request_)
    longer = body.replace(ticket.expires.encode() + b"</u:Expires>", b"2099-01-01T00:00:00Z</u:Expires>")
    assert longer != body
    assert fault(ask(client, longer)) == "w:FailedCheck"


def test_time_stamp_that_is_over_is_refused(client, ticket, request_):
    old = TokenResponse("", SAML_TOKEN, ticket.token, timestamp(0), timestamp(60), ticket.entropy)
    assert fault(ask(client, message(old, ALICE, request_))) == "w:MessageExpired"


def test_ticket_that_was_changed_is_refused(client, ticket, request_):
    body = message(ticket, ALICE, request_).replace(b"sip:alice@", b"sip:bob@")
    refused = ask(client, body)
    assert (fault(refused), refused.header("x-ms-diagnostics")[:6]) == ("w:InvalidSecurityToken", "28032;")


def test_signature_must_name_the_ticket(client, ticket, request_):
    body = message(ticket, ALICE, request_)
    named = parse(ticket.token.encode()).getAttribute("AssertionID").encode()
    other = body.replace(b">" + named + b"</KeyIdentifier>", b">another</KeyIdentifier>")
    assert other != body
    assert fault(ask(client, other)) == "s:Client"


@pytest.mark.parametrize("damage", ["not a request", "signature"])
def test_request_must_be_signed_with_its_own_key(client, ticket, request_, damage):
    bad = b"0\x03" if damage == "not a request" else request_[:-1] + bytes([request_[-1] ^ 1])
    assert fault(ask(client, message(ticket, ALICE, bad))) == "s:Client"


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<!DOCTYPE a><a/>"])
def test_whatever_is_no_message_is_a_fault(client, body):
    assert fault(ask(client, body)) == "s:Client"


def test_only_post_is_served(client):
    assert client.ask("GET", WEB + service.SIGNED).status == 405
    assert client.ask("POST", WEB + service.MEX).status == 405


@requires_sipe
@pytest.mark.parametrize(
    ("user", "member", "web"),
    [(ALICE, "fe01", WEB), (ALICE, "dir01", WEB), ("carol@emea.contoso.example", "fe01", EMEA)],
)
def test_sipe_is_told_where_by_sip_and_gets_its_certificate(lab, user, member, web):
    """The judge: it signs as it always does, our service verifies, it likes what it gets."""
    result = sipe(lab, user, member=member, options=["--auth=tls-dsk"], timeout=15)
    assert result.saw(rf"TLS-DSK Certificate Provisioning URI {web}/CertProv/")
    assert result.sent("POST /CertProv/CertProvisioningService.svc/WebTicket_Proof_SHA1")
    assert result.saw("get_and_publish_cert: certificate for target 'sip.contoso.example' added"), result
    assert result.saw("TLS-DSK certificate for target 'sip.contoso.example' found")
