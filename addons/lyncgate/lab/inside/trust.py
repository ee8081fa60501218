"""How the registrar challenges a mobility service for a user, and how it is answered. OUR GUESS.

That REGISTER is challenged and answered is known (protocol reference §5.5); with what scheme, between two
servers that know each other by certificate, is not. The lab has its own, named so that nobody takes it for
Microsoft's, and strict: the mobility service proves with the pool's key that it stands for the user.

    WWW-Authenticate: LabTrust realm="…", targetname="fe01.contoso.local", opaque="<hex>"
    Authorization: LabTrust realm="…", opaque="<hex>", cnum="1", response="<hex>"

`opaque` names the association (and is the challenge: random, new each time), `cnum` grows with every
message, `response` is HMAC-SHA256 under the pool's key over what makes the message. All later requests
of the registered endpoint carry it too, as with NTLM in [MS-SIPAE].
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets

from lyncgate.lab import sipmessage
from lyncgate.lab.sipmessage import Message
from lyncgate.lab.topology import REALM

SCHEME = "LabTrust"
_COVERED = ("From", "To", "Call-ID", "CSeq", "Contact", "Event", "Expires")


def challenge(server: str, opaque: str) -> tuple[str, str]:
    """The header of a 401."""
    return ("WWW-Authenticate", f'{SCHEME} realm="{REALM}", targetname="{server}", opaque="{opaque}"')


def challenged(header: str) -> str | None:
    """The `opaque` of a 401's WWW-Authenticate; None: not our scheme."""
    scheme, _, rest = header.partition(" ")
    return sipmessage.parameters(rest).get("opaque") if scheme == SCHEME else None


@dataclasses.dataclass(slots=True)
class Signer:
    """The mobility service's side of an association."""

    key: bytes
    opaque: str
    _cnum: int = 0

    def signed(self, message: Message) -> Message:
        """The message with its Authorization."""
        self._cnum += 1
        response = _response(self.key, self.opaque, str(self._cnum), message)
        value = (
            f'{SCHEME} realm="{REALM}", opaque="{self.opaque}", cnum="{self._cnum}", response="{response}"'
        )
        return dataclasses.replace(message, headers=(*message.headers, ("Authorization", value)))


@dataclasses.dataclass(slots=True)
class Association:
    """The registrar's side. `sip`: the user it was opened for."""

    key: bytes
    sip: str
    opaque: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))
    _cnum: int = 0

    def verify(self, message: Message) -> bool:
        """Whether the message proves itself, and is not a replay."""
        given = parameters(message)
        cnum = given.get("cnum", "")
        if not (cnum.isascii() and cnum.isdecimal() and len(cnum) < 10 and int(cnum) > self._cnum):
            return False
        if not hmac.compare_digest(
            _response(self.key, self.opaque, cnum, message), given.get("response", "")
        ):
            return False
        self._cnum = int(cnum)
        return True


def parameters(message: Message) -> dict[str, str]:
    """What a request's Authorization says; empty where it is of another scheme or missing."""
    scheme, _, rest = message.header("authorization").partition(" ")
    return sipmessage.parameters(rest) if scheme == SCHEME else {}


def _response(key: bytes, opaque: str, cnum: str, message: Message) -> str:
    fields = [opaque, cnum, message.method, message.uri, *(message.header(name) for name in _COVERED)]
    text = "".join(f"<{field}>" for field in fields) + hashlib.sha256(message.body).hexdigest()
    return hmac.digest(key, text.encode(), "sha256").hex()
