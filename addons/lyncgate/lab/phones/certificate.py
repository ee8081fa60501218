"""A client certificate by a web ticket (protocol reference §4), as desktops get it. That phones do it in the
same way, and find the service by its path, is our guess; a field report knows only that they do it.

    GET  /CertProv/CertProvisioningService.svc/mex      where the signed port is
    RST  with our half of a key                         a SAML ticket and the other half
    POST …/WebTicket_Proof, signed with that key        PKCS#10 in, certificate out
"""

from __future__ import annotations

import secrets
import uuid
from urllib.parse import urljoin

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lyncgate.lab.phones.line import Line
from lyncgate.lab.phones.ticket import TicketDesk
from lyncgate.lync import certprov, mex, wstrust
from lyncgate.lync.certprov import Provisioning
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import SAML_TOKEN, TokenRequest

PATH = "/CertProv/CertProvisioningService.svc"


async def get_certificate(line: Line, desk: TicketDesk, user: str, url: str) -> x509.Certificate:
    """A certificate for `user` (SIP address), from the web services that `url` belongs to: three steps."""
    service = urljoin(url, PATH)
    async with line.ask(Stage.CERTIFICATE, "GET", f"{service}/mex") as (step, reply):
        location = mex.port_location(reply.body, certprov.PORT)
        step.detail = f"{certprov.PORT} is {location}"
    ours = secrets.token_bytes(wstrust.KEY_SIZE)
    async with line.record.step(Stage.TICKET, f"POST {desk.location}") as step:
        wanted = TokenRequest(str(uuid.uuid4()), SAML_TOKEN, location, entropy=ours)
        ticket = await desk.request(desk.location, wanted, step.got)
        step.detail = "web ticket with a key issued"
    key = ec.generate_private_key(ec.SECP256R1())  # in its time RSA, which costs a load generator too much
    asked = Provisioning(user, f"{{{uuid.uuid4()}}}", _request(user, key))
    body = asked.document(ticket, ticket.key(ours), location)
    headers = [("Content-Type", wstrust.XML), ("SOAPAction", f'"{certprov.ACTION}"')]
    async with line.ask(Stage.CERTIFICATE, "POST", location, headers, body) as (step, reply):
        certificate = x509.load_der_x509_certificate(certprov.parse_answer(reply.body))
        if certificate.public_key() != key.public_key():
            raise ValueError("a certificate for another key")
        step.detail = f"{certificate.subject.rfc4514_string()}, until {certificate.not_valid_after_utc:%F}"
    return certificate


def _request(user: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A PKCS#10 request in DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)
