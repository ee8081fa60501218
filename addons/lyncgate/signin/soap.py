"""What SOAP messages say: web tickets, certificates, and the mobility service of 2010.

Elements of MCX are looked for by `lync.mcx`, whose wire form is a guess; of a form that it does not know
the operation's name is all that is read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # elements only; what comes from outside passes safexml

from lyncgate.lync import contacts, mcx, names, provisioning, safexml, wstrust
from lyncgate.lync.mcx import McxError
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import AUTH, SOAP, URI_CLAIM, WSSE
from lyncgate.signin import settings, tickets
from lyncgate.signin.facts import Document
from lyncgate.signin.plain import plain
from lyncgate.signin.told import Told

MCX_PATH = mcx.SERVICE_PATH.lower()
_ENVELOPE, _BODY, _FAULT = f"{{{SOAP}}}Envelope", f"{{{SOAP}}}Body", f"{{{SOAP}}}Fault"
_USERNAME = f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken/{{{WSSE}}}Username"
_ISSUED = f"{{{wstrust.WST}}}RequestedSecurityToken"
_READY = ("GetContacts", "GetContactCard", "GetPhoto", "SetPresence")
_MOBILITY_DISABLED = "MobilityDisabled"


def is_envelope(top: ET.Element) -> bool:
    """Whether it is a SOAP message."""
    return top.tag == _ENVELOPE


# -- requests -----------------------------------------------------------------------------------------


def read_request(path: str, body: bytes, told: Told) -> None:
    """A request with this body."""
    asked = kept.get(body)
    if asked is not None and not path.startswith(MCX_PATH):
        told.facts["operation"], user = asked
        told.user = told.user or user
        return
    top = safexml.parse(body)
    operation = _operation(top) if is_envelope(top) else None
    if operation is None:
        return
    name = safexml.local(operation)
    told.facts["operation"] = plain(name, 64)
    with_tickets = tickets.may_be_in(body)
    if with_tickets:
        for (form, text), user in tickets.in_document(top):
            told.facts["ticket"] = form
            told.tickets.append(text)
            told.user = told.user or user
    if b"Username" in body:
        _read_header(top, told)
    if path.startswith(MCX_PATH):
        _read_mcx_request(top, told)
    elif name == "GetAndPublishCert":
        told.user = names.sip_address(operation.get("Entity", "")) or told.user
        told.endpoint = operation.get("DeviceId", "").strip("{}") or None
    else:
        user = _claimed(operation)
        told.user = told.user or user
        if name == _TOKEN_REQUEST and not with_tickets and _is_open(body):
            _remember(body, user)


def _claimed(operation: ET.Element) -> str | None:
    """The user whom the claims of a request for a ticket name."""
    for claim in operation.iter(f"{{{AUTH}}}ClaimType"):
        if claim.get("Uri") == URI_CLAIM:
            user = names.sip_address(claim.findtext(f"{{{AUTH}}}Value") or "")
            if user:
                return user
    return None


# Requests for tickets that were read: NTLM's three legs ask in the same words. Operation and user of each.
kept: dict[bytes, tuple[str, str | None]] = {}
_MOST, _LONGEST = 128, 4096  # so many, of so many bytes
_TOKEN_REQUEST = "RequestSecurityToken"  # noqa: S105 (a name)


def _is_open(body: bytes) -> bool:
    """Whether a request for a ticket holds no secret, so that its bytes may be kept for a while: no header
    that says who asks, no key."""
    elsewhere = body.count(b"Security") - body.count(b"RequestSecurityToken")  # in names of WS-Security's
    return len(body) <= _LONGEST and not elsewhere and b"Secret" not in body and b"Password" not in body


def _remember(body: bytes, user: str | None) -> None:
    if len(kept) >= _MOST:
        kept.clear()
    kept[body] = _TOKEN_REQUEST, user


def _operation(top: ET.Element) -> ET.Element | None:
    body = top.find(_BODY)
    return body[0] if body is not None and len(body) else None


def _read_header(top: ET.Element, told: Told) -> None:
    """A UsernameToken's name. Its password is not even looked at."""
    told.account = told.account or top.findtext(_USERNAME) or None


def _read_mcx_request(top: ET.Element, told: Told) -> None:
    try:
        request = mcx.request_in(top)
    except McxError:
        return
    match request:
        case mcx.InitiateSession():
            told.endpoint = request.endpoint
            told.stage = Stage.REGISTER
        case mcx.GetNextEvents():
            told.poll, told.stage = True, Stage.NOTIFICATIONS
        case mcx.SubscribePush():
            told.stage = Stage.NOTIFICATIONS
        case mcx.TerminateSession():
            told.over = True
        case mcx.Command():
            told.facts["operation"] = plain(request.name, 64)
            told.stage = Stage.PROVISIONING if request.name == "GetProvisioning" else None
            told.stage = Stage.READY if request.name in _READY else told.stage
    if not isinstance(request, mcx.InitiateSession):
        told.application = session_id(request.session)


def session_id(session: str) -> str:
    """An MCX session, told from UCWA's applications."""
    return f"mcx:{session}"


# -- answers ------------------------------------------------------------------------------------------


def read_response(path: str, top: ET.Element, told: Told) -> None:
    """An answer, of which `top` is the envelope."""
    answer = _operation(top)
    if answer is None:
        return
    if answer.tag == _FAULT:
        _read_fault(answer, told)
    elif path.startswith(MCX_PATH):
        _read_mcx_answer(top, told)
    elif safexml.local(answer) == "RequestSecurityTokenResponseCollection":
        issued = next(answer.iter(_ISSUED), None)
        found = tickets.in_document(issued) if issued is not None else []
        for (_, text), user in found:
            told.tickets.append(text)
            told.user = told.user or user
        told.document = Document.TICKET if found else Document.OTHER
    elif safexml.local(answer) == "GetAndPublishCertResponse":
        told.document = Document.CERTIFICATE
        told.user = told.user or names.sip_address(answer.get("Entity", ""))
    else:
        told.document = Document.OTHER


def _read_fault(fault: ET.Element, told: Told) -> None:
    """The code in `detail`, if there is one; else `faultcode` without its prefix."""
    coded = next((e.get("code") for e in fault.iterfind("detail/*") if e.get("code")), None)
    code = coded or (fault.findtext("faultcode") or "").rpartition(":")[2]
    told.document, told.facts["error"] = Document.FAULT, plain(code, 64) or None
    told.facts["error_text"] = plain(fault.findtext("faultstring") or "") or None
    if coded == _MOBILITY_DISABLED:
        told.stage = Stage.MOBILITY_POLICY  # that is where this sign-in ends


def _read_mcx_answer(top: ET.Element, told: Told) -> None:
    told.document = Document.OTHER
    try:
        answer = mcx.answer_in(top)
    except McxError:
        return
    match answer:
        case mcx.SessionInitiated():
            told.document, told.application = Document.APPLICATION, session_id(answer.session)
            told.settings += settings.of_mobility_policy(
                answer.policy_name, answer.policy_scope, answer.policy
            )
        case mcx.Events():
            told.document = Document.EVENTS
        case mcx.CommandDone(name="GetProvisioning"):
            try:
                said = provisioning.parse(answer.document.encode())
            except provisioning.ProvisioningError:
                return
            told.settings += settings.of_provisioning(said)
        case mcx.CommandDone(name="GetContacts"):
            try:
                told.facts["contacts"] = len(contacts.parse_roaming(answer.document.encode()).contacts)
            except contacts.ContactsError:
                return
