"""Meetings, as far as someone without an account can join one: each user has one that is always on.

Its identifier is also its key, as it stands at the end of the join URL; how a real pool makes them up is
not known to us, so ours are derived from the organiser's address.

    join URL      https://meet.contoso.example/alice/3F9A21C0
    conference    sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:3F9A21C0
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from lyncgate.lab.directory import Directory
from lyncgate.lab.scenario.users import User

_CONFERENCE = re.compile(r"sip:([^;]+);gruu;opaque=app:conf:focus:id:(\w+)", re.IGNORECASE)
GUESTS = "anonymous.invalid"  # our name for the domain of who has no account (RFC 2606)


def conference_key(organiser: User) -> str:
    """Identifier and key of the user's meeting."""
    return hashlib.sha256(organiser.sip.encode()).hexdigest()[:8].upper()


def conference_uri(organiser: User) -> str:
    """The address of the user's meeting."""
    return f"sip:{organiser.sip};gruu;opaque=app:conf:focus:id:{conference_key(organiser)}"


def admit(directory: Directory, uri: str, key: str) -> str | None:
    """A new guest's address, for who names an existing conference and knows its key; else None."""
    found = _CONFERENCE.fullmatch(uri.strip())
    organiser = directory.by_sip(found[1]) if found else None
    if found is None or organiser is None:
        return None
    wanted = conference_key(organiser)
    if found[2].upper() != wanted or not hmac.compare_digest(key.upper().encode(), wanted.encode()):
        return None
    return f"guest-{secrets.token_hex(4)}@{GUESTS}"
