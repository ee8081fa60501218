"""NTLM over SIP: security associations, checked by pyspnego, with both sides' message signatures.

SIP's NTLM is connectionless ([MS-SIPAE]; [MS-NLMP] §1.3.1.2): the client sends no type 1, its first
`gssapi-data` is empty, and the server speaks first with a challenge. pyspnego's acceptor wants a type 1,
so it is given one made here, with the flags that a datagram client would ask for. Its challenge then
carries them, and the client's type 3 is verified for real, the session key included. What can't be
verified that way is a MIC, which covers a type 1 that the client never saw; SIPE sends none (seen).

With the session key, each message is signed: HMAC-MD5 under the signing key, RC4 under a key made of the
sealing key and the sequence number, which in SIP is always 100. SIPE signs so and drops any answer to
anything but REGISTER that carries no valid `rspauth` (read in its source; the runs agree).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct

import spnego
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from lyncgate.lab.ntlm import MALFORMED, Accounts

SEQUENCE = 100

# [MS-NLMP] §2.2.2.5, as a datagram client wants them: Unicode, request target, sign, datagram, NTLM,
# always sign, extended session security, identify, target info, version, 128, key exchange, 56.
_DATAGRAM_FLAGS = 0xE2988255
_TYPE_1 = b"NTLMSSP\0" + struct.pack("<II", 1, _DATAGRAM_FLAGS) + bytes(16) + b"\x06\x01\xb1\x1d\0\0\0\x0f"


class RefusedError(Exception):
    """The client's answer is wrong."""


class SecurityAssociation:
    """One handshake and what follows. `opaque` names it in the headers."""

    def __init__(self, accounts: Accounts) -> None:
        self.opaque = secrets.token_hex(4).upper()
        self.principal: str | None = None
        self._accounts = accounts
        self._sent = 0
        accounts.select()
        self._context = spnego.server(protocol="ntlm")
        self._challenge = self._context.step(_TYPE_1) or b""

    def challenge(self) -> str:
        """The type 2 message in Base64, for `gssapi-data`."""
        return base64.b64encode(self._challenge).decode()

    def accept(self, gssapi_data: str) -> None:
        """Check the type 3 message; sets `principal`. Raises RefusedError."""
        try:
            self._accounts.select()
            self._context.step(base64.b64decode(gssapi_data, validate=True))
        except MALFORMED as error:
            raise RefusedError from error
        self.principal = self._context.client_principal

    def verify(self, text: str, signature: str) -> bool:
        """Whether the client signed `text`; `signature` as it came, in hex."""
        return hmac.compare_digest(self._sign(text, b"client-to-server"), signature.lower())

    def next_number(self) -> int:
        """The next `snum`."""
        self._sent += 1
        return self._sent

    def sign(self, text: str) -> str:
        """The server's signature of `text`, in hex."""
        return self._sign(text, b"server-to-client")

    def _sign(self, text: str, direction: bytes) -> str:
        key = self._context.session_key
        signing_key, sealing_key = (
            _md5(key + b"session key to %s %s key magic constant\0" % (direction, purpose))
            for purpose in (b"signing", b"sealing")
        )
        sequence = struct.pack("<I", SEQUENCE)
        mac = hmac.digest(signing_key, sequence + text.encode(), "md5")[:8]
        rc4 = Cipher(ARC4(_md5(sealing_key + sequence)), mode=None).encryptor()
        return (struct.pack("<I", 1) + rc4.update(mac) + sequence).hex()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()  # NTLM's own choice
