"""The bodies that the registrar answers SUBSCRIBE with, by event package.

vnd-microsoft-provisioning-v2    in-band provisioning (protocol reference §5.7)
vnd-microsoft-roaming-contacts   the contact list
presence                         what the contacts are doing
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from lyncgate.lab.directory import User

type Document = Callable[[User], bytes]

PROVISIONING, CONTACTS, PRESENCE = (
    "vnd-microsoft-provisioning-v2",
    "vnd-microsoft-roaming-contacts",
    "presence",
)
CONTENT_TYPES = {
    PROVISIONING: "application/vnd-microsoft-roaming-provisioning-v2+xml",
    CONTACTS: "application/vnd-microsoft-roaming-contacts+xml",
    PRESENCE: "application/msrtc-event-categories+xml",
}


def _empty_provisioning(user: User) -> bytes:
    return b'<provisionGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification"/>'


def _no_contacts(user: User) -> bytes:
    return b'<contactList deltaNum="1"/>'


def _own_presence(user: User) -> bytes:
    return (
        f'<categories xmlns="http://schemas.microsoft.com/2006/09/sip/categories" uri="sip:{user.sip}"/>'
    ).encode()


@dataclasses.dataclass(frozen=True, slots=True)
class Documents:
    """What a user is given, as XML: each a function of the user."""

    provisioning: Document = _empty_provisioning
    contacts: Document = _no_contacts
    presence: Document = _own_presence

    def of(self, event: str, user: User) -> tuple[str, bytes] | None:
        """Content-Type and body for an event package; None: we don't serve it (489 Bad Event)."""
        makers = {PROVISIONING: self.provisioning, CONTACTS: self.contacts, PRESENCE: self.presence}
        maker = makers.get(event)
        return (CONTENT_TYPES[event], maker(user)) if maker else None
