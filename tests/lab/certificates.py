"""Certificate provisioning step by step: a ticket with a key, a PKCS#10 request, the signed message."""

import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from lab.client import WEB, Client
from lyncgate.client.http import Reply
from lyncgate.lab import certprov as service
from lyncgate.lab import webticket
from lyncgate.lync import certprov
from lyncgate.lync.wstrust import TokenRequest, TokenResponse, parse_token_response, username_token

ENTROPY = b"the client's half of 256 bits..."
type Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    """A key as SIPE makes one; always the same, as it takes a while."""
    return rsa.generate_private_key(65537, 2048)


def certificate_request(key: Key, name: str = "whoever") -> bytes:
    """PKCS#10 in DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def saml_ticket(client: Client, user: str, *, web: str = WEB, entropy: bytes = ENTROPY) -> TokenResponse:
    """A ticket with a key, had by user name and password."""
    body = TokenRequest(entropy=entropy).document(username_token(user, f"P4ss-{user.partition('@')[0]}"))
    reply = client.ask("POST", f"{web}{webticket.SERVICE}/Auth", (), body)
    assert reply.status == 200
    return parse_token_response(reply.body)


def ask(client: Client, body: bytes, web: str = WEB) -> Reply:
    """Post a message to the certificate provisioning service."""
    return client.ask("POST", web + service.SIGNED, [("SOAPAction", f'"{certprov.ACTION}"')], body)


def message(ticket: TokenResponse, user: str, request: bytes, *, key: bytes | None = None) -> bytes:
    """GetAndPublishCert, signed with the ticket's key unless another is given."""
    asked = certprov.Provisioning(user, "{0A1B2C3D-0000-4000-8000-000000000000}", request, "r1")
    return asked.document(ticket, ticket.key(ENTROPY) if key is None else key, WEB + service.SIGNED)


def provision(client: Client, user: str, key: Key) -> bytes:
    """A certificate in DER for the user and the key."""
    reply = ask(client, message(saml_ticket(client, user), user, certificate_request(key)))
    assert reply.status == 200, reply
    return certprov.parse_answer(reply.body)
