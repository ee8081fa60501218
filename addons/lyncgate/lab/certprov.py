"""The certificate provisioning service (protocol reference §4): a ticket and its key in, a certificate out.

The client learns of it by SIP (a 401 with TLS-DSK and `sts-uri`) and reads from its mex that the ticket's
key must sign. What is checked: the ticket is this pool's and has a key, the time stamp is signed with that
key and still good, the certificate is asked for the ticket's holder, and the PKCS#10 request is signed
with the key that it brings. The judge of all that is SIPE (tests/lab/test_sipe.py).
"""

from __future__ import annotations

import time

from lyncgate.lab import webticket
from lyncgate.lab.call import Call, diagnosed, method_not_allowed
from lyncgate.lab.tickets import ExpiredTicketError, InvalidTicketError
from lyncgate.lab.web import Response
from lyncgate.lab.webticket import soap_fault
from lyncgate.lync import certprov, wstrust
from lyncgate.lync import mex as metadata
from lyncgate.lync.xmlsignature import SignatureError

MEX = f"{certprov.SERVICE}/mex"
SIGNED = f"{certprov.SERVICE}/WebTicket_Proof_SHA1"


async def mex(call: Call) -> Response:
    """`GET …/mex`: the port, and where its ticket is had."""
    if call.request.method != "GET":
        return method_not_allowed("GET")
    port = metadata.Port(certprov.PORT, call.url(SIGNED), call.url(webticket.SERVICE), signed=True)
    return Response(
        200, [("Content-Type", wstrust.XML)], metadata.document("CertProvisioningService", [port])
    )


async def get_and_publish(call: Call) -> Response:
    """`POST …/WebTicket_Proof_SHA1`: GetAndPublishCert."""
    body = await call.request.read()
    if call.request.method != "POST":
        return method_not_allowed("POST")
    now = time.time()
    try:
        proof, asked = certprov.parse_request(body)
        holder = call.pool.tickets.open(proof.assertion, now)
        if not holder.key:
            return soap_fault("InvalidSecurityToken", "The ticket has no key.")
        proof.verify(holder.key)
        if wstrust.unix_time(proof.expires) <= now:
            return soap_fault("MessageExpired", "The time stamp has expired.")
        if asked.entity.lower() != holder.sip:
            return soap_fault("FailedAuthentication", "The ticket is another user's.")
        certificate = call.user_certificates.issue(holder.sip, asked.request)
    except InvalidTicketError:
        refusal = soap_fault("InvalidSecurityToken", "The web ticket is invalid.")
        return diagnosed(call, refusal, 28032, "The web ticket is invalid.", "wsse:InvalidSecurityToken")
    except ExpiredTicketError:
        return soap_fault("MessageExpired", "The ticket has expired.")
    except SignatureError as error:
        return soap_fault("FailedCheck", str(error))
    except ValueError as error:  # BadRequestError, TrustError, a time that is none
        return soap_fault("Client", str(error))
    return Response(200, [("Content-Type", wstrust.XML)], asked.answer(certificate))
