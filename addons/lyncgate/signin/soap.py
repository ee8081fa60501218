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
_READY = ("GetContacts", "GetContactCard", "GetPhoto", "SetPresence")
_MOBILITY_DISABLED = "MobilityDisabled"


def is_envelope(top: ET.Element) -> bool:
    """Whether it is a SOAP message."""
    return top.tag == f"{{{SOAP}}}Envelope"


# -- requests -----------------------------------------------------------------------------------------


def read_request(path: str, top: ET.Element, body: bytes, told: Told) -> None:
    """A request with this body, of which `top` is the envelope."""
    operation = _operation(top)
    if operation is None:
        return
    told.facts["operation"] = plain(safexml.local(operation), 64)
    for (form, text), user in tickets.in_document(top):
        told.facts["ticket"] = form
        told.tickets.append(text)
        told.user = told.user or user
    _read_header(top, told)
    if path.startswith(MCX_PATH):
        _read_mcx_request(body, told)
    elif safexml.local(operation) == "GetAndPublishCert":
        told.user = names.sip_address(operation.get("Entity", "")) or told.user
        told.endpoint = operation.get("DeviceId", "").strip("{}") or None
    else:
        claims = (c for c in operation.iter(f"{{{AUTH}}}ClaimType") if c.get("Uri") == URI_CLAIM)
        for claim in claims:
            told.user = told.user or names.sip_address(claim.findtext(f"{{{AUTH}}}Value") or "")


def _operation(top: ET.Element) -> ET.Element | None:
    body = top.find(f"{{{SOAP}}}Body")
    return body[0] if body is not None and len(body) else None


def _read_header(top: ET.Element, told: Told) -> None:
    """A UsernameToken's name. Its password is not even looked at."""
    path = f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken/{{{WSSE}}}Username"
    told.account = told.account or top.findtext(path) or None


def _read_mcx_request(body: bytes, told: Told) -> None:
    try:
        request = mcx.decode_request(body)
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


def read_response(path: str, top: ET.Element, body: bytes, told: Told) -> None:
    """An answer with this body, of which `top` is the envelope."""
    answer = _operation(top)
    if answer is None:
        return
    if answer.tag == f"{{{SOAP}}}Fault":
        _read_fault(answer, told)
    elif path.startswith(MCX_PATH):
        _read_mcx_answer(body, told)
    elif safexml.local(answer) == "RequestSecurityTokenResponseCollection":
        issued = answer.find(f".//{{{wstrust.WST}}}RequestedSecurityToken")
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


def _read_mcx_answer(body: bytes, told: Told) -> None:
    told.document = Document.OTHER
    try:
        answer = mcx.decode_answer(body)
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
