"""NTLM's three messages as far as a proxy's benchmark needs them (MS-NLMP §2.2.1). Pure.

Nothing is computed from a password. What a proxy can break is which connection a message travels on, and
that is checked: the type 3 message holds the challenge that its sender was given, and whoever gave it
compares. A message on another connection than its challenge is refused, as IIS does.
"""

from __future__ import annotations

import base64
import binascii
import struct

SIGNATURE = b"NTLMSSP\x00"
UNICODE = 0x00000001
FLAGS = 0xA2898205  # what Windows and its clients settle on; Unicode is in it
DOMAIN = "CONTOSO"


def negotiate() -> bytes:
    """Type 1, as a header's value."""
    return _value(SIGNATURE + struct.pack("<II", 1, FLAGS) + bytes(16))


def challenge(nonce: bytes) -> bytes:
    """Type 2 with eight bytes of challenge."""
    target = DOMAIN.encode("utf-16-le")
    at = 56
    message = SIGNATURE + struct.pack("<I", 2) + struct.pack("<HHI", len(target), len(target), at)
    message += struct.pack("<I", FLAGS) + nonce + bytes(8) + struct.pack("<HHI", 0, 0, at + len(target))
    return _value(message + bytes(8) + target)


def authenticate(user: str, nonce: bytes) -> bytes:
    """Type 3 of `user`, which answers the challenge `nonce`."""
    fields = [bytes(24), nonce * 8, *(word.encode("utf-16-le") for word in (DOMAIN, user, "PHONE")), b""]
    at = 72
    places = b""
    for field in fields:
        places += struct.pack("<HHI", len(field), len(field), at)
        at += len(field)
    head = SIGNATURE + struct.pack("<I", 3) + places + struct.pack("<I", FLAGS) + bytes(8)
    return _value(head + b"".join(fields))


def kind(value: bytes) -> int:
    """1, 2 or 3; 0: no message of NTLM."""
    message = _message(value)
    return int.from_bytes(message[8:12], "little") if message[:8] == SIGNATURE else 0


def nonce_of(value: bytes) -> bytes:
    """The challenge in a type 2 message. Raises ValueError."""
    message = _message(value)
    if message[:12] != SIGNATURE + struct.pack("<I", 2):
        raise ValueError("no type 2 message")
    return message[24:32]


def proof(value: bytes) -> tuple[str, bytes]:
    """User and answered challenge of a type 3 message. Raises ValueError."""
    message = _message(value)
    if message[:12] != SIGNATURE + struct.pack("<I", 3) or len(message) < 72:
        raise ValueError("no type 3 message")
    return _field(message, 36).decode("utf-16-le"), _field(message, 20)[:8]


def _field(message: bytes, at: int) -> bytes:
    length, _, offset = struct.unpack_from("<HHI", message, at)
    return message[offset : offset + length]


def _value(message: bytes) -> bytes:
    return b"NTLM " + base64.b64encode(message)


def _message(value: bytes) -> bytes:
    scheme, _, token = value.strip().partition(b" ")
    try:
        return base64.b64decode(token, validate=True) if scheme.lower() == b"ntlm" else b""
    except binascii.Error:
        return b""
