"""The bodies that a registrar answers SUBSCRIBE with, made from the scenario. For both registrars: the
inside port's, and that of SIP clients outside (`lab.sip`).

    vnd-microsoft-provisioning-v2    the groups that were asked for (lync.provisioning)
    vnd-microsoft-roaming-contacts   the buddy list (lync.contacts)
    presence                         card and state of those who were named (lync.presencebatch)
"""

from __future__ import annotations

from lyncgate.lab import sipmessage
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.scenario.users import User
from lyncgate.lab.sipmessage import Answer, Message
from lyncgate.lync import contacts, presencebatch, provisioning
from lyncgate.lync.presencebatch import BatchError
from lyncgate.lync.provisioning import ProvisioningError

EXPIRES = 7200  # seconds
EVENTS = (provisioning.EVENT, contacts.ROAMING_EVENT, contacts.PRESENCE_EVENT)


def subscribed(scenario: Scenario, user: User, message: Message, tag: str) -> Answer:
    """The answer to SUBSCRIBE: 200 with the first notification on its back (ms-piggyback-first-notify), 400
    for a body that can't be read, 489 for an event that we don't serve."""
    event = message.header("event")
    try:
        document = _document(scenario, user, event, message.body)
    except (ProvisioningError, BatchError):
        return sipmessage.answer(message, 400, "Bad Request", tag=tag)
    if document is None:
        return sipmessage.answer(message, 489, "Bad Event", tag=tag)
    content_type, body = document
    expires = message.header("expires") or str(EXPIRES)
    state = "terminated;expires=0" if expires == "0" else f"active;expires={expires}"
    headers = (
        ("Event", event),
        ("Expires", expires),
        ("subscription-state", state),
        ("ms-piggyback-cseq", "1"),
        ("Supported", "ms-benotify, ms-piggyback-first-notify"),
        ("Content-Type", content_type),
    )
    return sipmessage.answer(message, 200, "OK", *headers, body=body, tag=tag)


def _document(scenario: Scenario, user: User, event: str, asked: bytes) -> tuple[str, bytes] | None:
    """Content-Type and body."""
    match event.lower():
        case provisioning.EVENT:
            groups = provisioning.parse_request(asked)
            return provisioning.CONTENT_TYPE, provisioning.document(scenario.provisioning(user), groups)
        case contacts.ROAMING_EVENT:
            return contacts.ROAMING_CONTENT_TYPE, contacts.roaming_document(scenario.contacts(user))
        case contacts.PRESENCE_EVENT:
            watched = (scenario.by_sip.get(address) for address in presencebatch.parse_request(asked))
            return presencebatch.document(
                contacts.presence_document(scenario.presence(user, of)) for of in watched if of
            )
        case _:
            return None
