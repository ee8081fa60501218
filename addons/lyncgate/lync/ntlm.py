"""NTLM and Negotiate as a proxy sees them: whether a connection carries them, and who signs in.

Both authenticate the connection, not the request (protocol reference §3.3, §9.6), so a proxy must
know when one was used. Only the names in a type 3 message are read, never the responses.
Message layout: MS-NLMP §2.2.1.3.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import struct
from collections.abc import Iterable

SCHEMES = (b"ntlm", b"negotiate")
SIGNATURE = b"NTLMSSP\x00"
UNICODE = 0x00000001  # NTLMSSP_NEGOTIATE_UNICODE
# Signature, type, then length and offset of domain and user, flags: what lies between is not looked at.
_TYPE_3_HEAD = struct.Struct("<8sI16xH2xIH2xI16xI")
LONGEST_NAME = 512  # bytes; longer ones are not believed
# A look at the length spares most names being made lower.
_CHALLENGE, _CREDENTIALS = len(b"www-authenticate"), len(b"authorization")

type Fields = Iterable[tuple[bytes, bytes]]


def challenged(headers: Fields) -> bool:
    """Whether an answer asks for (or goes on with) authentication of the connection. Challenges may
    stand in lines of their own or share one, as IIS writes `Negotiate,NTLM`."""
    return any(
        part.strip().lower().startswith(SCHEMES)
        for name, value in headers
        if len(name) == _CHALLENGE and name.lower() == b"www-authenticate"
        for part in value.split(b",")
    )


def used(headers: Fields) -> bool:
    """Whether a request carries such credentials."""
    return any(
        len(name) == _CREDENTIALS
        and name.lower() == b"authorization"
        and value.lstrip().lower().startswith(SCHEMES)
        for name, value in headers
    )


def user(headers: Fields) -> str | None:
    """`DOMAIN\\user` or `user@domain` from a type 3 message in Authorization; None if there is none
    or it makes no sense. A claim until the pool has accepted it."""
    for name, value in headers:
        if len(name) != _CREDENTIALS or name.lower() != b"authorization":
            continue
        scheme, _, token = value.strip().partition(b" ")
        if scheme.lower() in SCHEMES:
            return _names(token)
    return None


def message_type(credentials: bytes) -> int | None:
    """1, 2 or 3: which NTLM message stands in the value of Authorization or WWW-Authenticate, inside
    Negotiate too. None: there is none."""
    scheme, _, token = credentials.strip().partition(b" ")
    if scheme.lower() not in SCHEMES:
        return None
    try:
        message = binascii.a2b_base64(token.strip(), strict_mode=True)
        (number,) = struct.unpack_from("<I", message, message.index(SIGNATURE) + len(SIGNATURE))
    except (binascii.Error, struct.error, ValueError):
        return None
    return int(number) if number in (1, 2, 3) else None


def _names(token: bytes) -> str | None:
    try:
        message = binascii.a2b_base64(token, strict_mode=True)
        if len(message) < _TYPE_3_HEAD.size:  # as a type 1 is: not worth an exception
            return None
        signature, kind, size, at, account_size, account_at, flags = _TYPE_3_HEAD.unpack_from(message)
        if signature != SIGNATURE or kind != 3:
            return None
        read = _of_utf_16 if flags & UNICODE else _of_latin_1
        domain = read(_part(message, size, at))
        account = read(_part(message, account_size, account_at))
    except (binascii.Error, struct.error, ValueError):
        return None
    if not account or not (domain + account).isprintable():
        return None
    return f"{domain}\\{account}" if domain else account


def _of_utf_16(name: bytes) -> str:
    return codecs.utf_16_le_decode(name, "strict", True)[0]  # decode() asks the registry, in Python


def _of_latin_1(name: bytes) -> str:
    return name.decode("latin-1")


def _field(message: bytes, at: int) -> bytes:
    length, _, offset = struct.unpack_from("<HHI", message, at)
    return _part(message, length, offset)


def _part(message: bytes, length: int, offset: int) -> bytes:
    if length > LONGEST_NAME or offset + length > len(message):
        raise ValueError("field outside the message")
    return message[offset : offset + length]


def without_proof(token: bytes) -> bytes | None:
    """The message of a header's value (Base64, scheme cut off) with its names and without anything that
    proves or could be tried against a password: responses, session key, challenge. None: no NTLM message.
    """
    try:
        message = base64.b64decode(token, validate=True)
        if not message.startswith(SIGNATURE):
            return None
        (kind,) = struct.unpack_from("<I", message, 8)
        if kind == 3:
            (flags,) = struct.unpack_from("<I", message, 60)
            shown = [_field(message, at) for at in (28, 36, 44)]  # domain, user, workstation
            message = SIGNATURE + struct.pack("<I", 3) + _type_3(flags, shown)
        elif kind == 2:
            message = SIGNATURE + struct.pack("<I", 2) + bytes(36)  # up to where its target begins
        elif kind == 1:
            message = SIGNATURE + struct.pack("<I", 1) + message[12:16].ljust(4, b"\0") + bytes(16)
        else:
            return None
    except (binascii.Error, struct.error, ValueError):
        return None
    return base64.b64encode(message)


def _type_3(flags: int, shown: list[bytes]) -> bytes:
    """What follows the type: eight-byte places of two responses, three names and a key; flags; the names."""
    at = 64
    places = []
    for value in (b"", b"", *shown, b""):
        places.append(struct.pack("<HHI", len(value), len(value), at))
        at += len(value)
    return b"".join(places) + struct.pack("<I", flags) + b"".join(shown)
