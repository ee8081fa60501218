"""What ties events to each other: the keys that one event can carry.

Exact keys name one device's doing and nobody else's: connection, tickets, application, endpoint, dialog.
Weak ones are shared: a user may have two devices, an address five hundred users. No key is a secret:
tickets and session ids are kept as keyed hashes only, which tell equal from unequal and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib

import msgspec

HASH_BYTES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Hasher:
    """Makes keyed hashes of secrets (BLAKE2b, 16 hex digits). Events can be joined by them only if
    made with the same key, so workers and machines that share a journal share its key file."""

    key: bytes  # 16 to 64 bytes, random

    def __call__(self, secret: str | bytes) -> str:
        data = secret.encode() if isinstance(secret, str) else secret
        return hashlib.blake2b(data, digest_size=HASH_BYTES, key=self.key).hexdigest()


class Keys(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an event says about whose it is. Absent: None, or an empty tuple."""

    # Exact.
    connection: str | None = None  # id of the client connection
    tickets: tuple[str, ...] = ()  # hashes: of the web ticket shown, and of those handed out
    application: str | None = None  # hash: UCWA application or MCX session, made or used
    endpoint: str | None = None  # SIP epid, or the endpoint id that a web client gives
    dialog: str | None = None  # SIP Call-ID
    # Weak.
    user: str | None = None  # SIP address, lower case, without `sip:`
    account: str | None = None  # user name of NTLM or of a ticket request, as it was given
    client: str | None = None  # IP address
    agent: str | None = None  # User-Agent, cut to 128 characters

    @property
    def exact(self) -> tuple[tuple[str, str], ...]:
        """(kind, value) of every exact key: events that share one belong to one sign-in."""
        named = (
            ("connection", self.connection),
            *(("ticket", ticket) for ticket in self.tickets),
            ("application", self.application),
            ("endpoint", self.endpoint),
            ("dialog", self.dialog),
        )
        return tuple((kind, value) for kind, value in named if value)


NONE = Keys()
